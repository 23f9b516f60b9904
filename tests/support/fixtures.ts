/** Where tests find models and expected values: carried in the repository, or pointed to by the environment. */

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A path in the repository, from its root. */
export function repository(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

/** A path in tests/fixtures. */
export function fixture(path: string): string {
  return repository(`tests/fixtures/${path}`);
}

/**
 * The folder that an environment variable points to; null where it is not set, so that a test can be skipped visibly.
 * Set, but wrong, is a failure: a suite that quietly tests less proves nothing.
 */
export function external(variable: "QKV_MODELS" | "QKV_GOLDENS"): string | null {
  const folder = process.env[variable];
  if (folder === undefined || folder === "") {
    console.warn(`${variable} is not set: the tests that need it are skipped (see CONTRIBUTING.md)`);
    return null;
  }
  if (!existsSync(folder)) throw new Error(`${variable} is set to ${folder}, and there is no such folder`);
  return folder;
}

/** A file in such a folder, which must be there if the folder is. */
export function externalFile(variable: "QKV_MODELS" | "QKV_GOLDENS", name: string): string | null {
  const folder = external(variable);
  if (folder === null) return null;
  const path = `${folder}/${name}`;
  if (!existsSync(path)) throw new Error(`${variable} is set to ${folder}, which has no ${name}`);
  return path;
}

export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, "utf8")) as T;
}

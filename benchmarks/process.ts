/** Processes that measure: one bundled from the sources for all contenders, so that any Node runs it, and how it is asked. */

import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

type Build = (options: Readonly<Record<string, unknown>>) => Promise<unknown>;

/** A folder of its own with `source` bundled into it, by the bundler that tsup brings. */
export async function bundleChild(
  source: URL,
): Promise<{ readonly folder: string; readonly file: string; remove(): void }> {
  const tsup = createRequire(import.meta.url).resolve("tsup");
  const { build } = (await import(pathToFileURL(createRequire(tsup).resolve("esbuild")).href)) as { build: Build };
  const folder = mkdtempSync(join(tmpdir(), "qkv-bench-"));
  const file = join(folder, "child.mjs");
  await build({
    entryPoints: [fileURLToPath(source)],
    outfile: file,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "es2022",
    conditions: ["qkv-source"],
    logLevel: "warning",
  });
  return { folder, file, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/**
 * Sends a question to a running process and waits for its next message.
 *
 * @throws Error if it ends, or takes longer than `timeoutMs`, at which it is killed
 */
export function ask<Answer>(child: ChildProcess, question: object, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    const over = () => {
      clearTimeout(late);
      child.off("message", answered).off("exit", ended).off("error", reject);
    };
    const answered = (answer: unknown) => {
      over();
      resolve(answer as Answer);
    };
    const ended = (code: number | null, signal: string | null) => {
      over();
      reject(new Error(`its process ended with ${signal ?? `exit code ${code}`}`));
    };
    child.on("message", answered).on("exit", ended).on("error", reject);
    child.send(question);
  });
}

/** What a user's bundler makes of the built packages. */

import { realpathSync } from "node:fs";
import { isAbsolute, relative, resolve } from "node:path";
import { repository } from "../support/fixtures";

/** A bundle, and what went into it. */
export interface Bundle {
  readonly code: Uint8Array;
  /** Paths from the repository's root. */
  readonly inputs: readonly string[];
  /** What the bundler complained of. */
  readonly warnings: readonly string[];
}

/** A module's own text, bundled and minified with esbuild's defaults for browsers. What it imports, tests/ must have. */
export async function bundleText(contents: string): Promise<Uint8Array> {
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: repository("tests") },
    bundle: true,
    minify: true,
    platform: "browser",
    format: "esm",
    target: "es2022",
    write: false,
    logLevel: "silent",
    tsconfigRaw: {},
  });
  return outputFiles[0].contents;
}

/** Bundles page.ts with esbuild's defaults for browsers, which resolve every package by its own exports. */
export async function bundlePage(): Promise<Bundle> {
  const { build, formatMessages } = await import("esbuild");
  const root = realpathSync(repository("."));
  const { outputFiles, metafile, warnings } = await build({
    entryPoints: [repository("tests/browser/page.ts")],
    absWorkingDir: root,
    bundle: true,
    platform: "browser",
    format: "esm",
    target: "es2022",
    outfile: "page.js",
    write: false,
    metafile: true,
    logLevel: "silent",
    // The repository's own settings must not tell how a user's bundler finds packages.
    tsconfigRaw: {},
  });
  const fromRoot = (path: string) => relative(root, isAbsolute(path) ? path : resolve(root, path));
  return {
    code: outputFiles[0].contents,
    inputs: Object.keys(metafile.inputs).map(fromRoot).sort(),
    warnings: await formatMessages(warnings, { kind: "warning" }),
  };
}

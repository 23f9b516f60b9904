import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Options } from "tsup";

/**
 * How every package is built: ESM and CJS with types, readable (not minified).
 *
 * Source maps are built and stay out of the tarball, where they would be half of its bytes beside code that can be read
 * as it is; so nothing in that code points to them either (`unlinkSourceMaps`), which would make bundlers warn.
 */
export function library(): Options {
  return {
    entry: ["src/index.ts"],
    format: ["esm", "cjs"],
    target: "es2022",
    platform: "neutral",
    dts: true,
    sourcemap: true,
    clean: true,
    treeshake: true,
    splitting: false,
    onSuccess: unlinkSourceMaps,
  };
}

async function unlinkSourceMaps(): Promise<void> {
  for (const file of readdirSync("dist").filter((name) => /\.c?js$/.test(name))) {
    const code = readFileSync(`dist/${file}`, "utf8");
    // One link from esbuild, and one from rollup, which shakes the tree after it.
    writeFileSync(`dist/${file}`, code.replace(/(\n\/\/# sourceMappingURL=\S+\s*)+$/, "\n"));
  }
}

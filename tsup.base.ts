import type { Options } from "tsup";

/** How every package is built: ESM and CJS with types and source maps, readable (not minified). */
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
  };
}

import { defineConfig } from "tsup";
import { library } from "../../tsup.base";

// Minified, as people take this for its size; the sources are what is to be read.
// The types name Symbol.asyncDispose, which TypeScript has in a library of its own.
export default defineConfig({
  ...library(),
  minify: "terser",
  terserOptions: { module: true, ecma: 2020, compress: { passes: 2 } },
  dts: { banner: '/// <reference lib="esnext.disposable" />' },
});

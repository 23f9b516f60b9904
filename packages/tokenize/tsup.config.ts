import { defineConfig } from "tsup";
import { library } from "../../tsup.base";

// One minified ES module: people take this package for its size. `require` loads it from Node 20.19 on.
export default defineConfig({
  ...library(),
  format: ["esm"],
  minify: "terser",
  terserOptions: { module: true, ecma: 2020, compress: { passes: 3, pure_getters: true, unsafe_arrows: true } },
  dts: { compilerOptions: { stripInternal: true } },
});

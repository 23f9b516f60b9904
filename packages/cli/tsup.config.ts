import { defineConfig } from "tsup";
import { library } from "../../tsup.base";

// The library half is dual; the executable is ESM only.
export default defineConfig([
  library(),
  { ...library(), entry: ["src/qkv.ts"], format: ["esm"], dts: false, clean: false },
]);

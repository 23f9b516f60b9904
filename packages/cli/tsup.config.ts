import { defineConfig } from "tsup";
import { library } from "../../tsup.base";

// Run twice, one after the other, because the first run empties dist/: the library, then the executable (ESM only).
export default defineConfig(({ env }) =>
  env?.PART === "executable"
    ? { ...library(), entry: ["src/qkv.ts"], format: ["esm"], dts: false, clean: false }
    : library(),
);

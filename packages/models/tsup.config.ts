import { defineConfig } from "tsup";
import { library } from "../../tsup.base";

// The types name Symbol.asyncDispose, which TypeScript has in a library of its own.
export default defineConfig({ ...library(), dts: { banner: '/// <reference lib="esnext.disposable" />' } });

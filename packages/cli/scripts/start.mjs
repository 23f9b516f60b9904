/**
 * Runs the command line from its sources, without a build: `node packages/cli/scripts/start.mjs generate`.
 * All in one process, so that signals, streams and the exit code need no passing on.
 */

import { register } from "node:module";
import { register as registerTypeScript } from "tsx/esm/api";

registerTypeScript();
// The packages' exports name their sources under this condition; from inside a process it can only be set by a hook.
const hook = `export const resolve = (specifier, context, next) =>
  next(specifier, { ...context, conditions: [...context.conditions, "qkv-source"] });`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);

await import("../src/qkv.ts");

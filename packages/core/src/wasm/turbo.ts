/** Speed that must be asked for: what an engine has behind its flags. */

import { Arena } from "../memory/arena";
import { type EngineFeatures, engineFeatures, relaxedDotAvailable } from "./engine";
import { compileNow } from "./program";
import { firstDifference } from "./self-check";
import { WasmKernels } from "./wasm-kernels";

/** The first Node whose V8 joins vectors without mistakes that we know of. */
const WIDE_FROM_NODE = 24;

let turbo: Promise<EngineFeatures> | null = null;

/**
 * What the engine offers with its experimental flags on: in Node 20 the relaxed dot product, from Node 24 on V8's
 * revectorizer, which makes one 256-bit operation of two neighbouring ones. Neither changes a bit of any result: every
 * kernel is run once, optimised, against the same without flags, and where one differs the flags are taken back, with
 * a warning. They are set for the whole process. Elsewhere there are none to set, and this is `engineFeatures()`.
 */
export function turboFeatures(): Promise<EngineFeatures> {
  turbo ??= enable();
  return turbo;
}

async function enable(): Promise<EngineFeatures> {
  const features = engineFeatures(); // before any flag: it tells what the compiler is
  const node = typeof process === "undefined" ? undefined : process.versions?.node;
  if (node === undefined) return features;
  const specifier = "node:v8";
  const v8 = (await import(/* webpackIgnore: true */ /* @vite-ignore */ specifier)) as typeof import("node:v8");
  if (typeof v8.setFlagsFromString !== "function") return features;

  const plain = await WasmKernels.create(new Arena(), features);
  const wide = Number.parseInt(node, 10) >= WIDE_FROM_NODE;
  if (!features.relaxedDot) v8.setFlagsFromString("--experimental-wasm-relaxed-simd");
  if (wide) v8.setFlagsFromString("--experimental-wasm-revectorize");
  const wanted = { ...features, relaxedDot: relaxedDotAvailable(), wide };
  // The code that is checked must be what the optimising compiler makes, not what runs until it has.
  for (const flag of ["--no-liftoff", "--no-wasm-lazy-compilation"]) v8.setFlagsFromString(flag);
  let difference: string | null;
  let fast: WasmKernels | null = null;
  try {
    // At once: compiling in the background does not come to its end under these flags.
    fast = new WasmKernels(new Arena(), compileNow({ ...wanted, addressBits: 32, shared: false }));
    difference = firstDifference(plain, fast);
  } catch (error) {
    difference = error instanceof Error ? error.message : String(error);
  } finally {
    for (const flag of ["--liftoff", "--wasm-lazy-compilation"]) v8.setFlagsFromString(flag);
  }
  plain.arena.dispose();
  fast?.arena.dispose();
  if (difference === null) return wanted;
  if (wide) v8.setFlagsFromString("--no-experimental-wasm-revectorize");
  process.emitWarning(`turbo: ${difference} gives other bits under V8's flags here; going on without them`, {
    code: "QKV_TURBO",
  });
  return features;
}

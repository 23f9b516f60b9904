/** Speed that must be asked for: what an engine has behind its flags. */

import type { ActivationPrecision } from "../kernels/kernels";
import { Arena } from "../memory/arena";
import { builtin, inNode } from "../threads/host";
import { type EngineFeatures, engineFeatures } from "./engine";
import { compileNow } from "./program";
import { firstDifference, kernelResults } from "./self-check";
import { WasmKernels } from "./wasm-kernels";

/** The first Node whose V8 joins vectors without mistakes that we know of. */
const WIDE_FROM_NODE = 24;

let turbo: Promise<EngineFeatures> | null = null;

/**
 * What the engine offers with its experimental flags on: from Node 24 on V8's revectorizer, which makes one 256-bit
 * operation of two neighbouring ones. It changes no bit of any result: every kernel is run once, optimised, against the
 * same without the flag, and where one differs the flag is taken back, with a warning. It is set for the whole process.
 *
 * Elsewhere there is none to set, and this is `engineFeatures()`. Node 20 has the relaxed dot product behind a flag, and
 * its optimising compiler gives wrong sums for it in some loops: it stays off.
 */
export function turboFeatures(): Promise<EngineFeatures> {
  turbo ??= enable();
  return turbo;
}

async function enable(): Promise<EngineFeatures> {
  const features = engineFeatures(); // before any flag: it tells what the compiler is
  if (!inNode()) return features;
  const v8 = await builtin<typeof import("node:v8")>("node:v8");
  if (typeof v8.setFlagsFromString !== "function") return features;

  if (Number.parseInt(process.versions.node, 10) < WIDE_FROM_NODE) return features;

  // What is trusted is computed before any flag: engines compile a function when it is first called.
  const target = { addressBits: 32, shared: false } as const;
  const make = (engine: EngineFeatures, activations: ActivationPrecision) =>
    new WasmKernels(new Arena(), compileNow({ ...engine, ...target }), { activations });
  const trusted = PRECISIONS.map((activations) => kernelResults(make(features, activations)));
  const wanted = { ...features, wide: true };
  v8.setFlagsFromString("--experimental-wasm-revectorize");
  // The code that is checked must be what the optimising compiler makes, not what runs until it has. At once: compiling
  // in the background does not come to its end under these flags.
  for (const flag of ["--no-liftoff", "--no-wasm-lazy-compilation"]) v8.setFlagsFromString(flag);
  let difference: string | null = null;
  try {
    PRECISIONS.forEach((activations, i) => {
      difference ??= firstDifference(trusted[i], kernelResults(make(wanted, activations)));
    });
  } catch (error) {
    difference = error instanceof Error ? error.message : String(error);
  } finally {
    for (const flag of ["--liftoff", "--wasm-lazy-compilation"]) v8.setFlagsFromString(flag);
  }
  if (difference === null) return wanted;
  v8.setFlagsFromString("--no-experimental-wasm-revectorize");
  process.emitWarning(`turbo: ${difference} gives other bits under V8's flags here; going on without them`, {
    code: "QKV_TURBO",
  });
  return features;
}

const PRECISIONS: readonly ActivationPrecision[] = ["int8", "f32"];

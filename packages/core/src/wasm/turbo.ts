/** Speed that must be asked for: what an engine has behind its flags. */

import type { Dtype } from "../dtypes/dtype";
import type { ActivationPrecision } from "../kernels/kernels";
import { Arena } from "../memory/arena";
import { builtin, inNode } from "../threads/host";
import { type EngineFeatures, engineFeatures } from "./engine";
import { compileNow, DTYPES } from "./program";
import { firstDifference, kernelResults } from "./self-check";
import { WasmKernels } from "./wasm-kernels";

/** The first Node whose V8 joins vectors without mistakes that we know of. */
const WIDE_FROM_NODE = 24;

/** Dtypes whose kernels were found to give the same bits; null once some did not. */
let checked: Set<Dtype> | null = new Set();
/** Checks set flags of the process, and wait for each other. */
let checking: Promise<unknown> = Promise.resolve();

/**
 * What the engine offers with its experimental flags on: from Node 24 on V8's revectorizer, which makes one 256-bit
 * operation of two neighbouring ones. It changes no bit of any result: every kernel is run once, optimised, against the
 * same without the flag, and where one differs the flag is taken back, with a warning. It is set for the whole process.
 *
 * Elsewhere there is none to set, and this is `engineFeatures()`. Node 20 has the relaxed dot product behind a flag, and
 * its optimising compiler gives wrong sums for it in some loops: it stays off.
 *
 * @param dtypes of the weights that kernels will be made for; those that were not checked before are
 */
export function turboFeatures(dtypes: Iterable<Dtype> = DTYPES): Promise<EngineFeatures> {
  const result = checking.then(() => enable(new Set(dtypes)));
  checking = result.catch(() => {});
  return result;
}

/** What an engine is before any flag: they tell what the compiler is. */
let plain: EngineFeatures | null = null;

async function enable(dtypes: ReadonlySet<Dtype>): Promise<EngineFeatures> {
  plain ??= engineFeatures();
  const features = plain;
  if (!inNode() || checked === null) return features;
  const v8 = await builtin<typeof import("node:v8")>("node:v8");
  if (typeof v8.setFlagsFromString !== "function") return features;

  if (Number.parseInt(process.versions.node, 10) < WIDE_FROM_NODE) return features;
  const wanted = { ...features, wide: true };
  const unchecked = new Set([...dtypes].filter((dtype) => !checked?.has(dtype)));
  if (unchecked.size === 0 && checked.size > 0) return wanted;

  // What is trusted is computed without the flag: engines compile a function when it is first called.
  const target = { addressBits: 32, shared: false } as const;
  const resultsOf = (engine: EngineFeatures, activations: ActivationPrecision) => {
    const program = compileNow({ ...engine, ...target }, unchecked);
    return kernelResults(new WasmKernels(new Arena(), program, { activations }), unchecked);
  };
  v8.setFlagsFromString("--no-experimental-wasm-revectorize");
  const exact = { ...features, byteDot: null }; // products that every engine has
  const trusted = PRECISIONS.map((activations) => resultsOf(exact, activations));
  v8.setFlagsFromString("--experimental-wasm-revectorize");
  // The code that is checked must be what the optimising compiler makes, not what runs until it has. At once: compiling
  // in the background does not come to its end under these flags.
  for (const flag of ["--no-liftoff", "--no-wasm-lazy-compilation"]) v8.setFlagsFromString(flag);
  let difference: string | null = null;
  try {
    PRECISIONS.forEach((activations, i) => {
      difference ??= firstDifference(trusted[i], resultsOf(wanted, activations));
    });
  } catch (error) {
    difference = error instanceof Error ? error.message : String(error);
  } finally {
    for (const flag of ["--liftoff", "--wasm-lazy-compilation"]) v8.setFlagsFromString(flag);
  }
  if (difference === null) {
    for (const dtype of unchecked) checked.add(dtype);
    return wanted;
  }
  checked = null;
  v8.setFlagsFromString("--no-experimental-wasm-revectorize");
  process.emitWarning(`turbo: ${difference} gives other bits under V8's flags here; going on without them`, {
    code: "QKV_TURBO",
  });
  return features;
}

const PRECISIONS: readonly ActivationPrecision[] = ["int8", "f32"];

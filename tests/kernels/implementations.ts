/** The kernels that tests compare: the reference, and the emitted code in every form that this engine runs. */

import { type ActivationPrecision, Arena, type EngineFeatures, engineFeatures, WasmKernels } from "@qkv/core";

const base = { relaxedDot: false, byteDot: null, keepsOrder: true, wide: false };
const { relaxedDot, byteDot } = engineFeatures();

/** Forms of the emitted code by name: tiles for either compiler, and every dot product that this engine has. */
export const FORMS: Readonly<Record<string, EngineFeatures>> = {
  "small tiles": { ...base, keepsOrder: false },
  "large tiles": base,
  "wide tiles": { ...base, wide: true },
  ...(relaxedDot && { "large tiles, relaxed dot": { ...base, relaxedDot } }),
  ...(byteDot !== null && {
    "large tiles, dot of full bytes": { ...base, relaxedDot, byteDot },
    "wide tiles, dot of full bytes": { ...base, relaxedDot, byteDot, wide: true },
  }),
};

/** Kernels in an arena of their own. Give them back with `dispose`. */
export async function wasmKernels({
  form = engineFeatures(),
  activations = "f32",
  threads = 1,
  addressBits = 32,
}: {
  readonly form?: EngineFeatures;
  readonly activations?: ActivationPrecision;
  readonly threads?: number;
  readonly addressBits?: 32 | 64;
} = {}): Promise<WasmKernels> {
  const kernels = await WasmKernels.create(new Arena({ shared: threads > 1, addressBits }), form, { activations });
  await kernels.useThreads(threads);
  return kernels;
}

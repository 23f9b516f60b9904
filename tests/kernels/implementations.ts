/** The kernels that tests compare: the reference, and the emitted code in every form that this engine runs. */

import { type ActivationPrecision, Arena, type EngineFeatures, engineFeatures, WasmKernels } from "@qkv/core";

/** Forms of the emitted code by name: tiles for either compiler, with and without the relaxed dot product. */
export const FORMS: Readonly<Record<string, EngineFeatures>> = Object.fromEntries(
  [
    { relaxedDot: false, keepsOrder: false, wide: false },
    { relaxedDot: false, keepsOrder: true, wide: false },
    { relaxedDot: false, keepsOrder: true, wide: true },
    ...(engineFeatures().relaxedDot ? [{ relaxedDot: true, keepsOrder: true, wide: false }] : []),
  ].map((form) => [
    `${form.wide ? "wide tiles" : form.keepsOrder ? "large tiles" : "small tiles"}${form.relaxedDot ? ", relaxed dot" : ""}`,
    form,
  ]),
);

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

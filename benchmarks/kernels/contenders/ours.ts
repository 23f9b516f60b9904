/** Our kernels: those that are emitted, and the reference. */

import { Arena, engineFeatures, type Kernels, ReferenceKernels, turboFeatures, WasmKernels } from "@qkv/core";
import type { KernelCase } from "../cases";
import type { Contender, Job, Ready } from "../protocol";

/** More would take the reference seconds a call. */
const REFERENCE_MULTIPLY_ADDS = 50e6;

/** Emitted kernels; each case has an arena of its own. */
export async function qkv({ threads, turbo }: Job): Promise<Contender> {
  const engine = turbo ? await turboFeatures() : engineFeatures();
  return async (kernelCase) => {
    const arena = new Arena({ shared: true });
    const kernels = await WasmKernels.create(arena, engine, { activations: "int8" });
    await kernels.useThreads(threads);
    return ready(kernelCase, kernels, () => {
      kernels.dispose();
      arena.dispose();
    });
  };
}

export async function reference(): Promise<Contender> {
  return async (kernelCase) => {
    if (kernelCase.multiplyAdds > REFERENCE_MULTIPLY_ADDS) return "too slow for it";
    const arena = new Arena();
    return ready(kernelCase, new ReferenceKernels(arena, { activations: "int8" }), () => arena.dispose());
  };
}

function ready(kernelCase: KernelCase, kernels: Kernels, release: () => void): Ready {
  return { ways: [{ operation: "", run: kernelCase.prepare(kernels) }], overheadMs: 0, release };
}

/** Runs ONNX graphs in onnxruntime, the oracle of the tests: one thread, and no rewriting of the graph. */

import type { Tensor } from "./model";

type Onnxruntime = typeof import("onnxruntime-node");

/** onnxruntime-node is a native module: null on machines that it has no build for. */
export const onnxruntime: Onnxruntime | null = await import("onnxruntime-node").catch((cause: unknown) => {
  console.warn(`onnxruntime-node does not load, so nothing is compared with it: ${String(cause)}`);
  return null;
});

/** Runs a model once; its float32 outputs by name. */
export async function runOnnx(
  model: Uint8Array,
  feeds: Readonly<Record<string, Tensor>> = {},
): Promise<Record<string, Float32Array>> {
  if (onnxruntime === null) throw new Error("onnxruntime-node does not load");
  const { InferenceSession, Tensor: OrtTensor } = onnxruntime;
  const session = await InferenceSession.create(model, {
    logSeverityLevel: 4,
    graphOptimizationLevel: "disabled",
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  });
  try {
    const inputs = Object.entries(feeds).map(([name, { type, data, dims }]) => [
      name,
      new OrtTensor(type, data as never, dims),
    ]);
    const results = await session.run(Object.fromEntries(inputs));
    return Object.fromEntries(
      Object.entries(results).map(([name, tensor]) => {
        if (tensor.type !== "float32") throw new TypeError(`output ${name}: expected float32, got ${tensor.type}`);
        return [name, (tensor.data as Float32Array).slice()];
      }),
    );
  } finally {
    await session.release();
  }
}

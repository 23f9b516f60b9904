/** Runs ONNX graphs in onnxruntime, the oracle of the tests: one thread, and no rewriting of the graph. */

import type { Tensor } from "./model";

type Onnxruntime = typeof import("onnxruntime-node");

/** onnxruntime-node is a native module: null on machines that it has no build for. */
export const onnxruntime: Onnxruntime | null = await import("onnxruntime-node").catch((cause: unknown) => {
  console.warn(`onnxruntime-node does not load, so nothing is compared with it: ${String(cause)}`);
  return null;
});

/** A result: its numbers, row-major, and their shape. */
export interface OnnxResult {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A model that is open, for several runs. */
export interface OnnxModel {
  /** The float32 outputs by name. */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, OnnxResult>>;
  /** Gives its memory back. */
  release(): Promise<void>;
}

/** Opens a model. The caller releases it. */
export async function openOnnx(model: Uint8Array): Promise<OnnxModel> {
  if (onnxruntime === null) throw new Error("onnxruntime-node does not load");
  const { InferenceSession, Tensor: OrtTensor } = onnxruntime;
  const session = await InferenceSession.create(model, {
    logSeverityLevel: 4,
    graphOptimizationLevel: "disabled",
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  });
  return {
    async run(feeds) {
      const inputs = Object.entries(feeds).map(([name, { type, data, dims }]) => [
        name,
        new OrtTensor(type, data as never, dims),
      ]);
      const results = await session.run(Object.fromEntries(inputs));
      return Object.fromEntries(
        Object.entries(results).map(([name, tensor]) => {
          if (tensor.type !== "float32") throw new TypeError(`output ${name}: expected float32, got ${tensor.type}`);
          return [name, { shape: tensor.dims, data: (tensor.data as Float32Array).slice() }];
        }),
      );
    },
    release: () => session.release(),
  };
}

/** Runs a model once; its float32 outputs by name. */
export async function runOnnx(
  model: Uint8Array,
  feeds: Readonly<Record<string, Tensor>> = {},
): Promise<Record<string, Float32Array>> {
  const opened = await openOnnx(model);
  try {
    const results = await opened.run(feeds);
    return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, data]));
  } finally {
    await opened.release();
  }
}

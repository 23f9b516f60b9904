/** The libraries, each behind one function: texts in, embeddings out. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { DIMENSIONS, MAX_LENGTH, type Settings, type Text } from "./protocol";

/** Mean-pooled embeddings of length 1. One call is one batch. */
export type Embed = (texts: readonly Text[]) => Promise<readonly Float32Array[]>;

/** A contender whose library is imported. */
export type Load = () => Promise<Embed>;

interface Qkv {
  loadEncoder?(
    folder: string,
    options: { threads: number; turbo: boolean; dtype: "auto" | "q8" },
  ): Promise<{ embed(texts: readonly string[]): Promise<readonly Float32Array[]> }>;
}

interface Tensor {
  readonly data: Float32Array;
}

interface Onnxruntime {
  readonly Tensor: new (type: "int64", data: BigInt64Array, dims: readonly number[]) => Tensor;
  readonly InferenceSession: {
    create(
      model: string | Uint8Array,
      options: object,
    ): Promise<{ run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>> }>;
  };
  readonly env: { readonly wasm: { numThreads?: number } };
}

interface Extractor {
  (texts: readonly string[], options: { pooling: "mean"; normalize: true }): Promise<Tensor>;
  readonly tokenizer: object;
}

interface Transformers {
  readonly env: { localModelPath: string; allowRemoteModels: boolean };
  pipeline(task: "feature-extraction", model: "minilm", options: object): Promise<Extractor>;
}

/** Imports the library: that is not loading, but counts for the first embedding. */
export async function importContender(settings: Settings): Promise<Load> {
  const module = (await import(pathToFileURL(settings.modulePath).href)) as { default?: object };
  switch (settings.library) {
    case "qkv":
      return () => qkv(module as Qkv, settings);
    case "onnxruntime-node":
    case "onnxruntime-web":
      return () => onnxruntime((module.default ?? module) as Onnxruntime, settings);
    case "transformers.js":
    case "@xenova/transformers":
      return () => transformers(module as unknown as Transformers, settings);
  }
}

async function qkv({ loadEncoder }: Qkv, { folder, threads, turbo, dtype }: Settings): Promise<Embed> {
  if (loadEncoder === undefined) throw new Error("the built packages have no loadEncoder");
  const model = await loadEncoder(folder, { threads, turbo, dtype: dtype === "q8" ? "q8" : "auto" });
  return (texts) => model.embed(texts.map(({ text }) => text));
}

/** Both packages: the pipeline that their pages show. Threads can be chosen in the newer one only. */
async function transformers({ env, pipeline }: Transformers, { folder, threads, dtype }: Settings): Promise<Embed> {
  env.localModelPath = folder;
  env.allowRemoteModels = false;
  const extractor = await pipeline("feature-extraction", "minilm", {
    dtype: dtype === "q8" ? "q8" : "fp32",
    device: "cpu",
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
    quantized: dtype === "q8", // how the older one says dtype
  });
  // The pipeline truncates to this, and has no option of its own; the newer one's is read-only.
  Object.defineProperty(extractor.tokenizer, "model_max_length", { value: MAX_LENGTH });
  return async (texts) => {
    const { data } = await extractor(
      texts.map(({ text }) => text),
      { pooling: "mean", normalize: true },
    );
    return texts.map((_, i) => data.slice(i * DIMENSIONS, (i + 1) * DIMENSIONS));
  };
}

/** The graph alone, from ids that are made beforehand; pooling is ours. */
async function onnxruntime(
  { env, InferenceSession, Tensor }: Onnxruntime,
  { library, folder, threads, dtype }: Settings,
): Promise<Embed> {
  const path = join(folder, "minilm/onnx", dtype === "q8" ? "model_quantized.onnx" : "model.onnx");
  const web = library === "onnxruntime-web";
  if (web) env.wasm.numThreads = threads;
  const session = await InferenceSession.create(web ? readFileSync(path) : path, {
    executionProviders: [web ? "wasm" : "cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  return async (texts) => {
    const width = Math.max(...texts.map(({ ids }) => ids.length));
    const tensor = (value: (text: Text, position: number) => number): Tensor => {
      const data = new BigInt64Array(texts.length * width); // 0 is padding, in ids and in the mask
      for (const [row, text] of texts.entries())
        for (let i = 0; i < text.ids.length; i++) data[row * width + i] = BigInt(value(text, i));
      return new Tensor("int64", data, [texts.length, width]);
    };
    const { last_hidden_state: states } = await session.run({
      input_ids: tensor(({ ids }, i) => ids[i]),
      attention_mask: tensor(() => 1),
      token_type_ids: tensor(() => 0),
    });
    return texts.map(({ ids }, row) => pooled(states.data, row * width * DIMENSIONS, ids.length));
  };
}

/** The mean of a text's rows, which begin at `from`, at length 1: what its number divides by does not matter. */
function pooled(states: Float32Array, from: number, length: number): Float32Array {
  const sums = new Float64Array(DIMENSIONS);
  for (let row = 0, at = from; row < length; row++) for (let i = 0; i < DIMENSIONS; i++) sums[i] += states[at++];
  const norm = Math.sqrt(sums.reduce((sum, value) => sum + value * value, 0));
  return Float32Array.from(sums, (value) => value / norm);
}

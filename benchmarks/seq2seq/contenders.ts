/** The libraries, each behind the same few functions: ids of a source in, ids out. */

import { pathToFileURL } from "node:url";
import { type Onnxruntime, onnxruntime } from "./onnxruntime";
import type { Dtype, Settings } from "./protocol";

/** A model, loaded. Nothing ends a text before `count` tokens. */
export interface Seq2Seq {
  /** Null where the library has no call for it. */
  readonly encode: ((source: readonly number[]) => Promise<unknown>) | null;
  greedy(source: readonly number[], count: number, onToken: (id: number) => void): Promise<void>;
  /** Null where the library has none. */
  readonly beam: ((source: readonly number[], count: number, beams: number) => Promise<Beam>) | null;
}

/** The best of the beams. */
export interface Beam {
  readonly ids: readonly number[];
  /** Without encoding. */
  readonly decodeMs: number;
}

/** A contender whose library is imported. */
export type Load = () => Promise<Seq2Seq>;

interface GenerateOptions {
  readonly maxNewTokens: number;
  readonly stopIds?: readonly number[];
  readonly numBeams?: number;
}

interface Encoded {
  readonly hidden: { readonly data: Float32Array; readonly shape: readonly number[] };
  dispose(): void;
}

/** What is used here of ours. */
export interface QkvModel {
  encode(source: readonly number[]): Promise<Encoded>;
  generate(
    source: Encoded | readonly number[],
    options: GenerateOptions,
  ): AsyncIterable<{ readonly id: number }> & {
    result(): Promise<{ readonly ids: ArrayLike<number>; readonly text: string }>;
  };
  dispose(): void;
}

export interface Qkv {
  loadSeq2Seq?(
    folder: string,
    options: { dtype: "auto" | "q8" | "f32"; threads: number; turbo?: boolean; activations?: "f32" },
  ): Promise<QkvModel>;
}

/** What a row of integers is made into. */
type TensorOf = new (type: "int64", data: BigInt64Array, dims: readonly number[]) => object;

interface Transformers {
  readonly env: { localModelPath: string; allowRemoteModels: boolean };
  readonly Tensor: TensorOf;
  readonly BaseStreamer: new () => { put(value: readonly (readonly bigint[])[]): void; end(): void };
  pipeline(
    task: "text2text-generation",
    model: "t5-titler",
    options: object,
  ): Promise<{ readonly model: { generate(options: object): Promise<unknown> } }>;
}

/** How ours is told the dtype. */
export function dtypeOption(dtype: Dtype): "auto" | "q8" | "f32" {
  return dtype === "f16" ? "auto" : dtype;
}

/** The built package, if it has encoder-decoders. */
export async function importQkv(modulePath: string): Promise<Required<Qkv>> {
  const { loadSeq2Seq } = (await import(pathToFileURL(modulePath).href)) as Qkv;
  if (loadSeq2Seq === undefined) throw new Error("the built packages have no loadSeq2Seq");
  return { loadSeq2Seq };
}

/** Imports the library: that is not loading, but counts from the start of the process. */
export async function importContender(settings: Settings): Promise<Load> {
  if (settings.library === "qkv") {
    const library = await importQkv(settings.modulePath);
    return () => qkv(library, settings);
  }
  const module = (await import(pathToFileURL(settings.modulePath).href)) as { default?: object };
  if (settings.library === "transformers.js") return () => transformers(module as unknown as Transformers, settings);
  return () => onnxruntime((module.default ?? module) as Onnxruntime, settings);
}

async function qkv({ loadSeq2Seq }: Required<Qkv>, { folder, threads, turbo, dtype }: Settings): Promise<Seq2Seq> {
  const model = await loadSeq2Seq(folder, { dtype: dtypeOption(dtype), threads, turbo });
  return {
    async encode(source) {
      (await model.encode(source)).dispose();
    },
    async greedy(source, count, onToken) {
      for await (const { id } of model.generate(source, { maxNewTokens: count, stopIds: [] })) onToken(id);
    },
    async beam(source, count, beams) {
      const encoded = await model.encode(source);
      const start = performance.now();
      const { ids } = await model.generate(encoded, { maxNewTokens: count, stopIds: [], numBeams: beams }).result();
      const decodeMs = performance.now() - start;
      encoded.dispose();
      return { ids: Array.from(ids), decodeMs };
    },
  };
}

/** The pipeline that its pages show, and its model's `generate`. It takes `num_beams`, but makes one beam of them. */
async function transformers(
  { env, pipeline, Tensor, BaseStreamer }: Transformers,
  { folder, threads }: Settings,
): Promise<Seq2Seq> {
  env.localModelPath = folder;
  env.allowRemoteModels = false;
  const { model } = await pipeline("text2text-generation", "t5-titler", {
    dtype: "fp32",
    device: "cpu",
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
  });
  /** Its `generate` gives the start token first, then each new one. */
  class Streamer extends BaseStreamer {
    readonly #onToken: (id: number) => void;
    #started = false;

    constructor(onToken: (id: number) => void) {
      super();
      this.#onToken = onToken;
    }

    override put(value: readonly (readonly bigint[])[]): void {
      if (this.#started) this.#onToken(Number(value[0][0]));
      this.#started = true;
    }

    override end(): void {}
  }
  const row = (values: readonly number[]): object =>
    new Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
  return {
    encode: null,
    async greedy(source, count, onToken) {
      await model.generate({
        inputs: row(source),
        attention_mask: row(source.map(() => 1)),
        max_new_tokens: count,
        do_sample: false,
        eos_token_id: null, // else it stops where a text ends
        streamer: new Streamer(onToken),
      });
    },
    beam: null,
  };
}

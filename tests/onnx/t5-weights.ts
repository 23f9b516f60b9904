/** Weights for the whole-model comparison: of published checkpoints, and random ones for shapes that nobody published. */

import { readFileSync } from "node:fs";
import type { TensorToWrite } from "@qkv/models";
import { Random } from "../ops/random";
import type { T5Json, T5Weights } from "./t5-graph";

/** Keys of config.json that say which tensors there are. */
export interface RandomT5Json extends T5Json {
  readonly architectures: readonly ["T5ForConditionalGeneration"];
  readonly d_ff: number;
  readonly num_decoder_layers: number;
  readonly feed_forward_proj: "relu" | "silu" | "gated-relu" | "gated-gelu" | "gated-silu";
  readonly tie_word_embeddings: boolean;
  readonly decoder_start_token_id: number;
}

/** Every tensor of a T5 of this config, with random numbers that leave no layer saturated and no softmax flat. */
export function randomT5(config: RandomT5Json, seed: number): TensorToWrite[] {
  const { d_model: D, d_ff: F, vocab_size: V, num_heads: H, d_kv: K } = config;
  const random = new Random(seed);
  const tensors: TensorToWrite[] = [];
  const push = (name: string, data: Float32Array, ...shape: number[]) => tensors.push({ name, shape, data });
  const linear = (name: string, outputs: number, inputs: number, gain = 1) =>
    push(`${name}.weight`, random.normal(outputs * inputs, gain / Math.sqrt(inputs)), outputs, inputs);
  const norm = (name: string) =>
    push(
      `${name}.weight`,
      random.normal(D, 0.2).map((x) => 1 + x),
      D,
    );
  const attention = (name: string) => {
    // Scores are not divided by √K: the queries are small instead.
    linear(`${name}.q`, H * K, D, 1.3 / Math.sqrt(K));
    linear(`${name}.k`, H * K, D, 1.3);
    linear(`${name}.v`, H * K, D);
    linear(`${name}.o`, D, H * K);
  };
  push("shared.weight", random.normal(V * D, 0.5), V, D);
  for (const stack of ["encoder", "decoder"] as const) {
    const layers = stack === "encoder" ? config.num_layers : config.num_decoder_layers;
    for (let i = 0; i < layers; i++) {
      const block = `${stack}.block.${i}.layer`;
      attention(`${block}.0.SelfAttention`);
      if (i === 0) {
        const buckets = config.relative_attention_num_buckets;
        push(`${block}.0.SelfAttention.relative_attention_bias.weight`, random.normal(buckets * H), buckets, H);
      }
      norm(`${block}.0.layer_norm`);
      if (stack === "decoder") {
        attention(`${block}.1.EncDecAttention`);
        norm(`${block}.1.layer_norm`);
      }
      const last = `${block}.${stack === "decoder" ? 2 : 1}`;
      const gated = config.feed_forward_proj.startsWith("gated-");
      for (const name of gated ? ["wi_0", "wi_1"] : ["wi"]) linear(`${last}.DenseReluDense.${name}`, F, D, 1.3);
      linear(`${last}.DenseReluDense.wo`, D, F);
      norm(`${last}.layer_norm`);
    }
    norm(`${stack}.final_layer_norm`);
  }
  if (!config.tie_word_embeddings) linear("lm_head", V, D);
  return tensors;
}

/** The tensors of a safetensors file of float32 or float16. */
export function readWeights(path: string): T5Weights {
  const file = readFileSync(path);
  const dataStart = 8 + Number(file.readBigUInt64LE(0));
  const { __metadata__: _, ...header } = JSON.parse(file.toString("utf8", 8, dataStart)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const weights = new Map<string, { shape: number[]; data: Float32Array }>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    const [start, end] = data_offsets;
    const { buffer } = new Uint8Array(file.subarray(dataStart + start, dataStart + end)); // a copy, so that it is aligned
    if (dtype === "F32") weights.set(name, { shape, data: new Float32Array(buffer) });
    else if (dtype === "F16") weights.set(name, { shape, data: Float32Array.from(new Uint16Array(buffer), halfOf) });
    else throw new Error(`${name}: expected F32 or F16, got ${dtype}`);
  }
  return weights;
}

/** IEEE 754 half precision: a sign, 5 bits of exponent, 10 of fraction. */
function halfOf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

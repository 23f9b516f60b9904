/** Weights for the whole-model comparison: of published checkpoints, and random ones for shapes that nobody published. */

import { readFileSync } from "node:fs";
import type { TensorToWrite } from "@qkv/models";
import { Random } from "../ops/random";
import type { BertJson, BertWeights } from "./bert-graph";

/** Keys of config.json that say which tensors there are. */
export interface RandomBertJson extends BertJson {
  readonly model_type: "bert";
  readonly architectures: readonly ["BertModel" | "BertForMaskedLM" | "BertForPreTraining"];
  readonly vocab_size: number;
  readonly intermediate_size: number;
  readonly max_position_embeddings: number;
  readonly type_vocab_size: number;
  readonly tie_word_embeddings: boolean;
}

/** Every tensor of a BERT of this config, with random numbers that leave no layer saturated and no softmax flat. */
export function randomBert(config: RandomBertJson, seed: number): TensorToWrite[] {
  const { hidden_size: D, intermediate_size: F, vocab_size: V } = config;
  const random = new Random(seed);
  const tensors: TensorToWrite[] = [];
  const push = (name: string, data: Float32Array, ...shape: number[]) => tensors.push({ name, shape, data });
  const linear = (name: string, outputs: number, inputs: number) => {
    push(`${name}.weight`, random.normal(outputs * inputs, 1.3 / Math.sqrt(inputs)), outputs, inputs);
    push(`${name}.bias`, random.normal(outputs, 0.3), outputs);
  };
  const norm = (name: string) => {
    const weight = random.normal(D, 0.2).map((x) => 1 + x);
    push(`${name}.weight`, weight, D);
    push(`${name}.bias`, random.normal(D, 0.2), D);
  };
  const [head] = config.architectures;
  const root = head === "BertModel" ? "" : "bert.";
  const table = (name: string, rows: number) =>
    // As small as BERT's are when training begins: so that layer_norm_eps counts.
    push(`${root}embeddings.${name}_embeddings.weight`, random.normal(rows * D, 0.02), rows, D);
  table("word", V);
  table("position", config.max_position_embeddings);
  table("token_type", config.type_vocab_size);
  norm(`${root}embeddings.LayerNorm`);
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const layer = `${root}encoder.layer.${i}`;
    for (const name of ["query", "key", "value"]) linear(`${layer}.attention.self.${name}`, D, D);
    linear(`${layer}.attention.output.dense`, D, D);
    norm(`${layer}.attention.output.LayerNorm`);
    linear(`${layer}.intermediate.dense`, F, D);
    linear(`${layer}.output.dense`, D, F);
    norm(`${layer}.output.LayerNorm`);
  }
  if (head !== "BertForMaskedLM") linear(`${root}pooler.dense`, D, D);
  if (head === "BertForPreTraining") linear("cls.seq_relationship", 2, D);
  if (head !== "BertModel") {
    linear("cls.predictions.transform.dense", D, D);
    norm("cls.predictions.transform.LayerNorm");
    push("cls.predictions.bias", random.normal(V, 0.3), V);
    if (!config.tie_word_embeddings) {
      push("cls.predictions.decoder.weight", random.normal(V * D, 1 / Math.sqrt(D)), V, D);
    }
  }
  return tensors;
}

/** The float32 tensors of a safetensors file; buffers of other types, such as position_ids, are left out. */
export function readFloat32(path: string): BertWeights {
  const file = readFileSync(path);
  const dataStart = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, dataStart)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const weights = new Map<string, { shape: number[]; data: Float32Array }>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (dtype !== "F32") continue;
    const [start, end] = data_offsets;
    const bytes = new Uint8Array(file.subarray(dataStart + start, dataStart + end)); // a copy, so that it is aligned
    weights.set(name, { shape, data: new Float32Array(bytes.buffer) });
  }
  return weights;
}

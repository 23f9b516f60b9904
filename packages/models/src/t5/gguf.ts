/** T5 as GGUF files hold it: metadata to config, ggml's tensor names to Hugging Face's. mT5 and UMT5 come so too. */

import { type JsonConfig, MAX_HEAD_DIM, MAX_LAYERS, MAX_WIDTH } from "../config/json-config";
import { ModelFileError } from "../errors";
import type { Gguf } from "../formats/gguf";
import { type GenerationDefaults, NO_DEFAULTS } from "../generate/generation-config";
import type { CheckpointTensor } from "../weights/weights";
import { MAX_HEADS, type T5Config } from "./config";

/** Names of whole-model tensors, before ".weight". */
const MODEL_TENSORS: Readonly<Record<string, string>> = {
  token_embd: "shared",
  output: "lm_head",
  "enc.output_norm": "encoder.final_layer_norm",
  "dec.output_norm": "decoder.final_layer_norm",
};

/** What follows "enc.blk.{i}." or "dec.blk.{i}.", and in its place "block.{i}.layer."; the MLP is the last of them. */
const LAYER_TENSORS: Readonly<Record<string, string>> = {
  attn_norm: "0.layer_norm",
  attn_q: "0.SelfAttention.q",
  attn_k: "0.SelfAttention.k",
  attn_v: "0.SelfAttention.v",
  attn_o: "0.SelfAttention.o",
  attn_rel_b: "0.SelfAttention.relative_attention_bias",
  cross_attn_norm: "1.layer_norm",
  cross_attn_q: "1.EncDecAttention.q",
  cross_attn_k: "1.EncDecAttention.k",
  cross_attn_v: "1.EncDecAttention.v",
  cross_attn_o: "1.EncDecAttention.o",
  cross_attn_rel_b: "1.EncDecAttention.relative_attention_bias",
};

/** Keys under "t5." that are read. Any further one throws. */
const KNOWN = [
  ...["context_length", "embedding_length", "feed_forward_length", "block_count", "decoder_block_count"],
  ...["head_count", "head_count_kv", "key_length", "value_length", "relative_buckets_count"].map(
    (k) => `attention.${k}`,
  ),
  ...["layer_norm_epsilon", "layer_norm_rms_epsilon"].map((k) => `attention.${k}`),
  "decoder_start_token_id",
] as const;

/** Fixed in the format, as in every T5. */
const MAX_DISTANCE = 128;

/** What a GGUF file says of a T5. */
export interface T5Gguf {
  readonly config: T5Config;
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  readonly generation: GenerationDefaults;
}

/** Config and tensors of a GGUF file whose `general.architecture` is "t5", or "t5encoder" for an encoder alone. */
export function readT5Gguf(gguf: Gguf, json: JsonConfig, architecture: "t5" | "t5encoder"): T5Gguf {
  const key = (name: (typeof KNOWN)[number]) => `${architecture}.${name}`;
  const known = KNOWN.map(key);
  for (const name of json.keys()) {
    if (name.startsWith(`${architecture}.`) && !known.includes(name)) throw json.unsupported(name, known);
  }
  const numLayers = json.integer(key("block_count"), { max: MAX_LAYERS });
  const numHeads = json.integer(key("attention.head_count"), { max: MAX_HEADS });
  if (json.integer(key("attention.head_count_kv"), {}, numHeads) !== numHeads)
    throw json.unsupported(key("attention.head_count_kv"), [`${numHeads}, as many as heads`]);
  const dKv = json.integer(key("attention.key_length"), { max: MAX_HEAD_DIM });
  if (json.integer(key("attention.value_length"), {}, dKv) !== dKv)
    throw json.unsupported(key("attention.value_length"), [`${dKv}, as wide as keys`]);
  if (numHeads * dKv > MAX_WIDTH)
    throw json.wrong(key("attention.head_count"), `at most ${MAX_WIDTH} values in all heads`);
  const buckets = json.integer(key("attention.relative_buckets_count"), { min: 4, max: 2 * MAX_DISTANCE - 2 });
  const isGatedAct = gguf.tensors.has("enc.blk.0.ffn_gate.weight");
  const start = json.tokenIds(key("decoder_start_token_id"));
  const config: T5Config = {
    vocabSize: rowsOf(gguf, "token_embd.weight", json.file),
    dModel: json.integer(key("embedding_length"), { max: MAX_WIDTH }),
    dKv,
    dFf: json.integer(key("feed_forward_length"), { max: MAX_WIDTH }),
    numLayers,
    numDecoderLayers: json.integer(key("decoder_block_count"), { max: MAX_LAYERS }, numLayers),
    numHeads,
    relativeAttentionNumBuckets: buckets,
    relativeAttentionMaxDistance: MAX_DISTANCE,
    layerNormEpsilon: json.number(key("attention.layer_norm_rms_epsilon"), { min: 0 }),
    // The format has no keys for these; the tensors are what says it, and what T5 was published with.
    denseActFn: isGatedAct ? "gelu-tanh" : "relu",
    isGatedAct,
    tieWordEmbeddings: !gguf.tensors.has("output.weight"),
    scaleDecoderOutputs: null,
    biasInEveryLayer: ["enc", "dec"].some((stack) => gguf.tensors.has(`${stack}.blk.1.attn_rel_b.weight`)),
    nPositions: json.integer(key("context_length")),
    encoderOnly: architecture === "t5encoder",
    padTokenId: json.integer("tokenizer.ggml.padding_token_id", { min: 0 }, 0),
  };
  const decoderStartTokenId = start[0] ?? null;
  return { config, tensors: renamed(gguf, isGatedAct), generation: { ...NO_DEFAULTS, decoderStartTokenId } };
}

function rowsOf(gguf: Gguf, tensor: string, file: string): number {
  const [rows] = gguf.tensors.get(tensor)?.shape ?? [];
  if (rows !== undefined && rows > 0) return rows;
  throw new ModelFileError("missing, or without rows", { file, tensor });
}

/** The tensors under Hugging Face's names. Unknown ones keep theirs, to be reported as unread under it. */
function renamed(gguf: Gguf, gated: boolean): Map<string, CheckpointTensor> {
  const tensors = new Map<string, CheckpointTensor>();
  for (const [name, tensor] of gguf.tensors) {
    const [, base = name] = /^(.*)\.weight$/.exec(name) ?? [];
    const [, stack, layer, part = ""] = /^(enc|dec)\.blk\.(\d+)\.(\w+)$/.exec(base) ?? [];
    const inLayer = LAYER_TENSORS[part] ?? mlpTensor(part, stack === "dec" ? 2 : 1, gated);
    const target =
      stack === undefined
        ? MODEL_TENSORS[base]
        : inLayer && `${stack === "enc" ? "encoder" : "decoder"}.block.${layer}.layer.${inLayer}`;
    tensors.set(target === undefined ? name : `${target}.weight`, tensor);
  }
  return tensors;
}

function mlpTensor(part: string, sublayer: number, gated: boolean): string | undefined {
  const names: Readonly<Record<string, string>> = {
    ffn_norm: "layer_norm",
    ffn_gate: "DenseReluDense.wi_0",
    ffn_up: gated ? "DenseReluDense.wi_1" : "DenseReluDense.wi",
    ffn_down: "DenseReluDense.wo",
  };
  const name = names[part];
  return name && `${sublayer}.${name}`;
}

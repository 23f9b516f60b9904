/** LLaMA as GGUF files hold it: metadata to config, ggml's tensor names to Hugging Face's. */

import type { RopeScaling } from "@qkv/core";
import { yarnAttentionFactor } from "@qkv/core";
import { type JsonConfig, MAX_HEAD_DIM, MAX_LAYERS } from "../config/json-config";
import { checkRope } from "../config/rope";
import { ModelFileError, UnsupportedModelError } from "../errors";
import type { CheckedSource } from "../files/checked";
import type { Gguf } from "../formats/gguf";
import { readTensor } from "../formats/tensor";
import type { CheckpointTensor } from "../weights/weights";
import type { LlamaConfig } from "./llama";

/** Names of whole-model tensors. */
const MODEL_TENSORS: Readonly<Record<string, string>> = {
  "token_embd.weight": "model.embed_tokens.weight",
  "output_norm.weight": "model.norm.weight",
  "output.weight": "lm_head.weight",
};

/** What follows "blk.{i}." and, in its place, "model.layers.{i}.". */
const LAYER_TENSORS: Readonly<Record<string, string>> = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

/** Divisors of the rotary frequencies, of Llama 3's scaling: part of the config, not of the weights. */
const ROPE_FACTORS = "rope_freqs.weight";

/** Metadata under "llama." whose value must be this, or absent: we do not run the others. */
const FIXED: Readonly<Record<string, number>> = { "llama.expert_count": 0, "llama.expert_used_count": 0 };

/** The other keys under "llama.": those that are read, and those that change no number. Any further one throws. */
const KNOWN: ReadonlySet<string> = new Set(
  [
    ...["block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size", "tensor_data_layout"],
    ...["head_count", "head_count_kv", "key_length", "value_length", "layer_norm_rms_epsilon"].map(
      (k) => `attention.${k}`,
    ),
    ...["dimension_count", "freq_base", "scale_linear"].map((k) => `rope.${k}`),
    ...["type", "factor", "original_context_length", "attn_factor", "finetuned"].map((k) => `rope.scaling.${k}`),
  ].map((key) => `llama.${key}`),
);

/** Config and tensors of a GGUF file whose `general.architecture` is "llama". */
export async function readLlamaGguf(
  gguf: Gguf,
  json: JsonConfig,
  files: CheckedSource,
): Promise<{ config: LlamaConfig; tensors: Map<string, CheckpointTensor> }> {
  const { file } = json;
  for (const [key, value] of Object.entries(FIXED)) {
    if (json.has(key) && json.integer(key, { min: 0 }) !== value) throw json.unsupported(key, [String(value)]);
  }
  for (const key of json.keys()) {
    if (key.startsWith("llama.") && !KNOWN.has(key) && !(key in FIXED)) throw json.unsupported(key, ["no such key"]);
  }
  const embedding = gguf.tensors.get("token_embd.weight");
  if (embedding === undefined || embedding.shape.length !== 2) {
    throw new ModelFileError("missing, or not a matrix: every LLaMA has one", {
      file,
      tensor: "token_embd.weight",
    });
  }
  const [vocabSize, hiddenSize] = embedding.shape as [number, number];
  const numAttentionHeads = json.integer("llama.attention.head_count");
  const numKeyValueHeads = json.integer("llama.attention.head_count_kv", {}, numAttentionHeads);
  if (numAttentionHeads % numKeyValueHeads !== 0) {
    throw json.wrong("llama.attention.head_count_kv", `a divisor of llama.attention.head_count ${numAttentionHeads}`);
  }
  if (json.integer("llama.embedding_length") !== hiddenSize) {
    throw json.wrong("llama.embedding_length", `${hiddenSize}, the width of token_embd.weight`);
  }
  if (vocabSize < 1) throw new ModelFileError("has no rows", { file, tensor: "token_embd.weight" });
  const inHead = { min: 2, max: MAX_HEAD_DIM };
  const headDim = json.integer("llama.attention.key_length", inHead, hiddenSize / numAttentionHeads);
  if (headDim % 2 !== 0 || headDim > MAX_HEAD_DIM)
    throw json.wrong("llama.attention.key_length", `an even number, for rotary pairs, up to ${MAX_HEAD_DIM}`);
  for (const key of ["llama.attention.value_length", "llama.rope.dimension_count"]) {
    if (json.integer(key, {}, headDim) !== headDim) throw json.unsupported(key, [`${headDim}, the width of a head`]);
  }
  const maxPositionEmbeddings = json.integer("llama.context_length");
  const config: LlamaConfig = {
    vocabSize,
    hiddenSize,
    intermediateSize: json.integer("llama.feed_forward_length"),
    numHiddenLayers: json.integer("llama.block_count", { max: MAX_LAYERS }),
    numAttentionHeads,
    numKeyValueHeads,
    headDim,
    hiddenAct: "silu",
    rmsNormEps: json.number("llama.attention.layer_norm_rms_epsilon", {
      min: 0,
    }),
    maxPositionEmbeddings,
    rope: checkRope(
      {
        theta: json.number("llama.rope.freq_base", { min: 1 }, 10_000),
        rotaryDim: headDim,
        scaling: await ropeScaling(json, gguf, files, maxPositionEmbeddings, headDim),
      },
      file,
    ),
    // The format has no keys for these three; the tensors are what says it.
    attentionBias: gguf.tensors.has("blk.0.attn_q.bias"),
    mlpBias: gguf.tensors.has("blk.0.ffn_gate.bias"),
    tieWordEmbeddings: !gguf.tensors.has("output.weight"),
  };
  return {
    config,
    tensors: renamed(gguf, numAttentionHeads, numKeyValueHeads),
  };
}

/** The tensors under Hugging Face's names. Unknown ones keep theirs, to be reported as unread under it. */
function renamed(gguf: Gguf, heads: number, kvHeads: number): Map<string, CheckpointTensor> {
  const tensors = new Map<string, CheckpointTensor>();
  for (const [name, tensor] of gguf.tensors) {
    if (name === ROPE_FACTORS) continue;
    const block = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(name);
    const inLayer = block === null ? undefined : LAYER_TENSORS[block[2] as string];
    if (block === null || inLayer === undefined) {
      tensors.set(MODEL_TENSORS[name] ?? name, tensor);
      continue;
    }
    const interleavedHeads = block[2] === "attn_q" ? heads : block[2] === "attn_k" ? kvHeads : undefined;
    const entry = interleavedHeads === undefined ? tensor : { ...tensor, interleavedHeads };
    tensors.set(`model.layers.${block[1]}.${inLayer}.${block[3]}`, entry);
  }
  return tensors;
}

async function ropeScaling(
  json: JsonConfig,
  gguf: Gguf,
  files: CheckedSource,
  maxPositionEmbeddings: number,
  headDim: number,
): Promise<RopeScaling> {
  // As llama.cpp reads the keys: linear unless said otherwise, by the newer key or the older, and "none" ignores both.
  const type = json.string("llama.rope.scaling.type", "linear");
  const positive = { min: Number.MIN_VALUE };
  const factor =
    type === "none"
      ? 1
      : json.number("llama.rope.scaling.factor", positive, json.number("llama.rope.scale_linear", positive, 1));
  const factors = gguf.tensors.get(ROPE_FACTORS);
  if (factors !== undefined) {
    if (factor !== 1) throw json.unsupported("llama.rope.scaling.factor", [`1, beside ${ROPE_FACTORS}`]);
    if (factors.shape.length !== 1 || factors.shape[0] !== headDim / 2) {
      throw new ModelFileError(`expected shape [${headDim / 2}], half of a head, got [${factors.shape.join(", ")}]`, {
        file: json.file,
        tensor: ROPE_FACTORS,
      });
    }
    const values = new Float32Array(headDim / 2);
    await readTensor(files, factors, values);
    if (!values.every((value) => Number.isFinite(value) && value > 0)) {
      throw new ModelFileError("expected positive numbers", {
        file: json.file,
        tensor: ROPE_FACTORS,
      });
    }
    return { type: "factors", factors: [...values] };
  }
  switch (type) {
    case "none":
    case "linear":
      return factor === 1 ? { type: "default" } : { type: "linear", factor };
    case "yarn":
      return {
        type: "yarn",
        factor,
        originalMaxPositionEmbeddings: json.integer(
          "llama.rope.scaling.original_context_length",
          {},
          maxPositionEmbeddings,
        ),
        betaFast: 32, // llama.cpp's, which the format does not store
        betaSlow: 1,
        attentionFactor: json.number("llama.rope.scaling.attn_factor", { min: 0 }, 1) * yarnAttentionFactor(factor),
        truncate: true,
      };
    default:
      throw new UnsupportedModelError("llama.rope.scaling.type", type, ["none", "linear", "yarn"], { file: json.file });
  }
}

/**
 * llama2.c's checkpoint, version 0: a header of seven int32, then float32 tensors in a fixed order, without names.
 * Follows `memory_map_weights` of karpathy/llama2.c's run.c, and `legacy_export` of its export.py.
 */

import { ModelFileError, UnsupportedModelError } from "../errors";
import type { CheckedSource } from "../files/checked";
import type { TensorEntry } from "./tensor";

/** The header, by the names of a LLaMA config. */
export interface Llama2cConfig {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  readonly vocabSize: number;
  readonly maxPositionEmbeddings: number;
  /** The head is the embedding; the file says so by a positive vocabulary size. */
  readonly tieWordEmbeddings: boolean;
}

export interface Llama2c {
  readonly config: Llama2cConfig;
  /**
   * By Hugging Face's names, each layer's slice a tensor of its own. The rows of q_proj and k_proj are in llama2.c's
   * order, for rotary pairs (2i, 2i + 1).
   */
  readonly tensors: Map<string, TensorEntry>;
}

export const HEADER_BYTES = 28;
/** "ak42", which begins the later versions. */
const VERSIONED_MAGIC = 0x616b3432;

// Wider, deeper and longer than any published model; the products stay exact.
const MAX_WIDTH = 1 << 17;
const MAX_LAYERS = 1 << 12;
const MAX_VOCAB = 1 << 24;
const MAX_CONTEXT = 1 << 24;

/** What is wrong with the header (at least 28 bytes), or what it says. */
export function parseLlama2cHeader(bytes: Uint8Array): Llama2cConfig | { problem: string } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const int = (i: number) => view.getInt32(4 * i, true);
  const [dim, hidden, layers, heads, kvHeads, vocab, context] = [0, 1, 2, 3, 4, 5, 6].map(int);
  const ranges: readonly (readonly [name: string, value: number, max: number])[] = [
    ["dim", dim, MAX_WIDTH],
    ["hidden_dim", hidden, MAX_WIDTH],
    ["n_layers", layers, MAX_LAYERS],
    ["n_heads", heads, dim],
    ["n_kv_heads", kvHeads, heads],
    ["the size of vocab_size", Math.abs(vocab), MAX_VOCAB],
    ["seq_len", context, MAX_CONTEXT],
  ];
  for (const [name, value, max] of ranges) {
    if (value < 1 || value > max) return { problem: `${name} is ${value}, and must be from 1 to ${max}` };
  }
  if (dim % heads !== 0) return { problem: `dim ${dim} is no multiple of n_heads ${heads}` };
  if ((dim / heads) % 2 !== 0)
    return {
      problem: `the head size ${dim / heads} is odd, and rotary needs pairs`,
    };
  if (heads % kvHeads !== 0)
    return {
      problem: `n_heads ${heads} is no multiple of n_kv_heads ${kvHeads}`,
    };
  return {
    hiddenSize: dim,
    intermediateSize: hidden,
    numHiddenLayers: layers,
    numAttentionHeads: heads,
    numKeyValueHeads: kvHeads,
    vocabSize: Math.abs(vocab),
    maxPositionEmbeddings: context,
    tieWordEmbeddings: vocab > 0,
  };
}

/** The version (1: float32, 2: int8) of an export that begins with "ak42"; null for the others. */
export function llama2cVersion(bytes: Uint8Array): number | null {
  if (bytes.length < 8) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  return view.getUint32(0, true) === VERSIONED_MAGIC ? view.getInt32(4, true) : null;
}

/** The error for such an export. */
export function unsupportedLlama2c(version: number, file: string): UnsupportedModelError {
  const hint = "export it again with --version 0, or as Hugging Face safetensors (--version -1)";
  return new UnsupportedModelError("llama2.c export version", version, ["0"], { file, hint });
}

/** Where every tensor lies, and where the file must end. */
export function layoutLlama2c(config: Llama2cConfig, path: string): { tensors: Map<string, TensorEntry>; end: number } {
  const { hiddenSize: D, intermediateSize: F, numHiddenLayers: L, vocabSize: V } = config;
  const K = D / config.numAttentionHeads;
  const kv = config.numKeyValueHeads * K;
  const tensors = new Map<string, TensorEntry>();
  let end = HEADER_BYTES;
  const place = (name: string, ...shape: number[]) => {
    const start = end;
    end += 4 * shape.reduce((product, dimension) => product * dimension, 1);
    tensors.set(name, { name, dtype: "F32", shape, path, start, end });
  };
  const eachLayer = (name: string, ...shape: number[]) => {
    for (let layer = 0; layer < L; layer++) place(`model.layers.${layer}.${name}.weight`, ...shape);
  };
  place("model.embed_tokens.weight", V, D);
  eachLayer("input_layernorm", D);
  eachLayer("self_attn.q_proj", D, D);
  eachLayer("self_attn.k_proj", kv, D);
  eachLayer("self_attn.v_proj", kv, D);
  eachLayer("self_attn.o_proj", D, D);
  eachLayer("post_attention_layernorm", D);
  eachLayer("mlp.gate_proj", F, D); // w1
  eachLayer("mlp.down_proj", D, F); // w2
  eachLayer("mlp.up_proj", F, D); // w3
  place("model.norm.weight", D);
  // The rotary tables freq_cis_real and freq_cis_imag, [seq_len, K / 2] each: run.c skips them too.
  end += 2 * 4 * config.maxPositionEmbeddings * (K / 2);
  if (!config.tieWordEmbeddings) place("lm_head.weight", V, D);
  return { tensors, end };
}

/**
 * Opens a llama2.c checkpoint of version 0. Throws ModelFileError for a header out of range and for a file whose size
 * is not exactly what the header needs, UnsupportedModelError for the versioned exports.
 */
export async function openLlama2c(files: CheckedSource, path: string): Promise<Llama2c> {
  const header = await files.readExactly(path, 0, HEADER_BYTES);
  const version = llama2cVersion(header);
  if (version !== null) throw unsupportedLlama2c(version, path);
  const config = parseLlama2cHeader(header);
  if ("problem" in config) {
    throw new ModelFileError(`is no llama2.c checkpoint, or damaged: ${config.problem}`, { file: path });
  }
  const { tensors, end } = layoutLlama2c(config, path);
  const known = await files.size(path);
  const size = known ?? (await probeEnd(files, path, end));
  if (size !== end) {
    const tensor = [...tensors.values()].find((entry) => entry.end > size)?.name;
    const found = known === null ? (size < end ? "ends sooner" : "goes on") : `has ${size}`;
    const problem = `its header needs exactly ${end} bytes, and the file ${found}: it is truncated or no such checkpoint`;
    throw new ModelFileError(problem, { file: path, tensor });
  }
  return { config, tensors };
}

/** For sources that do not say a file's size: `end` if it ends there, else a little less or more. */
async function probeEnd(files: CheckedSource, path: string, end: number): Promise<number> {
  const around = await files.readSome(path, end - 1, end + 1);
  return end - 1 + (around?.length ?? 0);
}

/** BERT as GGUF files hold it: metadata to config, ggml's tensor names to Hugging Face's. RoBERTa comes so too. */

import { type JsonConfig, MAX_LAYERS, MAX_WIDTH } from "../config/json-config";
import type { Pooling } from "../embeddings/sentence-settings";
import { checkHeads } from "../encoder/config";
import { ModelFileError } from "../errors";
import type { Gguf } from "../formats/gguf";
import type { CheckpointTensor } from "../weights/weights";
import type { BertConfig } from "./bert";

/** Names of whole-model tensors, before ".weight" and ".bias". */
const MODEL_TENSORS: Readonly<Record<string, string>> = {
  token_embd: "embeddings.word_embeddings",
  position_embd: "embeddings.position_embeddings",
  token_types: "embeddings.token_type_embeddings",
  token_embd_norm: "embeddings.LayerNorm",
  // A reranker's head, in which llama.cpp puts a tanh between the two as BERT's pooler has it.
  cls: "pooler.dense",
  "cls.output": "classifier",
};

/** What follows "blk.{i}." and, in its place, "encoder.layer.{i}.". */
const LAYER_TENSORS: Readonly<Record<string, string>> = {
  attn_q: "attention.self.query",
  attn_k: "attention.self.key",
  attn_v: "attention.self.value",
  attn_output: "attention.output.dense",
  attn_output_norm: "attention.output.LayerNorm",
  ffn_up: "intermediate.dense",
  ffn_down: "output.dense",
  layer_output_norm: "output.LayerNorm",
};

/** The keys under "bert." that are read, and those that change no number. Any further one throws. */
const KNOWN: ReadonlySet<string> = new Set(
  [
    ...["block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size", "pooling_type"],
    ...["attention.head_count", "attention.layer_norm_epsilon", "attention.causal", "classifier.output_labels"],
  ].map((key) => `bert.${key}`),
);

/** llama.cpp's `pooling_type`, by number. */
const POOLING: readonly (Pooling | "rank")[] = ["mean", "mean", "cls", "lastToken", "rank"];

/** What a GGUF file says of a BERT. */
export interface BertGguf {
  readonly config: BertConfig;
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** How its states become an embedding. */
  readonly pooling: Pooling;
}

/** Config and tensors of a GGUF file whose `general.architecture` is "bert". */
export function readBertGguf(gguf: Gguf, json: JsonConfig): BertGguf {
  for (const key of json.keys()) {
    if (key.startsWith("bert.") && !KNOWN.has(key)) throw json.unsupported(key, [...KNOWN]);
  }
  if (json.boolean("bert.attention.causal", false)) throw json.unsupported("bert.attention.causal", ["false"]);
  const tensors = renamed(gguf);
  const rows = (name: string): number => {
    const [count] = tensors.get(name)?.shape ?? [];
    if (count !== undefined && count > 0) return count;
    throw new ModelFileError("missing, or without rows", { file: json.file, tensor: name });
  };
  const pooling = POOLING[json.integer("bert.pooling_type", { min: 0 }, 1)];
  if (pooling === undefined) {
    throw json.unsupported("bert.pooling_type", ["0 (none), 1 (mean), 2 (cls), 3 (last), 4 (rank)"]);
  }
  const classifies = tensors.has("classifier.weight");
  if (pooling === "rank" && !classifies) {
    throw json.unsupported("bert.pooling_type", ["0 to 3; 4 (rank) only with the tensors cls and cls.output"]);
  }
  const outputs = classifies ? rows("classifier.weight") : 2;
  const labels = json.strings("bert.classifier.output_labels");
  const config: BertConfig = {
    vocabSize: rows("embeddings.word_embeddings.weight"),
    hiddenSize: json.integer("bert.embedding_length", { max: MAX_WIDTH }),
    intermediateSize: json.integer("bert.feed_forward_length", { max: MAX_WIDTH }),
    numHiddenLayers: json.integer("bert.block_count", { max: MAX_LAYERS }),
    numAttentionHeads: json.integer("bert.attention.head_count"),
    hiddenAct: "gelu", // the format has no key for it
    layerNormEps: json.number("bert.attention.layer_norm_epsilon", { min: 0 }),
    maxPositionEmbeddings: rows("embeddings.position_embeddings.weight"),
    typeVocabSize: rows("embeddings.token_type_embeddings.weight"),
    padTokenId: json.integer("tokenizer.ggml.padding_token_id", { min: 0 }, 0),
    tieWordEmbeddings: true,
    head: classifies ? "sequenceClassification" : "none",
    labels: labels.length === outputs ? labels : Array.from({ length: outputs }, (_, i) => `LABEL_${i}`),
    problemType: null,
  };
  checkHeads(json, "bert.attention.head_count", config);
  return { config, tensors, pooling: pooling === "rank" ? "cls" : pooling };
}

/** The tensors under Hugging Face's names. Unknown ones keep theirs, to be reported as unread under it. */
function renamed(gguf: Gguf): Map<string, CheckpointTensor> {
  const tensors = new Map<string, CheckpointTensor>();
  for (const [name, tensor] of gguf.tensors) {
    const [, base = name, end] = /^(.*)\.(weight|bias)$/.exec(name) ?? [];
    const [, layer, part = ""] = /^blk\.(\d+)\.(\w+)$/.exec(base) ?? [];
    const inModel = layer === undefined ? MODEL_TENSORS[base] : undefined;
    const inLayer = LAYER_TENSORS[part];
    const target = layer === undefined ? inModel : inLayer && `encoder.layer.${layer}.${inLayer}`;
    tensors.set(target === undefined ? name : `${target}.${end}`, tensor);
  }
  return tensors;
}

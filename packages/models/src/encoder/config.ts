/** What the configs of BERT-like encoders have in common, under the keys that they share. */

import type { Activation } from "@qkv/core";
import { ACTIVATION_NAMES } from "../config/activation";
import { type JsonConfig, MAX_HEAD_DIM, MAX_LAYERS, MAX_WIDTH } from "../config/json-config";
import { type Labels, parseLabels } from "../config/labels";

/** Which head the class that a checkpoint was saved from has. */
export type HeadKind =
  | "none"
  | "pretraining"
  | "maskedLm"
  | "nextSentence"
  | "sequenceClassification"
  | "tokenClassification"
  | "questionAnswering";

/** The end of transformers' class names, after the family's. */
const CLASSES: Readonly<Record<string, HeadKind>> = {
  Model: "none",
  ForPreTraining: "pretraining",
  ForMaskedLM: "maskedLm",
  ForNextSentencePrediction: "nextSentence",
  ForSequenceClassification: "sequenceClassification",
  ForTokenClassification: "tokenClassification",
  ForQuestionAnswering: "questionAnswering",
};

export interface EncoderConfig extends Labels {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly hiddenAct: Activation;
  readonly layerNormEps: number;
  readonly maxPositionEmbeddings: number;
  /** 0 where the architecture has no token types. */
  readonly typeVocabSize: number;
  readonly padTokenId: number;
  /** The words' vectors of the input are those of a masked language model's output. */
  readonly tieWordEmbeddings: boolean;
  readonly head: HeadKind;
}

/** What an architecture's parser adds to the keys that all share. */
export interface EncoderDefaults {
  /** The family in transformers' class names: "Bert" of "BertForMaskedLM". */
  readonly family: string;
  /** The heads of this family that run. */
  readonly heads: readonly HeadKind[];
  readonly layerNormEps: number;
  readonly padTokenId: number;
  readonly typeVocabSize: number;
  readonly hiddenAct: string;
  /** The widths of transformers' config class, for files that leave them out. */
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly maxPositionEmbeddings: number;
}

/** The sizes of the base models, which transformers takes where a file leaves them out. */
export const BASE_SIZES = {
  hiddenSize: 768,
  intermediateSize: 3072,
  numHiddenLayers: 12,
  numAttentionHeads: 12,
  hiddenAct: "gelu",
  layerNormEps: 1e-12,
  maxPositionEmbeddings: 512,
} as const;

/** The heads that every family has. */
export const COMMON_HEADS: readonly HeadKind[] = [
  "none",
  "maskedLm",
  "sequenceClassification",
  "tokenClassification",
  "questionAnswering",
];

/** Parses a config in BERT's keys, with transformers' defaults for what older files leave out. */
export function parseEncoderConfig(json: JsonConfig, defaults: EncoderDefaults): EncoderConfig {
  const config: EncoderConfig = {
    ...parseLabels(json),
    vocabSize: json.integer("vocab_size", {}, defaults.vocabSize),
    hiddenSize: json.integer("hidden_size", { max: MAX_WIDTH }, defaults.hiddenSize),
    intermediateSize: json.integer("intermediate_size", { max: MAX_WIDTH }, defaults.intermediateSize),
    numHiddenLayers: json.integer("num_hidden_layers", { max: MAX_LAYERS }, defaults.numHiddenLayers),
    numAttentionHeads: json.integer("num_attention_heads", {}, defaults.numAttentionHeads),
    hiddenAct: json.choice("hidden_act", ACTIVATION_NAMES, defaults.hiddenAct),
    layerNormEps: json.number("layer_norm_eps", { min: 0 }, defaults.layerNormEps),
    maxPositionEmbeddings: json.integer("max_position_embeddings", {}, defaults.maxPositionEmbeddings),
    typeVocabSize: defaults.typeVocabSize === 0 ? 0 : json.integer("type_vocab_size", {}, defaults.typeVocabSize),
    padTokenId: json.integer("pad_token_id", { min: 0 }, defaults.padTokenId),
    tieWordEmbeddings: json.boolean("tie_word_embeddings", true),
    head: parseHead(json, defaults.family, defaults.heads),
  };
  checkHeads(json, "num_attention_heads", config);
  checkPlainEncoder(json);
  return config;
}

/**
 * The head of the class in `architectures`; "none" where the file names none.
 *
 * @throws UnsupportedModelError for a class that does not run
 */
export function parseHead(json: JsonConfig, family: string, heads: readonly HeadKind[]): HeadKind {
  const names = json.strings("architectures");
  if (names.length === 0) return "none";
  const kinds = Object.entries(CLASSES).filter(([, kind]) => heads.includes(kind));
  for (const [end, kind] of kinds) if (names[0] === family + end) return kind;
  throw json.unsupported(
    "architectures",
    kinds.map(([end]) => family + end),
  );
}

/**
 * A config as its file has it: models are published without the head that they were pretrained with, under the name of the
 * class that had it. One that is there in part is an error, when its tensors are asked for.
 *
 * @param tensors names in the file; none where there is no file
 * @param pretraining how the names of such heads' tensors begin
 */
export function withoutMissingHead<C extends EncoderConfig>(
  config: C,
  tensors: Iterable<string>,
  pretraining: readonly string[],
): C {
  if (!["pretraining", "maskedLm", "nextSentence"].includes(config.head)) return config;
  const names = [...tensors];
  if (names.length === 0 || names.some((name) => pretraining.some((start) => name.startsWith(start)))) return config;
  return { ...config, head: "none" };
}

/** Heads must cut the width evenly, and not be wider than attention takes. */
export function checkHeads(
  json: JsonConfig,
  key: string,
  { hiddenSize, numAttentionHeads }: Pick<EncoderConfig, "hiddenSize" | "numAttentionHeads">,
): void {
  if (hiddenSize % numAttentionHeads !== 0) throw json.wrong(key, `a divisor of the hidden size ${hiddenSize}`);
  if (hiddenSize / numAttentionHeads > MAX_HEAD_DIM)
    throw json.wrong(key, `heads of at most ${MAX_HEAD_DIM} of ${hiddenSize}`);
}

/**
 * Most tokens of a text where positions are counted from the padding id + 1 on (`packedPositionsAfterPadding`): rows of
 * the table up to the padding's are no positions of tokens.
 */
export function positionsAfterPadding(c: EncoderConfig): number {
  return c.maxPositionEmbeddings - c.padTokenId - 1;
}

/** A config whose positions are counted so. @throws ModelFileError where none is left */
export function checkPositionsAfterPadding(json: JsonConfig, c: EncoderConfig): EncoderConfig {
  if (positionsAfterPadding(c) > 0) return c;
  throw json.wrong("max_position_embeddings", `more than pad_token_id + 1, which is ${c.padTokenId + 1}`);
}

/** Settings of transformers' BERT classes that make something else of an encoder. */
function checkPlainEncoder(json: JsonConfig): void {
  if (json.boolean("is_decoder", false)) throw json.unsupported("is_decoder", ["false"]);
  if (json.boolean("add_cross_attention", false)) throw json.unsupported("add_cross_attention", ["false"]);
  const positions = json.string("position_embedding_type", "absolute");
  if (positions !== "absolute") throw json.unsupported("position_embedding_type", ["absolute"]);
}

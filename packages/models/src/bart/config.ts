/** What the configs of BART, mBART, Marian and Pegasus have in common: transformers gave them the same keys. */

import type { Activation } from "@qkv/core";
import { ACTIVATION_NAMES } from "../config/activation";
import { type JsonConfig, MAX_HEAD_DIM, MAX_LAYERS, MAX_WIDTH } from "../config/json-config";
import { savedClass } from "../seq2seq/config";

/** The shape of one of the two stacks: `encoder_layers`, `decoder_layers` and so on. */
export interface BartStack {
  readonly layers: number;
  /** H */
  readonly attentionHeads: number;
  /** F */
  readonly ffnDim: number;
}

export interface BartConfig {
  /** V: words of the source, and of the target unless Marian says otherwise. */
  readonly vocabSize: number;
  readonly decoderVocabSize: number;
  /** D */
  readonly dModel: number;
  readonly encoder: BartStack;
  readonly decoder: BartStack;
  readonly activationFunction: Activation;
  /** Most positions of a source, and of a target. */
  readonly maxPositionEmbeddings: number;
  /** Words' vectors are multiplied by sqrt(D). */
  readonly scaleEmbedding: boolean;
  readonly tieWordEmbeddings: boolean;
  readonly padTokenId: number;
}

/** What a family's parser adds to the keys that all share. */
export interface BartFamily {
  /** transformers' classes that run. */
  readonly classes: readonly string[];
  readonly vocabSize: number;
  readonly padTokenId: number;
  /**
   * Keys of 2020, when one class ran all families: they say today's family once more. Where they say another, the file is
   * of a model that transformers has not run since.
   */
  readonly oldKeys: Readonly<Record<string, boolean | number>>;
}

/** Norms after each sublayer and before the first one, positions that are learned. */
export const BART_OLD_KEYS = {
  normalize_before: false,
  normalize_embedding: true,
  add_final_layer_norm: false,
  static_position_embeddings: false,
  extra_pos_embeddings: 2,
  do_blenderbot_90_layernorm: false,
} as const;

/** nn.LayerNorm's, which no config changes. */
export const LAYER_NORM_EPS = 1e-5;

/** Parses the keys that all families have, with the defaults that transformers' config classes share. */
export function parseCommonConfig(json: JsonConfig, family: BartFamily): BartConfig {
  savedClass(json, family.classes);
  checkOldKeys(json, family.oldKeys);
  if (!json.boolean("is_encoder_decoder", true)) throw json.unsupported("is_encoder_decoder", ["true"]);
  const dModel = aliased(json, "d_model", "hidden_size", MAX_WIDTH, 1024);
  const vocabSize = json.integer("vocab_size", {}, family.vocabSize);
  return {
    vocabSize,
    decoderVocabSize: vocabSize,
    dModel,
    encoder: parseStack(json, "encoder", dModel),
    decoder: parseStack(json, "decoder", dModel),
    activationFunction: json.choice("activation_function", ACTIVATION_NAMES, "gelu"),
    maxPositionEmbeddings: json.integer("max_position_embeddings", {}, 1024),
    scaleEmbedding: json.boolean("scale_embedding", false),
    tieWordEmbeddings: json.boolean("tie_word_embeddings", true),
    padTokenId: json.integer("pad_token_id", { min: 0 }, family.padTokenId),
  };
}

function parseStack(json: JsonConfig, stack: "encoder" | "decoder", dModel: number): BartStack {
  const key = `${stack}_attention_heads`;
  const attentionHeads =
    stack === "encoder" ? aliased(json, key, "num_attention_heads", MAX_WIDTH, 16) : json.integer(key, {}, 16);
  if (dModel % attentionHeads !== 0) throw json.wrong(key, `a divisor of d_model ${dModel}`);
  if (dModel / attentionHeads > MAX_HEAD_DIM) throw json.wrong(key, `heads of at most ${MAX_HEAD_DIM} of ${dModel}`);
  return {
    layers: json.integer(`${stack}_layers`, { max: MAX_LAYERS }, 12),
    attentionHeads,
    ffnDim: json.integer(`${stack}_ffn_dim`, { max: MAX_WIDTH }, 4096),
  };
}

/** A number under the family's name for it, or under the one that transformers takes as the same. */
function aliased(json: JsonConfig, key: string, alias: string, max: number, fallback: number): number {
  const general = json.integer(alias, { max }, fallback);
  const value = json.integer(key, { max }, general);
  if (json.has(alias) && general !== value) throw json.wrong(alias, `${value}, as "${key}" says`);
  return value;
}

function checkOldKeys(json: JsonConfig, keys: BartFamily["oldKeys"]): void {
  for (const [key, value] of Object.entries(keys)) {
    const given = typeof value === "boolean" ? json.boolean(key, value) : json.integer(key, { min: 0 }, value);
    if (given !== value) throw json.unsupported(key, [String(value)]);
  }
}

/** T5's config, and those of mT5 and UMT5, which differ in what they leave out. */

import type { Activation } from "@qkv/core";
import { ACTIVATION_NAMES } from "../config/activation";
import { type JsonConfig, MAX_CONTEXT, MAX_HEAD_DIM, MAX_LAYERS, MAX_WIDTH } from "../config/json-config";
import type { EncoderConfig } from "../encoder/config";
import { savedClass } from "../seq2seq/config";

export interface T5Config {
  readonly vocabSize: number;
  /** D */
  readonly dModel: number;
  /** K: the width of a head, which H of them need not make D. */
  readonly dKv: number;
  /** F */
  readonly dFf: number;
  /** Of the encoder. */
  readonly numLayers: number;
  readonly numDecoderLayers: number;
  readonly numHeads: number;
  readonly relativeAttentionNumBuckets: number;
  readonly relativeAttentionMaxDistance: number;
  readonly layerNormEpsilon: number;
  readonly denseActFn: Activation;
  /** wo(act(wi_0 x) * wi_1 x) in place of wo(act(wi x)). */
  readonly isGatedAct: boolean;
  readonly tieWordEmbeddings: boolean;
  /** The decoder's states are multiplied by D^-0.5 before the head; null where that follows from the head: a tied one. */
  readonly scaleDecoderOutputs: boolean | null;
  /** Every layer has a relative bias of its own (UMT5); else the first one's serves all. */
  readonly biasInEveryLayer: boolean;
  /** How many tokens it was trained on: positions have no end. */
  readonly nPositions: number;
  /** The checkpoint has no decoder. */
  readonly encoderOnly: boolean;
  readonly padTokenId: number;
}

/** What transformers' config class takes where a file leaves it out. */
interface T5Defaults {
  readonly vocabSize: number;
  readonly numHeads: number;
  readonly dFf: number;
  readonly numLayers: number;
  readonly feedForwardProj: string;
  readonly tieWordEmbeddings: boolean;
  readonly biasInEveryLayer: boolean;
  /** Which transformers' class names begin with. */
  readonly family: "T5" | "MT5" | "UMT5";
}

const T5: T5Defaults = {
  family: "T5",
  vocabSize: 32128,
  numHeads: 8,
  dFf: 2048,
  numLayers: 6,
  feedForwardProj: "relu",
  tieWordEmbeddings: true,
  biasInEveryLayer: false,
};
const MT5_SIZES = { vocabSize: 250112, numHeads: 6, dFf: 1024, numLayers: 8, feedForwardProj: "gated-gelu" };

/** T5 v1.0, v1.1 and FLAN. */
export function parseT5Config(json: JsonConfig): T5Config {
  return parse(json, T5);
}

export function parseMt5Config(json: JsonConfig): T5Config {
  return parse(json, { ...T5, ...MT5_SIZES, family: "MT5", tieWordEmbeddings: false });
}

export function parseUmt5Config(json: JsonConfig): T5Config {
  return parse(json, { ...T5, ...MT5_SIZES, family: "UMT5", biasInEveryLayer: true });
}

function parse(json: JsonConfig, defaults: T5Defaults): T5Config {
  const numLayers = json.integer("num_layers", { max: MAX_LAYERS }, defaults.numLayers);
  const relativeAttentionNumBuckets = json.integer(
    "relative_attention_num_buckets",
    { min: 4, max: MAX_BUCKETS },
    DEFAULT_BUCKETS,
  );
  // The decoder, which looks one way, has an exact bucket for each of the first half of them.
  const exact = Math.floor(relativeAttentionNumBuckets / 2);
  const numHeads = json.integer("num_heads", { max: MAX_HEADS }, defaults.numHeads);
  const dKv = json.integer("d_kv", { max: MAX_HEAD_DIM }, 64);
  if (numHeads * dKv > MAX_WIDTH) throw json.wrong("num_heads", `at most ${MAX_WIDTH} values in all heads of ${dKv}`);
  const { denseActFn, isGatedAct } = parseFeedForward(json, defaults.feedForwardProj);
  const { family } = defaults;
  const encoderOnly = `${family}EncoderModel`;
  // The last is what T5's class was called at first.
  const classes = [`${family}ForConditionalGeneration`, `${family}Model`, encoderOnly, `${family}WithLMHeadModel`];
  return {
    vocabSize: json.integer("vocab_size", {}, defaults.vocabSize),
    dModel: json.integer("d_model", { max: MAX_WIDTH }, 512),
    dKv,
    dFf: json.integer("d_ff", { max: MAX_WIDTH }, defaults.dFf),
    numLayers,
    numDecoderLayers: json.integer("num_decoder_layers", { max: MAX_LAYERS }, numLayers),
    numHeads,
    relativeAttentionNumBuckets,
    relativeAttentionMaxDistance: json.integer("relative_attention_max_distance", { min: exact + 1 }, 128),
    layerNormEpsilon: json.number("layer_norm_epsilon", { min: 0 }, 1e-6),
    denseActFn,
    isGatedAct,
    tieWordEmbeddings: json.boolean("tie_word_embeddings", defaults.tieWordEmbeddings),
    scaleDecoderOutputs: json.has("scale_decoder_outputs") ? json.boolean("scale_decoder_outputs", true) : null,
    biasInEveryLayer: defaults.biasInEveryLayer,
    nPositions: json.integer("n_positions", {}, 512),
    encoderOnly: savedClass(json, classes) === encoderOnly,
    padTokenId: json.integer("pad_token_id", { min: 0 }, 0),
  };
}

/** What tasks of encoders go by. */
export function t5EncoderConfig(c: T5Config): T5Config & EncoderConfig {
  return {
    ...c,
    hiddenSize: c.dModel,
    intermediateSize: c.dFf,
    numHiddenLayers: c.numLayers,
    numAttentionHeads: c.numHeads,
    hiddenAct: c.denseActFn,
    layerNormEps: c.layerNormEpsilon,
    maxPositionEmbeddings: Math.min(c.nPositions, MAX_CONTEXT),
    typeVocabSize: 0,
    head: "none",
    labels: [],
    problemType: null,
  };
}

/** Each has a table of all distances; published models have at most 128. */
export const MAX_HEADS = 1024;
const DEFAULT_BUCKETS = 32;
/** More than any model has. */
const MAX_BUCKETS = 2 ** 16;

/** "relu", "gated-gelu": which function, and whether a gate. "gated-gelu" means the tanh form, as T5 v1.1 was trained. */
function parseFeedForward(json: JsonConfig, fallback: string): Pick<T5Config, "denseActFn" | "isGatedAct"> {
  const key = "feed_forward_proj";
  const value = json.string(key, fallback);
  const isGatedAct = value.startsWith("gated-");
  const name = isGatedAct ? value.slice("gated-".length) : value;
  if (!Object.hasOwn(ACTIVATION_NAMES, name)) {
    const names = Object.keys(ACTIVATION_NAMES);
    throw json.unsupported(key, [...names, ...names.map((each) => `gated-${each}`)]);
  }
  const denseActFn = value === "gated-gelu" ? "gelu-tanh" : ACTIVATION_NAMES[name];
  // What transformers derives from it, and writes beside it.
  if (json.has("is_gated_act") && json.boolean("is_gated_act", isGatedAct) !== isGatedAct)
    throw json.wrong("is_gated_act", `${isGatedAct}, as ${key} "${value}" says`);
  if (json.has("dense_act_fn") && json.choice("dense_act_fn", ACTIVATION_NAMES) !== denseActFn)
    throw json.wrong("dense_act_fn", `the function that ${key} "${value}" names`);
  return { denseActFn, isGatedAct };
}

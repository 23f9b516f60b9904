/** Rotary embedding settings of Hugging Face configs, in the keys of transformers 5 and of 4. */

import {
  longropeAttentionFactor,
  type RopeConfig,
  type RopeScaling,
  ropeFrequencies,
  yarnAttentionFactor,
} from "@qkv/core";
import { ModelFileError } from "../errors";
import { JsonConfig } from "./json-config";

/** What the settings of every type may hold. `type` is how older files call `rope_type`. */
const COMMON_KEYS = ["rope_theta", "rope_type", "type", "partial_rotary_factor"];

/** The further keys of each type. Any other key throws: it would change the numbers of whatever reads it. */
const KEYS: Readonly<Record<RopeType, readonly string[]>> = {
  default: [],
  linear: ["factor"],
  dynamic: ["factor"],
  llama3: ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
  yarn: [
    "factor",
    "original_max_position_embeddings",
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
    "truncate",
    "finetuned", // says how the model was made; nothing reads it
  ],
  longrope: ["factor", "original_max_position_embeddings", "attention_factor", "short_factor", "long_factor"],
};

type RopeType = Exclude<RopeScaling["type"], "factors">;
const TYPES: Readonly<Record<string, RopeType>> = {
  default: "default",
  linear: "linear",
  dynamic: "dynamic",
  llama3: "llama3",
  yarn: "yarn",
  longrope: "longrope",
};

/**
 * Parses `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling` (4). Where a file has both,
 * `rope_scaling` counts, as in transformers.
 */
export function parseRope(config: JsonConfig, headDim: number, maxPositionEmbeddings: number): RopeConfig {
  const section = config.hasEntries("rope_scaling") ? "rope_scaling" : "rope_parameters";
  const rope = config.hasEntries(section) ? config.object(section) : new JsonConfig({}, config.file);
  const typeKey = rope.has("rope_type") ? "rope_type" : "type";
  const type = rope.choice(typeKey, TYPES, "default");
  const known = [...COMMON_KEYS, ...KEYS[type]];
  for (const key of rope.keys()) if (!known.includes(key)) throw rope.unsupported(key, known);
  const theta = rope.number("rope_theta", { min: 1 }, null) ?? config.number("rope_theta", { min: 1 }, 10_000);
  const partial = rope.number("partial_rotary_factor", {}, null) ?? config.number("partial_rotary_factor", {}, 1);
  if (partial !== 1)
    throw (rope.has("partial_rotary_factor") ? rope : config).unsupported("partial_rotary_factor", ["1"]);
  const scaling = parseScaling(type, rope, config, headDim, maxPositionEmbeddings);
  return checkRope({ theta, rotaryDim: headDim, scaling }, config.file);
}

/** Lengths of passes at which every table of a scaling is in use. */
const SHORT_AND_LONG = [1, 2 ** 22];

/** Settings that are numbers each, and together give no frequencies (a base of 1 under yarn), are found here. */
export function checkRope(rope: RopeConfig, file: string): RopeConfig {
  try {
    for (const length of SHORT_AND_LONG) {
      const { inverse, attentionScaling } = ropeFrequencies(rope, length);
      // Above a turn a position they would alias, and at 0 all positions would be alike.
      if (!inverse.every((f) => f > 0 && f <= 2 * Math.PI) || !Number.isFinite(attentionScaling)) {
        throw new RangeError("they give frequencies that are not between 0 and one turn a position");
      }
    }
  } catch (cause) {
    throw new ModelFileError(`wrong rotary settings: ${(cause as Error).message}`, { file }, { cause });
  }
  return rope;
}

function parseScaling(
  type: RopeType,
  rope: JsonConfig,
  config: JsonConfig,
  headDim: number,
  maxPositionEmbeddings: number,
): RopeScaling {
  // Outside of the section it counts more than inside, as Phi-3's files have it.
  const trainedLength = () =>
    config.integer("original_max_position_embeddings", {}, null) ??
    rope.integer("original_max_position_embeddings", {}, maxPositionEmbeddings);
  const positive = { min: Number.MIN_VALUE };
  const factor = (fallback?: number) => rope.number("factor", positive, fallback);
  switch (type) {
    case "default":
      return { type };
    case "linear":
      return { type, factor: factor() };
    case "dynamic":
      return { type, factor: factor(), maxPositionEmbeddings };
    case "llama3":
      return {
        type,
        factor: factor(),
        lowFreqFactor: rope.number("low_freq_factor", positive),
        highFreqFactor: rope.number("high_freq_factor", positive),
        originalMaxPositionEmbeddings: trainedLength(),
      };
    case "yarn": {
      const originalMaxPositionEmbeddings = trainedLength();
      const stretch = factor(maxPositionEmbeddings / originalMaxPositionEmbeddings);
      return {
        type,
        factor: stretch,
        originalMaxPositionEmbeddings,
        betaFast: rope.number("beta_fast", { min: 0 }, 0) || 32,
        betaSlow: rope.number("beta_slow", { min: 0 }, 0) || 1,
        attentionFactor:
          rope.number("attention_factor", { min: 0 }, null) ??
          yarnAttentionFactor(stretch, rope.number("mscale", {}, 0), rope.number("mscale_all_dim", {}, 0)),
        truncate: rope.boolean("truncate", true),
      };
    }
    case "longrope": {
      const originalMaxPositionEmbeddings = trainedLength();
      const stretch = factor(maxPositionEmbeddings / originalMaxPositionEmbeddings);
      return {
        type,
        shortFactor: rope.numbers("short_factor", headDim / 2),
        longFactor: rope.numbers("long_factor", headDim / 2),
        originalMaxPositionEmbeddings,
        attentionFactor:
          rope.number("attention_factor", { min: 0 }, null) ??
          longropeAttentionFactor(stretch, originalMaxPositionEmbeddings),
      };
    }
  }
}

/** sentence-transformers' modules behind the pooling: their folders' files, their weights, and what they compute. */

import type { Activation, Kernels } from "@qkv/core";
import { exp } from "@qkv/core";
import { JsonConfig, MAX_WIDTH } from "../config/json-config";
import { ModelFileError } from "../errors";
import type { CheckedSource } from "../files/checked";
import { parseJson } from "../files/json";
import { openPytorch, usualPytorch } from "../formats/pytorch";
import { findSafetensors, openSafetensors, usualSafetensors } from "../formats/safetensors";
import { type Checkpoint, type WeightDtype, Weights } from "../weights/weights";
import type { EmbeddingModule, Pooling } from "./sentence-settings";
import { LEAST_NORM } from "./similarity";

/** These files have some hundred bytes, and prompts some thousand. */
const MAX_JSON_BYTES = 1024 * 1024;
/** There are six ways to pool. */
const MAX_POOLINGS = 16;
/** nn.LayerNorm's default, which sentence-transformers does not store. */
const LAYER_NORM_EPS = 1e-5;

/** A module as its files describe it; weights are not read yet. */
export type FoundModule =
  | { readonly type: "normalize" }
  /** The pooling: takes states of this width. */
  | { readonly type: "pooling"; readonly width: number; readonly count: number; readonly file: string }
  | {
      readonly type: "dense";
      readonly inFeatures: number;
      readonly outFeatures: number;
      readonly bias: boolean;
      readonly activation: Activation | "tanh" | "sigmoid" | null;
      readonly file: string;
      readonly checkpoint: Checkpoint;
    }
  | { readonly type: "layerNorm"; readonly width: number; readonly file: string; readonly checkpoint: Checkpoint };

/** A file of one JSON object. */
export async function readConfig(files: CheckedSource, file: string): Promise<JsonConfig> {
  return new JsonConfig(parseJson(await files.readText(file, MAX_JSON_BYTES), { file }), file);
}

// ---- Pooling

/** The keys of before version 6, in the order in which their vectors are put together. */
const POOLING_KEYS: Readonly<Record<string, Pooling>> = {
  pooling_mode_cls_token: "cls",
  pooling_mode_max_tokens: "max",
  pooling_mode_mean_tokens: "mean",
  pooling_mode_mean_sqrt_len_tokens: "meanSqrtLength",
  pooling_mode_weightedmean_tokens: "weightedMean",
  pooling_mode_lasttoken: "lastToken",
};

const POOLING_MODES: Readonly<Record<string, Pooling>> = {
  cls: "cls",
  max: "max",
  mean: "mean",
  mean_sqrt_len_tokens: "meanSqrtLength",
  weightedmean: "weightedMean",
  lasttoken: "lastToken",
};

export interface FoundPooling {
  readonly pooling: readonly Pooling[];
  readonly includePrompt: boolean;
  readonly module: FoundModule;
}

/** `config.json` of a Pooling's folder ("" or with a slash at its end). */
export async function readPooling(files: CheckedSource, folder: string): Promise<FoundPooling> {
  const json = await readConfig(files, `${folder}config.json`);
  const key = json.has("embedding_dimension") ? "embedding_dimension" : "word_embedding_dimension";
  const width = json.integer(key, { max: MAX_WIDTH });
  const pooling = parsePooling(json);
  return {
    pooling,
    includePrompt: json.boolean("include_prompt", true),
    module: { type: "pooling", width, count: pooling.length, file: json.file },
  };
}

function parsePooling(json: JsonConfig): Pooling[] {
  if (json.has("pooling_mode")) {
    const names = json.isString("pooling_mode") ? [json.string("pooling_mode")] : json.strings("pooling_mode");
    if (names.length === 0 || names.length > MAX_POOLINGS) throw json.wrong("pooling_mode", `1 to ${MAX_POOLINGS} modes`);
    return names.map((name) => {
      if (!Object.hasOwn(POOLING_MODES, name)) throw json.unsupported("pooling_mode", Object.keys(POOLING_MODES));
      return POOLING_MODES[name];
    });
  }
  for (const key of json.keys()) {
    if (key.startsWith("pooling_mode_") && !Object.hasOwn(POOLING_KEYS, key)) {
      throw json.unsupported(key, ["no such key"]);
    }
  }
  const pooling = Object.keys(POOLING_KEYS).filter((key) => json.boolean(key, false));
  return pooling.length === 0 ? ["mean"] : pooling.map((key) => POOLING_KEYS[key]);
}

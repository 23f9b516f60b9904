/** sentence-transformers' modules behind the pooling: their folders' files, their weights, and what they compute. */

import type { Activation, Kernels } from "@qkv/core";
import { JsonConfig, MAX_WIDTH } from "../config/json-config";
import { ModelFileError } from "../errors";
import type { CheckedSource } from "../files/checked";
import { isJsonObject, parseJson } from "../files/json";
import { openPytorch, usualPytorch } from "../formats/pytorch";
import { openSafetensors, usualSafetensors } from "../formats/safetensors";
import { sigmoid } from "../tasks/scores";
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

/** A JSON file of a module, or around the modules. */
export async function readJson(files: CheckedSource, file: string): Promise<unknown> {
  return parseJson(await files.readText(file, MAX_JSON_BYTES), { file });
}

async function readConfig(files: CheckedSource, file: string): Promise<JsonConfig> {
  return new JsonConfig(await readJson(files, file), file);
}

/** The last part of a torch class's name, which the table must have. */
export function torchClass<T>(json: JsonConfig, key: string, table: Readonly<Record<string, T>>, fallback: T): T {
  if (!json.has(key)) return fallback;
  const name = json.string(key);
  const last = name.slice(name.lastIndexOf(".") + 1);
  if (!name.startsWith("torch.nn.") || !Object.hasOwn(table, last)) {
    throw json.unsupported(
      key,
      Object.keys(table).map((each) => `torch.nn.${each}`),
    );
  }
  return table[last];
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
  const file = `${folder}config.json`;
  const value = await readJson(files, file);
  const json = new JsonConfig(value, file);
  const key = json.has("embedding_dimension") ? "embedding_dimension" : "word_embedding_dimension";
  const width = json.integer(key, { max: MAX_WIDTH });
  const pooling = parsePooling(json, isJsonObject(value) && typeof value.pooling_mode === "string");
  return {
    pooling,
    includePrompt: json.boolean("include_prompt", true),
    module: { type: "pooling", width, count: pooling.length, file: json.file },
  };
}

function parsePooling(json: JsonConfig, isOne: boolean): Pooling[] {
  if (json.has("pooling_mode")) {
    const names = isOne ? [json.string("pooling_mode")] : json.strings("pooling_mode");
    if (names.length === 0 || names.length > MAX_POOLINGS)
      throw json.wrong("pooling_mode", `1 to ${MAX_POOLINGS} modes`);
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

// ---- Dense, LayerNorm, Normalize

/** By torch's class, behind "torch.nn.". */
const ACTIVATIONS: Readonly<Record<string, Activation | "tanh" | "sigmoid" | null>> = {
  Identity: null,
  Tanh: "tanh",
  ReLU: "relu",
  GELU: "gelu",
  Sigmoid: "sigmoid",
};

/** Modules that may follow the pooling, by their class: from their folder to what they do, null for nothing. */
export const MODULES: Readonly<Record<string, (files: CheckedSource, folder: string) => Promise<FoundModule | null>>> =
  {
    Dense: readDense,
    Normalize: readNormalize,
    LayerNorm: readLayerNorm,
    // Nothing, once a model is trained.
    Dropout: async () => null,
  };

async function readDense(files: CheckedSource, folder: string): Promise<FoundModule> {
  const json = await readConfig(files, `${folder}config.json`);
  checkFeatures(json);
  if (json.boolean("use_residual", false)) throw json.unsupported("use_residual", ["false"]);
  return {
    type: "dense",
    inFeatures: json.integer("in_features", { max: MAX_WIDTH }),
    outFeatures: json.integer("out_features", { max: MAX_WIDTH }),
    bias: json.boolean("bias", true),
    activation: torchClass(json, "activation_function", ACTIVATIONS, "tanh"),
    file: json.file,
    checkpoint: await openModule(files, folder),
  };
}

async function readLayerNorm(files: CheckedSource, folder: string): Promise<FoundModule> {
  const json = await readConfig(files, `${folder}config.json`);
  const width = json.integer("dimension", { max: MAX_WIDTH });
  return { type: "layerNorm", width, file: json.file, checkpoint: await openModule(files, folder) };
}

/** Before version 6 it had no files. */
async function readNormalize(files: CheckedSource, folder: string): Promise<FoundModule> {
  const file = `${folder}config.json`;
  if (folder !== "" && (await files.exists(file))) checkFeatures(await readConfig(files, file));
  return { type: "normalize" };
}

/** What a module reads and writes: the embedding, and not the states of tokens. */
function checkFeatures(json: JsonConfig): void {
  for (const key of ["module_input_name", "module_output_name"]) {
    const name = json.string(key, "sentence_embedding");
    if (name !== "sentence_embedding") throw json.unsupported(key, ["sentence_embedding"]);
  }
}

async function openModule(files: CheckedSource, folder: string): Promise<Checkpoint> {
  const path = await usualSafetensors(files, folder);
  if (path !== null) return { files, file: path, tensors: (await openSafetensors(files, { path })).tensors };
  const older = await usualPytorch(files, folder);
  if (older !== null) return { files, file: older, tensors: (await openPytorch(files, older)).tensors };
  throw new ModelFileError(
    "its weights are missing: there is neither model.safetensors nor pytorch_model.bin beside it",
    {
      file: `${folder}config.json`,
    },
  );
}

// ---- Layout

/** A module laid out: null where it computes nothing more. */
export interface LaidOutModule {
  readonly module: EmbeddingModule | null;
  readonly weights: Weights | null;
  /** Of what it gives. */
  readonly width: number;
}

/**
 * Lays out a module's weights.
 *
 * @param width of what it is given
 * @throws ModelFileError where it takes another width, or its tensors are not those of its config
 */
export function layOutModule(found: FoundModule, width: number, kernels: Kernels, dtype: WeightDtype): LaidOutModule {
  const expect = (key: string, value: number, file: string) => {
    if (value === width) return;
    throw new ModelFileError(`config key "${key}": expected ${width}, as wide as what it is given, got ${value}`, {
      file,
    });
  };
  switch (found.type) {
    case "normalize":
      return { module: found, weights: null, width };
    case "pooling":
      expect("word_embedding_dimension", found.width, found.file);
      return { module: null, weights: null, width: width * found.count };
    case "dense": {
      const { inFeatures, outFeatures, bias, activation } = found;
      expect("in_features", inFeatures, found.file);
      const weights = Weights.of(found.checkpoint, kernels, dtype);
      const linear = weights.linear("linear", outFeatures, inFeatures, { bias });
      weights.finish();
      const input = kernels.arena.allocate(4 * inFeatures, "scratch");
      const output = kernels.arena.allocate(4 * outFeatures, "scratch");
      return { module: { type: "dense", linear, activation, input, output }, weights, width: outFeatures };
    }
    case "layerNorm": {
      expect("dimension", found.width, found.file);
      const weights = Weights.of(found.checkpoint, kernels, dtype);
      const norm = weights.layerNorm("norm", width, LAYER_NORM_EPS);
      weights.finish();
      return { module: { type: "layerNorm", norm, row: kernels.arena.allocate(4 * width, "scratch") }, weights, width };
    }
  }
}

/** The width of what a module gives for a vector; null where it takes another. */
export function outputWidth(module: EmbeddingModule, width: number): number | null {
  if (module.type === "dense") {
    const { rows, columns } = module.linear.weight;
    return columns === width ? rows : null;
  }
  return module.type === "layerNorm" && module.norm.width !== width ? null : width;
}

// ---- Computing

/** What a module makes of a vector. Dense and LayerNorm read it rounded to float32. */
export function applyModule(kernels: Kernels, module: EmbeddingModule, vector: Float64Array): Float64Array {
  const { arena } = kernels;
  switch (module.type) {
    case "normalize":
      return unitLength(vector);
    case "dense": {
      const { linear, activation, input, output } = module;
      const width = linear.weight.rows;
      arena.f32(input, vector.length).set(vector);
      kernels.matmul(output, input, linear.weight, linear.bias, 1);
      // c tanh(x / c) with c = 1
      if (activation === "tanh") kernels.softCap(output, output, width, 1);
      else if (activation !== null && activation !== "sigmoid") kernels.activate(output, output, width, activation);
      const result = Float64Array.from(arena.f32(output, width));
      return activation === "sigmoid" ? result.map(sigmoid) : result;
    }
    case "layerNorm": {
      const { norm, row } = module;
      arena.f32(row, norm.width).set(vector);
      kernels.layerNorm(row, row, norm.weight, norm.bias, 1, norm.width, norm.eps);
      return Float64Array.from(arena.f32(row, norm.width));
    }
  }
}

/** A vector over its length; zeros stay zeros. As torch's `normalize`. */
export function unitLength(vector: Float64Array): Float64Array {
  let squares = 0;
  for (const x of vector) squares += x * x;
  const length = Math.max(Math.sqrt(squares), LEAST_NORM);
  return vector.map((x) => x / length);
}

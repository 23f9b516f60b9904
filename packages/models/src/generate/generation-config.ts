/** What a model's files say about how it generates: generation_config.json, or the same keys of an older config.json. */

import type { JsonConfig } from "../config/json-config";
import type { GenerateOptions, SequenceBias, WatermarkOptions } from "./options";
import { MAX_BEAMS, MAX_SEQUENCES } from "./options-checks";

/** More tasks than any model names: each is a set of settings of its own. */
const MAX_TASKS = 256;
/** Longer than any prefix of a task, which goes before every text. */
const MAX_PREFIX = 10_000;
/** What transformers samples among where a file turns sampling on and does not say. */
const DEFAULT_TOP_K = 50;

/** Options that a file can set. */
export type GenerationSettings = Omit<
  GenerateOptions,
  "seed" | "prefixAllowedTokens" | "processors" | "decoderStartTokenId" | "stopIds" | "scores" | "signal"
>;

/** What a model's files say about generation. null: they do not. */
export interface GenerationDefaults {
  /** Options that hold where `generate` is given no others. A value that does nothing is left out. */
  readonly settings: GenerationSettings;
  readonly decoderStartTokenId: number | null;
  readonly bosTokenId: number | null;
  readonly padTokenId: number | null;
  /** `eos_token_id`. Empty: the files say that there is none. */
  readonly endIds: readonly number[] | null;
  /** What older config.json files put before every text: `prefix`. */
  readonly prefix: string | null;
  /** Keys that change what comes out and that we do not run. */
  readonly unsupported: readonly string[];
  /** `task_specific_params`, by task. */
  readonly tasks: ReadonlyMap<string, TaskDefaults>;
}

/** What holds for one task. */
export interface TaskDefaults {
  /** What is put before the text. */
  readonly prefix: string;
  /** What holds for the task: the model's settings where the task has none. Its `tasks` are empty. */
  readonly defaults: GenerationDefaults;
}

/** Files that say nothing. */
export const NO_DEFAULTS: GenerationDefaults = {
  settings: {},
  decoderStartTokenId: null,
  bosTokenId: null,
  padTokenId: null,
  endIds: null,
  prefix: null,
  unsupported: [],
  tasks: new Map(),
};

/**
 * Reads both files as transformers does: what generation_config.json says holds, and config.json is asked for settings
 * only where there is no such file. The ids of special tokens fall back from the one to the other, key by key. Keys
 * that change nothing or mean nothing to a text model are passed over.
 *
 * @param generation generation_config.json; null if there is none
 * @param config config.json
 * @throws ModelFileError for values of the wrong form
 * @example
 * parseGenerationConfig(null, new JsonConfig({ num_beams: 4 }, "config.json")).settings; // { numBeams: 4 }
 */
export function parseGenerationConfig(generation: JsonConfig | null, config: JsonConfig): GenerationDefaults {
  const source = generation ?? config;
  const ids = parseSpecialIds(source, config);
  const prefix = parsePrefix(config);
  const read = (json: JsonConfig): GenerationDefaults => ({
    ...ids,
    prefix,
    settings: parseSettings(json, generation === null ? ids.bosTokenId : null),
    unsupported: findUnsupported(json),
    tasks: new Map(),
  });
  const tasks = new Map<string, TaskDefaults>();
  if (config.hasEntries("task_specific_params")) {
    const all = config.object("task_specific_params");
    const names = all.keys();
    if (names.length > MAX_TASKS) throw config.wrong("task_specific_params", `at most ${MAX_TASKS} tasks`);
    for (const name of names) {
      const task = all.object(name);
      tasks.set(name, { prefix: parsePrefix(task) ?? prefix ?? "", defaults: read(source.overlaid(task)) });
    }
  }
  return { ...read(source), tasks };
}

/** null where there is none, or an empty one. */
function parsePrefix(json: JsonConfig): string | null {
  const prefix = json.string("prefix", "");
  if (prefix.length > MAX_PREFIX) throw json.wrong("prefix", `at most ${MAX_PREFIX} characters`);
  return prefix === "" ? null : prefix;
}

function parseSpecialIds(generation: JsonConfig, config: JsonConfig) {
  const holder = (key: string) => (generation.has(key) ? generation : config);
  const id = (key: string) => holder(key).integer(key, { min: 0 }, null);
  // -1 is how some files say that there is none.
  const pad = holder("pad_token_id").integer("pad_token_id", { min: -1 }, null);
  const ends = holder("eos_token_id");
  return {
    decoderStartTokenId: id("decoder_start_token_id"),
    bosTokenId: id("bos_token_id"),
    padTokenId: pad === -1 ? null : pad,
    endIds: ends.mentions("eos_token_id") ? ends.tokenIds("eos_token_id") : null,
  };
}

/** @param legacyBos the id that an old flag of config.json forces */
function parseSettings(json: JsonConfig, legacyBos: number | null): GenerationSettings {
  const integer = (key: string, min: number, off: number | null, max = 2 ** 31 - 1) =>
    unless(off, json.integer(key, { min, max }, null));
  const number = (key: string, min: number, off: number, max = Number.MAX_VALUE) =>
    unless(off, json.number(key, { min, max }, null));
  const positive = (key: string) => number(key, Number.MIN_VALUE, 1);
  const forcedBos = legacyBos !== null && json.boolean("force_bos_token_to_be_generated", false) ? legacyBos : null;
  return present({
    maxNewTokens: integer("max_new_tokens", 1, null),
    maxLength: integer("max_length", 1, null),
    minLength: integer("min_length", 0, 0),
    minNewTokens: integer("min_new_tokens", 0, 0),
    numBeams: integer("num_beams", 1, 1, MAX_BEAMS),
    numBeamGroups: integer("num_beam_groups", 1, 1, MAX_BEAMS),
    diversityPenalty: number("diversity_penalty", 0, 0),
    lengthPenalty: number("length_penalty", -Number.MAX_VALUE, 1),
    earlyStopping: parseEarlyStopping(json),
    numReturnSequences: integer("num_return_sequences", 1, 1, MAX_BEAMS),
    ...(json.boolean("do_sample", false) ? parseSampling(json) : {}),
    repetitionPenalty: positive("repetition_penalty"),
    encoderRepetitionPenalty: positive("encoder_repetition_penalty"),
    noRepeatNgramSize: integer("no_repeat_ngram_size", 0, 0),
    encoderNoRepeatNgramSize: integer("encoder_no_repeat_ngram_size", 0, 0),
    badWordsIds: parseBadWords(json),
    sequenceBias: parseSequenceBias(json),
    exponentialDecayLengthPenalty: parseDecay(json),
    suppressTokens: filled(json.tokenIds("suppress_tokens")),
    beginSuppressTokens: filled(json.tokenIds("begin_suppress_tokens")),
    forcedBosTokenId: json.integer("forced_bos_token_id", { min: 0 }, null) ?? forcedBos,
    forcedEosTokenId: parseForcedEos(json),
    removeInvalidValues: json.boolean("remove_invalid_values", false) || null,
    renormalizeLogits: json.boolean("renormalize_logits", false) || null,
    watermark: parseWatermark(json),
    stop: parseStop(json),
  });
}

/** A temperature is always among them, as it turns sampling on. Without `do_sample` the keys do nothing. */
function parseSampling(json: JsonConfig): GenerationSettings {
  const number = (key: string, min: number, max: number, off: number | null) =>
    unless(off, json.number(key, { min, max }, null));
  const belowOne = 1 - Number.EPSILON;
  return {
    temperature: json.number("temperature", { min: 0 }, 1),
    topK: unless(0, json.integer("top_k", { min: 0 }, DEFAULT_TOP_K)),
    topP: number("top_p", Number.MIN_VALUE, 1, 1),
    minP: number("min_p", 0, 1, 0),
    typicalP: number("typical_p", Number.MIN_VALUE, 1, 1),
    topH: number("top_h", Number.MIN_VALUE, 1, null),
    epsilonCutoff: number("epsilon_cutoff", 0, belowOne, 0),
    etaCutoff: number("eta_cutoff", 0, belowOne, 0),
  };
}

function parseEarlyStopping(json: JsonConfig): true | "never" | null {
  const key = "early_stopping";
  const value = json.value(key) ?? false;
  if (typeof value !== "boolean" && value !== "never") throw json.wrong(key, 'true, false or "never"');
  return value === false ? null : value;
}

function parseForcedEos(json: JsonConfig): number | readonly number[] | null {
  const ids = json.tokenIds("forced_eos_token_id");
  return ids.length === 1 ? ids[0] : filled(ids);
}

function isIds(value: unknown): value is number[] {
  const isId = (id: unknown) => typeof id === "number" && Number.isSafeInteger(id) && id >= 0;
  return Array.isArray(value) && value.length > 0 && value.every(isId);
}

function parseBadWords(json: JsonConfig): readonly number[][] | null {
  const key = "bad_words_ids";
  const words = json.list(key);
  if (words.length > MAX_SEQUENCES || !words.every(isIds)) {
    throw json.wrong(key, `up to ${MAX_SEQUENCES} lists of token ids`);
  }
  return filled(words);
}

function parseSequenceBias(json: JsonConfig): readonly SequenceBias[] | null {
  const key = "sequence_bias";
  const biases = json.list(key);
  const right = (each: unknown): each is [number[], number] =>
    Array.isArray(each) && each.length === 2 && isIds(each[0]) && typeof each[1] === "number";
  if (biases.length > MAX_SEQUENCES || !biases.every(right)) {
    throw json.wrong(key, `up to ${MAX_SEQUENCES} pairs of token ids and a number`);
  }
  return filled(biases);
}

function parseDecay(json: JsonConfig): readonly [number, number] | null {
  const key = "exponential_decay_length_penalty";
  if (!json.has(key)) return null;
  const [start, factor, more] = json.list(key);
  const right = Number.isSafeInteger(start) && (start as number) >= 0 && typeof factor === "number" && factor > 0;
  if (!right || more !== undefined) throw json.wrong(key, "a number of tokens and a factor above 0");
  return factor === 1 ? null : [start as number, factor as number];
}

function parseWatermark(json: JsonConfig): WatermarkOptions | null {
  if (!hasGreenlist(json)) return null;
  const mark = json.object("watermarking_config");
  const edge = Number.EPSILON;
  return present({
    greenlistRatio: mark.number("greenlist_ratio", { min: edge, max: 1 - edge }, null),
    bias: mark.number("bias", {}, null),
    hashingKey: mark.integer("hashing_key", { max: Number.MAX_SAFE_INTEGER }, null),
    seedingScheme: mark.choice("seeding_scheme", { lefthash: "lefthash", selfhash: "selfhash" } as const, "lefthash"),
    contextWidth: mark.integer("context_width", {}, null),
  });
}

/** Another kind of watermark, SynthID, has other keys. */
function hasGreenlist(json: JsonConfig): boolean {
  return json.has("watermarking_config") && !json.object("watermarking_config").has("ngram_len");
}

function parseStop(json: JsonConfig): readonly string[] | null {
  const key = "stop_strings";
  if (!json.has(key)) return null;
  const texts = [json.value(key)].flat();
  const right = (text: unknown): text is string => typeof text === "string" && text !== "";
  if (texts.length > MAX_SEQUENCES || !texts.every(right)) throw json.wrong(key, "texts that are not empty");
  return filled(texts);
}

/** Keys of what we do not run, where they do something. Speculation and caches change no text, and are not among them. */
function findUnsupported(json: JsonConfig): readonly string[] {
  const found = ["force_words_ids", "constraints", "forced_decoder_ids", "dola_layers"].filter((key) =>
    json.hasEntries(key),
  );
  found.push(...["max_time", "assistant_ensemble_weight"].filter((key) => json.has(key)));
  if (json.number("guidance_scale", {}, 1) !== 1) found.push("guidance_scale");
  if (json.boolean("token_healing", false)) found.push("token_healing");
  // Contrastive search needs both.
  if (json.number("penalty_alpha", {}, 0) > 0 && json.integer("top_k", { min: 0 }, DEFAULT_TOP_K) > 1) {
    found.push("penalty_alpha");
  }
  if (json.has("watermarking_config") && !hasGreenlist(json)) found.push("watermarking_config");
  return found;
}

function unless(off: number | null, value: number | null): number | null {
  return value === off ? null : value;
}

function filled<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list;
}

/** What is not null. */
function present<T extends object>(all: T): { [K in keyof T]?: Exclude<T[K], null> } {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null)) as {
    [K in keyof T]?: Exclude<T[K], null>;
  };
}

/** The check of each option of a generation by itself: its type and its range. */

import { checkInteger, checkOptions } from "@qkv/core";
import type { GenerateOptions } from "./options";

/** More beams than anyone uses; each has a cache of its own. */
export const MAX_BEAMS = 1024;
/** So many sequences are looked at for each token: more than any list of bad words has. */
export const MAX_SEQUENCES = 2 ** 17;

/** Names of all options. */
export type OptionName = keyof GenerateOptions;

/** Throws a TypeError or a RangeError that begins with `name`, for what is no value of this option. */
type Check = (name: string, value: unknown, vocabSize: number) => void;

function wrongType(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(
    `${name}: expected ${expected}, got ${typeof value === "object" ? typeof value : String(value)}`,
  );
}

function integer(min: number, max?: number): Check {
  return (name, value) => {
    checkInteger(name, value as number, min, max);
  };
}

function number(expected: string, holds: (value: number) => boolean): Check {
  return (name, value) => {
    if (typeof value !== "number") throw wrongType(name, expected, value);
    if (!holds(value)) throw new RangeError(`${name}: expected ${expected}, got ${value}`);
  };
}

const boolean: Check = (name, value) => {
  if (typeof value !== "boolean") throw wrongType(name, "true or false", value);
};

const id: Check = (name, value, vocabSize) => {
  checkInteger(name, value as number, 0, vocabSize - 1);
};

const ids: Check = (name, value, vocabSize) => {
  if (!Array.isArray(value)) throw wrongType(name, "an array of token ids", value);
  if (value.length > MAX_SEQUENCES + vocabSize) throw new RangeError(`${name}: ${value.length} are too many ids`);
  for (let i = 0; i < value.length; i++) id(`${name}[${i}]`, value[i], vocabSize);
};

const someIds: Check = (name, value, vocabSize) => {
  ids(name, value, vocabSize);
  if ((value as readonly number[]).length === 0) throw new RangeError(`${name}: expected at least one token id`);
};

/** A list that has something in it, each element of which `check` allows. */
function list(expected: string, check: Check): Check {
  return (name, value, vocabSize) => {
    if (!Array.isArray(value)) throw wrongType(name, expected, value);
    if (value.length > MAX_SEQUENCES) {
      throw new RangeError(`${name}: expected at most ${MAX_SEQUENCES}, got ${value.length}`);
    }
    for (let i = 0; i < value.length; i++) check(`${name}[${i}]`, value[i], vocabSize);
  };
}

const finite = number("a finite number", Number.isFinite);

const bias: Check = (name, value, vocabSize) => {
  if (!Array.isArray(value) || value.length !== 2) throw wrongType(name, "[token ids, bias]", value);
  someIds(`${name}[0]`, value[0], vocabSize);
  if (value[1] !== Number.NEGATIVE_INFINITY) finite(`${name}[1]`, value[1], vocabSize);
};

const decay: Check = (name, value, vocabSize) => {
  if (!Array.isArray(value) || value.length !== 2) throw wrongType(name, "[start, factor]", value);
  checkInteger(`${name}[0]`, value[0], 0);
  positive(`${name}[1]`, value[1], vocabSize);
};

const watermark: Check = (name, value) => {
  if (typeof value !== "object" || value === null) throw wrongType(name, "an options object", value);
  checkOptions(name, value, Object.keys(WATERMARK));
  for (const [key, part] of Object.entries(value)) {
    if (part !== undefined) WATERMARK[key](`${name}.${key}`, part, 0);
  }
};

const callable: Check = (name, value) => {
  if (typeof value !== "function") throw wrongType(name, "a function", value);
};

const texts: Check = (name, value) => {
  if (!Array.isArray(value) || !value.every((text) => typeof text === "string" && text !== "")) {
    throw new TypeError(`${name}: expected an array of non-empty strings`);
  }
};

const signal: Check = (name, value) => {
  if (typeof (value as AbortSignal | null)?.throwIfAborted !== "function") {
    throw new TypeError(`${name}: expected an AbortSignal`);
  }
};

const earlyStopping: Check = (name, value) => {
  if (typeof value !== "boolean" && value !== "never") throw wrongType(name, 'true, false or "never"', value);
};

const positive = number("a number above 0", (x) => x > 0 && x < Number.POSITIVE_INFINITY);
const atLeast0 = number("a number of at least 0", (x) => x >= 0 && x < Number.POSITIVE_INFINITY);
const share = number("a number above 0 and up to 1", (x) => x > 0 && x <= 1);
const cutoff = number("a number from 0 to below 1", (x) => x >= 0 && x < 1);

const WATERMARK: Readonly<Record<string, Check>> = {
  greenlistRatio: number("a number between 0 and 1", (x) => x > 0 && x < 1),
  bias: finite,
  hashingKey: integer(1),
  seedingScheme: (name, value) => {
    if (value !== "lefthash" && value !== "selfhash") {
      throw new RangeError(`${name}: expected "lefthash" or "selfhash", got ${String(value)}`);
    }
  },
  contextWidth: integer(1),
};

const CHECKS: Readonly<Record<OptionName, Check>> = {
  maxNewTokens: integer(0),
  maxLength: integer(1),
  minLength: integer(0),
  minNewTokens: integer(0),
  numBeams: integer(1, MAX_BEAMS),
  numBeamGroups: integer(1, MAX_BEAMS),
  diversityPenalty: atLeast0,
  lengthPenalty: finite,
  earlyStopping,
  numReturnSequences: integer(1, MAX_BEAMS),
  temperature: atLeast0,
  topK: integer(1),
  topP: share,
  minP: number("a number from 0 to 1", (x) => x >= 0 && x <= 1),
  typicalP: share,
  topH: share,
  epsilonCutoff: cutoff,
  etaCutoff: cutoff,
  seed: integer(0),
  repetitionPenalty: positive,
  encoderRepetitionPenalty: positive,
  noRepeatNgramSize: integer(1),
  encoderNoRepeatNgramSize: integer(1),
  badWordsIds: list("an array of arrays of token ids", someIds),
  sequenceBias: list("an array of [token ids, bias]", bias),
  exponentialDecayLengthPenalty: decay,
  suppressTokens: ids,
  beginSuppressTokens: ids,
  forcedBosTokenId: id,
  forcedEosTokenId: (name, value, vocabSize) => (Array.isArray(value) ? someIds : id)(name, value, vocabSize),
  removeInvalidValues: boolean,
  renormalizeLogits: boolean,
  watermark,
  prefixAllowedTokens: callable,
  processors: list("an array of functions", callable),
  decoderStartTokenId: id,
  stopIds: ids,
  stop: texts,
  scores: boolean,
  signal,
};

/** Options that no generation config sets, so that there is nothing for null to turn off. */
const NEVER_NULL: ReadonlySet<OptionName> = new Set<OptionName>([
  "seed",
  "prefixAllowedTokens",
  "processors",
  "decoderStartTokenId",
  "stopIds",
  "scores",
  "signal",
]);

/** Every option's name. */
export const OPTION_NAMES = Object.keys(CHECKS) as readonly OptionName[];

/**
 * Checks the value of one option.
 *
 * @param shownName what the message begins with
 * @throws TypeError for one of the wrong type, RangeError for one that is out of range
 */
export function checkOption(name: OptionName, value: unknown, vocabSize: number, shownName: string = name): void {
  if (value !== null || NEVER_NULL.has(name)) CHECKS[name](shownName, value, vocabSize);
}

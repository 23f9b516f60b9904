/** What `generate` takes, checked and completed before any work. */

import { checkInteger, checkOptions } from "@qkv/core";

/** Options of a generation. All of them work or throw; none is ignored. */
export interface GenerateOptions {
  /** Most new tokens. If left out, until the model ends or its context is full. */
  readonly maxNewTokens?: number;
  /**
   * Divides the logits before sampling. 0 is greedy decoding, the default; when topK, topP or seed is given, the
   * default is 1.
   */
  readonly temperature?: number;
  /** Sample among the k likeliest tokens. */
  readonly topK?: number;
  /** Sample among the fewest tokens whose probabilities sum to at least this, 0 < topP <= 1. */
  readonly topP?: number;
  /** Start of the random numbers, 0 to 2^53 - 1: the same seed gives the same text on every machine. */
  readonly seed?: number;
  /** Never repeat a sequence of so many tokens, the prompt's included. */
  readonly noRepeatNgramSize?: number;
  /** Tokens that end the text; if left out, the model's own end tokens. [] goes on past them. */
  readonly stopIds?: readonly number[];
  /** Strings that end the text; they are not part of it. */
  readonly stop?: readonly string[];
  /** Calls the generation off: the iteration throws the signal's reason. */
  readonly signal?: AbortSignal;
}

const KNOWN: readonly (keyof GenerateOptions)[] = [
  "maxNewTokens",
  "temperature",
  "topK",
  "topP",
  "seed",
  "noRepeatNgramSize",
  "stopIds",
  "stop",
  "signal",
];

/** The options with every default filled in. */
export interface GenerationPlan {
  /** null: until the context is full. */
  readonly maxNewTokens: number | null;
  /** null: greedy. */
  readonly sampling: {
    readonly temperature: number;
    readonly topK: number | null;
    readonly topP: number;
    readonly seed: number;
  } | null;
  readonly noRepeatNgramSize: number | null;
  readonly stopIds: ReadonlySet<number>;
  readonly stop: readonly string[];
  readonly signal: AbortSignal | null;
}

/**
 * @param endIds the model's own end tokens
 * @throws TypeError for an unknown option or a value of the wrong type, RangeError for one that is out of range
 */
export function planGeneration(options: GenerateOptions, endIds: readonly number[], vocabSize: number): GenerationPlan {
  checkOptions("generate", options, KNOWN);
  const { maxNewTokens, noRepeatNgramSize, stopIds = endIds, stop = [], signal } = options;
  if (maxNewTokens !== undefined) checkInteger("maxNewTokens", maxNewTokens, 0);
  if (noRepeatNgramSize !== undefined) checkInteger("noRepeatNgramSize", noRepeatNgramSize, 1);
  if (!Array.isArray(stopIds)) throw new TypeError(`stopIds: expected an array of token ids, got ${String(stopIds)}`);
  stopIds.forEach((id: number, i: number) => {
    checkInteger(`stopIds[${i}]`, id, 0, vocabSize - 1);
  });
  if (!Array.isArray(stop) || !stop.every((text) => typeof text === "string" && text !== "")) {
    throw new TypeError("stop: expected an array of non-empty strings");
  }
  if (signal !== undefined && typeof signal.throwIfAborted !== "function") {
    throw new TypeError("signal: expected an AbortSignal");
  }
  return {
    maxNewTokens: maxNewTokens ?? null,
    sampling: planSampling(options),
    noRepeatNgramSize: noRepeatNgramSize ?? null,
    stopIds: new Set(stopIds),
    stop: [...stop],
    signal: signal ?? null,
  };
}

function planSampling(options: GenerateOptions): GenerationPlan["sampling"] {
  const { topK, topP, seed } = options;
  const given = (["topK", "topP", "seed"] as const).filter((name) => options[name] !== undefined);
  const { temperature = given.length > 0 ? 1 : 0 } = options;
  if (typeof temperature !== "number" || !(temperature >= 0 && temperature < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`temperature: expected a number of at least 0, got ${String(temperature)}`);
  }
  if (topK !== undefined) checkInteger("topK", topK, 1);
  if (topP !== undefined && !(typeof topP === "number" && topP > 0 && topP <= 1)) {
    throw new RangeError(`topP: expected a number above 0 and up to 1, got ${String(topP)}`);
  }
  if (seed !== undefined) checkInteger("seed", seed, 0);
  if (temperature === 0) {
    if (given.length > 0) throw new RangeError(`${given[0]} does nothing at temperature 0: leave one of them out`);
    return null;
  }
  return {
    temperature,
    topK: topK ?? null,
    topP: topP ?? 1,
    seed: seed ?? Math.floor(Math.random() * 2 ** 53),
  };
}

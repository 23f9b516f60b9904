/** Span corruption, what T5 is trained on (Raffel et al. 2020, section 3.1.4): a text with gaps, and what fills them. */

import { checkOptions } from "@qkv/core";
import { seededRandom } from "../../generate/random";
import { checkedIds } from "../../ids";
import type { GenerationTaskHost } from "./host";
import { type Sentinels, sentinelsOf } from "./sentinels";

/** Options of `Seq2Seq.corruptSpans`. */
export interface CorruptSpansOptions {
  /** Share of the tokens that is taken out, between 0 and 1. 0.15 if left out. */
  readonly density?: number;
  /** Mean length of a gap in tokens, at least 1. 3 if left out. */
  readonly meanSpanLength?: number;
  /** Start of the random numbers, 0 to 2^53 - 1. By chance if left out; the result has it. */
  readonly seed?: number;
}

/** A text in two halves. */
export interface CorruptedSpans {
  /** What is left, with a sentinel for each gap, and the end token. */
  readonly inputIds: readonly number[];
  /** What was taken out, each span behind its sentinel, and the end token. */
  readonly targetIds: readonly number[];
  /** `inputIds` as a text, without the end token. */
  readonly input: string;
  /** `targetIds` as a text, without the end token. */
  readonly target: string;
  readonly seed: number;
}

const CALL = "corruptSpans";
const DEFAULT_DENSITY = 0.15;
const DEFAULT_MEAN_SPAN_LENGTH = 3;
/** More tokens than any context has. */
const MAX_TOKENS = 2 ** 22;

/** See `Seq2Seq.corruptSpans`. */
export function corruptSpans(
  host: GenerationTaskHost,
  given: string | ArrayLike<number>,
  options: CorruptSpansOptions,
): CorruptedSpans {
  checkOptions(CALL, options, ["density", "meanSpanLength", "seed"]);
  const { density = DEFAULT_DENSITY, meanSpanLength = DEFAULT_MEAN_SPAN_LENGTH } = options;
  checkNoise(density, meanSpanLength);
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 53);
  const random = seededRandom(seed);
  const tokenizer = host.tokenizer(CALL);
  const sentinels = sentinelsOf(CALL, tokenizer);
  const name = typeof given === "string" ? "text" : "ids";
  const ends = tokenizer.encode("").ids;
  const ids =
    typeof given === "string"
      ? [...tokenizer.encode(given, { addSpecialTokens: false }).ids]
      : withoutEnd(checkedIds(name, given, tokenizer.vocabSize, checkLength), ends);
  checkLength(ids.length);
  const own = ids.find((id) => sentinels.numbers.has(id));
  if (own !== undefined)
    throw new RangeError(`${name}: has ${tokenizer.idToToken(own)} already, which is to mark gaps`);

  const mask = randomSpansMask(ids.length, density, meanSpanLength, random);
  const input = withSentinels(ids, mask, sentinels);
  const target = withSentinels(
    ids,
    mask.map((isNoise) => !isNoise),
    sentinels,
  );
  const textOf = (half: readonly number[]) => tokenizer.decode(half, { skipSpecialTokens: false });
  return {
    inputIds: [...input, ...ends],
    targetIds: [...target, ...ends],
    input: textOf(input),
    target: textOf(target),
    seed,
  };
}

function checkNoise(density: number, meanSpanLength: number): void {
  if (!(typeof density === "number" && density > 0 && density < 1))
    throw new RangeError(`density: expected a number between 0 and 1, got ${String(density)}`);
  if (!(typeof meanSpanLength === "number" && meanSpanLength >= 1 && meanSpanLength < Number.POSITIVE_INFINITY))
    throw new RangeError(`meanSpanLength: expected a number from 1, got ${String(meanSpanLength)}`);
}

function checkLength(length: number): void {
  if (length >= 2 && length <= MAX_TOKENS) return;
  throw new RangeError(`${CALL}: expected 2 to ${MAX_TOKENS} tokens, of which one stays and one goes; got ${length}`);
}

/** Ids of an encoded text have the end token, which is no part of the text. */
function withoutEnd(ids: readonly number[], ends: readonly number[]): number[] {
  const isEnded = ends.length > 0 && ends.length < ids.length && ends.every((id, i) => ids.at(i - ends.length) === id);
  return ids.slice(0, isEnded ? ids.length - ends.length : ids.length);
}

/**
 * Which tokens are taken out: T5's `random_spans_noise_mask`. Their number and that of the spans are fixed by the length;
 * how both kinds of token are divided into spans is random, each division as likely as any other. The first span stays,
 * the last one goes.
 *
 * @param length at least 2
 * @param random gives numbers in [0, 1)
 * @returns true for those that go
 * @example
 * randomSpansMask(100, 0.15, 3, seededRandom(7)).filter((isNoise) => isNoise).length; // 15
 */
export function randomSpansMask(
  length: number,
  density: number,
  meanSpanLength: number,
  random: () => number,
): boolean[] {
  const noise = Math.min(Math.max(roundHalfEven(length * density), 1), length - 1);
  // A span has at least one token, and so has what stands between two.
  const spans = Math.min(Math.max(roundHalfEven(noise / meanSpanLength), 1), noise, length - noise);
  const gone = randomSegments(noise, spans, random);
  const stays = randomSegments(length - noise, spans, random);
  return stays.flatMap((count, i) => [
    ...new Array<boolean>(count).fill(false),
    ...new Array<boolean>(gone[i]).fill(true),
  ]);
}

/** As Python and TensorFlow round. */
function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

/** So many items in segments of at least one: the cuts are shuffled among the places between two items. */
function randomSegments(items: number, segments: number, random: () => number): number[] {
  const isCut = Array.from({ length: items - 1 }, (_, i) => i < segments - 1);
  for (let i = isCut.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [isCut[i], isCut[j]] = [isCut[j], isCut[i]];
  }
  const lengths = [1];
  for (const cut of isCut) {
    if (cut) lengths.push(1);
    else lengths[lengths.length - 1]++;
  }
  return lengths;
}

/** The ids with each run of those in the mask replaced by a sentinel, counted from 0. */
function withSentinels(ids: readonly number[], mask: readonly boolean[], sentinels: Sentinels): number[] {
  let spans = 0;
  return ids.flatMap((id, i) => {
    if (!mask[i]) return [id];
    if (i > 0 && mask[i - 1]) return [];
    if (spans === sentinels.ids.length) {
      throw new RangeError(
        `${CALL}: the text has more gaps than the vocabulary's ${spans} sentinels: take a shorter text, or a longer meanSpanLength`,
      );
    }
    return [sentinels.ids[spans++]];
  });
}

/** When a text may end, and with what it begins and ends. Lengths count all ids, the prompt's included. */

import type { LogitsProcessor } from "../search";
import { forbid } from "./bias";

/** No end token while there are fewer ids than this. */
export function minLength(length: number, endIds: readonly number[]): LogitsProcessor {
  return (scores, ids) => {
    if (ids.length < length) forbid(scores, endIds);
  };
}

/** No end token while there are fewer new ids than this. @param promptLength ids before the first new one */
export function minNewTokens(count: number, promptLength: number, endIds: readonly number[]): LogitsProcessor {
  return minLength(promptLength + count, endIds);
}

/** The token after the first. */
export function forcedBos(id: number): LogitsProcessor {
  return (scores, ids) => {
    if (ids.length === 1) force(scores, [id]);
  };
}

/** The token, or those of which one must be, last where the length runs out. @param maxLength most ids */
export function forcedEos(ids: readonly number[], maxLength: number): LogitsProcessor {
  return (scores, soFar) => {
    if (soFar.length === maxLength - 1) force(scores, ids);
  };
}

/**
 * Makes the end likelier with each token past `start` new ones: end tokens gain |score| * (factor^n - 1).
 *
 * @param promptLength ids before the first new one
 */
export function exponentialDecayLengthPenalty(
  [start, factor]: readonly [start: number, factor: number],
  promptLength: number,
  endIds: readonly number[],
): LogitsProcessor {
  return (scores, ids) => {
    const past = ids.length - promptLength - start;
    if (past <= 0) return;
    // Stays below Infinity, which times a score of 0 would be NaN.
    const gain = Math.min(integerPower(factor, past), Number.MAX_VALUE) - 1;
    for (const id of endIds) {
      if (Number.isFinite(scores[id])) scores[id] += Math.abs(scores[id]) * gain;
    }
  };
}

/** Leaves no choice but these, in place. */
function force(scores: Float32Array, ids: readonly number[]): void {
  scores.fill(Number.NEGATIVE_INFINITY);
  for (const id of ids) scores[id] = 0;
}

/** By squaring: multiplications alone, which are the same everywhere. @param exponent at least 1 */
function integerPower(base: number, exponent: number): number {
  let result = 1;
  let square = base;
  for (let left = exponent; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result *= square;
    square *= square;
  }
  return result;
}

/** Against saying the same again: penalties on tokens that were seen, and n-grams that are not repeated. */

import type { LogitsProcessor } from "../search";

/**
 * Divides the scores of the ids by the penalty where they are positive and multiplies them where they are negative, in
 * place, each id once (Keskar et al. 2019).
 *
 * @param penalty above 0; above 1 makes them less likely
 */
export function penalizeRepetition(scores: Float32Array, ids: Iterable<number>, penalty: number): void {
  for (const id of new Set(ids)) {
    if (id >= scores.length) continue; // a prompt may have ids that no score belongs to
    scores[id] = scores[id] < 0 ? scores[id] * penalty : scores[id] / penalty;
  }
}

/**
 * Penalizes the tokens so far.
 *
 * @param promptIgnoreLength so many of the first ids do not count
 */
export function repetitionPenalty(penalty: number, promptIgnoreLength = 0): LogitsProcessor {
  return (scores, ids) =>
    penalizeRepetition(scores, promptIgnoreLength === 0 ? ids : ids.slice(promptIgnoreLength), penalty);
}

/** Favours the tokens of the encoder's input, by a penalty above 1: the less likely are then those that are made up. */
export function encoderRepetitionPenalty(penalty: number, encoderIds: readonly number[]): LogitsProcessor {
  const seen = new Set(encoderIds);
  return (scores) => penalizeRepetition(scores, seen, 1 / penalty);
}

/** Forbids the tokens that would repeat an n-gram of `ids`, in place. @param size n, at least 1 */
export function forbidRepeatedNgrams(scores: Float32Array, ids: readonly number[], size: number): void {
  forbidNgramsOf(scores, ids, ids, size);
}

/** Forbids the tokens that would make the last of `ids` an n-gram of `source`, in place. @param size n, at least 1 */
export function forbidNgramsOf(
  scores: Float32Array,
  source: readonly number[],
  ids: readonly number[],
  size: number,
): void {
  const underWay = ids.length - size + 1; // where the n-gram under way starts
  if (underWay < 0) return;
  for (let start = 0; start + size <= source.length; start++) {
    let same = true;
    for (let i = 0; i < size - 1 && same; i++) same = source[start + i] === ids[underWay + i];
    if (same) scores[source[start + size - 1]] = Number.NEGATIVE_INFINITY;
  }
}

/** Never repeats n tokens of the text. @param size n, at least 1 */
export function noRepeatNgram(size: number): LogitsProcessor {
  return (scores, ids) => forbidRepeatedNgrams(scores, ids, size);
}

/** Never repeats n tokens of the encoder's input. @param size n, at least 1 */
export function encoderNoRepeatNgram(size: number, encoderIds: readonly number[]): LogitsProcessor {
  return (scores, ids) => forbidNgramsOf(scores, encoderIds, ids, size);
}

/**
 * Takes `penalty` from the score of a token for each time that an earlier group of beams chose it at this step, in place
 * (Vijayakumar et al. 2018): what keeps groups of beams apart.
 *
 * @param chosen the last id of every beam of the groups before
 */
export function penalizeChosen(scores: Float32Array, chosen: readonly number[], penalty: number): void {
  const times = new Map<number, number>();
  for (const id of chosen) times.set(id, (times.get(id) ?? 0) + 1);
  for (const [id, count] of times) scores[id] -= penalty * count;
}

/** What several processors ask of a row of scores [V]: its largest, its probabilities, their entropy. */

import { exp, log } from "@qkv/core";

/**
 * Index of the largest logit; of the first, if several are.
 *
 * @throws RangeError if one is NaN, or all are -Infinity
 */
export function argmax(logits: ArrayLike<number>): number {
  let best = -1;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i];
    if (Number.isNaN(value)) throw new RangeError(`no token can be chosen: the logit of id ${i} is NaN`);
    if (value > max) {
      max = value;
      best = i;
    }
  }
  if (best < 0) throw new RangeError("no token can be chosen: every logit is -Infinity");
  return best;
}

/** Moves all logits so that the largest is 0, in place. Changes no probability, and no temperature can overflow then. */
export function subtractMax(logits: Float32Array): void {
  const max = logits[argmax(logits)];
  // Infinity - Infinity is NaN where the limit is 0
  for (let i = 0; i < logits.length; i++) logits[i] = logits[i] === max ? 0 : logits[i] - max;
}

let probabilities = new Float64Array(0);

/**
 * Softmax in double precision. The result is overwritten by the next call: a token has no need of its own.
 *
 * @throws as `argmax`
 */
export function softmax64(logits: Float32Array): Float64Array {
  const max = logits[argmax(logits)];
  let sum = 0;
  if (probabilities.length !== logits.length) probabilities = new Float64Array(logits.length);
  const out = probabilities;
  for (let i = 0; i < logits.length; i++) {
    out[i] = logits[i] === max ? 1 : exp(logits[i] - max); // also where max is Infinity
    sum += out[i];
  }
  for (let i = 0; i < out.length; i++) out[i] = out[i] / sum;
  return out;
}

/**
 * Makes the scores log-probabilities, in place: transformers' `LogitNormalization`. A row that is -Infinity all over, in
 * which a beam has nothing to choose, stays so.
 */
export function normalizeLogits(scores: Float32Array): void {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < scores.length; i++) if (scores[i] > max) max = scores[i];
  if (max === Number.NEGATIVE_INFINITY) return;
  let sum = 0;
  for (let i = 0; i < scores.length; i++) sum += scores[i] === max ? 1 : exp(scores[i] - max);
  const logSum = log(sum);
  for (let i = 0; i < scores.length; i++) scores[i] = (scores[i] === max ? 0 : scores[i] - max) - logSum;
}

/** Scores that are NaN become 0, and infinite ones the largest of f32, in place. */
export function removeInvalidValues(scores: Float32Array): void {
  for (let i = 0; i < scores.length; i++) {
    const value = scores[i];
    if (Number.isNaN(value)) scores[i] = 0;
    else if (value > MAX_F32) scores[i] = MAX_F32;
    else if (value < -MAX_F32) scores[i] = -MAX_F32;
  }
}

const MAX_F32 = 3.4028234663852886e38;

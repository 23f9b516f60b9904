/**
 * Choosing the next token: pure functions on a row of logits [V]. A filtered token has -Infinity.
 *
 * They compute what Hugging Face's logits processors of the same names do, and are tested against them. Only exp and
 * the five operations that IEEE 754 fixes are used, so that a seed gives the same text on every machine.
 */

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

/** Divides by the temperature, in place. @param temperature more than 0 */
export function applyTemperature(logits: Float32Array, temperature: number): void {
  for (let i = 0; i < logits.length; i++) logits[i] = logits[i] / temperature;
}

/** Keeps the k largest and those that equal the k-th, in place. @param k at least 1 */
export function keepTopK(logits: Float32Array, k: number): void {
  if (k >= logits.length) return;
  const threshold = logits.slice().sort()[logits.length - k]; // numeric order, NaN last
  for (let i = 0; i < logits.length; i++) if (!(logits[i] >= threshold)) logits[i] = Number.NEGATIVE_INFINITY;
}

/**
 * Keeps the fewest tokens whose probabilities sum to at least p, one at least, in place (Holtzman et al. 2020).
 * Among equals the later id goes first.
 *
 * @param p from 0 to 1
 */
export function keepTopP(logits: Float32Array, p: number): void {
  if (p >= 1) return;
  const probabilities = softmax64(logits);
  const order = Array.from(logits.keys()).sort((a, b) => logits[a] - logits[b] || b - a);
  let removed = 0;
  for (const id of order.slice(0, -1)) {
    removed += probabilities[id];
    if (removed > 1 - p) return;
    logits[id] = Number.NEGATIVE_INFINITY;
  }
}

/** Forbids the tokens that would repeat an n-gram of `ids`, in place. @param size n, at least 1 */
export function forbidRepeatedNgrams(logits: Float32Array, ids: readonly number[], size: number): void {
  const last = ids.length - size + 1; // where the n-gram under way starts
  for (let start = 0; start < last; start++) {
    let same = true;
    for (let i = 0; i < size - 1 && same; i++) same = ids[start + i] === ids[last + i];
    if (same) logits[ids[start + size - 1]] = Number.NEGATIVE_INFINITY;
  }
}

/** Draws a token by its probability. @param random gives numbers in [0, 1), see `seededRandom` */
export function sample(logits: Float32Array, random: () => number): number {
  const probabilities = softmax64(logits);
  let left = random();
  let chosen = -1;
  for (let i = 0; i < probabilities.length; i++) {
    const p = probabilities[i];
    if (p === 0) continue;
    chosen = i;
    left -= p;
    if (left < 0) break;
  }
  return chosen;
}

/** -ln of the probability that the logits give to a token: its cross entropy, in nats. */
export function crossEntropy(logits: ArrayLike<number>, target: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) max = Math.max(max, logits[i]);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += exp(logits[i] - max);
  return log(sum) + max - logits[target];
}

let probabilities = new Float64Array(0);

/** Softmax in double precision. The result is overwritten by the next call: a token has no need of its own. */
function softmax64(logits: Float32Array): Float64Array {
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

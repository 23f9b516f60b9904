/** Logits to probabilities, in double precision with our own exponential: the same bits on every engine. */

import { exp } from "@qkv/core";

/**
 * e^x / Σ e^x, shifted by the largest so that nothing overflows.
 *
 * @example
 * softmax([0, 0]); // [0.5, 0.5]
 */
export function softmax(logits: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(logits);
  const top = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    values[i] = exp(values[i] - top);
    sum += values[i];
  }
  for (let i = 0; i < values.length; i++) values[i] /= sum;
  return values;
}

/** 1 / (1 + e^-x) */
export function sigmoid(x: number): number {
  return 1 / (1 + exp(-x));
}

/** Index of the largest value, the first of equals. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** Indices of the `k` largest values, the largest first, of equals the first, NaN last. O(n log n) for any k. */
export function largest(values: Float32Array | Float64Array, k: number): number[] {
  const count = Math.min(k, values.length);
  if (count === 0) return [];
  const ranks = values.map((value) => (Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value));
  const least = ranks.slice().sort()[ranks.length - count];
  const found: number[] = [];
  for (let i = 0; i < ranks.length; i++) if (ranks[i] >= least) found.push(i);
  const isNone = (i: number) => Number(Number.isNaN(values[i]));
  const order = (a: number, b: number) =>
    ranks[a] === ranks[b] ? isNone(a) - isNone(b) || a - b : ranks[b] - ranks[a];
  return found.sort(order).slice(0, count);
}

/**
 * Keeping the tokens that sampling may draw: pure functions on a row of scores [V], in place. They keep what the
 * processors of the same names in transformers keep; what is dropped becomes `filterValue`.
 */

import { exp, log } from "@qkv/core";
import { kthLargest, largest } from "./select";
import { argmax, softmax64 } from "./softmax";

/** What all that keep a part have in common. */
export interface KeepOptions {
  /** So many of the likeliest are kept in any case. 1 if left out. */
  readonly minTokensToKeep?: number;
  /** The score of what is dropped. -Infinity if left out. */
  readonly filterValue?: number;
}

/** Divides by the temperature, in place. @param temperature more than 0 */
export function applyTemperature(logits: Float32Array, temperature: number): void {
  for (let i = 0; i < logits.length; i++) logits[i] = logits[i] / temperature;
}

/** Keeps the k largest and those that equal the k-th, in place. @param k at least 1 */
export function keepTopK(logits: Float32Array, k: number, options: KeepOptions = {}): void {
  const { minTokensToKeep = 1, filterValue = Number.NEGATIVE_INFINITY } = options;
  const count = Math.max(k, minTokensToKeep);
  if (count >= logits.length) return;
  const bound = kthLargest(logits, count);
  for (let i = 0; i < logits.length; i++) if (logits[i] < bound) logits[i] = filterValue;
}

/**
 * Keeps the fewest tokens whose probabilities sum to at least p, one at least, in place (Holtzman et al. 2020).
 * Among equals the lower id goes first, as where torch sorts.
 *
 * @param p from 0 to 1
 */
export function keepTopP(logits: Float32Array, p: number, options: KeepOptions = {}): void {
  if (p >= 1) return;
  const { minTokensToKeep = 1, filterValue = Number.NEGATIVE_INFINITY } = options;
  const probabilities = softmax64(logits);
  // What is far below the likeliest goes without being sorted, as long as it goes in any case.
  let bound = probabilities[argmax(logits)];
  let removed: number;
  let left: number;
  do {
    bound = bound > 1e-12 ? bound / 64 : 0;
    removed = 0;
    left = 0;
    for (let i = 0; i < probabilities.length; i++) {
      if (probabilities[i] < bound) removed += probabilities[i];
      else left++;
    }
  } while (bound > 0 && (removed > 1 - p || left < minTokensToKeep));
  const order: number[] = [];
  for (let i = 0; i < logits.length; i++) {
    if (probabilities[i] < bound) logits[i] = filterValue;
    else order.push(i);
  }
  order.sort((a, b) => (logits[a] === logits[b] ? a - b : logits[a] - logits[b]));
  for (const id of order.slice(0, Math.max(0, order.length - minTokensToKeep))) {
    removed += probabilities[id];
    if (removed > 1 - p) return;
    logits[id] = filterValue;
  }
}

/** Keeps the tokens of at least p times the probability of the likeliest, in place. @param p from 0 to 1 */
export function keepMinP(logits: Float32Array, p: number, options: KeepOptions = {}): void {
  const { minTokensToKeep = 1, filterValue = Number.NEGATIVE_INFINITY } = options;
  const bound = logits[argmax(logits)] + log(p);
  const kept = new Set(minTokensToKeep === 1 ? [] : largest(logits, minTokensToKeep));
  for (let i = 0; i < logits.length; i++) if (logits[i] < bound && !kept.has(i)) logits[i] = filterValue;
}

/** Of so many of the likeliest tokens the entropy is shared out, as in the reference. */
const TOP_H_TOKENS = 100;

/**
 * Keeps the likeliest tokens that hold together up to a share of the entropy of the 100 likeliest, and the likeliest in
 * any case, in place (Potraghloo et al. 2025).
 *
 * @param h above 0, up to 1
 */
export function keepTopH(logits: Float32Array, h: number, { filterValue = Number.NEGATIVE_INFINITY } = {}): void {
  argmax(logits);
  const ids = largest(logits, TOP_H_TOKENS);
  const top = Float32Array.from(ids, (id) => logits[id]);
  const probabilities = softmax64(top);
  let entropy = 0;
  const upTo = Array.from(probabilities, (p) => {
    if (p > 0) entropy -= p * log(p);
    return entropy;
  });
  logits.fill(filterValue);
  for (let i = 0; i < ids.length; i++) {
    if (i > 0 && !(upTo[i] <= entropy * h && probabilities[i] > 0)) return;
    logits[ids[i]] = top[i];
  }
}

/**
 * Keeps the fewest tokens whose information is closest to the expected one and whose probabilities sum to at least
 * `mass`, in place (Meister et al. 2022).
 *
 * @param mass above 0, up to 1
 */
export function keepTypical(logits: Float32Array, mass: number, options: KeepOptions = {}): void {
  if (mass >= 1) return;
  const { minTokensToKeep = 1, filterValue = Number.NEGATIVE_INFINITY } = options;
  const probabilities = softmax64(logits);
  const entropy = entropyOf(probabilities);
  const distances = distancesTo(entropy, probabilities);
  // Only what is near enough to matter is sorted.
  let reach = 0.25;
  let order: number[];
  let sum: number;
  do {
    reach = reach < 1000 ? 2 * reach : Number.POSITIVE_INFINITY;
    order = [];
    sum = 0;
    for (let i = 0; i < distances.length; i++) {
      if (!(distances[i] <= reach)) continue;
      order.push(i);
      sum += probabilities[i];
    }
  } while (reach < Number.POSITIVE_INFINITY && (sum < mass || order.length < minTokensToKeep));
  order.sort((a, b) => (distances[a] === distances[b] ? a - b : distances[a] - distances[b]));
  let last = 0;
  for (sum = probabilities[order[0]]; sum < mass && last < order.length - 1; last++)
    sum += probabilities[order[last + 1]];
  const bound = distances[order[last]];
  const kept = new Set(order.slice(0, minTokensToKeep));
  for (let i = 0; i < logits.length; i++) if (distances[i] > bound && !kept.has(i)) logits[i] = filterValue;
}

/** Keeps the tokens of at least this probability, in place (Hewitt et al. 2022). @param epsilon between 0 and 1 */
export function keepEpsilon(logits: Float32Array, epsilon: number, options: KeepOptions = {}): void {
  keepAtLeast(logits, softmax64(logits), epsilon, options);
}

/**
 * Keeps the tokens of at least the probability epsilon, or of sqrt(epsilon) e^-entropy where that is less, in place
 * (Hewitt et al. 2022).
 *
 * @param epsilon between 0 and 1
 */
export function keepEta(logits: Float32Array, epsilon: number, options: KeepOptions = {}): void {
  const probabilities = softmax64(logits);
  const eta = Math.min(epsilon, Math.sqrt(epsilon) * exp(-entropyOf(probabilities)));
  keepAtLeast(logits, probabilities, eta, options);
}

function keepAtLeast(logits: Float32Array, probabilities: Float64Array, bound: number, options: KeepOptions): void {
  const { minTokensToKeep = 1, filterValue = Number.NEGATIVE_INFINITY } = options;
  const kept = kthLargest(logits, Math.min(minTokensToKeep, logits.length));
  for (let i = 0; i < logits.length; i++) {
    if (probabilities[i] < bound && logits[i] < kept) logits[i] = filterValue;
  }
}

/** In nats. */
function entropyOf(probabilities: Float64Array): number {
  let entropy = 0;
  for (let i = 0; i < probabilities.length; i++) {
    if (probabilities[i] > 0) entropy -= probabilities[i] * log(probabilities[i]);
  }
  return entropy;
}

let distances = new Float64Array(0);

/** |-ln p - entropy| of each token. Overwritten by the next call. */
function distancesTo(entropy: number, probabilities: Float64Array): Float64Array {
  if (distances.length !== probabilities.length) distances = new Float64Array(probabilities.length);
  for (let i = 0; i < probabilities.length; i++) distances[i] = Math.abs(-log(probabilities[i]) - entropy);
  return distances;
}

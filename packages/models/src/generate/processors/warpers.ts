/**
 * Keeping the tokens that sampling may draw: pure functions on a row of scores [V], in place. They keep what the
 * processors of the same names in transformers keep; what is dropped becomes `filterValue`.
 */

import { exp, log } from "@qkv/core";
import { ascending, kthLargest, largest } from "./select";
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
  let rest: Int32Array = new Int32Array(left);
  for (let i = 0, place = 0; i < logits.length; i++) {
    if (probabilities[i] < bound) logits[i] = filterValue;
    else rest[place++] = i;
  }
  rest = ascending(logits, rest);
  for (let i = 0; i < left - minTokensToKeep; i++) {
    removed += probabilities[rest[i]];
    if (removed > 1 - p) return;
    logits[rest[i]] = filterValue;
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
  const logs = logProbabilities(logits, probabilities);
  const entropy = entropyOf(probabilities, logs);
  const distances = logs; // in place: how far from the expected information
  for (let i = 0; i < logs.length; i++) distances[i] = Math.abs(-logs[i] - entropy);

  // Only what is near enough to matter is sorted.
  let reach = 0.25;
  let count: number;
  let sum: number;
  do {
    reach = reach < 1000 ? 2 * reach : Number.POSITIVE_INFINITY;
    count = 0;
    sum = 0;
    for (let i = 0; i < distances.length; i++) {
      if (distances[i] > reach) continue;
      count++;
      sum += probabilities[i];
    }
  } while (reach < Number.POSITIVE_INFINITY && (sum < mass || count < minTokensToKeep));
  let near: Int32Array = new Int32Array(count);
  for (let i = 0, place = 0; i < distances.length; i++) if (distances[i] <= reach) near[place++] = i;
  near = ascending(distances, near);
  let last = 0;
  for (sum = probabilities[near[0]]; sum < mass && last < count - 1; sum += probabilities[near[last]]) last++;
  const bound = distances[near[last]];
  const kept = new Set(near.subarray(0, minTokensToKeep));
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
  const entropy = entropyOf(probabilities, logProbabilities(logits, probabilities));
  const eta = Math.min(epsilon, Math.sqrt(epsilon) * exp(-entropy));
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
function entropyOf(probabilities: Float64Array, logs: Float32Array): number {
  let entropy = 0;
  for (let i = 0; i < probabilities.length; i++) {
    if (probabilities[i] > 0) entropy -= probabilities[i] * logs[i];
  }
  return entropy;
}

let logs = new Float32Array(0);

/** ln of each probability, from the logits: without a logarithm for each. Overwritten by the next call. */
function logProbabilities(logits: Float32Array, probabilities: Float64Array): Float32Array {
  if (logs.length !== logits.length) logs = new Float32Array(logits.length);
  const best = argmax(logits);
  const max = logits[best];
  const logOfMax = log(probabilities[best]);
  for (let i = 0; i < logits.length; i++) logs[i] = (logits[i] === max ? 0 : logits[i] - max) + logOfMax;
  return logs;
}

/**
 * Choosing the next token: pure functions on a row of logits [V]. A filtered token has -Infinity.
 *
 * They compute what Hugging Face's logits processors of the same names do, and are tested against them. Only exp and
 * the five operations that IEEE 754 fixes are used, so that a seed gives the same text on every machine.
 */

import { exp, log } from "@qkv/core";
import { softmax64 } from "./processors/softmax";

export { forbidRepeatedNgrams } from "./processors/repetition";
export { argmax, subtractMax } from "./processors/softmax";
export { applyTemperature, keepTopK, keepTopP } from "./processors/warpers";

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

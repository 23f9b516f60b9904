/** The scores of a beam search's candidates: log-softmax over rows [V], and the best of many without sorting them. */

import { exp, log } from "@qkv/core";

// e^-x for x >= 0 is e^(-k ln(2)/32) e^r with |r| <= ln(2)/64, where four terms of the series err by 6e-10 at most.
const PER_OCTAVE = 32;
const STEP = Math.LN2 / PER_OCTAVE;
const LAST = 47 * PER_OCTAVE; // beyond 2^-47 a term is left out: a vocabulary of 2^20 loses less than 1e-8 of its sum
const POWERS = Float64Array.from({ length: LAST + 1 }, (_, k) => exp(-k * STEP));

/**
 * Turns logits [V] into the logarithms of their softmax, in place. It errs by less than 1e-8 before rounding to f32,
 * and is several times faster than calling `exp` for each logit. Among Infinities the probability is shared evenly. A
 * row of -Infinity alone stays as it is: it has no softmax, and no token of it can be chosen.
 *
 * @throws RangeError if one is NaN
 */
export function logSoftmax(logits: Float32Array): void {
  let max = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) {
    const value = logits[id];
    if (value <= max) continue;
    if (Number.isNaN(value)) throw new RangeError(`no token can be chosen: the logit of id ${id} is NaN`);
    max = value;
  }
  if (max === Number.NEGATIVE_INFINITY) return;
  if (max === Number.POSITIVE_INFINITY) {
    shareEvenly(logits);
    return;
  }
  let sum = 0;
  for (let id = 0; id < logits.length; id++) {
    const below = max - logits[id];
    if (below > LAST * STEP) continue;
    const k = (below * (1 / STEP) + 0.5) | 0;
    const r = k * STEP - below;
    sum += POWERS[k] * (1 + r * (1 + r * (1 / 2 + r / 6)));
  }
  const logSum = log(sum);
  for (let id = 0; id < logits.length; id++) logits[id] = logits[id] - max - logSum;
}

/** The limit of a log-softmax as the infinite logits grow. */
function shareEvenly(logits: Float32Array): void {
  const infinite = logits.reduce((count, logit) => (logit === Number.POSITIVE_INFINITY ? count + 1 : count), 0);
  for (let id = 0; id < logits.length; id++) {
    logits[id] = logits[id] === Number.POSITIVE_INFINITY ? -log(infinite) : Number.NEGATIVE_INFINITY;
  }
}

/** The best of what is offered, best first; of equal scores the one offered first. */
export class Ranking<T extends { readonly score: number }> {
  readonly #size: number;
  readonly #items: T[] = [];

  /** @param size how many it keeps, at least 1 */
  constructor(size: number) {
    this.#size = size;
  }

  get items(): readonly T[] {
    return this.#items;
  }

  get full(): boolean {
    return this.#items.length === this.#size;
  }

  /** The worst score that is kept; -Infinity while there is room. Only what is above it is taken. */
  get worst(): number {
    return this.full ? this.#items[this.#size - 1].score : Number.NEGATIVE_INFINITY;
  }

  offer(item: T): void {
    if (!(item.score > this.worst)) return;
    let at = this.#items.length;
    while (at > 0 && this.#items[at - 1].score < item.score) at--;
    this.#items.splice(at, 0, item);
    if (this.#items.length > this.#size) this.#items.pop();
  }
}

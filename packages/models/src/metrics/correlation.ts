/** Correlation of two series: Pearson's, and Spearman's, by which sentence similarity is judged. */

import { shown } from "../errors";
import { checkArrayLike } from "./check";

/**
 * Pearson's correlation: how linearly y goes with x, from -1 to 1. Summed in double precision. NaN where a series is
 * constant (also one of less than two numbers), or has a NaN or an infinity.
 *
 * @throws RangeError if the series are not of one length; TypeError for what is no array of numbers
 * @example
 * pearson([1, 2, 3], [2, 4, 6.5]); // 0.9979
 */
export function pearson(x: ArrayLike<number>, y: ArrayLike<number>): number {
  checkSeries("pearson", x, y);
  if (x.length === 0) return Number.NaN;
  const a = unitDeviations(x);
  const b = unitDeviations(y);
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  // Rounding may lead beyond by an ulp or two.
  return Math.max(-1, Math.min(1, sum));
}

/**
 * Spearman's rank correlation: how monotonically y goes with x, from -1 to 1; Pearson's of the ranks, where equals share
 * the mean of theirs. NaN where a series is constant (also one of less than two numbers), or has a NaN.
 *
 * @throws RangeError if the series are not of one length; TypeError for what is no array of numbers
 * @example
 * spearman([0.1, 0.7, 0.9], [1, 4, 5]); // 1: the same order
 */
export function spearman(x: ArrayLike<number>, y: ArrayLike<number>): number {
  checkSeries("spearman", x, y);
  return pearson(ranks(x), ranks(y));
}

function checkSeries(where: string, x: ArrayLike<number>, y: ArrayLike<number>): void {
  checkNumbers(`${where}: x`, x);
  checkNumbers(`${where}: y`, y);
  if (x.length !== y.length) {
    throw new RangeError(`${where}: expected two series of one length, got ${x.length} and ${y.length} numbers`);
  }
}

function checkNumbers(name: string, series: ArrayLike<number>): void {
  checkArrayLike(name, series);
  for (let i = 0; i < series.length; i++) {
    // Without this, "3" would be the number 3, and null 0.
    if (typeof series[i] !== "number") throw new TypeError(`${name}[${i}]: expected a number, got ${shown(series[i])}`);
  }
}

/** Deviations from the mean, scaled to a length of 1; NaN for a constant. */
function unitDeviations(x: ArrayLike<number>): Float64Array {
  const out = Float64Array.from(x);
  // Scaled before anything is squared or added, so that large numbers do not overflow nor small ones vanish, and that a
  // constant is 1 or -1, whose mean is exact: its deviations are 0, and not noise.
  scale(out);
  let sum = 0;
  for (const value of out) sum += value;
  const mean = sum / out.length;
  for (let i = 0; i < out.length; i++) out[i] -= mean;
  scale(out);
  let squares = 0;
  for (const value of out) squares += value * value;
  const norm = Math.sqrt(squares);
  for (let i = 0; i < out.length; i++) out[i] /= norm;
  return out;
}

/** Divides by the largest of its magnitudes. */
function scale(x: Float64Array): void {
  let largest = 0;
  for (const value of x) largest = Math.max(largest, Math.abs(value));
  for (let i = 0; i < x.length; i++) x[i] /= largest;
}

/** Ranks from 1 on, ties with the mean of theirs; NaN everywhere if there is one. */
function ranks(x: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(x);
  const out = new Float64Array(values.length);
  if (values.some(Number.isNaN)) return out.fill(Number.NaN);
  const order = Array.from(values.keys()).sort((i, j) => (values[i] < values[j] ? -1 : values[i] > values[j] ? 1 : 0));
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to]] === values[order[from]]) to++;
    for (let k = from; k < to; k++) out[order[k]] = (from + 1 + to) / 2;
    from = to;
  }
  return out;
}

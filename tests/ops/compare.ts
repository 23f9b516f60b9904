/** Compares results element by element, and says where they part. */

import type { Bound, Exact } from "./case";

/** ε: half the distance from 1 to the next float32, the error of one rounding. */
export const EPSILON = 2 ** -24;
const SMALLEST = 2 ** -149;
const SMALLEST_NORMAL_EXPONENT = -126;

/** Half the distance between neighbouring float32 at x: the error of rounding x once. */
export function halfUlp(x: number): number {
  if (x === 0 || !Number.isFinite(x)) return SMALLEST / 2;
  const exponent = Math.floor(Math.log2(Math.abs(x)));
  return 2 ** (Math.max(exponent, SMALLEST_NORMAL_EXPONENT) - 24);
}

/** What a float32 implementation may differ by from ours, which rounds once itself. */
export function allowed(exact: Exact, bound: Bound, i: number): number {
  if (bound.roundings === 0) return 0;
  return bound.roundings * EPSILON * exact.sizes[i] + (bound.floor ?? 0) + halfUlp(exact.values[i]);
}

/** What "rounded" may differ by: 0.5 ulp, and the errors of sums in double precision, 2^29 times smaller than float32's. */
export function allowedRounded(exact: Exact, i: number): number {
  return halfUlp(exact.values[i]) * (1 + 1e-6) + 2 ** -42 * exact.sizes[i];
}

/**
 * The largest |actual - expected| / allowed(i). Infinity where one of the two is NaN or infinite and the other is not
 * the same, and where they differ without a bound that is a number.
 */
export function worst(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  allowedAt: (i: number) => number,
): { ratio: number; where: string } {
  if (actual.length !== expected.length) {
    return {
      ratio: Number.POSITIVE_INFINITY,
      where: `${actual.length} elements in place of ${expected.length}`,
    };
  }
  let ratio = 0;
  let where = "nowhere";
  for (let i = 0; i < actual.length; i++) {
    const here = distance(actual[i], expected[i], allowedAt(i));
    if (here > ratio) {
      ratio = here;
      where = `element ${i}: expected ${expected[i]} within ${allowedAt(i)}, got ${actual[i]}`;
    }
  }
  return { ratio, where };
}

function distance(actual: number, expected: number, allowed: number): number {
  if (actual === expected || (Number.isNaN(actual) && Number.isNaN(expected))) return 0; // 0 and -0 are equal here
  const ratio = Math.abs(actual - expected) / allowed;
  return Number.isFinite(ratio) && Number.isFinite(allowed) ? ratio : Number.POSITIVE_INFINITY;
}

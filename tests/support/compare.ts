/** Comparing tensors with goldens, within what the goldens themselves say of their precision. */

import { expect } from "vitest";
import type { Expected } from "./safetensors";

/** What `expected.json` says of a case: float32 against float64. */
export interface Float32Error {
  readonly abs: number;
  readonly rel: number;
}

/** The goldens' README: 20 times their own relative error, at least 2e-6, of a tensor's largest value. */
export function tolerance(golden: Float32Array, error: Float32Error): number {
  let largest = 0;
  for (const value of golden) largest = Math.max(largest, Math.abs(value));
  return Math.max(20 * error.rel, 2e-6) * largest;
}

export function largestDifference(got: Float32Array, expected: Float32Array): number {
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(got[i] - expected[i]);
    worst = difference > worst || Number.isNaN(difference) ? difference : worst;
  }
  return worst;
}

/** @param rowsFromEnd the golden holds only the last rows of what was computed */
export function expectClose(
  name: string,
  got: { readonly shape: readonly number[]; readonly data: Float32Array },
  golden: Expected,
  allowed: number,
): void {
  const data = got.data.subarray(got.data.length - golden.data.length);
  expect(got.shape.slice(1), `${name}: shape after the first axis`).toEqual(golden.shape.slice(1));
  expect(got.shape[0], `${name}: rows`).toBeGreaterThanOrEqual(golden.shape[0]);
  expect(largestDifference(data, golden.data), `${name}: largest difference`).toBeLessThanOrEqual(allowed);
}

/** Softmax, sigmoid and the choice of the largest. */

import { expect, test } from "vitest";
import { argmax, largest, sigmoid, softmax } from "./scores";

test("softmax: within 1e-15 of the exact values, whatever the size of the logits", () => {
  // 1, e^-1 and e^-3 over their sum, from Python's decimal module with 50 digits
  const exact = [0.7053845126982412, 0.25949646034241913, 0.03511902695933972];
  for (const shift of [0, 1000, -1000]) {
    const got = softmax([3 + shift, 2 + shift, 0 + shift]);
    for (const [i, value] of got.entries()) expect(Math.abs(value - exact[i])).toBeLessThan(1e-15);
  }
  expect([...softmax([7])]).toEqual([1]);
  expect([...softmax([0, -2000])]).toEqual([1, 0]);
  expect([...softmax([])]).toEqual([]);
});

test("sigmoid", () => {
  expect(sigmoid(0)).toBe(0.5);
  // From Python: 1 / (1 + math.exp(-2))
  expect(Math.abs(sigmoid(2) - 0.8807970779778825)).toBeLessThan(1e-15);
  expect(sigmoid(-800)).toBe(0);
  expect(sigmoid(800)).toBe(1);
});

test("the largest, of equals the first", () => {
  expect(argmax([1, 3, 3, 2])).toBe(1);
  const values = Float32Array.of(2, 5, 5, -1, 5, 0);
  expect(largest(values, 2)).toEqual([1, 2]);
  expect(largest(values, 4)).toEqual([1, 2, 4, 0]);
  expect(largest(values, 100)).toEqual([1, 2, 4, 0, 5, 3]);
  expect(largest(new Float64Array(0), 3)).toEqual([]);
});

test("the largest of many are those of a whole sort", () => {
  const values = Float32Array.from({ length: 5000 }, (_, i) => ((i * 7919) % 997) / 10);
  const sorted = Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
  for (const k of [1, 7, 500]) expect(largest(values, k)).toEqual(sorted.slice(0, k));
});

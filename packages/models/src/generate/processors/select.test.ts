/** Selecting and sorting against the engine's own sort. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { Mt19937 } from "./mt19937";
import { ascending, kthLargest, largest } from "./select";

const VALUES = fc.array(fc.oneof(fc.float({ noNaN: true }), fc.constantFrom(0, -0, 1, -1)), {
  minLength: 1,
  maxLength: 60,
});

test("on any values", () => {
  fc.assert(
    fc.property(VALUES, fc.nat(), (list, seed) => {
      const values = Float32Array.from(list, (x) => x + 0);
      const sorted = values.slice().sort();
      const k = 1 + (seed % values.length);
      expect(kthLargest(values, k)).toBe(sorted[values.length - k]);
      const order = Array.from(values.keys()).sort((a, b) => (values[a] < values[b] ? -1 : +(values[a] > values[b])));
      expect([...ascending(values, Int32Array.from(values.keys()))]).toEqual(order);
      const top = Array.from(values.keys()).sort((a, b) => (values[a] > values[b] ? -1 : +(values[a] < values[b])));
      expect(largest(values, k)).toEqual(top.slice(0, k));
    }),
    { seed: 5, numRuns: 500 },
  );
});

test("on a row as long as a vocabulary", () => {
  const generator = new Mt19937(1);
  const values = Float32Array.from({ length: 70_000 }, () => generator.next() / 2 ** 28 - 8);
  const sorted = values.slice().sort();
  for (const k of [1, 40, 5000, 32768, 32769, 70_000]) expect(kthLargest(values, k)).toBe(sorted[70_000 - k]);
  const order = ascending(values, Int32Array.from(values.keys()));
  expect(Float32Array.from(order, (id) => values[id])).toEqual(sorted);
});

test("only the ids that are given are sorted", () => {
  expect([...ascending(Float32Array.from([5, 1, 4, 2]), Int32Array.from([0, 3, 2]))]).toEqual([3, 2, 0]);
});

/** Log-softmax and the ranking of candidates, by themselves. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { logSoftmax, Ranking } from "./beam-search-scores";

const after = (...logits: number[]) => {
  const row = Float32Array.from(logits);
  logSoftmax(row);
  return [...row];
};

test("log-softmax errs by less than 1e-8 before it is rounded to f32", () => {
  const value = fc.double({ min: -60, max: 60, noNaN: true }).map(Math.fround);
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 200 }), (logits) => {
      const max = Math.max(...logits);
      const logSum = Math.log(logits.reduce((sum, x) => sum + Math.exp(x - max), 0));
      after(...logits).forEach((got, id) => {
        const exact = logits[id] - max - logSum;
        expect(Math.abs(got - exact)).toBeLessThanOrEqual(1e-8 + Math.abs(exact) * 2 ** -23);
      });
    }),
  );
});

test("infinities, a row of nothing, and values far below the largest", () => {
  const none = Number.NEGATIVE_INFINITY;
  expect(after(0, none)).toEqual([0, none]);
  expect(after(3, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)).toEqual([
    none,
    Math.fround(-Math.LN2),
    Math.fround(-Math.LN2),
  ]);
  expect(after(none, none)).toEqual([none, none]);
  expect(after()).toEqual([]);
  expect(after(1e30, -1e30)).toEqual([0, Math.fround(-2e30)]);
  expect(() => after(1, Number.NaN)).toThrow(new RangeError("no token can be chosen: the logit of id 1 is NaN"));
});

test("a ranking is the beginning of a stable sort", () => {
  const scores = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 60 });
  fc.assert(
    fc.property(scores, fc.integer({ min: 1, max: 12 }), (drawn, size) => {
      const items = drawn.map((score, i) => ({ score, i }));
      const ranking = new Ranking<{ score: number; i: number }>(size);
      for (const item of items) ranking.offer(item);
      expect(ranking.items).toEqual([...items].sort((a, b) => b.score - a.score || a.i - b.i).slice(0, size));
      expect(ranking.full).toBe(items.length >= size);
    }),
  );
});

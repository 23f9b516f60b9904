/** Correlations against scipy 1.17.1. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pearson, spearman } from "./correlation";

// [x, y, scipy.stats.pearsonr, scipy.stats.spearmanr]
const CASES: readonly [number[], number[], number, number][] = [
  [
    [-0.6461342611845499, 2, 1.1874704278502306, 0.6353295850123422, 4, 3, -0.5775423949211717],
    [-0.6461342611845499, 2, 3, 3, 1, 3, -0.5775423949211717],
    0.4895244512384592,
    0.44474958999666075,
  ],
  [[0.3, 1.5, -2.25, 0.3, 7, 1.5, 1.5, -1e6], [2, 3.5, 1, 2, 2, 9, -4, 0.5], 0.16856370522161127, 0.42768141461263354],
  [[1, 2], [5, -5], -1, -1],
];

describe("against scipy", () => {
  test.each(CASES)("%j and %j", (x, y, r, rho) => {
    expect(pearson(x, y)).toBeCloseTo(r, 14);
    expect(spearman(x, y)).toBeCloseTo(rho, 14);
    expect(spearman(Float32Array.from(x), y)).toBeCloseTo(rho, 14);
  });
});

test("size does not matter", () => {
  const x = [1, 2, 4, 3];
  const y = [3, 1, 7, 5];
  for (const factor of [1e-300, 1e-5, 1e300]) {
    expect(
      pearson(
        x.map((v) => v * factor),
        y,
      ),
    ).toBeCloseTo(pearson(x, y), 12);
  }
  expect(pearson([Number.MAX_VALUE, -Number.MAX_VALUE, 0], [1, -1, 0])).toBeCloseTo(1, 15);
});

test("Spearman's sees only the order, and the ends are 1 and -1", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: -50, max: 50 }), { minLength: 2 }), (x) => {
      expect(
        spearman(
          x,
          x.map((v) => v ** 3),
        ),
      ).toBeCloseTo(1, 14);
      expect(
        spearman(
          x,
          x.map((v) => -v),
        ),
      ).toBeCloseTo(-1, 14);
      expect(Math.abs(pearson(x, x))).toBeLessThanOrEqual(1);
    }),
  );
});

test("constants, NaN and too few numbers give NaN", () => {
  // The mean of three 0.1 is not 0.1: what deviates is rounding.
  for (const f of [pearson, spearman]) {
    expect(f([0.1, 0.1, 0.1], [1, 2, 3])).toBeNaN();
    expect(f([1, 2, 3], [7, 7, 7])).toBeNaN();
    expect(f([1, 2, Number.NaN], [1, 2, 3])).toBeNaN();
    expect(f([1], [2])).toBeNaN();
    expect(f([], [])).toBeNaN();
  }
  expect(pearson([1, Number.POSITIVE_INFINITY, 2], [1, 2, 3])).toBeNaN();
  expect(spearman([1, Number.POSITIVE_INFINITY, 2], [1, 3, 2])).toBe(1);
});

test("unequal lengths throw", () => {
  expect(() => pearson([1], [])).toThrow("pearson: expected two series of one length, got 1 and 0 numbers");
  expect(() => spearman([1], [1, 2])).toThrow(RangeError);
});

test("what is no array of numbers throws, with the name of the argument", () => {
  for (const f of [pearson, spearman]) {
    for (const value of [undefined, null, 7, "12", {}]) {
      expect(() => f(value as never, [])).toThrow(TypeError);
      expect(() => f(value as never, [])).toThrow(`${f.name}: x: expected an array, got `);
      expect(() => f([], value as never)).toThrow(`${f.name}: y: expected an array, got `);
    }
    expect(() => f([1, 2], [1, "2"] as never)).toThrow(`${f.name}: y[1]: expected a number, got "2"`);
    expect(() => f([1, null] as never, [1, 2])).toThrow(`${f.name}: x[1]: expected a number, got null`);
    expect(() => f(BigInt64Array.of(1n) as never, [1])).toThrow(`${f.name}: x[0]: expected a number, got 1`);
  }
});

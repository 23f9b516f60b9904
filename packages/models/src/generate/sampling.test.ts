/** Choosing a token: the properties that no golden shows. `processors/` is held against transformers. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { seededRandom } from "./random";
import { applyTemperature, argmax, crossEntropy, keepTopK, keepTopP, sample, subtractMax } from "./sampling";

describe("argmax", () => {
  test("the first of equals", () => expect(argmax([1, 3, 3])).toBe(1));
  test("NaN means that something went wrong before", () => {
    expect(() => argmax([1, Number.NaN, 2])).toThrow(/id 1 is NaN/);
    expect(() => sample(Float32Array.from([1, Number.NaN]), () => 0.5)).toThrow(/id 1 is NaN/);
  });
  test("nothing to choose from", () => {
    expect(() => argmax([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY])).toThrow(/no token/);
  });
});

describe("sample", () => {
  test("draws each token as often as its probability says (chi-square, 3 degrees, p = 1e-6)", () => {
    const logits = Float32Array.from([Math.log(1), Math.log(2), Math.log(3), Math.log(4), Number.NEGATIVE_INFINITY]);
    const random = seededRandom(11);
    const draws = 20_000;
    const counts = [0, 0, 0, 0, 0];
    for (let i = 0; i < draws; i++) counts[sample(logits, random)]++;
    const expected = [1, 2, 3, 4].map((weight) => (draws * weight) / 10);
    const chiSquare = expected.reduce((sum, e, i) => sum + (counts[i] - e) ** 2 / e, 0);
    expect(chiSquare).toBeLessThan(30.7);
    expect(counts[4]).toBe(0);
  });

  test("stays within what the filters kept, whatever the numbers", () => {
    const row = fc.array(fc.float({ min: -80, max: 80, noNaN: true }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(
        row,
        fc.integer({ min: 1, max: 50 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        fc.nat(),
        (values, k, p, seed) => {
          const logits = Float32Array.from(values);
          const best = argmax(logits);
          keepTopK(logits, k);
          keepTopP(logits, p);
          expect(logits[best]).toBeGreaterThan(Number.NEGATIVE_INFINITY);
          expect(logits[sample(logits, seededRandom(seed))]).toBeGreaterThan(Number.NEGATIVE_INFINITY);
        },
      ),
      { seed: 3, numRuns: 300 },
    );
  });

  test("a random number at the very end takes the last token that has a probability", () => {
    const logits = Float32Array.from([0, 0, Number.NEGATIVE_INFINITY]);
    expect(sample(logits, () => 1 - 2 ** -53)).toBe(1);
    expect(sample(logits, () => 0)).toBe(0);
  });
});

describe("subtractMax", () => {
  test("keeps the distribution, and lets any temperature be greedy at its limit", () => {
    for (const temperature of [1e-40, 1e-45, 1e-30, 1e-3]) {
      const logits = Float32Array.from([1, 30, 29.5, -7, Number.NEGATIVE_INFINITY]);
      subtractMax(logits);
      expect([...logits]).toEqual([-29, 0, -0.5, -37, Number.NEGATIVE_INFINITY]);
      applyTemperature(logits, temperature);
      expect(sample(logits, () => 1 - 2 ** -53)).toBe(1);
    }
  });

  test("Infinity takes all, and shares it with its equals", () => {
    const logits = Float32Array.from([1, Number.POSITIVE_INFINITY, 0, Number.POSITIVE_INFINITY]);
    expect([sample(logits, () => 0.1), sample(logits, () => 0.9)]).toEqual([1, 3]);
    subtractMax(logits);
    expect([sample(logits, () => 0.1), sample(logits, () => 0.9)]).toEqual([1, 3]);
  });
});

describe("crossEntropy", () => {
  test("of a uniform row is ln V", () => expect(crossEntropy(new Float32Array(8), 3)).toBeCloseTo(Math.log(8), 14));
  test("does not overflow", () => {
    expect(crossEntropy([1e30, 0], 0)).toBe(0);
    expect(crossEntropy([1000, 990], 1)).toBeCloseTo(10 + Math.log1p(Math.exp(-10)), 12);
  });
});

describe("seededRandom", () => {
  test("the first numbers of a seed: committed, so that every machine is held to them", () => {
    const random = seededRandom(7);
    expect([random(), random(), random()]).toEqual(FIRST_OF_SEED_7);
  });

  test("lies in [0, 1) with a mean of 1/2, and bits that are not stuck", () => {
    const random = seededRandom(0);
    const numbers = Array.from({ length: 10_000 }, random);
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...numbers)).toBeLessThan(1);
    // Five standard errors of a mean of 10,000 uniform numbers: 5 * 0.2887 / 100
    expect(Math.abs(numbers.reduce((sum, x) => sum + x, 0) / 10_000 - 0.5)).toBeLessThan(0.0145);
    for (let bit = 1; bit <= 53; bit++) {
      const ones = numbers.filter((x) => Math.floor(x * 2 ** bit) % 2 === 1).length;
      expect(Math.abs(ones - 5000), `bit ${bit}`).toBeLessThan(250); // five standard deviations of 50
    }
  });

  test("both halves of a seed count", () => {
    const first = [0, 1, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1].map((seed) => seededRandom(seed)());
    expect(new Set(first).size).toBe(5);
  });

  test.each([-1, 1.5, 2 ** 53, Number.NaN])("refuses %d", (seed) => {
    expect(() => seededRandom(seed)).toThrow(/seed/);
  });
});

// As a second implementation in another language gives them.
const FIRST_OF_SEED_7 = [0.0490095939407037, 0.9298532085847413, 0.3972365650440003];

/** Similarities against sentence-transformers' formulas, computed with numpy in double precision. */

import { describe, expect, test } from "vitest";
import { cosineSimilarity, hammingDistance, hammingSimilarity, type SimilarityMetric, similarity } from "./similarity";

const a = [Float32Array.of(1, -2, 0.5), Float32Array.of(0.25, 3, -1)];
const b = [Float32Array.of(0, 1, 1), Float32Array.of(0, 0, 0), Float32Array.of(-1.5, 0.125, 2)];

describe("similarity", () => {
  const EXPECTED: Readonly<Record<SimilarityMetric, readonly (readonly number[])[]>> = {
    cosine: [
      [-0.46291004988627577, 0, -0.1307673769549117],
      [0.44582257006028214, 0, -0.2518806756880864],
    ],
    dot: [
      [-1.5, 0, -0.75],
      [2, 0, -2],
    ],
    euclidean: [
      [-3.2015621187164243, -2.29128784747792, -3.607717422415453],
      [-2.839454172900137, -3.17214438511238, -4.508672199217858],
    ],
    manhattan: [
      [-4.5, -3.5, -6.125],
      [-4.25, -4.25, -7.625],
    ],
  };
  test.each(Object.keys(EXPECTED) as SimilarityMetric[])("%s, correct to float32", (metric) => {
    expect(similarity(a, b, metric)).toEqual(EXPECTED[metric].map((row) => Float32Array.from(row)));
  });

  test("cosine if nothing is said; a single vector is a list of one", () => {
    expect(similarity(a, b)).toEqual(similarity(a, b, "cosine"));
    expect(similarity(a[1], b)).toEqual([similarity(a, b)[1]]);
    expect(similarity([0.25, 3, -1], b)).toEqual([similarity(a, b)[1]]);
    expect(similarity(a, b[2])).toEqual(similarity(a, b).map((row) => row.subarray(2)));
  });

  test("zeros are like nothing, and a distance of nothing is 0, not -0", () => {
    expect(similarity(b[1], b[1])[0][0]).toBe(0);
    expect(similarity(b[0], b[0], "euclidean")[0][0]).toBe(0);
    expect(similarity(b[0], b[0], "manhattan")[0][0]).toBe(0);
  });

  test("no vectors", () => {
    expect(similarity([], b)).toEqual([]);
    expect(similarity(a, [])).toEqual([new Float32Array(0), new Float32Array(0)]);
  });

  test("what is wrong throws", () => {
    expect(() => similarity(a, [b[0], Float32Array.of(1)])).toThrow(
      "b[1]: expected 3 numbers like the first vector, got 1",
    );
    expect(() => similarity(a, b, "angle" as never)).toThrow(
      "metric: expected one of cosine, dot, euclidean, manhattan",
    );
    expect(() => similarity(a, b, "toString" as never)).toThrow(RangeError);
    expect(() => similarity("abc" as never, b)).toThrow("a: expected a vector");
    expect(() => similarity(a, [null as never])).toThrow("b[0]: expected a vector");
  });
});

describe("cosineSimilarity", () => {
  test("of floats, in double precision, and of 8 bits", () => {
    expect(cosineSimilarity([3, 4], [4, 3])).toBe(0.96);
    expect(cosineSimilarity(a[0], b[2])).toBeCloseTo(-0.1307673769549117, 15);
    expect(cosineSimilarity(Int8Array.of(127, -127), Int8Array.of(-127, 127))).toBe(-1);
    expect(cosineSimilarity(Float32Array.of(3e38, 3e38), Float32Array.of(3e38, 3e38))).toBeCloseTo(1, 15);
  });

  test("never beyond 1", () => {
    for (let n = 1; n < 200; n++) {
      const vector = Float32Array.from({ length: n }, (_, i) => Math.sin(i + n));
      expect(cosineSimilarity(vector, vector)).toBeLessThanOrEqual(1);
    }
  });

  test("unequal widths throw", () => {
    expect(() => cosineSimilarity([1], [1, 2])).toThrow("expected two vectors of one width, got 1 and 2 numbers");
  });
});

describe("Hamming", () => {
  test("counts the bits that differ", () => {
    expect(hammingDistance(Uint8Array.of(0b1100, 0xff), Uint8Array.of(0b1010, 0))).toBe(10);
    expect(hammingSimilarity(Uint8Array.of(0b1100), Uint8Array.of(0b1010))).toBe(0.75);
  });

  test("signed as unsigned", () => {
    const [x, y] = [Uint8Array.of(0, 127, 128, 255), Uint8Array.of(200, 3, 77, 0)];
    const signed = (bytes: Uint8Array) => Int8Array.from(bytes, (byte) => byte - 128);
    expect(hammingDistance(signed(x), signed(y))).toBe(hammingDistance(x, y));
  });

  test("bits that only fill the last byte do not count", () => {
    expect(hammingSimilarity(Uint8Array.of(0x80, 0x80), Uint8Array.of(0x80, 0), 10)).toBe(0.9);
    for (const dimensions of [8, 17]) {
      expect(() => hammingSimilarity(new Uint8Array(2), new Uint8Array(2), dimensions)).toThrow(RangeError);
    }
  });

  test("of two kinds, or of floats, they throw", () => {
    expect(() => hammingDistance(new Uint8Array(1), new Int8Array(1))).toThrow(
      "expected two Uint8Array or two Int8Array, got Uint8Array and Int8Array",
    );
    expect(() => hammingDistance(new Float32Array(1) as never, new Float32Array(1) as never)).toThrow(TypeError);
    expect(() => hammingDistance(new Uint8Array(1), new Uint8Array(2))).toThrow(RangeError);
  });
});

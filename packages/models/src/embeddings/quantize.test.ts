/** Quantised embeddings against the formulas of sentence-transformers 6.2's `quantize_embeddings`, run with numpy 2.4. */

import fc from "fast-check";
import { describe, expect, expectTypeOf, test } from "vitest";
import { calibrationRanges, quantizeEmbedding } from "./quantize";

describe("with ranges, as numpy", () => {
  // The last dimension is constant: its step is 1.
  const ranges = calibrationRanges([Float32Array.of(-1, 0.5, 0, 0.25), Float32Array.of(1, -0.5, 0.1, 0.25)]);
  const CASES: readonly [number[], number[], number[]][] = [
    [
      [-1, 0.5, 0.1, 0.25],
      [0, 254, 255, 0],
      [-128, 126, 127, -128],
    ],
    [
      [1, -0.5, 0, 1.3],
      [254, 0, 0, 1],
      [126, -128, -128, -127],
    ],
    [
      [0.3, 0.123, 0.05, -3],
      [165, 158, 127, 0],
      [37, 30, -1, -128],
    ],
    [
      [0, 0, 7, 0.26],
      [127, 127, 255, 0],
      [-1, -1, 127, -128],
    ],
    [
      [-5, 0.4999, 0.0996, 1.25],
      [0, 254, 253, 1],
      [-128, 126, 125, -127],
    ],
  ];
  test.each(CASES)("%j", (vector, uint8, int8) => {
    const x = Float32Array.from(vector);
    expect(quantizeEmbedding(x, "uint8", { ranges })).toEqual({ values: Uint8Array.from(uint8), scale: null });
    expect(quantizeEmbedding(x, "int8", { ranges })).toEqual({ values: Int8Array.from(int8), scale: null });
  });

  test("calibrationRanges", () => {
    expect(ranges).toEqual([Float32Array.of(-1, -0.5, 0, 0.25), Float32Array.of(1, 0.5, 0.1, 0.25)]);
    expect(() => calibrationRanges([])).toThrow("vectors: expected at least one, got none");
    expect(() => calibrationRanges([new Float32Array(2), new Float32Array(3)])).toThrow(
      "vectors[1]: expected 2 numbers like the first, got 3",
    );
    expect(() => calibrationRanges([Float32Array.of(Number.NaN)])).toThrow("vectors[0][0]: expected a finite number");
  });
});

describe("by the vector's own scale", () => {
  test("the largest magnitude is 127; ties go away from 0", () => {
    const { values, scale } = quantizeEmbedding(Float32Array.of(127, -2.5, 2.5, 0.4, -127, 0), "int8");
    expect(scale).toBe(1);
    expect(values).toEqual(Int8Array.of(127, -3, 3, 0, -127, 0));
    const unsigned = quantizeEmbedding(Float32Array.of(127, -2.5, 2.5, 0.4, -127, 0), "uint8");
    expect(unsigned).toEqual({ values: Uint8Array.of(255, 125, 131, 128, 1, 128), scale: 1 });
  });

  test("no number is off by more than half a step", () => {
    fc.assert(
      fc.property(fc.float32Array({ noNaN: true, noDefaultInfinity: true, minLength: 1 }), (x) => {
        const { values, scale } = quantizeEmbedding(x, "int8");
        for (let i = 0; i < x.length; i++) {
          expect(Math.abs(values[i] * scale - x[i])).toBeLessThanOrEqual(scale * 0.5000001);
        }
      }),
    );
  });

  test("zeros stay zeros", () => {
    expect(quantizeEmbedding(new Float32Array(2), "int8")).toEqual({ values: new Int8Array(2), scale: 0 });
  });
});

test("binary, as numpy's packbits: 11 dimensions in 2 bytes, 0 and -0 are not positive", () => {
  const x = Float32Array.of(0.5, -1, 0, 2, 1e-9, -0, 3, 4, -1, 0.1, 7);
  expect(quantizeEmbedding(x, "ubinary")).toEqual({ values: Uint8Array.of(155, 96), scale: null });
  expect(quantizeEmbedding(x, "binary")).toEqual({ values: Int8Array.of(27, -32), scale: null });
});

test("types follow from the precision", () => {
  const x = new Float32Array(8);
  const ranges = calibrationRanges([x]);
  expectTypeOf(quantizeEmbedding(x, "int8").values).toEqualTypeOf<Int8Array>();
  expectTypeOf(quantizeEmbedding(x, "int8").scale).toEqualTypeOf<number>();
  expectTypeOf(quantizeEmbedding(x, "uint8", { ranges }).values).toEqualTypeOf<Uint8Array>();
  expectTypeOf(quantizeEmbedding(x, "uint8", { ranges }).scale).toEqualTypeOf<number | null>();
  expectTypeOf(quantizeEmbedding(x, "binary").values).toEqualTypeOf<Int8Array>();
  expectTypeOf(quantizeEmbedding(x, "ubinary").values).toEqualTypeOf<Uint8Array>();
  expectTypeOf(quantizeEmbedding(x, "ubinary").scale).toEqualTypeOf<null>();
});

test("what is wrong throws", () => {
  const x = Float32Array.of(1, 2);
  expect(() => quantizeEmbedding(x, "int4" as never)).toThrow(
    "precision: expected one of int8, uint8, binary, ubinary",
  );
  expect(() => quantizeEmbedding([1, 2] as never, "int8")).toThrow("vector: expected a Float32Array");
  expect(() => quantizeEmbedding(Float32Array.of(1, Number.POSITIVE_INFINITY), "ubinary")).toThrow(
    "vector[1]: expected a finite number, got Infinity",
  );
  expect(() => quantizeEmbedding(x, "int8", { ranges: [[0], [1]] })).toThrow("ranges: expected 2 numbers each");
  expect(() =>
    quantizeEmbedding(x, "int8", {
      ranges: [
        [0, 3],
        [1, 2],
      ],
    }),
  ).toThrow("dimension 1 goes from 3 to 2");
  expect(() => quantizeEmbedding(x, "int8", { ranges: {} as never })).toThrow(TypeError);
  expect(() =>
    quantizeEmbedding(x, "binary", {
      ranges: [
        [0, 0],
        [1, 1],
      ],
    }),
  ).toThrow("ranges: binary takes none");
  expect(() => quantizeEmbedding(x, "int8", { range: [] } as never)).toThrow(TypeError);
});

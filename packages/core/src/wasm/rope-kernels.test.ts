/** The rope kernels against products and sums that are rounded one by one. */

import { describe, expect, test } from "vitest";
import { Random } from "../../../../tests/ops/random";
import type { RopeLayout } from "../kernels/kernels";
import { rope } from "../kernels/reference/rope";
import { emitRope } from "./rope-kernels";
import { knownAddressBits, specialFloats, testKernels, ulp } from "./testing";

const LAYOUTS: readonly RopeLayout[] = ["half-split", "interleaved"];
const { fround } = Math;

interface Shape {
  readonly rows: number;
  readonly heads: number;
  readonly headDim: number;
  readonly rotaryDim: number;
}

function inputs({ rows, heads, headDim, rotaryDim }: Shape) {
  const random = new Random(rows + heads + headDim + rotaryDim);
  const x = random.normal(rows * heads * headDim);
  x.set(specialFloats().filter(Number.isFinite).subarray(0, x.length));
  const angles = random.normal((rows * rotaryDim) / 2, 2);
  return { x, cos: angles.map(Math.cos), sin: angles.map(Math.sin) };
}

/** The results with every step in float32, and |a cos| + |b sin| of each. */
function expected(shape: Shape, layout: RopeLayout) {
  const { rows, heads, headDim, rotaryDim } = shape;
  const { x, cos, sin } = inputs(shape);
  const sizes = new Float64Array(x.length);
  const half = rotaryDim / 2;
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < half; i++) {
        const start = (row * heads + head) * headDim;
        const [at, partner] =
          layout === "half-split" ? [start + i, start + i + half] : [start + 2 * i, start + 2 * i + 1];
        const [a, b, c, s] = [x[at], x[partner], cos[row * half + i], sin[row * half + i]];
        x[at] = fround(a * c) - fround(b * s);
        x[partner] = fround(b * c) + fround(a * s);
        sizes[at] = Math.abs(a * c) + Math.abs(b * s);
        sizes[partner] = Math.abs(b * c) + Math.abs(a * s);
      }
    }
  }
  return { results: x, sizes };
}

const SHAPES: [string, Shape][] = [
  { rows: 0, heads: 2, headDim: 4, rotaryDim: 4 },
  { rows: 1, heads: 1, headDim: 2, rotaryDim: 2 },
  { rows: 3, heads: 2, headDim: 7, rotaryDim: 4 },
  { rows: 3, heads: 2, headDim: 6, rotaryDim: 6 },
  { rows: 5, heads: 3, headDim: 9, rotaryDim: 8 },
  { rows: 5, heads: 1, headDim: 10, rotaryDim: 10 },
  { rows: 4, heads: 3, headDim: 80, rotaryDim: 22 },
  { rows: 33, heads: 5, headDim: 64, rotaryDim: 64 },
  { rows: 2, heads: 2, headDim: 8, rotaryDim: 0 },
].map((shape) => [Object.values(shape).join(" x "), shape]);

describe.each(knownAddressBits())("with addresses of %d bits", (addressBits) => {
  const { run } = testKernels((module) => {
    for (const layout of LAYOUTS) emitRope(module, layout);
  }, addressBits);

  describe.each(LAYOUTS)("%s", (layout) => {
    const turned = (shape: Shape, ...parts: [number, number][]) => {
      const { x, cos, sin } = inputs(shape);
      return run(`rope.${layout}`, [x, cos, sin, ...Object.values(shape)], ...parts);
    };

    test.each(SHAPES)(
      "[%s]: the bits of float32 steps, and 2 * 2^-24 (|a cos| + |b sin|) from the reference",
      (_, shape) => {
        const { results, sizes } = expected(shape, layout);
        const actual = turned(shape, [0, shape.rows]);
        expect(actual).toEqual(results);
        const { x, cos, sin } = inputs(shape);
        rope(x, cos, sin, shape.heads, shape.headDim, shape.rotaryDim, layout);
        const far = actual.findIndex((y, i) => Math.abs(y - x[i]) > 2 ** -23 * sizes[i] + ulp(x[i]) / 2 + 2 ** -148);
        expect(far).toBe(-1);
      },
    );

    test("parts give the same bits as the whole", () => {
      const shape = { rows: 7, heads: 3, headDim: 20, rotaryDim: 14 };
      expect(turned(shape, [4, 7], [0, 1], [1, 1], [1, 4])).toEqual(turned(shape, [0, 7]));
    });
  });
});

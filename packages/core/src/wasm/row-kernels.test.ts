/** layerNorm, rmsNorm and softmax: against the reference, at their edges, and cut into parts. */

import { describe, expect, test } from "vitest";
import { Random } from "../../../../tests/ops/random";
import { layerNorm, rmsNorm, softmax } from "../kernels/reference/norm";
import { emitLayerNorm, emitRmsNorm, emitSoftmax } from "./row-kernels";
import { knownAddressBits, testKernels, ulp, worstUlp } from "./testing";

const INFINITY = Number.POSITIVE_INFINITY;
const NAN = Number.NaN;
const WIDTHS = [1, 3, 4, 5, 7, 8, 9, 16, 17, 31, 65, 1031, 1536];
const ROWS = 5;

function unwritten(count: number): Float32Array {
  return new Float32Array(count).fill(NAN);
}

/** What rows may be like: a factor and a term for normal numbers. */
const KINDS: [string, number, number][] = [
  ["normal", 1, 0],
  ["far from 0", 1, 1000],
  ["small", 1e-10, 0],
  ["denormal", 1e-39, 0],
  ["huge", 1e30, 0],
  ["of the largest floats", 3e37, 1.5e38],
];

describe.each(knownAddressBits())("with addresses of %d bits", (addressBits) => {
  const { run } = testKernels((module) => {
    emitLayerNorm(module);
    emitRmsNorm(module);
    emitSoftmax(module);
  }, addressBits);

  const norm = {
    layer: (x: Float32Array, weight: Float32Array, bias: Float32Array | null, eps: number) => {
      const rows = x.length / weight.length;
      return run("layerNorm", [unwritten(x.length), x, weight, bias, rows, weight.length, eps], [0, rows]);
    },
    rms: (x: Float32Array, weight: Float32Array, eps: number) => {
      const rows = x.length / weight.length;
      return run("rmsNorm", [unwritten(x.length), x, weight, rows, weight.length, eps], [0, rows]);
    },
  };
  const powers = (x: Float32Array, width: number) =>
    run("softmax", [unwritten(x.length), x, x.length / width, width], [0, x.length / width]);

  describe.each(WIDTHS)("rows of %d", (width) => {
    const random = new Random(width);
    const [weight, bias] = [random.normal(width), random.normal(width)];

    describe.each(KINDS)("%s", (_, factor, term) => {
      const x = random.normal(ROWS * width).map((value) => value * factor + term);

      // Both are rounded, from sums in double precision that were added up in other orders.
      test.each([1e-5, 1e-12])("norms within an ulp of the reference, with eps %d", (eps) => {
        const expected = new Float32Array(x.length);
        layerNorm(expected, x, weight, null, eps);
        expect(worstUlp(norm.layer(x, weight, null, eps), expected).ulps).toBeLessThanOrEqual(1);
        layerNorm(expected, x, weight, bias, eps);
        expect(worstUlp(norm.layer(x, weight, bias, eps), expected).ulps).toBeLessThanOrEqual(1);
        rmsNorm(expected, x, weight, eps);
        expect(worstUlp(norm.rms(x, weight, eps), expected).ulps).toBeLessThanOrEqual(1);
      });
    });

    test.each([0.1, 1, 5, 30])("softmax of numbers times %d within 2.5 + max - x ulp of the reference", (spread) => {
      const x = random.normal(ROWS * width, spread);
      const [actual, expected] = [powers(x, width), new Float32Array(x.length)];
      softmax(expected, x, width);
      const errors = actual.map((value, i) => {
        const start = i - (i % width);
        const below = x.subarray(start, start + width).reduce((a, b) => Math.max(a, b)) - x[i];
        return Math.abs(value - expected[i]) / ulp(expected[i]) / (2.5 + below);
      });
      expect(errors.reduce((a, b) => Math.max(a, b))).toBeLessThanOrEqual(1);
    });

    test("parts give the same bits as the whole, and the input may be the output", () => {
      const x = random.normal(ROWS * width, 3);
      const calls: [string, (out: Float32Array) => (Float32Array | number | null)[]][] = [
        ["layerNorm", (out) => [out, x, weight, bias, ROWS, width, 1e-5]],
        ["layerNorm", (out) => [out, x, weight, null, ROWS, width, 1e-5]],
        ["rmsNorm", (out) => [out, x, weight, ROWS, width, 1e-5]],
        ["softmax", (out) => [out, x, ROWS, width]],
      ];
      for (const [name, args] of calls) {
        const expected = run(name, args(unwritten(x.length)), [0, ROWS]);
        expect(run(name, args(unwritten(x.length)), [3, 5], [0, 1], [1, 1], [1, 3])).toEqual(expected);
        expect(run(name, args(x), [0, ROWS])).toEqual(expected);
        const part = run(name, args(unwritten(x.length)), [1, 3]);
        expect(part.subarray(width, 3 * width)).toEqual(expected.subarray(width, 3 * width));
        expect([...part.subarray(0, width), ...part.subarray(3 * width)].every(Number.isNaN)).toBe(true);
      }
    });

    test.each([0, 1, -7.3, 0.1, 1e-45, 1e30, -3.4e38])("layerNorm of %d throughout is the bias exactly", (value) => {
      const x = new Float32Array(2 * width).fill(value);
      expect(norm.layer(x, weight, bias, 1e-5)).toEqual(Float32Array.of(...bias, ...bias));
      expect(norm.layer(x, weight, null, 1e-5).every((y) => y === 0)).toBe(true);
    });

    test.each([1, -7.3, 1e-30, 1e30, -3.4e38])("rmsNorm of %d throughout is its sign times the weight", (value) => {
      const out = norm.rms(new Float32Array(width).fill(value), weight, 0);
      const exact = weight.map((w) => w * Math.sign(value));
      expect(worstUlp(out, exact).ulps).toBeLessThanOrEqual(1);
    });
  });

  test("no rows, nothing written", () => {
    const none = new Float32Array(0);
    const four = Float32Array.of(1, 2, 3, 4);
    expect(run("layerNorm", [none, none.slice(), four, null, 0, 4, 1e-5], [0, 0])).toEqual(none);
    expect(run("rmsNorm", [none, none.slice(), four, 0, 4, 1e-5], [0, 0])).toEqual(none);
    expect(run("softmax", [none, none.slice(), 0, 4], [0, 0])).toEqual(none);
  });

  test("without eps, a row that does not vary is 0 / 0, and so is one of zeros for rmsNorm", () => {
    const one = Float32Array.of(1, 1);
    expect([...norm.layer(Float32Array.of(3, 3), one, one, 0)]).toEqual([NAN, NAN]);
    expect([...norm.rms(Float32Array.of(0, 0), one, 0)]).toEqual([NAN, NAN]);
  });

  test("NaN and Infinity stay in their row", () => {
    const weight = new Float32Array(9).fill(1);
    for (const value of [NAN, INFINITY]) {
      for (const at of [0, 8]) {
        const x = Float32Array.from({ length: 27 }, (_, i) => i % 4);
        const expected = [norm.layer(x, weight, null, 0), norm.rms(x, weight, 0), powers(x, 9)];
        x[9 + at] = value;
        [norm.layer(x, weight, null, 0), norm.rms(x, weight, 0), powers(x, 9)].forEach((out, i) => {
          expect(out.subarray(0, 9)).toEqual(expected[i].subarray(0, 9));
          expect(out.subarray(18)).toEqual(expected[i].subarray(18));
          if (Number.isNaN(value)) expect(out.subarray(9, 18).every(Number.isNaN)).toBe(i < 3);
        });
      }
    }
  });

  test.each<[string, number[], number[]]>([
    ["one number", [-5], [1]],
    ["equal numbers", [1e30, 1e30, 1e30, 1e30], [0.25, 0.25, 0.25, 0.25]],
    ["the largest floats", [3.4e38, -3.4e38, 3.4e38], [0.5, 0, 0.5]],
    ["denormal numbers", [1e-45, 0], [0.5, 0.5]],
    ["a hidden one", [0, -INFINITY, 0], [0.5, 0, 0.5]],
    ["all hidden", [-INFINITY, -INFINITY], [0, 0]],
    ["one hidden alone", [-INFINITY], [0]],
    ["an Infinity", [1, INFINITY, -INFINITY], [0, 1, 0]],
    ["two of them", [INFINITY, 5, INFINITY], [0.5, 0, 0.5]],
    ["NaN first", [NAN, 1], [NAN, NAN]],
    ["NaN last, after an Infinity", [INFINITY, NAN], [NAN, NAN]],
    ["NaN among hidden ones", [-INFINITY, NAN, -INFINITY], [NAN, NAN, NAN]],
  ])("softmax of %s, alone and beside 1 to 40 hidden ones", (_, x, expected) => {
    expect([...powers(Float32Array.from(x), x.length)]).toEqual(expected);
    const outside = expected.some(Number.isNaN) ? NAN : 0;
    for (let hidden = 1; hidden <= 40; hidden++) {
      const before = Array.from({ length: hidden }, () => -INFINITY);
      const out = powers(Float32Array.from([...before, ...x]), hidden + x.length);
      expect([...out]).toEqual([...before.fill(outside), ...expected]);
    }
  });
});

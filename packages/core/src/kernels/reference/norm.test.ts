/** Norms of constant rows, softmax at its edges, and results written over inputs. */

import { describe, expect, test } from "vitest";
import { Random } from "../../../../../tests/ops/random";
import { layerNorm, rmsNorm, softmax } from "../../functional/layers";
import { Arena } from "../../memory/arena";
import { ACTIVATIONS } from "../activation";
import { ReferenceKernels } from "./reference-kernels";

const INFINITY = Number.POSITIVE_INFINITY;
const NAN = Number.NaN;

function constant(value: number, width: number): Float32Array {
  return new Float32Array(width).fill(value);
}

describe("LayerNorm", () => {
  test.each([0, 1, -7.3, 0.1, 1e-45, 1e30, -3.4e38])("a row of %d gives the bias exactly", (value) => {
    for (const width of [1, 2, 3, 7, 64, 1023]) {
      const [weight, bias] = [new Random(1).normal(width), new Random(2).normal(width)];
      expect(layerNorm(constant(value, width), weight, bias)).toEqual(bias);
      expect(layerNorm(constant(value, width), weight, null).every((x) => x === 0)).toBe(true);
    }
  });

  test("a constant row without eps is 0 / 0", () => {
    expect([...layerNorm(constant(3, 2), constant(1, 2), constant(5, 2), { eps: 0 })]).toEqual([NAN, NAN]);
  });

  test("a constant added to a row, or a factor on it, changes nothing: the same within 1e-6", () => {
    const x = new Random(3).normal(33).map((value) => Math.round(value * 1024) / 1024); // so that sums are exact
    const weight = new Random(4).normal(33);
    const plain = layerNorm(x, weight, null, { eps: 0 });
    const moved = layerNorm(
      x.map((value) => 64 * value + 4096),
      weight,
      null,
      { eps: 0 },
    );
    moved.forEach((value, i) => {
      expect(Math.abs(value - plain[i])).toBeLessThan(1e-6);
    });
  });

  test("two numbers are -1 and 1, eps counts within the root", () => {
    expect([...layerNorm(Float32Array.of(1, 3), constant(1, 2), null, { eps: 0 })]).toEqual([-1, 1]);
    expect([...layerNorm(Float32Array.of(1, 3), constant(1, 2), null, { eps: 3 })]).toEqual([-0.5, 0.5]);
  });

  test("rows do not touch each other", () => {
    const out = layerNorm(Float32Array.of(NAN, 1, INFINITY, 1, 1, 3), constant(1, 2), null, { eps: 0 });
    expect([...out]).toEqual([NAN, NAN, NAN, NAN, -1, 1]);
  });
});

describe("RMSNorm", () => {
  test.each([1, -7.3, 1e-3, 1e30, -3.4e38])("a row of %d gives its sign times the weight, within an ulp", (value) => {
    for (const width of [1, 2, 3, 7, 64, 1023]) {
      const weight = new Random(1).normal(width);
      const out = rmsNorm(constant(value, width), weight, { eps: 0 });
      weight.forEach((w, i) => {
        expect(Math.abs(out[i] - Math.sign(value) * w)).toBeLessThanOrEqual(2 ** -23 * Math.abs(w));
      });
    }
  });

  test("a row of zeros gives zeros, and without eps 0 / 0", () => {
    expect([...rmsNorm(constant(0, 3), constant(2, 3))]).toEqual([0, 0, 0]);
    expect([...rmsNorm(constant(0, 2), constant(2, 2), { eps: 0 })]).toEqual([NAN, NAN]);
  });

  test("the mean is not subtracted, eps counts within the root", () => {
    expect([...rmsNorm(Float32Array.of(1, 7), constant(1, 2), { eps: 0 })]).toEqual([
      Math.fround(1 / 5),
      Math.fround(7 / 5),
    ]);
    expect([...rmsNorm(Float32Array.of(1, 7), constant(2, 2), { eps: 75 })]).toEqual([
      Math.fround(0.2),
      Math.fround(1.4),
    ]);
  });
});

describe("softmax", () => {
  test.each<[string, number[], number[]]>([
    ["one number", [-5], [1]],
    ["equal numbers", [1e30, 1e30, 1e30, 1e30], [0.25, 0.25, 0.25, 0.25]],
    ["the largest floats", [3.4e38, -3.4e38, 3.4e38], [0.5, 0, 0.5]],
    ["all of them very negative", [-1e30, -1e30], [0.5, 0.5]],
    ["a hidden one", [0, -INFINITY, 0], [0.5, 0, 0.5]],
    ["all hidden", [-INFINITY, -INFINITY], [0, 0]],
    ["one hidden alone", [-INFINITY], [0]],
    ["an Infinity", [1, INFINITY, -INFINITY], [0, 1, 0]],
    ["two of them", [INFINITY, 5, INFINITY], [0.5, 0, 0.5]],
    ["NaN first", [NAN, 1], [NAN, NAN]],
    ["NaN last, after an Infinity", [INFINITY, NAN], [NAN, NAN]],
    ["NaN among hidden ones", [-INFINITY, NAN, -INFINITY], [NAN, NAN, NAN]],
  ])("%s", (_, x, expected) => {
    expect([...softmax(Float32Array.from(x))]).toEqual(expected);
  });

  test("a constant added to a row changes no bit where the additions are exact", () => {
    const x = new Random(1).normal(50).map((value) => Math.round(value * 256) / 256);
    expect(softmax(x.map((value) => value + 4096))).toEqual(softmax(x));
  });

  test("rows sum to 1, within a rounding each", () => {
    const out = softmax(new Random(2).normal(20 * 31, 10), { width: 31 });
    for (let row = 0; row < 20; row++) {
      const sum = out.slice(row * 31, row * 31 + 31).reduce((a, b) => a + b, 0);
      expect(Math.abs(sum - 1)).toBeLessThan(31 * 2 ** -24);
    }
  });
});

test("results may be written over the inputs that the interface names: the same bits", () => {
  const [rows, width] = [3, 5];
  const count = rows * width;
  const arena = new Arena();
  const kernels = new ReferenceKernels(arena);
  const [a, b, weight, apart] = [0, 1, 2, 3].map(() => arena.allocate(4 * count, "test"));
  const fill = () => {
    [a, b, weight].forEach((address, i) => {
      arena.f32(address, count).set(new Random(i).normal(count));
    });
  };
  const ops: [string, number[], (out: number) => void][] = [
    ["add", [a, b], (out) => kernels.add(out, a, b, count)],
    ["layerNorm", [a], (out) => kernels.layerNorm(out, a, weight, b, rows, width, 1e-5)],
    ["rmsNorm", [a], (out) => kernels.rmsNorm(out, a, weight, rows, width, 1e-5)],
    ["softmax", [a], (out) => kernels.softmax(out, a, rows, width)],
    ["softCap", [a], (out) => kernels.softCap(out, a, count, 2)],
    ...ACTIVATIONS.flatMap((activation): [string, number[], (out: number) => void][] => [
      [activation, [a], (out) => kernels.activate(out, a, count, activation)],
      [`gate ${activation}`, [a, b], (out) => kernels.gate(out, a, b, count, activation)],
    ]),
  ];
  for (const [name, places, op] of ops) {
    fill();
    op(apart);
    const expected = arena.f32(apart, count).slice();
    for (const place of places) {
      fill();
      op(place);
      expect(arena.f32(place, count), name).toEqual(expected);
    }
  }
});

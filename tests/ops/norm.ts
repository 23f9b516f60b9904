/** Cases of layerNorm, rmsNorm and softmax. */

import { layerNorm, rmsNorm, softmax } from "@qkv/core";
import { float32 } from "../onnx/model";
import { type Divergence, type OpCase, place, results, shapeName } from "./case";
import { numbers, Random, seedOf, type Values } from "./random";

type RowValues = Values | "constant" | "far from 0" | "small";

interface NormOptions {
  readonly values?: RowValues;
  readonly eps?: number;
  readonly diverges?: Omit<Divergence, "at">;
}

function rows(random: Random, N: number, D: number, values: RowValues): Float32Array {
  switch (values) {
    case "constant":
      return Float32Array.from({ length: N * D }, (_, i) => [0, 0.1, -7.3, 1e4][Math.floor(i / D) % 4]);
    case "far from 0":
      return random.normal(N * D).map((x) => x + 1000);
    case "small":
      return random.normal(N * D, 1e-10);
    default:
      return numbers(random, N * D, values);
  }
}

function normName(shape: { N: number; D: number }, values: RowValues, eps: number): string {
  return `${shapeName(shape)}, ${values}, eps ${eps}`;
}

function everywhere(count: number, diverges: Omit<Divergence, "at"> | undefined) {
  const at = Array.from({ length: count }, (_, i) => i);
  return diverges === undefined ? {} : { diverges: { out: { ...diverges, at } } };
}

/** LayerNorm of x [N, D]. */
export function layerNormCase(
  shape: { N: number; D: number },
  { values = "normal", eps = 1e-5, bias = false, diverges }: NormOptions & { bias?: boolean } = {},
): OpCase {
  const { N, D } = shape;
  const name = `${normName(shape, values, eps)}${bias ? ", bias" : ""}`;
  return {
    op: "layerNorm",
    name,
    shape,
    inputs() {
      const random = new Random(seedOf(name));
      const inputs = {
        x: rows(random, N, D, values),
        weight: random.normal(D),
      };
      return bias ? { ...inputs, bias: random.normal(D) } : inputs;
    },
    prepare(kernels, inputs) {
      const { arena } = kernels;
      const [x, weight] = [place(arena, inputs.x), place(arena, inputs.weight)];
      const b = bias ? place(arena, inputs.bias) : null;
      const { at, read } = results(arena, { out: N * D });
      return {
        run: () => kernels.layerNorm(at.out, x, weight, b, N, D, eps),
        results: read,
      };
    },
    functional: ({ x, weight, bias: b }) => ({
      out: layerNorm(x, weight, bias ? b : null, { eps }),
    }),
    onnx(g, { x, weight, bias: b }) {
      const inputs = [g.constant(float32(x, N, D)), g.constant(float32(weight, D))];
      if (bias) inputs.push(g.constant(float32(b, D)));
      return {
        out: g.op("LayerNormalization", inputs, { axis: -1n, epsilon: eps }),
      };
    },
    exact({ x, weight, bias: b }) {
      const values: number[] = [];
      const sizes: number[] = [];
      for (let start = 0; start < N * D; start += D) {
        const row = Array.from(x.subarray(start, start + D));
        const mean = row.reduce((sum, value) => sum + value, 0) / D;
        const deviation = Math.sqrt(row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / D + eps);
        const largest = Math.max(...row.map(Math.abs));
        row.forEach((value, i) => {
          const shift = bias ? b[i] : 0;
          values.push(((value - mean) / deviation) * weight[i] + shift);
          sizes.push(((Math.abs(value) + largest) / deviation) * Math.abs(weight[i]) + Math.abs(shift));
        });
      }
      return { out: { values, sizes } };
    },
    // The rounded mean is off by some ε max|x|, and so is every difference from it.
    bound: {
      roundings: 4,
      size: "(|x| + max|x|) / deviation |weight| + |bias|",
      floor: 2 ** -149 / Math.sqrt(eps),
    },
    ...everywhere(N * D, diverges),
  };
}

export const LAYER_NORM_CASES: readonly OpCase[] = [
  ...[
    { N: 0, D: 4 },
    { N: 1, D: 1 },
    { N: 2, D: 3 },
    { N: 3, D: 64 },
    { N: 33, D: 65 },
    { N: 2, D: 1031 },
  ].flatMap((shape) => [layerNormCase(shape), layerNormCase(shape, { bias: true })]),
  layerNormCase({ N: 4, D: 7 }, { values: "constant" }),
  layerNormCase({ N: 4, D: 7 }, { values: "constant", bias: true }),
  layerNormCase({ N: 3, D: 33 }, { values: "negative", eps: 1e-12 }),
  layerNormCase({ N: 3, D: 33 }, { values: "far from 0" }),
  layerNormCase({ N: 3, D: 33 }, { values: "small", eps: 1e-12 }),
  layerNormCase({ N: 3, D: 33 }, { values: "denormal" }),
  layerNormCase(
    { N: 2, D: 5 },
    {
      values: "huge",
      diverges: {
        why: "its variance overflows float32, and x / Infinity is 0",
        onnx: 0,
      },
    },
  ),
];

/** RMSNorm of x [N, D]. */
export function rmsNormCase(
  shape: { N: number; D: number },
  { values = "normal", eps = 1e-6, diverges }: NormOptions = {},
): OpCase {
  const { N, D } = shape;
  const name = normName(shape, values, eps);
  return {
    op: "rmsNorm",
    name,
    shape,
    inputs() {
      const random = new Random(seedOf(name));
      return { x: rows(random, N, D, values), weight: random.normal(D) };
    },
    prepare(kernels, inputs) {
      const [x, weight] = [place(kernels.arena, inputs.x), place(kernels.arena, inputs.weight)];
      const { at, read } = results(kernels.arena, { out: N * D });
      return {
        run: () => kernels.rmsNorm(at.out, x, weight, N, D, eps),
        results: read,
      };
    },
    functional: ({ x, weight }) => ({ out: rmsNorm(x, weight, { eps }) }),
    onnx: (g, { x, weight }) => ({
      out: g.op("RMSNormalization", [g.constant(float32(x, N, D)), g.constant(float32(weight, D))], {
        axis: -1n,
        epsilon: eps,
      }),
    }),
    exact({ x, weight }) {
      const values: number[] = [];
      for (let start = 0; start < N * D; start += D) {
        const row = Array.from(x.subarray(start, start + D));
        const scale = Math.sqrt(row.reduce((sum, value) => sum + value ** 2, 0) / D + eps);
        row.forEach((value, i) => {
          values.push((value / scale) * weight[i]);
        });
      }
      return { out: { values, sizes: values.map(Math.abs) } };
    },
    bound: { roundings: 6, size: "|result|", floor: 2 ** -147 },
    ...everywhere(N * D, diverges),
  };
}

export const RMS_NORM_CASES: readonly OpCase[] = [
  rmsNormCase({ N: 0, D: 4 }),
  rmsNormCase({ N: 1, D: 1 }),
  rmsNormCase({ N: 2, D: 3 }),
  rmsNormCase({ N: 3, D: 64 }, { eps: 1e-5 }),
  rmsNormCase({ N: 33, D: 65 }),
  rmsNormCase({ N: 2, D: 1031 }),
  rmsNormCase({ N: 4, D: 7 }, { values: "constant" }),
  rmsNormCase({ N: 3, D: 33 }, { values: "negative" }),
  rmsNormCase({ N: 3, D: 33 }, { values: "far from 0" }),
  rmsNormCase({ N: 3, D: 33 }, { values: "small" }),
  rmsNormCase({ N: 3, D: 33 }, { values: "denormal" }),
  rmsNormCase(
    { N: 2, D: 5 },
    {
      values: "huge",
      diverges: {
        why: "its mean of squares overflows float32, and x / Infinity is 0",
        onnx: 0,
      },
    },
  ),
];

/** Softmax of x [N, D], some given numbers, or random ones times `spread`. */
export function softmaxCase(
  shape: { N: number; D: number },
  { what, x: given, diverges }: { what?: string; x?: readonly number[]; diverges?: Divergence } = {},
): OpCase {
  const { N, D } = shape;
  const name = `${shapeName(shape)}${what === undefined ? "" : `, ${what}`}`;
  return {
    op: "softmax",
    name,
    shape,
    inputs: () => ({
      x: given ? Float32Array.from(given) : new Random(seedOf(name)).normal(N * D, 5),
    }),
    prepare(kernels, inputs) {
      const x = place(kernels.arena, inputs.x);
      const { at, read } = results(kernels.arena, { out: N * D });
      return { run: () => kernels.softmax(at.out, x, N, D), results: read };
    },
    functional: ({ x }) => ({ out: softmax(x, { width: D }) }),
    onnx: (g, { x }) => ({
      out: g.op("Softmax", [g.constant(float32(x, N, D))], { axis: -1n }),
    }),
    exact({ x }) {
      const values: number[] = [];
      const sizes: number[] = [];
      for (let start = 0; start < N * D; start += D) {
        const row = Array.from(x.subarray(start, start + D));
        const max = Math.max(...row);
        const weights = row.map((value) => (value === max ? 1 : Math.exp(value - max)));
        const sum = weights.reduce((a, b) => a + b, 0);
        row.forEach((value, i) => {
          const masked = max === Number.NEGATIVE_INFINITY;
          values.push(masked ? 0 : weights[i] / sum);
          sizes.push(masked || weights[i] === 0 ? 0 : (weights[i] / sum) * (1 + max - value));
        });
      }
      return { out: { values, sizes } };
    },
    // x - max is rounded, which changes e^(x - max) by ε |x - max|; results below 2^-126 may be flushed to 0.
    bound: { roundings: 4, size: "result (1 + max - x)", floor: 2 ** -126 },
    ...(diverges && { diverges: { out: diverges } }),
  };
}

const INF = Number.POSITIVE_INFINITY;

export const SOFTMAX_CASES: readonly OpCase[] = [
  softmaxCase({ N: 0, D: 4 }),
  softmaxCase({ N: 1, D: 1 }),
  softmaxCase({ N: 2, D: 3 }),
  softmaxCase({ N: 33, D: 65 }),
  softmaxCase({ N: 3, D: 1031 }),
  softmaxCase({ N: 3, D: 2 }, { what: "equal, huge", x: [3e38, 3e38, 1e30, 1e30, -1e30, -1e30] }),
  softmaxCase({ N: 3, D: 3 }, { what: "far apart", x: [1e30, -1e30, 0, 0, -100, -87, 1000, 999, -3e38] }),
  softmaxCase({ N: 2, D: 3 }, { what: "denormal", x: [1e-45, 0, -1e-45, 1e-40, 1e-39, 0] }),
  softmaxCase({ N: 2, D: 3 }, { what: "partly masked", x: [-INF, 1, 2, 5, -INF, -INF] }),
  softmaxCase({ N: 2, D: 3 }, { what: "NaN spreads over its row alone", x: [1, NaN, -INF, 1, 2, 3] }),
  softmaxCase(
    { N: 2, D: 3 },
    {
      what: "a row masked whole",
      x: [-INF, -INF, -INF, 1, 2, 3],
      diverges: {
        why: "-Infinity minus -Infinity is NaN; ours gives zeros",
        at: [0, 1, 2],
        onnx: NaN,
      },
    },
  ),
  softmaxCase(
    { N: 2, D: 3 },
    {
      what: "Infinity shares the row with its equals",
      x: [INF, INF, 1, INF, 0, -INF],
      diverges: {
        why: "Infinity minus Infinity is NaN",
        at: [0, 1, 2, 3, 4, 5],
        onnx: NaN,
      },
    },
  ),
];

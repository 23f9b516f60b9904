/** Cases of matmul, embedding and add. */

import { embedding, linear } from "@qkv/core";
import { float32, int64 } from "../onnx/model";
import { bytesOf, type Exact, type OpCase, place, relative, results, shapeName } from "./case";
import { numbers, Random, seedOf, type Values } from "./random";

/** x [N, I] · weight [O, I]ᵀ + bias [O]. */
export function matmulCase(
  shape: { N: number; I: number; O: number },
  { bias = false, x: xs = "normal", weight: ws = "normal" }: { bias?: boolean; x?: Values; weight?: Values } = {},
): OpCase {
  const { N, I, O } = shape;
  const name = `${shapeName(shape)}${bias ? ", bias" : ""}, ${xs} x, ${ws} weight`;
  return {
    op: "matmul",
    name,
    shape,
    inputs() {
      const random = new Random(seedOf(name));
      const inputs = {
        x: numbers(random, N * I, xs),
        weight: numbers(random, O * I, ws),
      };
      return bias ? { ...inputs, bias: numbers(random, O, "normal") } : inputs;
    },
    prepare(kernels, inputs) {
      const { arena } = kernels;
      const x = place(arena, inputs.x);
      const weight = kernels.createMatrix("F32", O, I);
      kernels.writeRows(weight, 0, bytesOf(inputs.weight));
      const b = bias ? place(arena, inputs.bias) : null;
      const { at, read } = results(arena, { out: N * O });
      return {
        run: () => kernels.matmul(at.out, x, weight, b, N),
        results: read,
      };
    },
    ...(I > 0 && {
      functional: ({ x, weight, bias: b }) => ({
        out: linear(x, weight, bias ? { inFeatures: I, bias: b } : { inFeatures: I }),
      }),
    }),
    onnx(g, inputs) {
      const x = g.constant(float32(inputs.x, N, I));
      const weight = g.constant(float32(inputs.weight, O, I));
      if (bias)
        return {
          out: g.op("Gemm", [x, weight, g.constant(float32(inputs.bias, O))], {
            transB: 1n,
          }),
        };
      return {
        out: g.op("MatMul", [x, g.op("Transpose", [weight], { perm: [1n, 0n] })]),
      };
    },
    exact: ({ x, weight, bias: b }) => ({
      out: product(x, weight, bias ? b : null, I, O),
    }),
    // Each of the I + 1 additions rounds; a random walk of them stays within some sqrt(I) (Higham and Mary 2019).
    bound: {
      roundings: 2 + Math.sqrt(I),
      size: "Σ|x w| + |bias|",
      floor: (I + 1) * 2 ** -149,
    },
  };
}

function product(x: Float32Array, weight: Float32Array, bias: Float32Array | null, I: number, O: number): Exact {
  const values: number[] = [];
  const sizes: number[] = [];
  const rows = I === 0 ? 0 : x.length / I;
  for (let n = 0; n < rows; n++) {
    for (let o = 0; o < O; o++) {
      const terms = Array.from({ length: I }, (_, i) => x[n * I + i] * weight[o * I + i]);
      if (bias !== null) terms.push(bias[o]);
      values.push(terms.reduce((a, b) => a + b, 0));
      sizes.push(terms.reduce((a, b) => a + Math.abs(b), 0));
    }
  }
  return { values, sizes };
}

/** A matmul whose first rows hold Infinity, -Infinity and NaN, the last only plain numbers. */
function matmulSpecials(): OpCase {
  const base = matmulCase({ N: 4, I: 5, O: 3 }, { weight: "negative" });
  return {
    ...base,
    name: "rows with Infinity, -Infinity, NaN and without, negative weight",
    inputs() {
      const { x, weight } = base.inputs();
      x[0 * 5 + 1] = Number.POSITIVE_INFINITY;
      x[1 * 5 + 2] = Number.NEGATIVE_INFINITY;
      x[2 * 5 + 4] = Number.NaN;
      return { x, weight };
    },
  };
}

export const MATMUL_CASES: readonly OpCase[] = [
  ...[
    { N: 0, I: 3, O: 2 },
    { N: 1, I: 1, O: 1 },
    { N: 1, I: 3, O: 2 },
    { N: 2, I: 4, O: 4 },
    { N: 3, I: 5, O: 7 },
    { N: 1, I: 64, O: 65 },
    { N: 5, I: 17, O: 8 },
    { N: 33, I: 65, O: 129 },
    { N: 1, I: 1031, O: 9 },
    { N: 130, I: 8, O: 3 },
  ].flatMap((shape) => [matmulCase(shape), matmulCase(shape, { bias: true })]),
  matmulCase({ N: 3, I: 33, O: 5 }, { x: "negative", weight: "negative" }),
  matmulCase({ N: 3, I: 33, O: 5 }, { x: "tiny", weight: "tiny" }),
  matmulCase({ N: 3, I: 33, O: 5 }, { x: "denormal" }),
  matmulCase({ N: 3, I: 33, O: 5 }, { x: "huge", weight: "tiny" }),
  // Every product is +1e60 or so, and float32 ends at 3.4e38: Infinity is right.
  matmulCase({ N: 2, I: 1, O: 5 }, { x: "huge", weight: "huge" }),
  matmulSpecials(),
];

/** Rows of table [V, D] by N ids. */
export function embeddingCase(shape: { N: number; V: number; D: number }): OpCase {
  const { N, V, D } = shape;
  const name = shapeName(shape);
  const random = new Random(seedOf(name));
  const ids = Array.from({ length: N }, (_, n) => (n === 0 ? V - 1 : random.integer(V)));
  return {
    op: "embedding",
    name,
    shape,
    inputs() {
      const table = numbers(new Random(seedOf(name) + 1), V * D, "normal");
      table.set([Number.NaN, Number.NEGATIVE_INFINITY, 1e-45].slice(0, D), (V - 1) * D);
      return { table };
    },
    prepare(kernels, inputs) {
      const table = kernels.createMatrix("F32", V, D);
      kernels.writeRows(table, 0, bytesOf(inputs.table));
      const { at, read } = results(kernels.arena, { out: N * D });
      return {
        run: () => kernels.embedding(at.out, table, ids),
        results: read,
      };
    },
    functional: ({ table }) => ({ out: embedding(table, ids, { width: D }) }),
    onnx: (g, { table }) => ({
      out: g.op("Gather", [g.constant(float32(table, V, D)), g.constant(int64(ids, N))], { axis: 0n }),
    }),
    exact: ({ table }) => ({
      out: relative(ids.flatMap((id) => Array.from(table.subarray(id * D, id * D + D)))),
    }),
    bound: { roundings: 0, size: "the same bits" },
  };
}

export const EMBEDDING_CASES: readonly OpCase[] = [
  embeddingCase({ N: 0, V: 3, D: 4 }),
  embeddingCase({ N: 1, V: 1, D: 1 }),
  embeddingCase({ N: 5, V: 3, D: 7 }),
  embeddingCase({ N: 33, V: 129, D: 65 }),
];

/** a + b. */
export function addCase(shape: { N: number }, values: Values = "normal", special: readonly number[] = []): OpCase {
  const { N } = shape;
  const name = `${shapeName(shape)}, ${special.length > 0 ? "special values" : values}`;
  return {
    op: "add",
    name,
    shape,
    inputs() {
      const random = new Random(seedOf(name));
      const [a, b] = [numbers(random, N, values), numbers(random, N, values)];
      special.forEach((x, i) => {
        special.forEach((y, j) => {
          a[i * special.length + j] = x;
          b[i * special.length + j] = y;
        });
      });
      return { a, b };
    },
    prepare(kernels, inputs) {
      const [a, b] = [place(kernels.arena, inputs.a), place(kernels.arena, inputs.b)];
      const { at, read } = results(kernels.arena, { out: N });
      return { run: () => kernels.add(at.out, a, b, N), results: read };
    },
    onnx: (g, { a, b }) => ({
      out: g.op("Add", [g.constant(float32(a, N)), g.constant(float32(b, N))]),
    }),
    exact: ({ a, b }) => ({ out: relative(Array.from(a, (x, i) => x + b[i])) }),
    bound: { roundings: 0, size: "the same bits" },
  };
}

export const ADD_CASES: readonly OpCase[] = [
  addCase({ N: 0 }),
  addCase({ N: 1 }),
  addCase({ N: 33 }),
  addCase({ N: 4097 }),
  addCase({ N: 33 }, "denormal"),
  addCase({ N: 33 }, "huge"),
  addCase({ N: 36 }, "normal", [0, -0, 3.4e38, -3.4e38, Number.POSITIVE_INFINITY, Number.NaN]),
];

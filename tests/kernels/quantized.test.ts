/**
 * Weights in every dtype: what is stored comes back exactly, and products agree with the reference, for activations as
 * they are and in 8 bits. Every form of the code, and any number of threads, gives the same bits.
 */

import {
  type ActivationPrecision,
  Arena,
  blockSizes,
  type Dtype,
  decode,
  isQuantized,
  type Kernels,
  ReferenceKernels,
  rowBytes,
} from "@qkv/core";
import { describe, expect, test } from "vitest";
import { place } from "../ops/case";
import { EPSILON, worst } from "../ops/compare";
import { Random, seedOf } from "../ops/random";
import { randomRows } from "../ops/weights";
import { FORMS, wasmKernels } from "./implementations";

const DTYPES = Object.keys(blockSizes) as Dtype[];

function decoded(dtype: Dtype, bytes: Uint8Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(rows * columns);
  const size = rowBytes(dtype, columns);
  const { elements } = blockSizes[dtype];
  const whole = new Float32Array(Math.ceil(columns / elements) * elements);
  for (let row = 0; row < rows; row++) {
    decode(dtype, bytes.subarray(row * size, (row + 1) * size), whole);
    out.set(whole.subarray(0, columns), row * columns);
  }
  return out;
}

interface Shape {
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
}

const SHAPES: readonly Shape[] = [
  { rows: 1, inputs: 32, outputs: 1 },
  { rows: 1, inputs: 256, outputs: 16 },
  { rows: 2, inputs: 33, outputs: 17 },
  { rows: 3, inputs: 7, outputs: 5 },
  { rows: 5, inputs: 300, outputs: 40 },
  { rows: 7, inputs: 512, outputs: 31 },
  { rows: 13, inputs: 96, outputs: 64 },
];

/** Shapes that a dtype can have: Q6_K comes in whole blocks of 256. */
const shapesOf = (dtype: Dtype) =>
  dtype === "Q6_K" ? SHAPES.map((shape) => ({ ...shape, inputs: Math.ceil(shape.inputs / 256) * 256 })) : SHAPES;

const name = ({ rows, inputs, outputs }: Shape) => `N${rows} I${inputs} O${outputs}`;

/** out = x · weightᵀ + bias, by the kernels. */
function product(kernels: Kernels, dtype: Dtype, shape: Shape, bias: boolean, xs: (random: Random) => Float32Array) {
  const { rows, inputs, outputs } = shape;
  const { arena } = kernels;
  const seed = seedOf(`${dtype} ${inputs} ${outputs}`);
  const matrix = kernels.createMatrix(dtype, outputs, inputs);
  kernels.writeRows(matrix, 0, randomRows(dtype, outputs, inputs, seed));
  const b = new Random(seed + 2).normal(outputs);
  const x = xs(new Random(seed + 1));
  const [at, biasAt] = [place(arena, x), place(arena, b)];
  const out = arena.allocate(4 * rows * outputs + 64, "results");
  arena.f32(out, rows * outputs + 16).fill(777);
  kernels.matmul(out, at, matrix, bias ? biasAt : null, rows);
  const after = arena.f32(out, rows * outputs + 16);
  expect([...after.subarray(rows * outputs)], "nothing past the output").toEqual(new Array(16).fill(777));
  return { out: after.slice(0, rows * outputs), x, bias: b };
}

const PRECISIONS: readonly ActivationPrecision[] = ["f32", "int8"];
const normal = (shape: Shape) => (random: Random) => random.normal(shape.rows * shape.inputs);

const TABLES = [
  [1, 32],
  [17, 64],
  [33, 40],
  [5, 300],
  [40, 256],
] as const;
const SIX_BIT_TABLES = [
  [1, 256],
  [17, 512],
  [33, 256],
] as const;

describe.each(Object.entries(FORMS))("%s", (_, form) => {
  describe.each(DTYPES)("%s", (dtype) => {
    test("rows come back exactly, in any order and any pieces", async () => {
      const kernels = await wasmKernels({ form });
      const sizes = dtype === "Q6_K" ? SIX_BIT_TABLES : TABLES;
      for (const [rows, columns] of sizes) {
        const bytes = randomRows(dtype, rows, columns, rows);
        const matrix = kernels.createMatrix(dtype, rows, columns);
        const size = rowBytes(dtype, columns);
        const cut = Math.floor(rows / 3);
        kernels.writeRows(matrix, cut, bytes.subarray(cut * size));
        kernels.writeRows(matrix, 0, bytes.subarray(0, cut * size));
        const ids = Array.from({ length: rows }, (_, i) => (i * 7) % rows);
        const out = kernels.arena.allocate(4 * rows * columns, "results");
        kernels.embedding(out, matrix, ids);
        const expected = decoded(dtype, bytes, rows, columns);
        const got = kernels.arena.f32(out, rows * columns);
        ids.forEach((id, i) => {
          expect(got.subarray(i * columns, (i + 1) * columns)).toEqual(
            expected.subarray(id * columns, (id + 1) * columns),
          );
        });
      }
    });

    test.each(PRECISIONS)(
      "products within 2 + sqrt(I) roundings of the reference, activations %s",
      async (activations) => {
        const kernels = await wasmKernels({ form, activations });
        const reference = new ReferenceKernels(new Arena(), { activations });
        for (const shape of shapesOf(dtype)) {
          for (const bias of [false, true]) {
            const { rows, inputs, outputs } = shape;
            const { out, x, bias: b } = product(kernels, dtype, shape, bias, normal(shape));
            const expected = product(reference, dtype, shape, bias, normal(shape)).out;
            const weight = decoded(
              dtype,
              randomRows(dtype, outputs, inputs, seedOf(`${dtype} ${inputs} ${outputs}`)),
              outputs,
              inputs,
            );
            const allowed = (at: number) => {
              const [n, o] = [Math.floor(at / outputs), at % outputs];
              let size = bias ? Math.abs(b[o]) : 0;
              // Quantised activations are up to the block's largest; what is subtracted of 4-bit weights is 8 scales.
              const factor = isQuantized(dtype) && activations === "int8" ? 8 : 1;
              for (let i = 0; i < inputs; i++) size += factor * Math.abs(x[n * inputs + i] * weight[o * inputs + i]);
              return (2 + Math.sqrt(inputs)) * EPSILON * size + 1e-30;
            };
            const { ratio, where } = worst(out, expected, allowed);
            expect(ratio, `${name(shape)}, ${where}`).toBeLessThanOrEqual(1);
            expect(rows * outputs).toBe(out.length);
          }
        }
      },
    );
  });
});

describe("the same bits", () => {
  test.each(DTYPES.flatMap((dtype) => PRECISIONS.map((precision) => [dtype, precision] as const)))(
    "%s, activations %s: in every form, alone or in a batch",
    async (dtype, activations) => {
      const forms = await Promise.all(Object.values(FORMS).map((form) => wasmKernels({ form, activations })));
      for (const shape of shapesOf(dtype)) {
        const [first, ...others] = forms.map((kernels) => product(kernels, dtype, shape, true, normal(shape)));
        for (const other of others) expect(other.out).toEqual(first.out);
        for (let row = 0; row < shape.rows; row++) {
          const alone = product(forms[0], dtype, { ...shape, rows: 1 }, true, () =>
            first.x.slice(row * shape.inputs, (row + 1) * shape.inputs),
          );
          expect(alone.out).toEqual(first.out.slice(row * shape.outputs, (row + 1) * shape.outputs));
        }
      }
    },
  );
});

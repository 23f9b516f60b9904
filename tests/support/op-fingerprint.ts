/** What the kernels make of the op table and of every dtype, as hashes: the same code in Node and in a browser. */

import { type ActivationPrecision, Arena, blockSizes, type Dtype, engineFeatures, WasmKernels } from "@qkv/core";
import { OP_TABLE } from "../op-table";
import { place } from "../ops/case";
import { Random, seedOf } from "../ops/random";
import { randomRows } from "../ops/weights";

/** SHA-256 over the bits of all results, by op, and of products and rows, by dtype and kind of activations. */
export async function opFingerprint(): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  const plain = await WasmKernels.create(new Arena(), engineFeatures(), { activations: "f32" });
  for (const [op, cases] of Object.entries(OP_TABLE)) {
    const all: Float32Array[] = [];
    for (const opCase of cases) {
      const { run, results } = opCase.prepare(plain, opCase.inputs());
      run();
      all.push(...Object.values(results()));
    }
    hashes[op] = await hashBits(all);
  }
  for (const activations of ["f32", "int8"] as const) {
    for (const dtype of Object.keys(blockSizes) as Dtype[]) {
      hashes[`matmul ${dtype}, activations ${activations}`] = await products(dtype, activations);
    }
  }
  return hashes;
}

async function products(dtype: Dtype, activations: ActivationPrecision): Promise<string> {
  const [inputs, outputs] = [512, 37];
  const kernels = await WasmKernels.create(new Arena(), engineFeatures(), { activations });
  const { arena } = kernels;
  const matrix = kernels.createMatrix(dtype, outputs, inputs);
  kernels.writeRows(matrix, 0, randomRows(dtype, outputs, inputs, seedOf(dtype)));
  const all: Float32Array[] = [];
  for (const rows of [1, 2, 7]) {
    const x = place(arena, new Random(rows).normal(rows * inputs));
    const out = arena.allocate(4 * rows * outputs, "results");
    kernels.matmul(out, x, matrix, null, rows);
    all.push(arena.f32(out, rows * outputs).slice());
  }
  const rows = arena.allocate(4 * 2 * inputs, "results");
  kernels.embedding(rows, matrix, [outputs - 1, 3]);
  all.push(arena.f32(rows, 2 * inputs).slice());
  return hashBits(all);
}

/** NaN counts as one value: its payload is the one thing that WebAssembly leaves to the engine. */
async function hashBits(arrays: readonly Float32Array[]): Promise<string> {
  const words = new Uint32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    const bits = new Uint32Array(array.buffer, array.byteOffset, array.length);
    for (const word of bits) words[at++] = (word & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : word;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", words));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

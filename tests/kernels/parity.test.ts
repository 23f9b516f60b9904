/**
 * Every op of the table in WebAssembly: within its bound of the reference, and the same bits in every form of the code,
 * on every number of threads, and with addresses of 64 bits where the engine has them.
 */

import { Arena, memory64Available, ReferenceKernels, setLeastSharedWork, type WasmKernels } from "@qkv/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OP_TABLE } from "../op-table";
import { KEY_ROW_CASES } from "../ops/attention";
import type { Arrays, OpCase } from "../ops/case";
import { allowed, worst } from "../ops/compare";
import { FORMS, wasmKernels } from "./implementations";

const reference = new ReferenceKernels(new Arena());

function run(kernels: WasmKernels | ReferenceKernels, opCase: OpCase): Arrays {
  const { run, results } = opCase.prepare(kernels, opCase.inputs());
  run();
  return results();
}

function bits(arrays: Arrays): Record<string, Uint32Array> {
  return Object.fromEntries(
    Object.entries(arrays).map(([name, { buffer, byteOffset, length }]) => {
      const words = new Uint32Array(buffer, byteOffset, length).slice();
      // The payload of a NaN is the one thing that WebAssembly leaves to the engine.
      return [name, words.map((word) => ((word & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : word))];
    }),
  );
}

const TABLE = { ...OP_TABLE, "attention, keys by row": KEY_ROW_CASES };

describe.each(Object.entries(TABLE))("%s", (_op, cases) => {
  let kernels: WasmKernels;
  let others: Record<string, WasmKernels>;
  beforeAll(async () => {
    setLeastSharedWork(0);
    kernels = await wasmKernels();
    others = { "two threads": await wasmKernels({ threads: 2 }), "three threads": await wasmKernels({ threads: 3 }) };
    for (const [name, form] of Object.entries(FORMS)) others[name] = await wasmKernels({ form });
    if (memory64Available()) others["addresses of 64 bits"] = await wasmKernels({ addressBits: 64 });
  });
  afterAll(() => {
    setLeastSharedWork(60_000);
    for (const each of [kernels, ...Object.values(others)]) each.dispose();
  });

  test.each(
    cases.map((opCase) => [opCase.name, opCase.bound.roundings.toFixed(1), opCase.bound.size, opCase] as const),
  )("%s: within %s ε of %s", (_name, _roundings, _size, opCase) => {
    const expected = run(reference, opCase);
    const actual = run(kernels, opCase);
    const exact = opCase.exact(opCase.inputs());
    for (const [name, values] of Object.entries(expected)) {
      const { ratio, where } = worst(actual[name], values, (i) => allowed(exact[name], opCase.bound, i));
      expect(ratio, `${name}, ${where}`).toBeLessThanOrEqual(1);
    }
    for (const [form, other] of Object.entries(others)) expect(bits(run(other, opCase)), form).toEqual(bits(actual));
  });
});

/** Every op of the table: the reference kernels against exact formulas and against onnxruntime. */

import { Arena, type Kernels, ReferenceKernels } from "@qkv/core";
import { describe, expect, test } from "vitest";
import { OP_TABLE } from "../op-table";
import { KEY_ROW_CASES } from "../ops/attention";
import type { Arrays, OpCase } from "../ops/case";
import { allowed, allowedRounded, worst } from "../ops/compare";
import { Graph } from "./graph";
import { onnxruntime, runOnnx } from "./session";

/** 23 has RMSNormalization, RotaryEmbedding and Attention; Swish came with 24. */
const OPSET = 24;

function ours(kernels: Kernels, opCase: OpCase): Arrays {
  const { run, results } = opCase.prepare(kernels, opCase.inputs());
  run();
  return results();
}

async function theirs(opCase: OpCase): Promise<Arrays> {
  if (typeof opCase.onnx === "string") throw new Error(opCase.onnx);
  const graph = new Graph(OPSET);
  for (const [name, value] of Object.entries(opCase.onnx(graph, opCase.inputs()))) graph.output(name, value);
  return runOnnx(graph.bytes());
}

/** For titles: "%s" writes a name in full, where "$name" cuts it. */
function named(cases: readonly OpCase[]): [string, OpCase][] {
  return cases.map((opCase) => [opCase.name, opCase]);
}

function boundName({ bound: { roundings, size } }: OpCase): string {
  return roundings === 0 ? size : `the same within ${roundings.toFixed(1)} ε of ${size}`;
}

/** Fails with the element that is furthest out. A result's name is part of the message. */
function expectWithin(name: string, { ratio, where }: { ratio: number; where: string }): void {
  expect(ratio, `${name}, ${where}`).toBeLessThanOrEqual(1);
}

test("the table has every op of Kernels", () => {
  // Beside the ops: what makes matrices, which matmul's cases do, and several matmuls at once.
  const others = ["constructor", "createMatrix", "writeRows", "matmuls"];
  const methods = Object.getOwnPropertyNames(ReferenceKernels.prototype).filter((name) => !others.includes(name));
  expect(Object.keys(OP_TABLE).sort()).toEqual(methods.sort());
});

const TABLES: readonly [title: string, op: string, cases: readonly OpCase[]][] = [
  ...Object.entries(OP_TABLE).map(([op, cases]): [string, string, readonly OpCase[]] => [op, op, cases]),
  // The function on arrays and onnxruntime are given keys and values in order.
  ["attention, keys by row", "attention", KEY_ROW_CASES],
];

describe.each(TABLES)("%s", (_, op, cases) => {
  const kernels = new ReferenceKernels(new Arena());

  test("cases have names of their own", () => {
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    expect(cases.every((opCase) => opCase.op === op)).toBe(true);
  });

  describe("the reference is within 0.5 ulp of the exact result", () => {
    test.each(named(cases))("%s", (_, opCase) => {
      const actual = ours(kernels, opCase);
      const exact = opCase.exact(opCase.inputs());
      expect(Object.keys(actual)).toEqual(Object.keys(exact));
      for (const [name, result] of Object.entries(exact)) {
        const overflowed = Array.from(result.values, (x) => (Number.isFinite(Math.fround(x)) ? x : Math.fround(x)));
        expectWithin(
          name,
          worst(actual[name], overflowed, (i) => allowedRounded(result, i)),
        );
      }
    });
  });

  const functional = cases.filter((opCase) => opCase.functional !== undefined);
  describe.skipIf(functional.length === 0)("the function on arrays gives the same bits", () => {
    test.each(named(functional))("%s", (_, opCase) => {
      const actual = opCase.functional?.(opCase.inputs()) ?? {};
      expect(actual).toEqual(ours(kernels, opCase));
    });
  });

  const comparable = cases.filter(({ onnx }) => typeof onnx !== "string");
  const bounded = comparable.map((opCase): [string, OpCase] => [`${opCase.name}: ${boundName(opCase)}`, opCase]);
  describe.skipIf(onnxruntime === null)("onnxruntime gives", () => {
    test.each(bounded)("%s", async (_, opCase) => {
      const expected = ours(kernels, opCase);
      const exact = opCase.exact(opCase.inputs());
      const actual = await theirs(opCase);
      expect(Object.keys(actual)).toEqual(Object.keys(expected));
      for (const [name, values] of Object.entries(expected)) {
        const divergence = opCase.diverges?.[name];
        const diverges = new Set(divergence?.at);
        for (const i of diverges) {
          expect(actual[name][i] + 0, divergence?.why).toBe(divergence?.onnx);
          expect(values[i], "a divergence that is none").not.toBe(divergence?.onnx);
        }
        const alike = actual[name].map((value, i) => (diverges.has(i) ? values[i] : value));
        expectWithin(
          name,
          worst(alike, values, (i) => allowed(exact[name], opCase.bound, i)),
        );
      }
    });
  });
});

/** Turbo: the check that guards it finds a kernel that differs, and what it guards gives the same bits. */

import { describe, expect, test } from "vitest";
import { Arena } from "../memory/arena";
import { engineFeatures } from "./engine";
import { firstDifference, kernelResults } from "./self-check";
import { turboFeatures } from "./turbo";
import { WasmKernels } from "./wasm-kernels";

const plain = () => WasmKernels.create(new Arena());

describe("the check", () => {
  test("finds no difference between two of the same", async () => {
    expect(firstDifference(kernelResults(await plain()), kernelResults(await plain()))).toBeNull();
  });

  test.each([
    ["softmax", "softmax"],
    ["matmul", "matmul F32 of 1"],
    ["attention", "attention of 1"],
  ] as const)("names the kernel that differs: %s", async (method, name) => {
    const wrong = await plain();
    const right = wrong[method].bind(wrong) as (...args: unknown[]) => void;
    // One unit in the last place of one element
    const off = (...args: unknown[]) => {
      right(...args);
      wrong.arena.i32(args[0] as number, 1)[0] ^= 1;
    };
    Object.defineProperty(wrong, method, { value: off });
    expect(firstDifference(kernelResults(await plain()), kernelResults(wrong))).toBe(name);
  });
});

test("turbo offers what this Node has, and what was compiled before goes on", async () => {
  const before = kernelResults(await plain());
  const features = await turboFeatures();
  const node = Number.parseInt(process.versions.node, 10);
  expect(features).toEqual({ ...engineFeatures(), wide: node >= 24 });
  expect(firstDifference(before, kernelResults(await WasmKernels.create(new Arena(), features)))).toBeNull();
});

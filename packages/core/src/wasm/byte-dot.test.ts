/**
 * The code for engines whose dot product takes full bytes, on any engine: with that dot product put together of base
 * instructions. Where the engine has it, it must be what it was taken for, optimised too.
 */

import { afterEach, describe, expect, test, vi } from "vitest";
import { Arena } from "../memory/arena";
import type { FunctionBuilder, Operand } from "./assembler";
import { byteDotReading, type EngineFeatures, engineFeatures, relaxedDotAvailable } from "./engine";
import { ModuleBuilder } from "./module";
import { compileNow } from "./program";
import { firstDifference, kernelResults } from "./self-check";
import { WasmKernels } from "./wasm-kernels";

const PLAIN = { addressBits: 32, shared: false } as const;
const BASE: EngineFeatures = { relaxedDot: false, byteDot: null, keepsOrder: true, wide: false };
const READINGS = ["unsigned", "signed"] as const;
const DTYPES = new Set(["Q8_0", "Q4_0"] as const);

/** How an engine reads the second operand, and adds: what the specification leaves open. */
type Reading = "unsigned" | "signed" | "saturating";

/** Emits the relaxed dot product as base instructions, a byte of each lane after the other. */
function emulate(reading: Reading): void {
  const original = ModuleBuilder.prototype.function;
  vi.spyOn(ModuleBuilder.prototype, "function").mockImplementation(function (this: ModuleBuilder, parameters, emit) {
    return original.call(this, parameters, (f) => {
      Object.assign(f.i32x4, { relaxed_dot_i8x16_i7x16_add_s: dot(f, reading) });
      emit(f);
    });
  });
}

function dot(f: FunctionBuilder, reading: Reading) {
  return (a: Operand<"v128">, b: Operand<"v128">, c: Operand<"v128">): Operand<"v128"> => {
    const [one, two, sum, pair] = f.locals("v128", 4);
    sum.set(c);
    two.set(b);
    one.set(a);
    for (let i = 0; i < 4; i += 2) {
      const product = (byte: number) => {
        const up = () => f.i32.const(24 - 8 * byte);
        const down = () => f.i32.const(24);
        const shr = reading === "signed" ? f.i32x4.shr_s : f.i32x4.shr_u;
        return f.i32x4.mul(f.i32x4.shr_s(f.i32x4.shl(one(), up()), down()), shr(f.i32x4.shl(two(), up()), down()));
      };
      pair.set(f.i32x4.add(product(i), product(i + 1)));
      if (reading === "saturating") {
        for (const [bound, beyond] of [
          [32767, f.i32x4.gt_s],
          [-32768, f.i32x4.lt_s],
        ] as const) {
          pair.set(f.v128.bitselect(f.i32x4.const(bound), pair(), beyond(pair(), f.i32x4.const(bound))));
        }
      }
      sum.set(f.i32x4.add(sum(), pair()));
    }
    return sum();
  };
}

afterEach(() => {
  vi.restoreAllMocks();
});

function results(features: EngineFeatures) {
  const compiled = compileNow({ ...features, ...PLAIN }, DTYPES);
  return kernelResults(new WasmKernels(new Arena(), compiled, { activations: "int8" }), DTYPES);
}

describe.each(READINGS)("8-bit weights for a dot product that takes %s bytes", (byteDot) => {
  const features = { ...BASE, relaxedDot: true, byteDot };

  test.each([false, true])("give the bits of the 16-bit products, wide tiles %s", (wide) => {
    const expected = results(BASE);
    emulate(byteDot);
    expect(firstDifference(expected, results({ ...features, wide }))).toBeNull();
  });

  test("need that reading: the check finds every other", () => {
    const expected = results(BASE);
    for (const other of [...READINGS, "saturating"] as const) {
      if (other === byteDot) continue;
      emulate(other);
      expect(firstDifference(expected, results(features)), other).toMatch(/^matmul Q8_0/);
      vi.restoreAllMocks();
    }
  });
});

test.runIf(relaxedDotAvailable()).each([
  ["unsigned", "unsigned"],
  ["signed", "signed"],
  ["saturating", null],
] as const)("the probe tells a dot product of %s bytes: %s", (reading, expected) => {
  emulate(reading);
  expect(byteDotReading()).toBe(expected);
});

test.runIf(engineFeatures().byteDot !== null)("this engine's gives those bits in optimised code too", async () => {
  const expected = results(BASE);
  const compiled = compileNow({ ...engineFeatures(), ...PLAIN }, DTYPES);
  const kernels = new WasmKernels(new Arena(), compiled, { activations: "int8" });
  const { arena } = kernels;
  const [x, out] = [arena.allocate(4 * 7 * 1024, "x"), arena.allocate(4 * 7 * 64, "results")];
  const matrices = [...DTYPES].map((dtype) => kernels.createMatrix(dtype, 64, 1024));
  for (let round = 0; round < 3; round++) {
    expect(firstDifference(expected, kernelResults(kernels, DTYPES))).toBeNull();
    // Work enough for the engine to compile the kernels anew, and a rest for it to do so in the background.
    for (const matrix of matrices) for (let i = 0; i < 100; i++) kernels.matmul(out, x, matrix, null, 7);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

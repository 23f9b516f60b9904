/** float16 weights give the bits of the same numbers in float32: finite ones, by the short way, and all others. */

import { describe, expect, test } from "vitest";
import { Random } from "../../../../tests/ops/random";
import { decode } from "../dtypes/dtype";
import { Arena } from "../memory/arena";
import { engineFeatures } from "./engine";
import { WasmKernels } from "./wasm-kernels";

const INPUTS = 300;
const OUTPUTS = 37;

/** Every exponent and sign comes up, denormals and zeros too; `specials` of them are infinite or NaN. */
function halves(specials: number): Uint16Array {
  const random = new Random(7);
  const bits = Uint16Array.from({ length: INPUTS * OUTPUTS }, () => {
    const value = random.integer(65_536);
    return (value & 0x7c00) === 0x7c00 ? value & 0x83ff : value;
  });
  const kinds = [0x7c00, 0xfc00, 0x7e01];
  for (let i = 0; i < specials; i++) bits[random.integer(bits.length)] = kinds[i % 3];
  return bits;
}

describe.each([0, 1, 5])("%d infinities and NaN", (specials) => {
  test.each([1, 2, 3, 4, 5, 9])("%d rows", async (rows) => {
    const arena = new Arena();
    const kernels = await WasmKernels.create(arena, engineFeatures(), { dtypes: new Set(["F16", "F32"]) });
    const half = kernels.createMatrix("F16", OUTPUTS, INPUTS);
    const float = kernels.createMatrix("F32", OUTPUTS, INPUTS);
    const [x, fromHalf, fromFloat] = [INPUTS, OUTPUTS, OUTPUTS].map((width) =>
      arena.allocate(4 * rows * width, "test"),
    );
    arena.commit();
    const bytes = new Uint8Array(halves(specials).buffer);
    const values = new Float32Array(INPUTS * OUTPUTS);
    decode("F16", bytes, values);
    kernels.writeRows(half, 0, bytes);
    kernels.writeRows(float, 0, new Uint8Array(values.buffer));
    const random = new Random(rows);
    arena.f32(x, rows * INPUTS).set(random.normal(rows * INPUTS));
    kernels.matmul(fromHalf, x, half, null, rows);
    kernels.matmul(fromFloat, x, float, null, rows);
    const [got, expected] = [fromHalf, fromFloat].map((address) => [...arena.f32(address, rows * OUTPUTS)]);
    expect(got.every((value, i) => Object.is(value, expected[i]))).toBe(true);
    expect(got.some((value) => !Number.isFinite(value))).toBe(specials > 0);
    kernels.dispose();
  });
});

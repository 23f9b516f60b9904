/** How weights lie in memory: panels of 16 outputs, float or quantised. */

import type { Dtype } from "../dtypes/dtype";
import { QUANTIZED_BLOCK } from "../dtypes/quantize";
import type { FunctionBuilder, Operand } from "./assembler";
import type { ModuleBuilder } from "./module";
import { blockBytes, type QuantizedLayout } from "./quantized-layout";

/** Outputs of a panel. */
export const PANEL = 16;
/** Inputs that are summed before the sum is added to the output. */
export const BLOCK = 256;

/** How float weights lie in memory. */
export type FloatDtype = "F32" | "F16" | "BF16";
export const FLOAT_BYTES = { F32: 4, F16: 2, BF16: 2 } as const;

/** Bytes of a slab. */
export const SLAB_BYTES = 4 * PANEL * BLOCK;

/** How a dtype lies in panels. */
export type PanelLayout =
  | { readonly kind: "float"; readonly dtype: "F32" | "F16" | "BF16" }
  | { readonly kind: "quantized"; readonly layout: QuantizedLayout };

/** Bytes of a panel with so many inputs, a multiple of 32 for quantised ones. */
export function panelBytes(panel: PanelLayout, inputs: number): number {
  if (panel.kind === "float") return PANEL * inputs * FLOAT_BYTES[panel.dtype];
  return Math.ceil(inputs / QUANTIZED_BLOCK) * blockBytes(panel.layout);
}

export function panelDtype(panel: PanelLayout): Dtype {
  return panel.kind === "float" ? panel.dtype : panel.layout.dtype;
}

/** Which numbers a loader is exact for: float16's infinities and NaN cost as much as all the others. */
export type FloatRange = "all" | "finite";

/** Pushes four weights at an address as float32, exactly. Made once a function, before its loops. */
export type LoadFloats = (address: Operand<"ptr">, offset: number) => Operand<"v128">;

export function floatLoader(
  module: ModuleBuilder,
  f: FunctionBuilder,
  dtype: FloatDtype,
  range: FloatRange = "all",
): LoadFloats {
  switch (dtype) {
    case "F32":
      return (address, offset) => f.v128.load(address, offset);
    case "BF16":
      return (address, offset) => f.i32x4.shl(f.v128.load16x4_u(address, offset), f.i32.const(16));
    case "F16":
      return halfLoader(module, f, range);
  }
}

/**
 * Float16: sign, exponent and mantissa move to their places, where the number counts 2^112 times too little, denormals
 * included; infinities and NaN, whose exponent is all ones, get theirs back.
 */
function halfLoader(module: ModuleBuilder, f: FunctionBuilder, range: FloatRange): LoadFloats {
  const bits = (value: number) => module.constant(f, new Int32Array(4).fill(value));
  const kept = bits(0x8fffe000);
  const factor = module.constant(f, new Float32Array(4).fill(2 ** 112));
  const moved = (address: Operand<"ptr">, offset: number) =>
    f.v128.and(f.i32x4.shl(f.v128.load16x4_s(address, offset), f.i32.const(13)), kept());
  if (range === "finite") return (address, offset) => f.f32x4.mul(moved(address, offset), factor());
  const [special, exponent] = [bits(0x0f800000), bits(0x7f800000)];
  const shifted = f.local("v128");
  return (address, offset) => {
    shifted.set(moved(address, offset));
    return f.v128.or(
      f.f32x4.mul(shifted(), factor()),
      f.v128.and(f.i32x4.eq(f.v128.and(shifted(), special()), special()), exponent()),
    );
  };
}

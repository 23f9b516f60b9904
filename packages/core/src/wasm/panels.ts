/** How weights lie in memory: panels of 16 outputs, float or quantised. */

import type { Dtype } from "../dtypes/dtype";
import type { FunctionBuilder, Operand } from "./assembler";
import { blockBytes, QUANT_BLOCK, type QuantizedLayout } from "./quantized-layout";

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
  return Math.ceil(inputs / QUANT_BLOCK) * blockBytes(panel.layout);
}

export function panelDtype(panel: PanelLayout): Dtype {
  return panel.kind === "float" ? panel.dtype : panel.layout.dtype;
}

/** Four weights at `address`, as float32: exact. */
export function loadFloats(
  f: FunctionBuilder,
  dtype: FloatDtype,
  address: Operand<"ptr">,
  offset: number,
): Operand<"v128"> {
  switch (dtype) {
    case "F32":
      return f.v128.load(address, offset);
    case "BF16":
      return f.i32x4.shl(f.v128.load16x4_u(address, offset), f.i32.const(16));
    case "F16":
      return widenHalf(f, f.v128.load16x4_s(address, offset));
  }
}

/**
 * Four float16, sign-extended to 32 bits, as float32. Exponent and mantissa move to their places, where the number
 * counts 2^112 times too little, denormals included; infinities and NaN, whose exponent is all ones, get theirs back.
 */
function widenHalf(f: FunctionBuilder, bits: Operand<"v128">): Operand<"v128"> {
  const shifted = f.local("v128", f.v128.and(f.i32x4.shl(bits, f.i32.const(13)), f.i32x4.const(0x8fffe000 | 0)));
  const special = () => f.i32x4.eq(f.v128.and(shifted(), f.i32x4.const(0x0f800000)), f.i32x4.const(0x0f800000));
  return f.v128.or(f.f32x4.mul(shifted(), f.f32x4.const(2 ** 112)), f.v128.and(special(), f.i32x4.const(0x7f800000)));
}

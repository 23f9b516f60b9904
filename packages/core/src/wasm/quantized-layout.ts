/**
 * How quantised weights lie in memory, and how a kernel takes them apart.
 *
 * A panel holds 16 outputs; its blocks of 32 inputs follow each other, so that one row of x streams through it. A block
 * is a header (16 float16 scales; for some formats 16 minimums or finer scales after them) and then its weights, in
 * steps of 8 inputs, each as 4 groups of 4 outputs. Nothing is lost: scales and weights are those of the file.
 *
 * The integer dot product decides the order within a group:
 * - `pairs`, base SIMD: activations are int16, and `i32x4.dot_i16x8_s` takes two inputs of four outputs.
 * - `quads`, relaxed SIMD: activations are int8, and the relaxed dot takes four inputs of four outputs. Its weights must
 *   be 0..127 to mean the same on every engine; 4-bit weights are. Where it takes full bytes, 8-bit weights are, too:
 *   as they are, or 128 more where it takes unsigned ones.
 * Integer sums of a block are exact either way, so that both give the same bits.
 */

import { QUANTIZED_BLOCK } from "../dtypes/quantize";
import type { FunctionBuilder, Local, Operand } from "./assembler";
import type { EngineFeatures } from "./engine";
import type { ModuleBuilder } from "./module";

/** Inputs of a step. */
export const STEP = 8;
export const STEPS = QUANTIZED_BLOCK / STEP;
/** Outputs of a group: the lanes of a vector of int32. */
export const GROUP = 4;

export type QuantizedDtype = "Q8_0" | "Q4_0" | "Q4_1" | "Q6_K";
export type IntegerDot = "pairs" | "quads";

export interface QuantizedLayout {
  readonly dtype: QuantizedDtype;
  readonly dot: IntegerDot;
  /** Bytes before the weights of a block. Scales come first. */
  readonly headerBytes: number;
  /** Bytes of a step: 8 inputs of 16 outputs. */
  readonly stepBytes: number;
  /** Parts of a block with a scale of their own, an int8 beside the block's float16. */
  readonly parts: 1 | 2;
  /** Minimums in the header, which are added for each input. */
  readonly minimums: boolean;
  /** What to subtract of each weight as it lies there, once a block: 8 for Q4_0, 128 for unsigned bytes. */
  readonly offset: 0 | 8 | 128;
  /** Activations are scaled by the place of the nibble that they meet (`nibbleScale`), to spare shifts. */
  readonly scaledActivations: boolean;
}

/** The 4-bit formats leave nibbles where they are in a lane of 16 bits: 256 times the value in all four places. */
export const NIBBLE_SCALE = 256;
/** Activation factors for the four nibbles of a lane, whose own factors are 1, 16, 256, and 1 (shifted down). */
export const nibbleScale: readonly number[] = [256, 16, 1, 256];

/** The layout of a format for an engine. */
export function quantizedLayout(
  dtype: QuantizedDtype,
  { relaxedDot, byteDot }: Pick<EngineFeatures, "relaxedDot" | "byteDot">,
): QuantizedLayout {
  const nibbles = {
    stepBytes: 64,
    parts: 1,
    dot: relaxedDot ? "quads" : "pairs",
    scaledActivations: !relaxedDot,
  } as const;
  switch (dtype) {
    case "Q8_0":
      return {
        dtype,
        dot: byteDot === null ? "pairs" : "quads",
        headerBytes: 32,
        stepBytes: 128,
        parts: 1,
        minimums: false,
        offset: byteDot === "unsigned" ? 128 : 0,
        scaledActivations: false,
      };
    case "Q4_0":
      return { dtype, ...nibbles, headerBytes: 32, minimums: false, offset: 8 };
    case "Q4_1":
      return { dtype, ...nibbles, headerBytes: 64, minimums: true, offset: 0 };
    case "Q6_K":
      return {
        dtype,
        dot: "pairs",
        headerBytes: 64,
        stepBytes: 96,
        parts: 2,
        minimums: false,
        offset: 0,
        scaledActivations: false,
      };
  }
}

/** Bytes between the weights of neighbouring groups in a step. */
export function groupBytes({ dtype, dot }: QuantizedLayout): number {
  return dtype === "Q8_0" && dot === "pairs" ? 8 : 16;
}

/** Bytes of a block of 16 outputs and 32 inputs. */
export function blockBytes({ headerBytes, stepBytes }: QuantizedLayout): number {
  return headerBytes + STEPS * stepBytes;
}

/** Vectors that the inner loops need, in locals. */
export interface QuantizedConstants {
  readonly masks: readonly Local<"v128">[];
  readonly scaleBits: Local<"v128">;
  readonly scaleFactor: Local<"v128">;
}

/** Loads them, at the start of a function. */
export function quantizedConstants(
  module: ModuleBuilder,
  f: FunctionBuilder,
  layout: QuantizedLayout,
): QuantizedConstants {
  const lanes = (value: number) => module.constant(f, new Int16Array(8).fill(value));
  const masks: Record<QuantizedDtype, () => Local<"v128">[]> = {
    Q8_0: () => [],
    Q4_0: () => (layout.dot === "quads" ? [lanes(0x0f0f)] : [lanes(0x000f), lanes(0x00f0), lanes(0x0f00)]),
    Q4_1: () => masks.Q4_0(),
    Q6_K: () => [lanes(15), lanes(3), lanes(32)],
  };
  return {
    masks: masks[layout.dtype](),
    scaleBits: module.constant(f, new Int32Array(4).fill(0x8fffe000)),
    scaleFactor: module.constant(f, new Float32Array(4).fill(2 ** 112)),
  };
}

/**
 * Pushes the weights of one group in one step: vectors of (input pair x 4 outputs) as int16, or (4 inputs x 4 outputs)
 * as int8, one after the other, each given to `use` with its place in the step's activations, in bytes.
 */
export function eachWeights(
  f: FunctionBuilder,
  layout: QuantizedLayout,
  { masks }: QuantizedConstants,
  weights: Local<"ptr">,
  offset: number,
  group: number,
  temporary: Local<"v128">,
  use: (weights: () => Operand<"v128">, activationOffset: number) => void,
): void {
  switch (layout.dtype) {
    case "Q8_0":
      if (layout.dot === "quads") {
        for (let quad = 0; quad < 2; quad++) {
          use(() => f.v128.load(weights(), offset + 64 * quad + 16 * group), 4 * quad);
        }
      } else {
        for (let pair = 0; pair < 4; pair++) {
          use(() => f.v128.load8x8_s(weights(), offset + 32 * pair + 8 * group), 4 * pair);
        }
      }
      break;
    case "Q4_0":
    case "Q4_1":
      temporary.set(f.v128.load(weights(), offset + 16 * group));
      if (layout.dot === "quads") {
        use(() => f.v128.and(temporary(), masks[0]()), 0);
        use(() => f.v128.and(f.i16x8.shr_u(temporary(), f.i32.const(4)), masks[0]()), 4);
      } else {
        masks.forEach((mask, place) => {
          use(() => f.v128.and(temporary(), mask()), 4 * place);
        });
        use(() => f.i16x8.shr_u(temporary(), f.i32.const(12)), 12);
      }
      break;
    case "Q6_K": {
      // Four bits of each weight as in Q4, and above them two bits from a second plane, less 32.
      const [four, two, middle] = masks;
      temporary.set(f.v128.load(weights(), offset + 16 * group));
      const high = f.local("v128", f.v128.load8x8_u(weights(), offset + 64 + 8 * group));
      for (let pair = 0; pair < 4; pair++) {
        use(
          () =>
            f.i16x8.sub(
              f.v128.or(
                f.v128.and(f.i16x8.shr_u(temporary(), f.i32.const(4 * pair)), four()),
                f.i16x8.shl(f.v128.and(f.i16x8.shr_u(high(), f.i32.const(2 * pair)), two()), f.i32.const(4)),
              ),
              middle(),
            ),
          4 * pair,
        );
      }
      break;
    }
  }
}

/** Four float16 scales as float32. Finite ones: files with others are refused when they are packed. */
export function loadScales(
  f: FunctionBuilder,
  { scaleBits, scaleFactor }: QuantizedConstants,
  address: Operand<"ptr">,
  offset: number,
): Operand<"v128"> {
  return f.f32x4.mul(
    f.v128.and(f.i32x4.shl(f.v128.load16x4_s(address, offset), f.i32.const(13)), scaleBits()),
    scaleFactor(),
  );
}

/** Four int8 scales of a block's parts, as int32. */
export function loadPartScales(f: FunctionBuilder, address: Operand<"ptr">, offset: number): Operand<"v128"> {
  return f.i32x4.extend_low_i16x8_s(f.i16x8.extend_low_i8x16_s(f.v128.load32_zero(address, offset)));
}

/** Quantising: float32 rows to ggml's blocks, and activations to 8 bits, in operations that any engine does alike. */

import { halfToFloat } from "./half";

/** Elements of a block of Q8_0 and Q4_1, and of activations. */
export const QUANTIZED_BLOCK = 32;

const f32 = Math.fround;

/** Added to a double below 2^51, and taken away again, it leaves the nearest integer, ties to even. */
const ROUNDER = 1.5 * 2 ** 52;

/** To the nearest integer, ties to even, as IEEE 754 rounds and WebAssembly's `nearest`. */
function nearest(x: number): number {
  return Math.abs(x) < 2 ** 51 ? x + ROUNDER - ROUNDER : x;
}

/** For the bits of a double, on machines that keep the high word last, as all that run this do. */
const DOUBLE = new Float64Array(1);
const DOUBLE_WORDS = new Uint32Array(DOUBLE.buffer);

/** The bits of the binary16 nearest to x, ties to even; past 65504 infinity. */
export function floatToHalf(x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const size = Math.abs(x);
  if (Number.isNaN(x)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | nearest(size * 2 ** 24); // subnormal, or rounded up to the first normal
  DOUBLE[0] = size;
  const power = (DOUBLE_WORDS[1] >>> 20) - 1023; // the exponent's bits; the sign is 0
  return sign | (((power + 15) << 10) + nearest((size / 2 ** power - 1) * 1024));
}

/**
 * Quantises whole blocks of 32 to Q8_0: scale d = max|x| / 127 as binary16, q = nearest(x / d).
 *
 * @param x its length a multiple of 32; finite
 * @param out 34 bytes a block
 */
export function quantizeQ8_0(x: Float32Array, out: Uint8Array): void {
  const quantized = new Int8Array(out.buffer, out.byteOffset, out.length);
  for (let start = 0, o = 0; start < x.length; start += 32, o += 34) {
    let largest = 0;
    for (let i = start; i < start + 32; i++) {
      const size = Math.abs(x[i]);
      if (size > largest) largest = size;
    }
    const bits = scaleBits(largest / 127);
    const d = halfToFloat(bits);
    out[o] = bits & 0xff;
    out[o + 1] = bits >> 8;
    if (d === 0) {
      quantized.fill(0, o + 2, o + 34);
      continue;
    }
    for (let i = 0; i < 32; i++) {
      // d is rounded: the largest may come out at 128 times d
      const q = (x[start + i] / d + ROUNDER - ROUNDER) | 0;
      quantized[o + 2 + i] = clamp(q, -127, 127);
    }
  }
}

/**
 * Quantises whole blocks of 32 to Q4_1: minimum m and scale d = (max - min) / 15 as binary16, q = nearest((x - m) / d).
 *
 * @param x its length a multiple of 32; finite
 * @param out 20 bytes a block
 */
export function quantizeQ4_1(x: Float32Array, out: Uint8Array): void {
  for (let start = 0, o = 0; start < x.length; start += 32, o += 20) {
    let least = x[start];
    let largest = x[start];
    for (let i = 1; i < 32; i++) {
      least = Math.min(least, x[start + i]);
      largest = Math.max(largest, x[start + i]);
    }
    const minimumBits = scaleBits(least);
    const m = halfToFloat(minimumBits);
    const bits = scaleBits((largest - m) / 15);
    const d = halfToFloat(bits);
    out[o] = bits & 0xff;
    out[o + 1] = bits >> 8;
    out[o + 2] = minimumBits & 0xff;
    out[o + 3] = minimumBits >> 8;
    const q = (i: number) => (d === 0 ? 0 : clamp(nearest((x[start + i] - m) / d), 0, 15));
    for (let i = 0; i < 16; i++) out[o + 4 + i] = q(i) | (q(i + 16) << 4);
  }
}

/** Binary16, but never infinite: a weight of 1e6 becomes a wrong number rather than no number. */
function scaleBits(x: number): number {
  const bits = floatToHalf(x);
  return (bits & 0x7fff) === 0x7c00 ? bits - 1 : bits;
}

function clamp(x: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, x));
}

/** Activations of one row in 8 bits: x[i] ≈ scales[i / 32] * q[i]. The last block may be short: zeros follow. */
export interface QuantizedRow {
  /** -127 to 127, [blocks * 32] */
  readonly q: Int32Array;
  /** float32, [blocks] */
  readonly scales: Float32Array;
}

/**
 * Quantises activations: d = max|x| / 127 for each block of 32, q = nearest(x * (127 / max|x|)), each operation rounded
 * to float32, so that WebAssembly gives the same. Errors below d / 2 (1 + 2^-16), for blocks whose largest is above
 * 1e-36. Infinity and NaN make their block's scale infinite or NaN.
 */
export function quantizeActivations(x: Float32Array): QuantizedRow {
  const blocks = Math.ceil(x.length / QUANTIZED_BLOCK);
  const q = new Int32Array(blocks * QUANTIZED_BLOCK);
  const scales = new Float32Array(blocks);
  for (let block = 0; block < blocks; block++) {
    const start = block * QUANTIZED_BLOCK;
    const end = Math.min(start + QUANTIZED_BLOCK, x.length);
    let largest = 0;
    for (let i = start; i < end; i++) largest = Math.max(largest, Math.abs(x[i])); // NaN stays
    scales[block] = largest / 127;
    const inverse = Math.min(f32(127 / largest), 2 ** 127);
    for (let i = start; i < end; i++) {
      const value = nearest(f32(x[i] * inverse));
      q[i] = Number.isNaN(value) ? 0 : value;
    }
  }
  return { q, scales };
}

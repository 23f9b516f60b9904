/**
 * GGUF's quantized blocks to float32, byte by byte, so at any alignment.
 *
 * Layouts are those of ggml's `ggml-common.h` (`block_q8_0`, `block_q4_0`, `block_q4_1`, `block_q6_K`). Scales are
 * binary16, so every product below is exact in a double and is rounded once, on the store: the same bits as ggml's.
 */

import { halfToFloat } from "./half";

const half = (bytes: Uint8Array, at: number) => halfToFloat(bytes[at] | (bytes[at + 1] << 8));
const int8 = (byte: number) => (byte << 24) >> 24;

/**
 * Q8_0, 34 bytes for 32 elements: scale d [2 bytes], q [32] as int8.
 * x[j] = d * q[j]
 */
export function decodeQ8_0(bytes: Uint8Array, out: Float32Array, outStart: number): void {
  for (let block = 0, o = outStart; block < bytes.length; block += 34, o += 32) {
    const d = half(bytes, block);
    for (let j = 0; j < 32; j++) out[o + j] = d * int8(bytes[block + 2 + j]);
  }
}

/**
 * Q4_0, 18 bytes for 32 elements: scale d [2], q [16]: the low nibbles are elements 0 to 15, the high ones 16 to 31.
 * x[j] = d * (q[j] - 8)
 */
export function decodeQ4_0(bytes: Uint8Array, out: Float32Array, outStart: number): void {
  for (let block = 0, o = outStart; block < bytes.length; block += 18, o += 32) {
    const d = half(bytes, block);
    for (let j = 0; j < 16; j++) {
      const pair = bytes[block + 2 + j];
      out[o + j] = d * ((pair & 15) - 8);
      out[o + j + 16] = d * ((pair >> 4) - 8);
    }
  }
}

/**
 * Q4_1, 20 bytes for 32 elements: scale d [2], minimum m [2], q [16] in nibbles as in Q4_0.
 * x[j] = d * q[j] + m
 */
export function decodeQ4_1(bytes: Uint8Array, out: Float32Array, outStart: number): void {
  for (let block = 0, o = outStart; block < bytes.length; block += 20, o += 32) {
    const d = half(bytes, block);
    const m = half(bytes, block + 2);
    for (let j = 0; j < 16; j++) {
      const pair = bytes[block + 4 + j];
      out[o + j] = d * (pair & 15) + m;
      out[o + j + 16] = d * (pair >> 4) + m;
    }
  }
}

/**
 * Q6_K, 210 bytes for 256 elements: low [128], high [64], scales [16] as int8 (one for 16 elements), d [2].
 * The block is two halves of four quarters of 32 elements. Quarter k of a half has its low 4 bits in the nibble k >> 1
 * of 32 bytes of `low` (the first 32 for even k, the next for odd k), its high 2 bits at bit 2k of 32 bytes of `high`.
 * x[j] = d * scales[j / 16] * (q[j] - 32)
 */
export function decodeQ6_K(bytes: Uint8Array, out: Float32Array, outStart: number): void {
  for (let block = 0, o = outStart; block < bytes.length; block += 210) {
    const d = half(bytes, block + 208);
    for (let quarter = 0; quarter < 8; quarter++, o += 32) {
      const k = quarter & 3;
      const low = block + (quarter >> 2) * 64 + (k & 1) * 32;
      const high = block + 128 + (quarter >> 2) * 32;
      const nibble = (k >> 1) * 4;
      for (let j = 0; j < 32; j++) {
        const q = ((bytes[low + j] >> nibble) & 15) | (((bytes[high + j] >> (2 * k)) & 3) << 4);
        const scale = int8(bytes[block + 192 + quarter * 2 + (j >> 4)]);
        out[o + j] = d * scale * (q - 32);
      }
    }
  }
}

/** Where each dtype keeps its binary16 scales and minimums, in bytes from the start of a block. */
const SCALES = { Q8_0: [34, 0], Q4_0: [18, 0], Q4_1: [20, 0, 2], Q6_K: [210, 208] } as const;

/** The first block that has a scale or minimum which is infinite or NaN, or -1. */
export function infiniteScale(dtype: keyof typeof SCALES, bytes: Uint8Array): number {
  const [size, ...places] = SCALES[dtype];
  for (const place of places) {
    for (let at = place + 1, block = 0; at < bytes.length; at += size, block++) {
      if ((bytes[at] & 0x7c) === 0x7c) return block;
    }
  }
  return -1;
}

/** A quantised weight [O, I]: x = scale * integer + minimum. */
export interface QuantizedWeight {
  integer(o: number, i: number): number;
  scale(o: number, block: number): number;
  minimum(o: number, block: number): number;
}

/** The parts of a row-major quantised matrix [O, columns] in memory, for integer products. */
export function quantizedWeight(dtype: keyof typeof SCALES, bytes: Uint8Array, columns: number): QuantizedWeight {
  const [size] = SCALES[dtype];
  const elements = dtype === "Q6_K" ? 256 : 32;
  const blocksPerRow = Math.ceil(columns / elements);
  const start = (o: number, i: number) => (o * blocksPerRow + Math.floor(i / elements)) * size;
  const scale = (place: number) => (o: number, block: number) => half(bytes, start(o, block * 32) + place);
  const nibble = (at: number, i: number) => (i % 32 < 16 ? bytes[at + (i % 16)] & 15 : bytes[at + (i % 16)] >> 4);
  const none = () => 0;
  switch (dtype) {
    case "Q8_0":
      return { integer: (o, i) => int8(bytes[start(o, i) + 2 + (i % 32)]), scale: scale(0), minimum: none };
    case "Q4_0":
      return { integer: (o, i) => nibble(start(o, i) + 2, i) - 8, scale: scale(0), minimum: none };
    case "Q4_1":
      return { integer: (o, i) => nibble(start(o, i) + 4, i), scale: scale(0), minimum: scale(2) };
    case "Q6_K": {
      // The integer includes the scale of its 16 elements: exact, and summed as integers as well.
      const unit = new Float32Array(256);
      let decoded = -1;
      const integer = (o: number, i: number) => {
        const at = start(o, i);
        if (decoded !== at) {
          const block = bytes.slice(at, at + 210);
          block.set([0x00, 0x3c], 208); // a scale of 1
          decodeQ6_K(block, unit, 0);
          decoded = at;
        }
        return unit[i % 256];
      };
      return { integer, scale: scale(208), minimum: none };
    }
  }
}

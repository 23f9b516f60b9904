/** The number formats of weights: how many bytes a block takes, and how its bytes become float32. */

import { decodeQ4_0, decodeQ4_1, decodeQ6_K, decodeQ8_0 } from "./blocks";
import { decodeBF16, decodeF16 } from "./half";

/**
 * How a weight's numbers are stored. Floats of 32 and 16 bits, and ggml's quantised blocks, which share a scale:
 * 8 bits (Q8_0), 4 bits around 0 (Q4_0) or above a minimum (Q4_1), 6 bits with scales of scales (Q6_K).
 */
export type Dtype = "F32" | "F16" | "BF16" | "Q8_0" | "Q4_0" | "Q4_1" | "Q6_K";

/** Elements and bytes of the smallest unit that can be decoded. */
export interface Block {
  readonly elements: number;
  readonly bytes: number;
}

/** Elements and bytes of a block of each dtype. */
export const blockSizes: Readonly<Record<Dtype, Block>> = {
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  Q8_0: { elements: 32, bytes: 34 },
  Q4_0: { elements: 32, bytes: 18 },
  Q4_1: { elements: 32, bytes: 20 },
  Q6_K: { elements: 256, bytes: 210 },
};

const DECODERS: Readonly<Record<Dtype, (bytes: Uint8Array, out: Float32Array, outStart: number) => void>> = {
  F32: copyF32,
  F16: decodeF16,
  BF16: decodeBF16,
  Q8_0: decodeQ8_0,
  Q4_0: decodeQ4_0,
  Q4_1: decodeQ4_1,
  Q6_K: decodeQ6_K,
};

/** Whether this names a dtype that can be decoded. */
export function isDtype(name: string): name is Dtype {
  return Object.hasOwn(blockSizes, name);
}

/** Whether the numbers of this dtype come in blocks that share a scale. */
export function isQuantized(dtype: Dtype): dtype is "Q8_0" | "Q4_0" | "Q4_1" | "Q6_K" {
  return blockSizes[dtype].elements > 1;
}

/** Bytes of so many elements, a whole number of blocks of them (else RangeError). */
export function bytesFor(dtype: Dtype, elements: number): number {
  const block = blockSizes[dtype];
  if (!Number.isSafeInteger(elements) || elements < 0 || elements % block.elements !== 0) {
    throw new RangeError(`${elements} elements are no whole number of ${dtype} blocks of ${block.elements}`);
  }
  return (elements / block.elements) * block.bytes;
}

/** Bytes of a row of a matrix: its last block may be short of elements, and is filled with zeros then. */
export function rowBytes(dtype: Dtype, columns: number): number {
  const { elements, bytes } = blockSizes[dtype];
  return Math.ceil(columns / elements) * bytes;
}

/**
 * Decodes whole blocks to float32, from `out[outStart]` on. `bytes` may lie at any alignment.
 * Throws RangeError for a part of a block, and where `out` is too short.
 */
export function decode(dtype: Dtype, bytes: Uint8Array, out: Float32Array, outStart = 0): void {
  const block = blockSizes[dtype];
  const elements = (bytes.length / block.bytes) * block.elements;
  if (bytes.length % block.bytes !== 0) {
    throw new RangeError(`${bytes.length} bytes are no whole number of ${dtype} blocks of ${block.bytes} bytes`);
  }
  if (outStart < 0 || outStart + elements > out.length) {
    throw new RangeError(`${elements} elements from ${outStart} on do not fit an array of ${out.length}`);
  }
  DECODERS[dtype](bytes, out, outStart);
}

// Byte by byte, as the source may lie at any alignment. Files and every engine with WebAssembly are little-endian.
function copyF32(bytes: Uint8Array, out: Float32Array, outStart: number): void {
  new Uint8Array(out.buffer, out.byteOffset + outStart * 4, bytes.length).set(bytes);
}

/** A tensor in a file: what it is called, where its bytes are, and how they become float32. */

import { UnsupportedModelError } from "../errors";
import type { CheckedSource, ReadOptions } from "../files/checked";
import { decodeQ4_0, decodeQ4_1, decodeQ6_K, decodeQ8_0 } from "./gguf-blocks";
import { decodeBF16, decodeF16 } from "./half";

/** The element types that can be decoded. */
export type TensorDtype = "F32" | "F16" | "BF16" | "Q8_0" | "Q4_0" | "Q4_1" | "Q6_K";

/** One tensor of a checkpoint; its bytes are read when they are asked for. */
export interface TensorEntry {
  readonly name: string;
  /** As the format calls it: a TensorDtype, or another, that fails when the tensor is read (see `isTensorDtype`). */
  readonly dtype: string;
  /** The dtype's number in ggml; only in GGUF files. */
  readonly ggmlType?: number;
  /** Row-major, outermost first (GGUF's file order is the reverse); [] for a scalar. */
  readonly shape: readonly number[];
  /** The file, and its bytes [start, end) there. */
  readonly path: string;
  readonly start: number;
  readonly end: number;
}

/** Elements and bytes of the smallest unit that can be decoded. */
export interface Block {
  readonly elements: number;
  readonly bytes: number;
}

/** Elements and bytes of a block of each dtype. */
export const blockSizes: Readonly<Record<TensorDtype, Block>> = {
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  Q8_0: { elements: 32, bytes: 34 },
  Q4_0: { elements: 32, bytes: 18 },
  Q4_1: { elements: 32, bytes: 20 },
  Q6_K: { elements: 256, bytes: 210 },
};

const DECODERS: Readonly<Record<TensorDtype, (bytes: Uint8Array, out: Float32Array, outStart: number) => void>> = {
  F32: copyF32,
  F16: decodeF16,
  BF16: decodeBF16,
  Q8_0: decodeQ8_0,
  Q4_0: decodeQ4_0,
  Q4_1: decodeQ4_1,
  Q6_K: decodeQ6_K,
};

/** One read of `readTensor` asks for at most this much: beside the tensor itself, memory stays small. */
const PIECE_BYTES = 16 * 1024 * 1024;

/** Whether tensors of this dtype can be decoded. */
export function isTensorDtype(dtype: string): dtype is TensorDtype {
  return Object.hasOwn(blockSizes, dtype);
}

/** The error for a tensor whose dtype is not decoded: names the file, the tensor, the dtype and its number. */
export function unsupportedDtype(entry: TensorEntry): UnsupportedModelError {
  const { path: file, name: tensor, ggmlType } = entry;
  const hint =
    ggmlType === undefined ? undefined : `this is ggml type ${ggmlType}: take the model in another quantization`;
  return new UnsupportedModelError("dtype", entry.dtype, Object.keys(blockSizes), { file, tensor, hint });
}

/** Bytes of so many elements, a whole number of blocks of them (else RangeError). */
export function bytesFor(dtype: TensorDtype, elements: number): number {
  const block = blockSizes[dtype];
  if (!Number.isSafeInteger(elements) || elements < 0 || elements % block.elements !== 0) {
    throw new RangeError(`${elements} elements are no whole number of ${dtype} blocks of ${block.elements}`);
  }
  return (elements / block.elements) * block.bytes;
}

/** Elements of a shape: the product of its dimensions. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/**
 * Decodes whole blocks to float32, from `out[outStart]` on. `bytes` may lie at any alignment.
 * Throws RangeError for a part of a block, and where `out` is too short.
 */
export function decodeTensor(dtype: TensorDtype, bytes: Uint8Array, out: Float32Array, outStart = 0): void {
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

/**
 * Reads and decodes a tensor to `out[outStart, outStart + elementCount(entry.shape))`, in pieces.
 * Throws UnsupportedModelError for a dtype that is not decoded, ModelFileError where the file ends too soon.
 */
export async function readTensor(
  files: CheckedSource,
  entry: TensorEntry,
  out: Float32Array,
  outStart = 0,
  options: ReadOptions = {},
): Promise<void> {
  const { dtype } = entry;
  if (!isTensorDtype(dtype)) throw unsupportedDtype(entry);
  const { bytes, elements } = blockSizes[dtype];
  const step = Math.floor(PIECE_BYTES / bytes) * bytes;
  for (let at = entry.start; at < entry.end; at += step) {
    const piece = await files.readExactly(entry.path, at, Math.min(at + step, entry.end), options);
    decodeTensor(dtype, piece, out, outStart + ((at - entry.start) / bytes) * elements);
  }
}

// Byte by byte, as the source may lie at any alignment. Files and every engine with WebAssembly are little-endian.
function copyF32(bytes: Uint8Array, out: Float32Array, outStart: number): void {
  new Uint8Array(out.buffer, out.byteOffset + outStart * 4, bytes.length).set(bytes);
}

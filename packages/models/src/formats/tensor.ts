/** A tensor in a file: what it is called, where its bytes are, and how they become float32. */

import { blockSizes, decode, isDtype } from "@qkv/core";
import { UnsupportedModelError } from "../errors";
import type { CheckedSource, ReadOptions } from "../files/checked";

/** One tensor of a checkpoint; its bytes are read when they are asked for. */
export interface TensorEntry {
  readonly name: string;
  /** As the format calls it: a Dtype, or another, that fails when the tensor is read. */
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

/** One read of `readTensor` asks for at most this much: beside the tensor itself, memory stays small. */
const PIECE_BYTES = 16 * 1024 * 1024;

/** The error for a tensor whose dtype is not decoded: names the file, the tensor, the dtype and its number. */
export function unsupportedDtype(entry: TensorEntry): UnsupportedModelError {
  const { path: file, name: tensor, ggmlType } = entry;
  const hint =
    ggmlType === undefined ? undefined : `this is ggml type ${ggmlType}: take the model in another quantization`;
  return new UnsupportedModelError("dtype", entry.dtype, Object.keys(blockSizes), { file, tensor, hint });
}

/** Elements of a shape: the product of its dimensions. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
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
  if (!isDtype(dtype)) throw unsupportedDtype(entry);
  const { bytes, elements } = blockSizes[dtype];
  const step = Math.floor(PIECE_BYTES / bytes) * bytes;
  for (let at = entry.start; at < entry.end; at += step) {
    const piece = await files.readExactly(entry.path, at, Math.min(at + step, entry.end), options);
    decode(dtype, piece, out, outStart + ((at - entry.start) / bytes) * elements);
  }
}

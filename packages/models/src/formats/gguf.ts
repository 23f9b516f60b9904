/** GGUF v2 and v3: header, then the tensors' bytes, each at a multiple of the alignment (ggml's `docs/gguf.md`). */

import { blockSizes } from "@qkv/core";
import { ModelFileError, shown, UnsupportedModelError } from "../errors";
import type { CheckedSource } from "../files/checked";
import { GgufHeader, type GgufTensorInfo, type GgufValue } from "./gguf-header";
import { ggmlType } from "./gguf-types";
import { elementCount, type TensorEntry } from "./tensor";

export type { GgufArray, GgufValue } from "./gguf-header";

export interface Gguf {
  readonly version: number;
  /** Every key, also those that qkv does not know. */
  readonly metadata: Map<string, GgufValue>;
  readonly tensors: Map<string, TensorEntry>;
  /** Bytes that every tensor's start is a multiple of, counted from the start of the data. */
  readonly alignment: number;
}

/** Holds the header of a small model; doubled until the header is complete. */
const FIRST_PREFIX_BYTES = 1024 * 1024;

const DEFAULT_ALIGNMENT = 32;

/**
 * Reads a GGUF file's header. Tensor shapes are row-major, the reverse of the file's order; dtypes are ggml's names,
 * and one that qkv does not decode fails only when that tensor is read.
 *
 * Throws ModelFileError for what is damaged, UnsupportedModelError for version 1, big-endian files, files split in
 * parts, and type ids that ggml has not given out.
 */
export async function openGguf(files: CheckedSource, path: string): Promise<Gguf> {
  const size = (await files.size(path)) ?? Number.POSITIVE_INFINITY;
  const header = await readHeader(files, path, size);
  const { version, metadata } = header;
  const fail = (problem: string) => new ModelFileError(problem, { file: path });

  const parts = metadata.get("split.count");
  if (typeof parts === "number" && parts > 1) {
    const hint = "merge the parts first, with llama.cpp's gguf-split --merge";
    throw new UnsupportedModelError("split.count", parts, ["1"], { file: path, hint });
  }
  const alignment = metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT;
  if (typeof alignment !== "number" || !Number.isSafeInteger(alignment) || alignment <= 0 || alignment % 8 !== 0) {
    throw fail(`has a general.alignment of ${shown(alignment)}: a multiple of 8 was expected`);
  }

  const dataStart = Math.ceil(header.at / alignment) * alignment;
  const tensors = new Map<string, TensorEntry>();
  for (const info of header.tensors.values())
    tensors.set(info.name, checkTensor(info, path, dataStart, alignment, size));
  checkOverlaps(tensors);
  return { version, metadata, tensors, alignment };
}

async function readHeader(files: CheckedSource, path: string, size: number): Promise<GgufHeader> {
  const header = new GgufHeader(path, size);
  let prefix = new Uint8Array(0);
  for (let length = FIRST_PREFIX_BYTES; ; length *= 2) {
    const more = await files.readSome(path, prefix.length, Math.min(size, length));
    if (more === null) throw files.missing(path);
    if (more.length === 0) {
      throw new ModelFileError(`ends at byte ${prefix.length}, in ${header.where}: it is truncated`, { file: path });
    }
    const grown = new Uint8Array(prefix.length + more.length);
    grown.set(prefix);
    grown.set(more, prefix.length);
    prefix = grown;
    if (header.parse(prefix)) return header;
  }
}

function checkTensor(
  info: GgufTensorInfo,
  path: string,
  dataStart: number,
  alignment: number,
  size: number,
): TensorEntry {
  const { name, dims } = info;
  const fail = (problem: string) => new ModelFileError(problem, { file: path, tensor: name });
  const type = ggmlType(info.type);
  if (type === null) {
    throw new UnsupportedModelError("ggml type", info.type, Object.keys(blockSizes), { file: path, tensor: name });
  }
  const shape = [...dims].reverse();
  if ((dims[0] ?? 1) % type.elements !== 0) {
    throw fail(`has rows of ${dims[0] ?? 1} elements: ${type.name} needs a multiple of ${type.elements}`);
  }
  const elements = elementCount(shape);
  const bytes = (elements / type.elements) * type.bytes;
  const start = dataStart + info.offset;
  const end = start + bytes;
  if (![elements, bytes, end].every(Number.isSafeInteger))
    throw fail(`has the shape ${shown(shape)}: that is too large`);
  if (info.offset % alignment !== 0) {
    throw fail(`is at offset ${info.offset}: a multiple of the alignment ${alignment} was expected`);
  }
  if (end > size)
    throw fail(`has the bytes ${start} to ${end}, and the file ends at ${size}: it is truncated or damaged`);
  return { name, dtype: type.name, ggmlType: info.type, shape, path, start, end };
}

/** Padding between tensors is usual, so holes are none of our business; bytes that are two tensors at once are. */
function checkOverlaps(tensors: Map<string, TensorEntry>): void {
  let previous: TensorEntry | null = null;
  for (const tensor of [...tensors.values()].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (previous !== null && tensor.start < previous.end) {
      const problem = `overlaps tensor ${shown(previous.name)}: starts at byte ${tensor.start}, before ${previous.end}`;
      throw new ModelFileError(problem, { file: tensor.path, tensor: tensor.name });
    }
    previous = tensor;
  }
}

/** What the tests of files and formats share: fixtures, sources in memory, and a small GGUF writer. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { ModelFileError, UnsupportedModelError } from "../errors";
import { CheckedSource } from "../files/checked";
import type { FileSource } from "../files/source";
import { elementCount, readTensor, type TensorEntry } from "./tensor";

/** The path of a file in the repository. */
export function repositoryPath(path: string): string {
  return fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
}

export function readRepositoryFile(path: string): Uint8Array {
  return new Uint8Array(readFileSync(repositoryPath(path)));
}

/** Files in memory; without `sizes`, or with more bytes claimed by them than there are (which then read as zeros). */
export function inMemory(
  files: Record<string, Uint8Array | string>,
  options: { sizes?: boolean | Record<string, number> } = {},
): CheckedSource {
  const all = new Map(
    Object.entries(files).map(([path, file]) => [path, typeof file === "string" ? utf8(file) : file]),
  );
  const claimed = typeof options.sizes === "object" ? options.sizes : {};
  const source: FileSource = {
    async read(path, start, end) {
      const file = all.get(path);
      if (file === undefined) return null;
      const bytes = new Uint8Array(Math.max(0, Math.min(end, claimed[path] ?? file.length) - start));
      bytes.set(file.subarray(start, Math.min(end, start + bytes.length)));
      return bytes;
    },
    async list() {
      return [...all.keys()];
    },
  };
  if (options.sizes !== false) source.size = async (path) => claimed[path] ?? all.get(path)?.length ?? null;
  return new CheckedSource(source);
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** All values of a tensor. */
export async function values(files: CheckedSource, tensor: TensorEntry | undefined): Promise<Float32Array> {
  const out = new Float32Array(elementCount(tensor!.shape));
  await readTensor(files, tensor!, out);
  return out;
}

/** Whether two arrays hold the same bits; toEqual takes seconds for large ones. */
export function sameBits(a: Float32Array, b: Float32Array): boolean {
  return (
    Buffer.compare(
      Buffer.from(a.buffer, a.byteOffset, a.byteLength),
      Buffer.from(b.buffer, b.byteOffset, b.byteLength),
    ) === 0
  );
}

/** That something fails as a bad file does; with a file, a tensor and a pattern, as this bad file does. */
export async function expectBadFile(
  doing: Promise<unknown>,
  expected: { file?: string; tensor?: string | null; problem?: RegExp } = {},
): Promise<void> {
  const error = await doing.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ModelFileError);
  const bad = error as ModelFileError;
  if (expected.problem !== undefined) expect(bad.message).toMatch(expected.problem);
  if (expected.file !== undefined) expect(bad.file).toBe(expected.file);
  if (expected.tensor !== undefined) expect(bad.tensor).toBe(expected.tensor);
}

/** For fuzzing: true when it worked, false when it failed as bad and foreign files may. All else is thrown on. */
export async function worksOrIsRefused(doing: () => Promise<unknown>): Promise<boolean> {
  try {
    await doing();
    return true;
  } catch (error) {
    if (error instanceof ModelFileError || error instanceof UnsupportedModelError) return false;
    throw error;
  }
}

/** A safetensors file around any header text. */
export function safetensors(header: unknown, data = 0): Uint8Array {
  const text = utf8(typeof header === "string" ? header : JSON.stringify(header));
  return concat(u64(text.length), text, new Uint8Array(data));
}

export function u32(value: number): Uint8Array {
  return new Uint8Array(new Uint32Array([value]).buffer);
}

export function u64(value: number | bigint): Uint8Array {
  return new Uint8Array(new BigUint64Array([BigInt(value)]).buffer);
}

/** A GGUF string: its length, then its bytes. */
export function text(value: string): Uint8Array {
  return concat(u64(utf8(value).length), utf8(value));
}

export interface GgufParts {
  version?: number;
  /** Claimed instead of the real counts. */
  tensorCount?: number | bigint;
  keyCount?: number | bigint;
  /** Type id and bytes of each value. */
  keys?: readonly (readonly [key: string, type: number, value: Uint8Array])[];
  /** `dims` innermost first. */
  tensors?: readonly {
    name: string;
    dims: readonly (number | bigint)[];
    type: number;
    offset: number | bigint;
  }[];
  alignment?: number;
  /** Bytes of data behind the header, zeros. */
  data?: number;
}

/** A GGUF file of these parts, whether they fit together or not. */
export function gguf({
  version = 3,
  keys = [],
  tensors = [],
  alignment = 32,
  data = 0,
  ...counts
}: GgufParts): Uint8Array {
  const header = concat(
    utf8("GGUF"),
    u32(version),
    u64(counts.tensorCount ?? tensors.length),
    u64(counts.keyCount ?? keys.length),
    ...keys.flatMap(([key, type, value]) => [text(key), u32(type), value]),
    ...tensors.flatMap(({ name, dims, type, offset }) => [
      text(name),
      u32(dims.length),
      ...dims.map(u64),
      u32(type),
      u64(offset),
    ]),
  );
  return concat(header, new Uint8Array(Math.ceil(header.length / alignment) * alignment - header.length + data));
}

export type TestMetadata = Record<string, number | string | boolean>;

export interface TestTensor {
  readonly shape: number[];
  readonly data: Float32Array;
}

/** The tensors of a small safetensors file of float32. */
export function readTestTensors(path: string): Map<string, TestTensor> {
  const file = readFileSync(path);
  const end = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, end)) as Record<
    string,
    { shape: number[]; data_offsets: number[] }
  >;
  const { __metadata__: _, ...entries } = header;
  return new Map(
    Object.entries(entries).map(([name, { shape, data_offsets }]) => {
      const bytes = new Uint8Array(file.subarray(end + data_offsets[0], end + data_offsets[1]));
      return [name, { shape, data: new Float32Array(bytes.buffer) }];
    }),
  );
}

/** A GGUF file with float32 tensors. Numbers in metadata are u32 where they are whole, but for frequencies and factors. */
export function ggufFile(metadata: TestMetadata, tensors: ReadonlyMap<string, TestTensor>): Blob {
  const keys = Object.entries(metadata).map(([key, value]) => {
    if (typeof value === "string") return [key, 8, text(value)] as const;
    if (typeof value === "boolean") return [key, 7, Uint8Array.of(value ? 1 : 0)] as const;
    if (Number.isInteger(value) && !key.includes("freq_base") && !key.includes("factor"))
      return [key, 4, u32(value)] as const;
    return [key, 12, new Uint8Array(new Float64Array([value]).buffer)] as const;
  });
  const infos: { name: string; dims: number[]; type: number; offset: number }[] = [];
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const [name, { shape, data }] of tensors) {
    infos.push({ name, dims: [...shape].reverse(), type: 0 /* F32 */, offset });
    const padded = new Uint8Array(Math.ceil(data.byteLength / 32) * 32);
    padded.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    parts.push(padded);
    offset += padded.length;
  }
  return new Blob([concat(gguf({ keys, tensors: infos }), ...parts) as Uint8Array<ArrayBuffer>]);
}

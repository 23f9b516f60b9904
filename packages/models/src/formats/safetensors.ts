/**
 * Safetensors: 8 bytes with the header's length, a JSON header, then the tensors' bytes without a gap.
 * Follows the format's README and the checks of its reference implementation (github.com/huggingface/safetensors).
 */

import { ModelFileError, shown } from "../errors";
import { type CheckedSource, decodeUtf8 } from "../files/checked";
import { isJsonObject, parseJson } from "../files/json";
import { pathProblem } from "../files/path";
import type { TensorEntry } from "./tensor";

/** The reference implementation's limit. */
export const MAX_HEADER_BYTES = 100_000_000;
/** Some thousand in real files (mixtures of experts), 100 thousand over all shards of the largest. */
const MAX_TENSORS = 1_000_000;
/** name -> { dtype, shape: [..], data_offsets: [..] } is three levels. */
const MAX_HEADER_DEPTH = 4;
/** A tensor's entry holds about ten values. */
const MAX_HEADER_VALUES = 10 * MAX_TENSORS;
/** Real ones have up to 200, and each keeps a file handle open. */
const MAX_SHARDS = 1000;
/** The largest real index is 20 MB. */
const MAX_INDEX_BYTES = 200_000_000;

const SINGLE_FILE = "model.safetensors";
const INDEX_FILE = "model.safetensors.index.json";

/** Every dtype in the specification, by its bits per element (`Dtype::bitsize`). */
const DTYPES: Readonly<Record<number, string>> = {
  4: "F4",
  6: "F6_E2M3 F6_E3M2",
  8: "BOOL U8 I8 F8_E4M3 F8_E5M2 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ",
  16: "F16 BF16 U16 I16",
  32: "F32 U32 I32",
  64: "F64 U64 I64 C64",
};
const DTYPE_BITS = new Map(
  Object.entries(DTYPES).flatMap(([bits, names]) => names.split(" ").map((name) => [name, Number(bits)] as const)),
);

/** What the header (or all shards' headers together) says. */
export interface Safetensors {
  readonly tensors: Map<string, TensorEntry>;
  /** The free-form `__metadata__`; of shards, the later one wins. */
  readonly metadata: Record<string, string>;
}

/**
 * The tensors of one safetensors file. Only its header is read.
 * Throws ModelFileError for everything that the format forbids; tensor values are not looked at.
 */
export async function readSafetensorsHeader(files: CheckedSource, path: string): Promise<Safetensors> {
  const fail = (problem: string, tensor?: string) => new ModelFileError(problem, { file: path, tensor });
  const size = await files.size(path);
  const head = await files.readExactly(path, 0, 8);
  const length = Number(new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES) {
    throw fail(`its header is said to have ${length} bytes, more than the ${MAX_HEADER_BYTES} that are allowed`);
  }
  const dataStart = 8 + length;
  if (size !== null && dataStart > size) {
    throw fail(
      `its header is said to end at byte ${dataStart}, and the file at ${size}: it is truncated or no safetensors`,
    );
  }
  const text = decodeUtf8(await files.readExactly(path, 8, dataStart), "the header", { file: path });
  if (text[0] !== "{") throw fail('its header does not begin with "{": it is no safetensors file');
  const header = parseJson(text, { file: path, maxDepth: MAX_HEADER_DEPTH, maxValues: MAX_HEADER_VALUES });
  if (!isJsonObject(header)) throw fail("its header is no JSON object");

  const tensors = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, info] of Object.entries(header)) {
    if (name === "__metadata__") metadata = checkMetadata(info, path);
    else tensors.set(name, checkTensor(name, info, path, dataStart));
  }
  if (tensors.size > MAX_TENSORS) throw fail(`has ${tensors.size} tensors, more than ${MAX_TENSORS}`);

  // No overlap and no hole, as the format demands: nothing can hide in the file, or be two things at once.
  let end = dataStart;
  let previous: TensorEntry | null = null;
  for (const tensor of [...tensors.values()].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (tensor.start !== end) {
      const neighbour = previous === null ? "the header" : `tensor ${shown(previous.name)}`;
      const how = tensor.start < end ? "overlaps" : "leaves a hole after";
      throw fail(`${how} ${neighbour}: starts at byte ${tensor.start}, ${end} was expected`, tensor.name);
    }
    end = tensor.end;
    previous = tensor;
  }
  if (size !== null && size !== end) {
    const last = size < end ? previous?.name : undefined;
    throw fail(
      `ends at byte ${size}, and by its header at ${end}: it is truncated or has more behind its tensors`,
      last,
    );
  }
  return { tensors, metadata };
}

function checkMetadata(info: unknown, file: string): Record<string, string> {
  if (!isJsonObject(info)) throw new ModelFileError('"__metadata__" is no JSON object', { file });
  for (const [key, value] of Object.entries(info)) {
    if (typeof value !== "string") {
      throw new ModelFileError(`"__metadata__" may hold strings only, and ${shown(key)} is none`, { file });
    }
  }
  return info as Record<string, string>;
}

function checkTensor(name: string, info: unknown, path: string, dataStart: number): TensorEntry {
  const fail = (problem: string) => new ModelFileError(problem, { file: path, tensor: name });
  if (!isJsonObject(info)) throw fail("is described by no JSON object");
  const { dtype, shape, data_offsets: offsets } = info;
  let bits = typeof dtype === "string" ? DTYPE_BITS.get(dtype) : undefined;
  if (typeof dtype !== "string" || bits === undefined) {
    throw fail(`has the dtype ${shown(dtype)}, which safetensors does not know`);
  }
  if (!isSizes(shape)) throw fail(`has the shape ${shown(shape)}: non-negative integers were expected`);
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    throw fail(`has the data_offsets ${shown(offsets)}: [begin, end] were expected`);
  }
  for (const dimension of shape) {
    bits *= dimension;
    // The reference refuses an overflow even where a later dimension is 0.
    if (!Number.isSafeInteger(bits)) throw fail(`has the shape ${shown(shape)}: that is too large`);
  }
  const stored = offsets[1] - offsets[0];
  if (bits !== stored * 8) {
    throw fail(`has ${stored} bytes, and ${dtype} ${shown(shape)} takes ${bits / 8}`);
  }
  const [start, end] = [dataStart + offsets[0], dataStart + offsets[1]];
  if (!Number.isSafeInteger(end)) throw fail(`ends at byte ${end}: that is beyond every file`);
  return { name, dtype, shape, path, start, end };
}

/** Integers from 0 to 2^53 - 1: whatever is larger is no size of anything, and not exact here. */
function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/**
 * The tensors of a checkpoint: one file, or the shards of an index.
 *
 * `path` is a `.safetensors` file or a `.index.json`; without it, `model.safetensors`, else
 * `model.safetensors.index.json`, else the folder's only `.safetensors` file.
 * Throws ModelFileError for files that are missing or malformed, and where index and shards do not say the same.
 */
export async function openSafetensors(files: CheckedSource, options: { path?: string } = {}): Promise<Safetensors> {
  const path = options.path ?? (await findSafetensors(files));
  const read = (file: string) => readSafetensorsHeader(files, file);
  return path.endsWith(".json") ? openShards(files, path, read) : read(path);
}

/** Where a folder ("" or ending in "/") has its safetensors by the usual names; null if it has none. */
export async function usualSafetensors(files: CheckedSource, folder = ""): Promise<string | null> {
  for (const name of [SINGLE_FILE, INDEX_FILE]) if (await files.exists(folder + name)) return folder + name;
  return null;
}

/**
 * Where a folder has its safetensors: by the usual names, or the only file of the kind. If it has none, the error names
 * `alsoSought` too: what the caller looked for before.
 */
export async function findSafetensors(
  files: CheckedSource,
  folder = "",
  alsoSought: readonly string[] = [],
): Promise<string> {
  const usual = await usualSafetensors(files, folder);
  if (usual !== null) return usual;
  const inFolder = (name: string) => name.startsWith(folder) && !name.slice(folder.length).includes("/");
  const others = ((await files.list()) ?? []).filter((name) => inFolder(name) && name.endsWith(".safetensors"));
  if (others.length === 1) return others[0];
  const found = others.length === 0 ? "" : `; there are ${others.slice(0, 5).join(", ")}: name one`;
  const names = [SINGLE_FILE, INDEX_FILE, ...alsoSought].map((name) => folder + name);
  throw new ModelFileError(`there is neither ${names.join(" nor ")}${found}`, {
    file: files.name || ".",
  });
}

/**
 * Reads `weight_map` (tensor name -> shard), then every shard's header, and holds them against each other.
 * PyTorch's shards have the same index, and another `readShard`.
 */
export async function openShards(
  files: CheckedSource,
  index: string,
  readShard: (path: string) => Promise<Safetensors>,
): Promise<Safetensors> {
  const json = parseJson(await files.readText(index, MAX_INDEX_BYTES), { file: index });
  const map = isJsonObject(json) ? json.weight_map : undefined;
  if (!isJsonObject(map)) throw new ModelFileError('has no "weight_map" from tensors to files', { file: index });
  const folder = index.slice(0, index.lastIndexOf("/") + 1);
  const firstOf = new Map<string, string>(); // shard -> the first tensor in it
  for (const [tensor, shard] of Object.entries(map)) {
    const problem = typeof shard === "string" ? pathProblem(shard) : "is no file name";
    if (problem !== null) throw new ModelFileError(`its shard ${shown(shard)} ${problem}`, { file: index, tensor });
    if (!firstOf.has(shard as string)) firstOf.set(shard as string, tensor);
  }
  if (firstOf.size > MAX_SHARDS) {
    throw new ModelFileError(`names ${firstOf.size} shards, more than ${MAX_SHARDS}`, { file: index });
  }

  const tensors = new Map<string, TensorEntry>();
  const metadata: Record<string, string> = {};
  for (const [shard, tensor] of firstOf) {
    if (!(await files.exists(folder + shard))) {
      throw new ModelFileError(`its shard ${shown(shard)} is missing`, { file: index, tensor });
    }
    const part = await readShard(folder + shard);
    for (const entry of part.tensors.values()) {
      if (map[entry.name] === shard) tensors.set(entry.name, entry);
      else {
        const said = Object.hasOwn(map, entry.name) ? `has it in ${shown(map[entry.name])}` : "does not name it";
        throw new ModelFileError(`is in this file, and ${index} ${said}`, { file: folder + shard, tensor: entry.name });
      }
    }
    Object.assign(metadata, part.metadata);
  }
  for (const [tensor, shard] of Object.entries(map)) {
    if (!tensors.has(tensor)) throw new ModelFileError(`is not in its shard ${shown(shard)}`, { file: index, tensor });
  }
  return { tensors, metadata };
}

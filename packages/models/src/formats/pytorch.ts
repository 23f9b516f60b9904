/**
 * PyTorch checkpoints (`pytorch_model.bin`), as `torch.save` writes them since 1.6: a zip of stored entries, where
 * `data.pkl` describes the tensors and `data/N` are their storages. Follows `torch/serialization.py` and
 * `torch/_utils.py`. The pickle is read as plain data; nothing that it says is run.
 */

import { ModelFileError, shown, UnsupportedModelError } from "../errors";
import type { CheckedSource } from "../files/checked";
import { type PickleMeaning, type PickleProblem, readPickle } from "./pickle";
import { describe, isKind, type PickleDict, type PickleValue } from "./pickle-values";
import { openShards } from "./safetensors";
import type { TensorEntry } from "./tensor";
import { locateEntry, readEntry, readZipDirectory, type ZipDirectory } from "./zip";

/** The usual names: one file, or the index of several. */
export const PYTORCH_FILES: readonly string[] = ["pytorch_model.bin", "pytorch_model.bin.index.json"];

/** About 250 bytes for each tensor: room for 100 thousand. */
const MAX_PICKLE_BYTES = 32 * 1024 * 1024;
/** `byteorder` and `version` hold a word. */
const MAX_WORD_BYTES = 64;
/** PyTorch's own limit. */
const MAX_DIMENSIONS = 64;
/** The last version of the archive that PyTorch reads (`kMaxSupportedFileFormatVersion`). */
const MAX_VERSION = 10;
/** Local headers that are asked for at once: over a network each is a round trip. */
const READS_AT_ONCE = 16;
/** Enough for the signature of every weight format: that of tar is the furthest, at byte 257. */
export const LOOK_BYTES = 512;

/** The integer 0x1950a86a20f9469cfc6c with its opcode: what the pickles of `torch.save` before 1.6 begin with. */
const MAGIC_NUMBER = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/** Storage classes of `torch`: the dtype as safetensors calls it, and bytes per element. */
const STORAGES: ReadonlyMap<string, readonly [dtype: string, bytes: number]> = new Map([
  ["torch.FloatStorage", ["F32", 4]],
  ["torch.HalfStorage", ["F16", 2]],
  ["torch.BFloat16Storage", ["BF16", 2]],
  ["torch.DoubleStorage", ["F64", 8]],
  ["torch.LongStorage", ["I64", 8]],
  ["torch.IntStorage", ["I32", 4]],
  ["torch.ShortStorage", ["I16", 2]],
  ["torch.CharStorage", ["I8", 1]],
  ["torch.ByteStorage", ["U8", 1]],
  ["torch.BoolStorage", ["BOOL", 1]],
]);

interface Storage {
  readonly kind: "storage";
  readonly key: string;
  readonly className: string;
  /** In elements. */
  readonly length: number;
}

interface Tensor {
  readonly kind: "tensor";
  readonly storage: Storage;
  /** In elements, like the strides. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

type Value = PickleValue<Storage | Tensor>;

/**
 * What to say of a file in one of PyTorch's older formats, by its first `LOOK_BYTES`; null if it is none of them. They
 * are pickles (before 1.6) or tar archives of pickles (0.1).
 */
export function olderPytorch(bytes: Uint8Array, path: string): UnsupportedModelError | null {
  const text = Array.from(bytes.subarray(0, LOOK_BYTES), (byte) => String.fromCharCode(byte)).join("");
  const refused = (what: string, hint: string) =>
    new UnsupportedModelError("file format", what, ["torch.save of PyTorch 1.6 or later"], { file: path, hint });
  // After the protocol, and in protocol 4 a frame.
  if (text[0] === "\x80" && [2, 11].includes(text.indexOf(MAGIC_NUMBER))) {
    const save = "torch.save(torch.load(FILE, weights_only=True), 'pytorch_model.bin')";
    return refused("torch.save before PyTorch 1.6", `save it anew, in Python: ${save}`);
  }
  if (text.slice(257, 262) === "ustar") {
    const save = "torch.save(torch.load(FILE, weights_only=False), 'pytorch_model.bin')";
    const trust = "which runs what is in it: only where you trust it";
    return refused(
      "tar",
      `unpack it, or if torch.save of PyTorch 0.1 made it, save it anew, in Python: ${save}, ${trust}`,
    );
  }
  return null;
}

/**
 * The tensors of a PyTorch checkpoint: a `.bin` file, or the shards of a `.bin.index.json`. They point into the file;
 * two that share a storage (tied weights) point to the same bytes.
 *
 * Reads the zip directory, the pickle, and the headers of the entries that hold tensors.
 *
 * @throws UnsupportedModelError for an older format, TorchScript, compressed or big-endian archives, Python names other
 * than those of a state dict, and dicts of dicts; ModelFileError for a file that is missing, damaged or hostile
 * @example
 * const { tensors } = await openPytorch(files, "pytorch_model.bin");
 */
export async function openPytorch(
  files: CheckedSource,
  path: string,
): Promise<{ readonly tensors: Map<string, TensorEntry> }> {
  if (path.endsWith(".json")) {
    return openShards(files, path, async (shard) => ({ ...(await openPytorch(files, shard)), metadata: {} }));
  }
  const fail = (problem: string) => new ModelFileError(problem, { file: path });
  const beginning = await files.readSome(path, 0, LOOK_BYTES);
  if (beginning === null) throw files.missing(path);
  const older = olderPytorch(beginning, path);
  if (older !== null) throw older;
  const directory = await readZipDirectory(files, path);
  const pickles = [...directory.entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const root = pickles[0]?.slice(0, -"data.pkl".length);
  if (root === undefined) throw fail("is a zip archive without a data.pkl: torch.save did not write it");
  if (pickles.length > 1) throw fail(`has several pickles: ${pickles.slice(0, 5).map(shown).join(", ")}`);
  refuseTorchScript(directory, root);
  await checkWords(files, directory, root);

  const pickle = await readEntry(files, directory, directory.entries.get(`${root}data.pkl`)!, MAX_PICKLE_BYTES);
  const stateDict = readPickle(pickle, new StateDict(), { file: path, part: `${root}data.pkl` });
  return { tensors: await placed(files, directory, root, namedTensors(stateDict, path)) };
}

/** Where a folder ("" or ending in "/") has a PyTorch checkpoint by the usual names; null if it has none. */
export async function usualPytorch(files: CheckedSource, folder = ""): Promise<string | null> {
  for (const name of PYTORCH_FILES) if (await files.exists(folder + name)) return folder + name;
  return null;
}

function refuseTorchScript({ path, entries }: ZipDirectory, root: string): void {
  const names = [...entries.keys()];
  if (!names.includes(`${root}constants.pkl`) && !names.some((name) => name.startsWith(`${root}code/`))) return;
  throw new UnsupportedModelError("file format", "TorchScript", ["torch.save of a state dict"], {
    file: path,
    hint: "save its weights, in Python: torch.save(torch.jit.load(FILE).state_dict(), 'pytorch_model.bin')",
  });
}

/** `byteorder` (since PyTorch 2.1; it was little-endian before) and `version`. */
async function checkWords(files: CheckedSource, directory: ZipDirectory, root: string): Promise<void> {
  const read = async (name: string) => {
    const entry = directory.entries.get(root + name);
    if (entry === undefined) return null;
    return String.fromCharCode(...(await readEntry(files, directory, entry, MAX_WORD_BYTES))).trim();
  };
  const byteOrder = (await read("byteorder")) ?? "little";
  if (byteOrder !== "little") {
    throw new UnsupportedModelError("byte order", byteOrder, ["little"], {
      file: directory.path,
      hint: "save it anew with PyTorch on a little-endian machine",
    });
  }
  const version = (await read("version")) ?? "3";
  if (!/^[0-9]{1,9}$/.test(version) || Number(version) > MAX_VERSION) {
    throw new UnsupportedModelError("archive version", version, [`up to ${MAX_VERSION}`], { file: directory.path });
  }
}

/** What the names and ids in a checkpoint's pickle mean. Its storages must be described alike wherever they are. */
class StateDict implements PickleMeaning<Storage | Tensor> {
  readonly #storages = new Map<string, Storage>();

  readonly advice =
    "weights need no other names: save the state dict alone, in Python: torch.save(model.state_dict(), FILE)";

  readonly globals: PickleMeaning<Storage | Tensor>["globals"] = new Map([
    ["torch._utils._rebuild_tensor_v2", rebuildTensor],
    ["torch._utils._rebuild_parameter", rebuildParameter],
    ...[...STORAGES.keys()].map((name) => [name, null] as const),
  ]);

  /** ("storage", class, key, device, length). */
  persistent(id: Value): Storage | PickleProblem {
    const [tag, type, key, device, length, ...rest] = isKind(id, "tuple") ? id.items : [];
    const isStorage =
      tag === "storage" && isKind(type, "global") && STORAGES.has(type.name) && typeof key === "string" && key !== "";
    if (!isStorage || typeof device !== "string" || !isSize(length) || rest.length > 0) {
      return { problem: "has a persistent id that describes no storage" };
    }
    const storage: Storage = { kind: "storage", key, className: type.name, length };
    const before = this.#storages.get(key) ?? storage;
    if (before.className !== storage.className || before.length !== length) {
      const was = `${before.className} of ${before.length} and as ${storage.className} of ${length}`;
      return { problem: `describes storage ${shown(key)} as ${was}` };
    }
    this.#storages.set(key, before);
    return before;
  }
}

/** (storage, offset, size, stride, requires_grad, backward_hooks, metadata). */
function rebuildTensor(args: readonly Value[]): Tensor | PickleProblem {
  const [storage, offset, size, stride, , hooks, metadata] = args;
  if (!isKind(storage, "object") || storage.value.kind !== "storage")
    return { problem: "makes a tensor of no storage" };
  const [shape, strides] = [size, stride].map(sizesOf);
  if (args.length < 6 || args.length > 7 || !isSize(offset) || !shape || !strides || shape.length !== strides.length) {
    return { problem: "makes a tensor with sizes, strides or an offset that are none" };
  }
  // Hooks are functions; metadata says that signs are still to be flipped.
  if (![hooks, metadata ?? null].every(isNothing)) return { problem: "makes a tensor with hooks or metadata" };
  return { kind: "tensor", storage: storage.value, offset, shape, strides };
}

/** (tensor, requires_grad, backward_hooks). */
function rebuildParameter(args: readonly Value[]): Tensor | PickleProblem {
  const [data, , hooks] = args;
  if (args.length !== 3 || !isKind(data, "object") || data.value.kind !== "tensor" || !isNothing(hooks ?? null)) {
    return { problem: "makes a parameter of no tensor, or with hooks" };
  }
  return data.value;
}

function isNothing(value: Value): boolean {
  return value === null || (isKind(value, "dict") && value.entries.size === 0);
}

function isSize(value: Value | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function sizesOf(value: Value | undefined): readonly number[] | null {
  if (!isKind(value, "tuple") || value.items.length > MAX_DIMENSIONS) return null;
  return value.items.every(isSize) ? (value.items as readonly number[]) : null;
}

// ---- From the pickle's value to tensors in the file

function namedTensors(value: Value, path: string): Map<string, Tensor> {
  if (!isKind(value, "dict") || (value.entries.size > 0 && countTensors(value) === 0)) throw wrapped(value, path);
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of value.entries) {
    if (typeof name !== "string") {
      throw new ModelFileError(`has the key ${shown(name)} in its state dict, which is no name`, { file: path });
    }
    const tensor = tensorOf(entry);
    if (tensor === null) {
      const what = describe(entry, ({ kind }) => `a ${kind}`);
      throw new ModelFileError(`is ${what}, where a tensor was expected`, { file: path, tensor: name });
    }
    tensors.set(name, tensor);
  }
  return tensors;
}

function tensorOf(value: Value): Tensor | null {
  return isKind(value, "object") && value.value.kind === "tensor" ? value.value : null;
}

function countTensors(dict: PickleDict<Storage | Tensor>): number {
  let count = 0;
  for (const entry of dict.entries.values()) if (tensorOf(entry) !== null) count++;
  return count;
}

/** A training checkpoint, a tensor alone, or anything else: says what it is, and where the tensors are. */
function wrapped(value: Value, path: string): UnsupportedModelError {
  let what = describe(value, ({ kind }) => `one ${kind}`);
  let hint = "save the model's state_dict()";
  if (isKind(value, "dict")) {
    const keys = [...value.entries.keys()].slice(0, 10).map(String);
    what = `a dict of ${keys.join(", ")}${value.entries.size > keys.length ? ", ..." : ""}`;
    for (const [key, inner] of value.entries) {
      if (typeof key !== "string" || !isKind(inner, "dict") || countTensors(inner) === 0) continue;
      const name = shown(key);
      hint = `its ${name} has ${countTensors(inner)} tensors: save them alone, in Python: torch.save(torch.load(FILE, weights_only=True)[${name}], 'pytorch_model.bin')`;
      break;
    }
  }
  return new UnsupportedModelError("content", what, ["a dict of tensors by name"], { file: path, hint });
}

async function placed(
  files: CheckedSource,
  directory: ZipDirectory,
  root: string,
  tensors: ReadonlyMap<string, Tensor>,
): Promise<Map<string, TensorEntry>> {
  const { path, entries } = directory;
  const users = new Map<Storage, string>(); // storage -> the first tensor in it
  for (const [name, { storage }] of tensors) if (!users.has(storage)) users.set(storage, name);
  const starts = new Map<Storage, number>();
  const locate = async ([storage, tensor]: readonly [Storage, string]) => {
    const fail = (problem: string) => new ModelFileError(problem, { file: path, tensor });
    const entry = entries.get(`${root}data/${storage.key}`);
    if (entry === undefined) throw fail(`its storage ${shown(storage.key)} is not in the file`);
    const bytes = storage.length * elementBytes(storage);
    if (entry.size !== bytes) {
      throw fail(`its storage ${shown(storage.key)} has ${entry.size} bytes, and is said to have ${bytes}`);
    }
    starts.set(storage, (await locateEntry(files, directory, entry)).start);
  };
  const all = [...users];
  for (let i = 0; i < all.length; i += READS_AT_ONCE) await Promise.all(all.slice(i, i + READS_AT_ONCE).map(locate));

  const found = new Map<string, TensorEntry>();
  for (const [name, tensor] of tensors) {
    const { storage, shape, offset } = tensor;
    const count = checkedCount(name, tensor, path);
    const start = starts.get(storage)! + offset * elementBytes(storage);
    const dtype = STORAGES.get(storage.className)![0];
    found.set(name, { name, dtype, shape, path, start, end: start + count * elementBytes(storage) });
  }
  return found;
}

function elementBytes({ className }: Storage): number {
  return STORAGES.get(className)![1];
}

/** A tensor's elements; they must lie in its storage, row by row. */
function checkedCount(name: string, { shape, strides, offset, storage }: Tensor, path: string): number {
  const fail = (problem: string) => new ModelFileError(problem, { file: path, tensor: name });
  let count = shape.includes(0) ? 0 : 1;
  let inOrder = true;
  for (let d = shape.length - 1; d >= 0 && count > 0; d--) {
    const size = shape[d] as number;
    if (size > 1 && strides[d] !== count) inOrder = false;
    count *= size;
    if (count > storage.length) break; // before a product is too large to be exact
  }
  if (!inOrder) {
    const save = "torch.save({k: v.contiguous() for k, v in torch.load(FILE, weights_only=True).items()}, FILE)";
    throw new UnsupportedModelError("strides", strides, ["those of rows after rows"], {
      file: path,
      tensor: name,
      hint: `save it anew, in Python: ${save}`,
    });
  }
  if (count > storage.length || offset > storage.length - count) {
    const has = `its storage ${shown(storage.key)} has ${storage.length} elements`;
    throw fail(`${has}, too few for the shape ${shown(shape)} from element ${offset} on`);
  }
  return count;
}

/**
 * PyTorch checkpoints (`pytorch_model.bin`), as `torch.save` writes them since 1.6: a zip of stored entries, where
 * `data.pkl` describes the tensors and `data/N` are their storages. Follows `torch/serialization.py`. The pickle is read
 * as plain data; nothing that it says is run.
 */

import { ModelFileError, shown, UnsupportedModelError } from "../errors";
import type { CheckedSource } from "../files/checked";
import { readStateDict, type Storage, type Tensor } from "./pytorch-state";
import { openShards } from "./safetensors";
import type { TensorEntry } from "./tensor";
import { locateEntry, readEntry, readZipDirectory, type ZipDirectory } from "./zip";

/** The usual names: one file, or the index of several. */
export const PYTORCH_FILES: readonly string[] = ["pytorch_model.bin", "pytorch_model.bin.index.json"];

/** About 250 bytes for each tensor: room for 100 thousand. */
const MAX_PICKLE_BYTES = 32 * 1024 * 1024;
/** `byteorder` and `version` hold a word. */
const MAX_WORD_BYTES = 64;
/** The last version of the archive that PyTorch reads (`kMaxSupportedFileFormatVersion`). */
const MAX_VERSION = 10;
/** Local headers that are asked for at once: over a network each is a round trip. */
const READS_AT_ONCE = 8; // below the number of listeners from which Node warns of a leak
/** Enough for the signature of every weight format: that of tar is the furthest, at byte 257. */
export const LOOK_BYTES = 512;

/** The integer 0x1950a86a20f9469cfc6c with its opcode: what the pickles of `torch.save` before 1.6 begin with. */
const MAGIC_NUMBER = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

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
  return { tensors: await placed(files, directory, root, readStateDict(pickle, path, `${root}data.pkl`)) };
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

/** Where the tensors lie in the file. */
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
    const bytes = storage.length * storage.elementBytes;
    if (entry.size !== bytes) {
      throw fail(`its storage ${shown(storage.key)} has ${entry.size} bytes, and is said to have ${bytes}`);
    }
    starts.set(storage, (await locateEntry(files, directory, entry)).start);
  };
  const all = [...users];
  for (let i = 0; i < all.length; i += READS_AT_ONCE) await Promise.all(all.slice(i, i + READS_AT_ONCE).map(locate));

  const found = new Map<string, TensorEntry>();
  for (const [name, tensor] of tensors) {
    const { shape, offset } = tensor;
    const { dtype, elementBytes } = tensor.storage;
    const count = checkedCount(name, tensor, path);
    const start = starts.get(tensor.storage)! + offset * elementBytes;
    found.set(name, { name, dtype, shape, path, start, end: start + count * elementBytes });
  }
  return found;
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

/**
 * Zip archives whose entries are stored as they are: which entries there are, and where their bytes lie in the file.
 * Follows PKWARE's APPNOTE.TXT 6.3.10 (section 4.3), of which it takes what `torch.save` writes and refuses the rest.
 * Checksums are not compared: `torch.save` may leave them out (`set_crc32_options`), and tensors are read in pieces.
 */

import { ModelFileError, shown, UnsupportedModelError } from "../errors";
import { type CheckedSource, decodeUtf8 } from "../files/checked";
import { pathProblem } from "../files/path";

/** A model has an entry for each tensor: some thousand in the largest. */
const MAX_ENTRIES = 100_000;
/** An entry of the directory takes about 80 bytes. */
const MAX_DIRECTORY_BYTES = 32 * 1024 * 1024;
/** The end record may be followed by a comment of 65,535 bytes, so it begins in the last so many. */
const MAX_TAIL_BYTES = 22 + 65_535;
/** Before the name. */
const LOCAL_HEADER_BYTES = 30;

const LOCAL_HEADER = 0x04034b50;
const DIRECTORY_ENTRY = 0x02014b50;
const END = 0x06054b50;
const END_64 = 0x06064b50;
const END_64_LOCATOR = 0x07064b50;
const EXTRA_64 = 0x0001;

/** Bits of an entry that change nothing here: sizes follow the data (3), the name is UTF-8 (11). */
const HARMLESS_FLAGS = 0x0808;
/** Sizes are in a descriptor behind the data; the local header has zeros. */
const DESCRIPTOR_FLAG = 0x0008;
/** Encrypted, strongly encrypted, directory encrypted. */
const ENCRYPTED_FLAGS = 0x2041;

const METHODS: Readonly<Record<number, string>> = { 8: "deflate", 9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd" };

/** One file of an archive. */
export interface ZipEntry {
  readonly name: string;
  readonly size: number;
  /** Bytes in the archive: `size`, unless it is compressed. */
  readonly stored: number;
  /** Where its local header begins. */
  readonly headerStart: number;
  /** Where the next entry or the directory begins: its data must end before. */
  readonly limit: number;
  readonly flags: number;
  /** How it is compressed; 0 for stored as it is, the only one that is read. */
  readonly method: number;
}

/** The entries of an archive by their names. */
export interface ZipDirectory {
  readonly path: string;
  readonly entries: ReadonlyMap<string, ZipEntry>;
}

/** The end of a file, kept so that a small directory takes no second read. */
interface Tail {
  readonly size: number;
  readonly start: number;
  readonly bytes: Uint8Array;
}

/**
 * Reads an archive's directory, no entry.
 *
 * @throws ModelFileError where the archive is damaged or contradicts itself
 * @example
 * const { entries } = await readZipDirectory(files, "pytorch_model.bin");
 */
export async function readZipDirectory(files: CheckedSource, path: string): Promise<ZipDirectory> {
  const fail = (problem: string) => new ModelFileError(problem, { file: path });
  const size = (await files.size(path)) ?? (await findSize(files, path));
  const start = Math.max(0, size - MAX_TAIL_BYTES);
  const tail: Tail = { size, start, bytes: await files.readExactly(path, start, size) };
  const { count, directoryStart, directoryEnd } = await readEnd(files, path, tail);
  const bytes = directoryEnd - directoryStart;
  if (count > MAX_ENTRIES) throw fail(`has ${count} zip entries, more than ${MAX_ENTRIES}`);
  if (bytes > MAX_DIRECTORY_BYTES) {
    throw fail(`its zip directory has ${bytes} bytes, more than the ${MAX_DIRECTORY_BYTES} that are allowed`);
  }
  const directory = await readFrom(files, path, tail, directoryStart, directoryEnd);
  const entries = parseDirectory(directory, count, path);
  return { path, entries: limited(entries, directoryStart, path) };
}

/**
 * Where an entry's data lies in the file: [start, end). Its local header is held against the directory.
 *
 * @throws ModelFileError where the two differ, or the data would run into the next entry; UnsupportedModelError for an
 * entry that is compressed or encrypted
 * @example
 * const { start, end } = await locateEntry(files, directory, directory.entries.get("model/data/0"));
 */
export async function locateEntry(
  files: CheckedSource,
  { path }: ZipDirectory,
  entry: ZipEntry,
): Promise<{ start: number; end: number }> {
  checkStored(entry, path);
  const { name, headerStart, size, limit, flags } = entry;
  const fail = (problem: string) => new ModelFileError(`its zip entry ${shown(name)} ${problem}`, { file: path });
  const nameBytes = new TextEncoder().encode(name);
  const header = await files.readExactly(path, headerStart, headerStart + LOCAL_HEADER_BYTES + nameBytes.length);
  const view = viewOf(header);
  if (view.getUint32(0, true) !== LOCAL_HEADER) throw fail(`has no header at byte ${headerStart}`);
  const sameName =
    view.getUint16(26, true) === nameBytes.length && nameBytes.every((b, i) => header[LOCAL_HEADER_BYTES + i] === b);
  if (!sameName) throw fail("has another name in its own header than in the directory");
  if (view.getUint16(6, true) !== flags || view.getUint16(8, true) !== 0) {
    throw fail("is described otherwise by its own header than by the directory");
  }
  // 0 where a descriptor follows, all ones where the size is in an extra field.
  const known = flags & DESCRIPTOR_FLAG ? [size, 0, 0xffffffff] : [size, 0xffffffff];
  for (const at of [18, 22]) {
    const said = view.getUint32(at, true);
    if (!known.includes(said)) throw fail(`has ${said} bytes by its own header, and ${size} by the directory`);
  }
  const start = headerStart + header.length + view.getUint16(28, true);
  const end = start + size;
  if (end > limit) throw fail(`ends at byte ${end}, and what follows it begins at ${limit}: they overlap`);
  return { start, end };
}

function checkStored({ name, flags, method }: ZipEntry, path: string): void {
  const at = { file: path, hint: "unpack it, and take the model in it or save it anew with torch.save" };
  if (flags & ENCRYPTED_FLAGS) throw new UnsupportedModelError(`encryption of ${shown(name)}`, "zip", ["none"], at);
  if (method !== 0) {
    throw new UnsupportedModelError(`compression of ${shown(name)}`, METHODS[method] ?? method, ["stored"], at);
  }
  if (flags & ~HARMLESS_FLAGS) {
    throw new ModelFileError(`its zip entry ${shown(name)} has unknown flags (${flags.toString(16)})`, { file: path });
  }
}

/** The bytes of an entry. Throws as `locateEntry`, and ModelFileError where it has more than `maxBytes`. */
export async function readEntry(
  files: CheckedSource,
  directory: ZipDirectory,
  entry: ZipEntry,
  maxBytes: number,
): Promise<Uint8Array> {
  if (entry.size > maxBytes) {
    throw new ModelFileError(`its zip entry ${shown(entry.name)} has ${entry.size} bytes, more than ${maxBytes}`, {
      file: directory.path,
    });
  }
  const { start, end } = await locateEntry(files, directory, entry);
  return files.readExactly(directory.path, start, end);
}

/** The size of a file whose source does not tell it: doubled until nothing is there, then halved in. */
async function findSize(files: CheckedSource, path: string): Promise<number> {
  const hasByte = async (at: number) => {
    const byte = await files.readSome(path, at, at + 1);
    if (byte === null) throw files.missing(path);
    return byte.length > 0;
  };
  let high = 1 << 16;
  while (await hasByte(high)) {
    if (high > Number.MAX_SAFE_INTEGER / 4) throw new ModelFileError("has no end", { file: path });
    high *= 2;
  }
  let low = 0; // the size is in [low, high]
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await hasByte(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function readFrom(
  files: CheckedSource,
  path: string,
  tail: Tail,
  start: number,
  end: number,
): Promise<Uint8Array> {
  if (start >= tail.start) return tail.bytes.subarray(start - tail.start, end - tail.start);
  return files.readExactly(path, start, end);
}

/** What the end record says, or its 64-bit form where there is one: the directory lies right before it. */
async function readEnd(
  files: CheckedSource,
  path: string,
  tail: Tail,
): Promise<{ count: number; directoryStart: number; directoryEnd: number }> {
  const fail = (problem: string) => new ModelFileError(problem, { file: path });
  const view = viewOf(tail.bytes);
  let at = tail.bytes.length - 22;
  while (
    at >= 0 &&
    !(view.getUint32(at, true) === END && at + 22 + view.getUint16(at + 20, true) === view.byteLength)
  ) {
    at--;
  }
  if (at < 0) throw fail("is a zip archive without an end: it is truncated or has something behind it");
  const end = tail.start + at;
  const disks = [view.getUint16(at + 4, true), view.getUint16(at + 6, true)];
  const counts = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)];
  const [bytes, start] = [view.getUint32(at + 12, true), view.getUint32(at + 16, true)];

  const locator = viewOf(end < 20 ? new Uint8Array(4) : await readFrom(files, path, tail, end - 20, end));
  if (locator.getUint32(0, true) !== END_64_LOCATOR) {
    if (disks.some((disk) => disk !== 0) || counts[0] !== counts[1]) throw fail("is a zip archive in several parts");
    return directoryAt(start, bytes, counts[1] as number, end, fail);
  }

  const end64 = exact(locator, 8, fail);
  if (locator.getUint32(4, true) !== 0 || locator.getUint32(16, true) > 1) {
    throw fail("is a zip archive in several parts");
  }
  if (end64 > end - 20 - 56) throw fail(`its zip64 end record is said to be at byte ${end64}, where it cannot be`);
  const record = viewOf(await readFrom(files, path, tail, end64, end64 + 56));
  if (record.getUint32(0, true) !== END_64 || end64 + 12 + exact(record, 4, fail) !== end - 20) {
    throw fail(`has no zip64 end record at byte ${end64}, where it was said to be`);
  }
  if (record.getUint32(16, true) !== 0 || record.getUint32(20, true) !== 0) {
    throw fail("is a zip archive in several parts");
  }
  const wide = { count: exact(record, 32, fail), bytes: exact(record, 40, fail), start: exact(record, 48, fail) };
  // The narrow record repeats it, or holds all ones where it does not fit.
  const agrees = (narrow: number, ones: number, value: number) => narrow === ones || narrow === value;
  const agree =
    disks.every((disk) => agrees(disk, 0xffff, 0)) &&
    counts.every((count) => agrees(count, 0xffff, wide.count)) &&
    exact(record, 24, fail) === wide.count &&
    agrees(bytes, 0xffffffff, wide.bytes) &&
    agrees(start, 0xffffffff, wide.start);
  if (!agree) throw fail("its zip end record and the zip64 one do not say the same");
  return directoryAt(wide.start, wide.bytes, wide.count, end64, fail);
}

function directoryAt(start: number, bytes: number, count: number, end: number, fail: (problem: string) => Error) {
  if (start + bytes !== end) {
    throw fail(`its zip directory is said to be bytes ${start} to ${start + bytes}, and should end at ${end}`);
  }
  return { count, directoryStart: start, directoryEnd: end };
}

type FoundEntry = Omit<ZipEntry, "limit">;

function parseDirectory(bytes: Uint8Array, count: number, path: string): FoundEntry[] {
  const fail = (problem: string) => new ModelFileError(problem, { file: path });
  const view = viewOf(bytes);
  const entries: FoundEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== DIRECTORY_ENTRY) {
      throw fail(`its zip directory has ${i} entries, and is said to have ${count}`);
    }
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) => view.getUint16(at + field, true));
    const nameStart = at + 46;
    const extraStart = nameStart + (nameLength as number);
    const extraEnd = extraStart + (extraLength as number);
    const next = extraEnd + (commentLength as number);
    if (next > bytes.length) throw fail(`entry ${i} of its zip directory is cut off`);
    const name = decodeUtf8(bytes.subarray(nameStart, extraStart), `the name of zip entry ${i}`, { file: path });
    const problem = pathProblem(name);
    if (problem !== null) throw fail(`its zip entry ${shown(name)} ${problem}`);
    const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)];
    const sizes = readSizes(view, at, extraStart, extraEnd, (what) => fail(`its zip entry ${shown(name)} ${what}`));
    if (method === 0 && sizes.size !== sizes.stored) {
      throw fail(`its zip entry ${shown(name)} is stored, and has ${sizes.stored} bytes of ${sizes.size}`);
    }
    entries.push({ name, flags, method, ...sizes });
    at = next;
  }
  if (at !== bytes.length) throw fail(`its zip directory holds more than the ${count} entries that it is said to have`);
  return entries;
}

/** Sizes and place of an entry: those that have all ones are in its zip64 extra field, in this order. */
function readSizes(view: DataView, at: number, extraStart: number, extraEnd: number, fail: (what: string) => Error) {
  let wide = extraEnd;
  let wideEnd = extraEnd;
  for (let extra = extraStart; extra + 4 <= extraEnd; ) {
    const end = extra + 4 + view.getUint16(extra + 2, true);
    if (end > extraEnd) break; // alignment is sometimes made with fewer than a field's bytes
    if (view.getUint16(extra, true) === EXTRA_64) [wide, wideEnd] = [extra + 4, end];
    extra = end;
  }
  const take = (field: number): number => {
    const value = view.getUint32(at + field, true);
    if (value !== 0xffffffff) return value;
    if (wide + 8 > wideEnd) throw fail("has no 64-bit size where it needs one");
    wide += 8;
    return exact(view, wide - 8, fail);
  };
  const [size, stored, headerStart] = [take(24), take(20), take(42)] as [number, number, number];
  const disk = view.getUint16(at + 34, true);
  if (disk !== 0 && disk !== 0xffff) throw fail("is in another part of an archive in several parts");
  return { size, stored, headerStart };
}

/** Entries by name, each with where the next one begins; none may lie within another, or in the directory. */
function limited(entries: FoundEntry[], directoryStart: number, path: string): Map<string, ZipEntry> {
  const fail = (name: string, problem: string) =>
    new ModelFileError(`its zip entry ${shown(name)} ${problem}`, { file: path });
  const sorted = entries.sort((a, b) => a.headerStart - b.headerStart);
  const byName = new Map<string, ZipEntry>();
  for (const [i, entry] of sorted.entries()) {
    const next = sorted[i + 1];
    const limit = next?.headerStart ?? directoryStart;
    const least = entry.headerStart + LOCAL_HEADER_BYTES + entry.name.length + entry.stored;
    if (least > limit) {
      const what = next === undefined ? "the directory" : shown(next.name);
      throw fail(
        entry.name,
        `takes bytes ${entry.headerStart} to ${least}, and ${what} begins at ${limit}: they overlap`,
      );
    }
    if (byName.has(entry.name)) throw fail(entry.name, "is there twice");
    byName.set(entry.name, { ...entry, limit });
  }
  return byName;
}

/** A 64-bit field as a number. */
function exact(view: DataView, at: number, fail: (problem: string) => Error): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER) / 2n) throw fail(`has the size or place ${value}: beyond every file`);
  return Number(value);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

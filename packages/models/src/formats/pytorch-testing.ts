/** What the tests of PyTorch checkpoints share: small writers of pickles, zip archives and checkpoints, right or wrong. */

import { concat, u32, u64, utf8 } from "./testing";

export function u16(value: number): Uint8Array {
  return new Uint8Array(new Uint16Array([value]).buffer);
}

// ---- Pickle: each gives the opcodes that leave one value on the stack

const join = (...parts: readonly (Uint8Array | string)[]) =>
  concat(...parts.map((part) => (typeof part === "string" ? Uint8Array.from(part, (c) => c.charCodeAt(0)) : part)));

/** Opcodes as they are, one character a byte, between the protocol and STOP. */
export const pickle = (...parts: readonly (Uint8Array | string)[]) => join("\x80\x02", ...parts, ".");
export const ops = join;
export const str = (value: string) => join("X", u32(utf8(value).length), utf8(value));
export const int = (value: number) =>
  value >= 0 && value < 256
    ? join("K", Uint8Array.of(value))
    : join("\x8a\x08", u64(BigInt.asUintN(64, BigInt(value))));
export const global = (name: string) => {
  const dot = name.lastIndexOf(".");
  return join("c", name.slice(0, dot), "\n", name.slice(dot + 1), "\n");
};
export const tuple = (...items: readonly Uint8Array[]) => join("(", ...items, "t");
export const dict = (entries: Readonly<Record<string, Uint8Array>>) =>
  join("}(", ...Object.entries(entries).flatMap(([key, value]) => [str(key), value]), "u");
export const call = (name: string, ...args: readonly Uint8Array[]) => join(global(name), tuple(...args), "R");
export const orderedDict = () => call("collections.OrderedDict");

export interface StorageParts {
  readonly key?: string;
  readonly type?: string;
  readonly length?: number;
}

export const storage = ({ key = "0", type = "torch.FloatStorage", length = 6 }: StorageParts = {}) =>
  join(tuple(str("storage"), global(type), str(key), str("cpu"), int(length)), "Q");

export interface TensorParts extends StorageParts {
  readonly offset?: number;
  readonly shape?: readonly number[];
  readonly strides?: readonly number[];
  /** Instead of False, no hooks. */
  readonly rest?: readonly Uint8Array[];
}

/** Strides of rows after rows. */
function rowMajor(shape: readonly number[]): number[] {
  return shape.map((_, d) => shape.slice(d + 1).reduce((product, size) => product * size, 1));
}

export function tensor({ offset = 0, shape = [2, 3], strides, rest, ...parts }: TensorParts = {}): Uint8Array {
  return call(
    "torch._utils._rebuild_tensor_v2",
    storage(parts),
    int(offset),
    tuple(...shape.map(int)),
    tuple(...(strides ?? rowMajor(shape)).map(int)),
    ...(rest ?? [join("\x89"), orderedDict()]),
  );
}

// ---- Zip

export interface ZipPart {
  readonly name: string;
  readonly data: Uint8Array;
  readonly flags?: number;
  readonly method?: number;
  /** What the directory says, where it is not the truth. */
  readonly size?: number;
  readonly stored?: number;
  readonly offset?: number;
  readonly directoryName?: Uint8Array;
  readonly directoryFlags?: number;
  /** In the directory: a zip64 extra field for size and place. */
  readonly wide?: boolean;
  /** Bytes of alignment before the data. */
  readonly padding?: number;
}

export interface ZipOptions {
  readonly zip64?: boolean;
  readonly comment?: Uint8Array;
  readonly count?: number;
  readonly directoryBytes?: number;
  readonly directoryStart?: number;
  readonly between?: Uint8Array;
  readonly disk?: number;
}

const ALL = 0xffffffff;

/** A zip archive of these parts, as `torch.save` writes it unless they say otherwise. */
export function zip(parts: readonly ZipPart[], options: ZipOptions = {}): Uint8Array {
  const files: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const part of parts) {
    const { name, data, flags = 0, method = 0, padding = 0 } = part;
    const extra = padding === 0 ? [] : [utf8("FB"), u16(padding), new Uint8Array(padding)];
    const sizes = flags & 8 ? [0, 0] : [data.length, data.length];
    const local = concat(
      concat(u32(0x04034b50), u16(0), u16(flags), u16(method), u32(0), u32(0)),
      concat(...sizes.map(u32), u16(utf8(name).length), u16(concat(...extra).length), utf8(name), ...extra),
    );
    const descriptor = flags & 8 ? concat(utf8("PK\x07\x08"), new Uint8Array(12)) : new Uint8Array();
    const [size, stored, offset] = [part.size ?? data.length, part.stored ?? data.length, part.offset ?? at];
    const wide = part.wide ? concat(u16(1), u16(24), u64(size), u64(stored), u64(offset)) : new Uint8Array();
    const directoryName = part.directoryName ?? utf8(name);
    directory.push(
      concat(
        concat(u32(0x02014b50), u16(0), u16(0), u16(part.directoryFlags ?? flags), u16(method), u32(0), u32(0)),
        concat(...[stored, size].map((bytes) => u32(part.wide ? ALL : bytes))),
        concat(u16(directoryName.length), u16(wide.length), u16(0), u16(0), u16(0), u32(0)),
        concat(u32(part.wide ? ALL : offset), directoryName, wide),
      ),
    );
    files.push(local, data, descriptor);
    at += local.length + data.length + descriptor.length;
  }
  const between = options.between ?? new Uint8Array();
  const entries = concat(...directory);
  const count = options.count ?? parts.length;
  const bytes = options.directoryBytes ?? entries.length;
  const start = options.directoryStart ?? at + between.length;
  const disk = options.disk ?? 0;
  const comment = options.comment ?? new Uint8Array();
  const zip64 = options.zip64
    ? concat(
        concat(u32(0x06064b50), u64(44), u16(0), u16(0), u32(disk), u32(disk), u64(count), u64(count)),
        concat(u64(bytes), u64(start), u32(0x07064b50), u32(0), u64(at + between.length + entries.length), u32(1)),
      )
    : new Uint8Array();
  const [narrowCount, narrowBytes] = options.zip64 ? [0xffff, ALL] : [count, bytes];
  const end = concat(
    concat(u32(0x06054b50), u16(disk), u16(disk), u16(narrowCount), u16(narrowCount)),
    concat(u32(narrowBytes), u32(options.zip64 ? ALL : start), u16(comment.length), comment),
  );
  return concat(...files, between, entries, zip64, end);
}

// ---- Checkpoints

/** A checkpoint around any pickle; storage "0" holds six float32 unless `storages` says what there is. */
export function checkpoint(
  data: Uint8Array,
  storages: Readonly<Record<string, Uint8Array>> = { "0": floats(1, 2, 3, 4, 5, 6) },
  more: Readonly<Record<string, Uint8Array | string>> = { version: "3\n" },
): Uint8Array {
  const files: Record<string, Uint8Array | string> = { "data.pkl": data, ...more };
  for (const [key, bytes] of Object.entries(storages)) files[`data/${key}`] = bytes;
  return zip(
    Object.entries(files).map(([name, file]) => ({
      name: `model/${name}`,
      data: typeof file === "string" ? utf8(file) : file,
    })),
  );
}

export function floats(...numbers: readonly number[]): Uint8Array {
  return new Uint8Array(new Float32Array(numbers).buffer);
}

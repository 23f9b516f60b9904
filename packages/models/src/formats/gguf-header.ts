/**
 * The header of a GGUF file: counts, metadata, tensor descriptions. Follows ggml's `docs/gguf.md`.
 *
 * Nothing says how long a header is, so it is parsed over a prefix of the file: where that ends too soon, the caller
 * brings a longer one and parsing goes on after the last complete entry. Every count is held against a limit, and
 * against the bytes that could hold so many, before anything is allocated for it.
 */

import { ModelFileError, shown, UnsupportedModelError } from "../errors";
import { decodeUtf8 } from "../files/checked";

/** Numeric arrays are typed arrays; arrays of arrays are plain ones. */
export type GgufArray = readonly string[] | readonly boolean[] | readonly GgufArray[] | NumericArray;

/** A 64-bit integer is a number where a number holds it exactly, else a bigint; in arrays it is always a bigint. */
export type GgufValue = number | bigint | boolean | string | GgufArray;

/** A tensor's description as it is in the file. */
export interface GgufTensorInfo {
  readonly name: string;
  /** Innermost first, as ggml counts them. */
  readonly dims: readonly number[];
  readonly type: number;
  /** From the start of the data. */
  readonly offset: number;
}

/** The largest real headers (260 thousand tokens, their scores and merges) have 15 MB. */
export const MAX_HEADER_BYTES = 128 * 1024 * 1024;
/** Real files have about 40. */
const MAX_KEYS = 65_536;
/** Real files have some thousand at most. */
const MAX_TENSORS = 100_000;
/** The specification's limit. */
const MAX_KEY_BYTES = 65_535;
/** The specification says 64; some converters write a little more. */
const MAX_TENSOR_NAME_BYTES = 1024;
/** Room for a whole tokenizer.json, which some converters store as one string. */
const MAX_STRING_BYTES = 64 * 1024 * 1024;
/** Fifteen times the largest vocabulary. */
const MAX_ARRAY_LENGTH = 4_000_000;
/** Real files nest none. */
const MAX_ARRAY_DEPTH = 4;
/** Arrays in arrays, which no model has: few bytes each in the file, and many in memory. */
const MAX_NESTED_ARRAYS = 65_536;
/** The format's limit (GGML_MAX_DIMS). */
const MAX_DIMS = 4;

/** Least bytes that an entry takes: key (length, one character), type, value; name, dimensions, type, offset. */
const LEAST_KEY_BYTES = 8 + 1 + 4 + 1;
const LEAST_TENSOR_BYTES = 8 + 4 + 4 + 8;
const LEAST_STRING_BYTES = 8;
const LEAST_ARRAY_BYTES = 4 + 8;

type NumericArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array;

interface NumericType {
  readonly bytes: number;
  readonly read: (view: DataView, at: number) => number | bigint;
  readonly array: new (buffer: ArrayBuffer) => NumericArray;
}

/** "GGUF", read as a little-endian integer. */
const MAGIC = 0x46554747;

/** `gguf_metadata_value_type` by id. */
const NUMERIC: Readonly<Record<number, NumericType>> = {
  0: { bytes: 1, read: (view, at) => view.getUint8(at), array: Uint8Array },
  1: { bytes: 1, read: (view, at) => view.getInt8(at), array: Int8Array },
  2: { bytes: 2, read: (view, at) => view.getUint16(at, true), array: Uint16Array },
  3: { bytes: 2, read: (view, at) => view.getInt16(at, true), array: Int16Array },
  4: { bytes: 4, read: (view, at) => view.getUint32(at, true), array: Uint32Array },
  5: { bytes: 4, read: (view, at) => view.getInt32(at, true), array: Int32Array },
  6: { bytes: 4, read: (view, at) => view.getFloat32(at, true), array: Float32Array },
  10: { bytes: 8, read: (view, at) => exact(view.getBigUint64(at, true)), array: BigUint64Array },
  11: { bytes: 8, read: (view, at) => exact(view.getBigInt64(at, true)), array: BigInt64Array },
  12: { bytes: 8, read: (view, at) => view.getFloat64(at, true), array: Float64Array },
};
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Thrown inside the parser where the prefix ends; never leaves it. */
const PREFIX_ENDS = new Error("the prefix ends here");

/** Parses a header from growing prefixes of a file. */
export class GgufHeader {
  #nested = 0;
  version = 0;
  readonly metadata = new Map<string, GgufValue>();
  readonly tensors = new Map<string, GgufTensorInfo>();
  /** Bytes of the header that are parsed: all of it once `parse` has returned true. */
  at = 0;
  /** What is being parsed, for messages. */
  where = "the counts";

  readonly #file: string;
  readonly #limit: number;
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #keyCount = -1;
  #tensorCount = -1;

  /** `fileSize` in bytes, Infinity where it is unknown: no count can promise more than that. */
  constructor(file: string, fileSize: number) {
    this.#file = file;
    this.#limit = Math.min(fileSize, MAX_HEADER_BYTES);
  }

  /**
   * Goes on with a longer prefix of the file. True when the header is complete; false when it goes on beyond the prefix.
   * Throws ModelFileError for what cannot be a header, UnsupportedModelError for other versions and big-endian files.
   */
  parse(prefix: Uint8Array): boolean {
    this.#bytes = prefix;
    this.#view = new DataView(prefix.buffer, prefix.byteOffset, prefix.length);
    const resume = { at: this.at };
    try {
      if (this.#keyCount < 0) this.#counts();
      resume.at = this.at;
      while (this.metadata.size < this.#keyCount) {
        this.#keyValue();
        resume.at = this.at;
      }
      while (this.tensors.size < this.#tensorCount) {
        this.#tensor();
        resume.at = this.at;
      }
      return true;
    } catch (error) {
      if (error !== PREFIX_ENDS) throw error;
      this.at = resume.at;
      return false;
    }
  }

  #counts(): void {
    if (this.#u32() !== MAGIC) throw this.#fail('does not begin with "GGUF": it is no GGUF file');
    const version = this.#u32();
    // A big-endian file's version (3) reads as 0x03000000.
    if (version !== 0 && (version & 0xffff) === 0) {
      throw new UnsupportedModelError("GGUF byte order", "big-endian", ["little-endian"], { file: this.#file });
    }
    if (version !== 2 && version !== 3) {
      throw new UnsupportedModelError("GGUF version", version, ["2", "3"], { file: this.#file });
    }
    const tensors = this.#count("tensors", MAX_TENSORS, LEAST_TENSOR_BYTES);
    const keys = this.#count("metadata keys", MAX_KEYS, LEAST_KEY_BYTES);
    [this.version, this.#tensorCount, this.#keyCount] = [version, tensors, keys];
  }

  #keyValue(): void {
    this.where = `metadata key ${this.metadata.size + 1} of ${this.#keyCount}`;
    const key = this.#text(MAX_KEY_BYTES);
    this.where = `metadata key ${shown(key)}`;
    if (this.metadata.has(key)) throw this.#fail(`${this.where} is there twice`);
    this.metadata.set(key, this.#value(this.#u32(), 0));
  }

  #tensor(): void {
    this.where = `tensor ${this.tensors.size + 1} of ${this.#tensorCount}`;
    const name = this.#text(MAX_TENSOR_NAME_BYTES);
    this.where = `tensor ${shown(name)}`;
    if (this.tensors.has(name)) throw this.#fail("is there twice", name);
    const rank = this.#u32();
    if (rank > MAX_DIMS) throw this.#fail(`has ${rank} dimensions, more than ${MAX_DIMS}`, name);
    const dims = Array.from({ length: rank }, () => this.#size("a dimension of", name));
    this.tensors.set(name, { name, dims, type: this.#u32(), offset: this.#size("the offset", name) });
  }

  #value(type: number, depth: number): GgufValue {
    const numeric = NUMERIC[type];
    if (numeric !== undefined) return numeric.read(this.#view, this.#take(numeric.bytes));
    if (type === BOOL) return this.#bool();
    if (type === STRING) return this.#text(MAX_STRING_BYTES);
    if (type === ARRAY) return this.#array(depth + 1);
    throw this.#fail(`${this.where} has the value type ${type}, which GGUF does not know`);
  }

  #array(depth: number): GgufArray {
    if (depth > 1 && ++this.#nested > MAX_NESTED_ARRAYS) {
      throw this.#fail(`has more than ${MAX_NESTED_ARRAYS} arrays inside of arrays, in ${this.where}`);
    }
    if (depth > MAX_ARRAY_DEPTH) throw this.#fail(`${this.where} nests arrays deeper than ${MAX_ARRAY_DEPTH} levels`);
    const type = this.#u32();
    const numeric = NUMERIC[type];
    const least = { [BOOL]: 1, [STRING]: LEAST_STRING_BYTES, [ARRAY]: LEAST_ARRAY_BYTES }[type] ?? numeric?.bytes;
    if (least === undefined) throw this.#fail(`${this.where} has elements of type ${type}, which GGUF does not know`);
    const length = this.#count(`elements in ${this.where}`, MAX_ARRAY_LENGTH, least);
    if (numeric !== undefined) {
      const start = this.#take(length * numeric.bytes);
      const copy = new Uint8Array(length * numeric.bytes); // aligned, and free of the prefix
      copy.set(this.#bytes.subarray(start, this.at));
      return new numeric.array(copy.buffer);
    }
    // Not Array(length): what is claimed is allocated as it turns up.
    const read = <T>(element: () => T) => {
      const elements: T[] = [];
      for (let i = 0; i < length; i++) elements.push(element());
      return elements;
    };
    if (type === BOOL) return read(() => this.#bool());
    if (type === STRING) return read(() => this.#text(MAX_STRING_BYTES));
    return read(() => this.#array(depth + 1));
  }

  #bool(): boolean {
    const byte = this.#bytes[this.#take(1)];
    if (byte > 1) throw this.#fail(`${this.where} has a bool of ${byte}: 0 or 1 was expected`);
    return byte === 1;
  }

  /** A string behind its length. */
  #text(maxBytes: number): string {
    const length = this.#size("the length of a string in", null);
    if (length > maxBytes) throw this.#fail(`${this.where} has a string of ${length} bytes, more than ${maxBytes}`);
    const start = this.#take(length);
    return decodeUtf8(this.#bytes.subarray(start, this.at), this.where, { file: this.#file });
  }

  /** A count of things of at least `bytes` each. */
  #count(what: string, max: number, bytes: number): number {
    const count = this.#u64();
    if (count > max) throw this.#fail(`has ${count} ${what}, more than ${max}`);
    if (Number(count) * bytes > this.#limit - this.at) {
      throw this.#fail(`has ${count} ${what}, more than the ${this.#limit - this.at} bytes behind that can hold`);
    }
    return Number(count);
  }

  /** A 64-bit size; beyond 2^53 it is the size of nothing. */
  #size(what: string, tensor: string | null): number {
    const size = this.#u64();
    if (size > Number.MAX_SAFE_INTEGER) throw this.#fail(`${what} ${this.where} is ${size}: that is too large`, tensor);
    return Number(size);
  }

  #u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  #u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  /** Moves on by so many bytes, and gives the position of the first. */
  #take(bytes: number): number {
    const start = this.at;
    if (start + bytes > this.#limit) {
      throw this.#fail(
        this.#limit === MAX_HEADER_BYTES
          ? `its header has more than ${MAX_HEADER_BYTES} bytes, in ${this.where}`
          : `ends at byte ${this.#limit}, in ${this.where}: ${start + bytes} were needed, so it is truncated or damaged`,
      );
    }
    if (start + bytes > this.#bytes.length) throw PREFIX_ENDS;
    this.at = start + bytes;
    return start;
  }

  #fail(problem: string, tensor?: string | null): ModelFileError {
    return new ModelFileError(problem, { file: this.#file, tensor: tensor ?? undefined });
  }
}

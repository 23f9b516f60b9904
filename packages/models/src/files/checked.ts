/** A source that keeps its word: what the format readers use, so that none of them has to distrust `read`. */

import { abortable } from "../abort";
import { ModelFileError } from "../errors";
import { pathProblem } from "./path";
import type { FileSource } from "./source";

/** How a read is called off, and where its bytes may go. */
export interface ReadOptions {
  signal?: AbortSignal | undefined;
  /** See `FileSource.read`. */
  into?: Uint8Array | undefined;
}

/**
 * Wraps a FileSource. Paths that leave the folder are refused with ModelFileError, and what `read` and `size` return is
 * checked: a source that breaks their contract gets a TypeError that names the method.
 */
export class CheckedSource {
  readonly #source: FileSource;
  readonly #sizes = new Map<string, Promise<number | null>>();
  readonly #signal: AbortSignal | undefined;
  #closing: Promise<void> | null = null;

  /** @param signal calls off every read */
  constructor(source: FileSource, signal?: AbortSignal) {
    this.#source = source;
    this.#signal = signal;
  }

  /** For messages: the folder's path or the like, "" if the source has none. */
  get name(): string {
    return this.#source.name ?? "";
  }

  /** Exactly the bytes [start, end) of a file. Throws ModelFileError if there is no such file, or it ends sooner. */
  async readExactly(path: string, start: number, end: number, options: ReadOptions = {}): Promise<Uint8Array> {
    const size = await this.size(path);
    if (size !== null && size < end) throw tooShort(path, size, end); // before anything is allocated
    const bytes = await this.readSome(path, start, end, options);
    if (bytes === null) throw this.missing(path);
    if (bytes.length < end - start) throw tooShort(path, start + bytes.length, end);
    return bytes;
  }

  /** The bytes [start, end) of a file, fewer only where it ends sooner; null if there is no such file. */
  async readSome(path: string, start: number, end: number, options: ReadOptions = {}): Promise<Uint8Array | null> {
    this.#check(path);
    if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
      throw new TypeError(`a read needs byte positions with 0 <= start <= end, not ${start} and ${end}`);
    }
    const signal = options.signal ?? this.#signal;
    const { into } = options;
    const bytes: unknown = await abortable(() => this.#source.read(path, start, end, { signal, into }), signal);
    if (bytes === null) return null;
    if (!isUint8Array(bytes)) throw new TypeError(`read("${path}") must give a Uint8Array or null, not ${kind(bytes)}`);
    if (bytes.length > end - start) {
      throw new TypeError(`read("${path}", ${start}, ${end}) gave ${bytes.length} bytes, more than were asked for`);
    }
    // A Buffer is a Uint8Array with a slice() of its own: nobody should meet it further on.
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Whether there is such a file. */
  async exists(path: string): Promise<boolean> {
    if (this.#source.size !== undefined) return (await this.size(path)) !== null;
    return (await this.readSome(path, 0, 1)) !== null;
  }

  /** Bytes in the file; null where the source does not say, or there is no such file. Asked for once per file. */
  async size(path: string): Promise<number | null> {
    this.#check(path);
    let size = this.#sizes.get(path);
    if (size === undefined) {
      size = this.#askSize(path);
      this.#sizes.set(path, size);
      size.catch(() => this.#sizes.delete(path));
    }
    return size;
  }

  /**
   * A whole file as text, a byte order mark left out. Throws ModelFileError if there is no such file, it is longer than
   * `maxBytes`, or it is not UTF-8.
   */
  async readText(path: string, maxBytes: number, options: ReadOptions = {}): Promise<string> {
    const size = await this.size(path);
    if (size !== null && size > maxBytes) throw tooLong(path, maxBytes);
    const bytes = await this.readSome(path, 0, size ?? maxBytes + 1, options);
    if (bytes === null) throw this.missing(path);
    if (bytes.length > maxBytes) throw tooLong(path, maxBytes);
    return decodeUtf8(bytes, "the file", { file: path }).replace(/^\ufeff/, "");
  }

  /** Names of the files (the top level at least); null where the source cannot say. */
  async list(): Promise<string[] | null> {
    if (this.#source.list === undefined) return null;
    const names: unknown = await abortable(async () => this.#source.list?.(), this.#signal);
    if (!Array.isArray(names) || !names.every((name) => typeof name === "string")) {
      throw new TypeError("list() must give an array of file names");
    }
    return names;
  }

  /** The error for a file that should be there. */
  missing(path: string): ModelFileError {
    return new ModelFileError(`there is no such file${this.name && ` in ${this.name}`}`, { file: path });
  }

  /** Frees what the source holds. Further calls do nothing; further reads are an error. */
  close(): Promise<void> {
    this.#closing ??= (async () => this.#source.close?.())();
    return this.#closing;
  }

  #check(path: string) {
    if (this.#closing !== null) throw new Error(`${this.name || "the source"} is closed: "${path}" cannot be read`);
    const problem = pathProblem(path);
    if (problem !== null) throw new ModelFileError(problem, { file: path });
  }

  async #askSize(path: string): Promise<number | null> {
    const size: unknown = (await abortable(async () => this.#source.size?.(path), this.#signal)) ?? null;
    if (size === null || (Number.isSafeInteger(size) && (size as number) >= 0)) return size as number | null;
    throw new TypeError(`size("${path}") must give a number of bytes or null, not ${kind(size)}`);
  }
}

/** Text of UTF-8 bytes, every character kept. Throws ModelFileError, saying that `what` is not UTF-8. */
export function decodeUtf8(bytes: Uint8Array, what: string, at: { file: string; tensor?: string }): string {
  try {
    return STRICT_UTF8.decode(bytes);
  } catch (cause) {
    throw new ModelFileError(`${what} is not valid UTF-8`, at, { cause });
  }
}

// Without ignoreBOM the token U+FEFF, which real vocabularies have, would become the empty string.
const STRICT_UTF8 = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** True for arrays of another realm too (a frame, a test runner's sandbox), for which instanceof is false. */
function isUint8Array(value: unknown): value is Uint8Array {
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === "[object Uint8Array]";
}

function kind(value: unknown): string {
  return value === undefined ? "undefined" : Object.prototype.toString.call(value).slice(8, -1);
}

function tooShort(path: string, endsAt: number, needed: number): ModelFileError {
  return new ModelFileError(
    `ends at byte ${endsAt}, ${needed} were needed: the file is truncated or its header is wrong`,
    { file: path },
  );
}

function tooLong(path: string, maxBytes: number): ModelFileError {
  return new ModelFileError(`is longer than the ${maxBytes} bytes that such a file may have`, { file: path });
}

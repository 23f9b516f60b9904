/** A folder on disk, in Node: positional reads through one open handle per file, all closed together. */

import { ModelFileError } from "../errors";
import { pathProblem } from "./path";
import type { FileSource } from "./source";

type Fs = typeof import("node:fs/promises");
type FileHandle = Awaited<ReturnType<Fs["open"]>>;

interface OpenFile {
  readonly handle: FileHandle;
  readonly size: number;
}

/** One read asks the system for at most this much: Node refuses 2 GiB at once, and between pieces a signal is heard. */
const PIECE_BYTES = 64 * 1024 * 1024;

/** What the system says when there is no such file. A name too long for it cannot be one. */
const NO_SUCH_FILE = new Set(["ENOENT", "ENOTDIR", "ENAMETOOLONG"]);

function isNoSuchFile(error: unknown): boolean {
  return error instanceof Error && NO_SUCH_FILE.has((error as NodeJS.ErrnoException).code ?? "");
}

/** Node's built-in modules, asked for only where a path is opened: the package itself must load in a browser. */
async function builtin<M>(specifier: string): Promise<M> {
  // A name that is no literal, and the two marks, keep every bundler from resolving it.
  return (await import(/* webpackIgnore: true */ /* @vite-ignore */ specifier)) as M;
}

/**
 * Opens a path on disk: a folder, or a file and the folder that it lies in (`file` is then its base name).
 * Throws ModelFileError if there is neither, and an Error outside of Node.
 */
export async function openPath(path: string): Promise<{ source: FileSource; file: string | null }> {
  if (typeof process === "undefined" || process.versions?.node === undefined) {
    throw new Error(
      `"${path}" is a path, and there is no file system here: pass a File, a Blob or an object with read(path, start, end)`,
    );
  }
  const fs = await builtin<Fs>("node:fs/promises");
  const { basename, dirname } = await builtin<typeof import("node:path")>("node:path");
  const found = await fs.stat(path).catch((error: unknown) => {
    if (isNoSuchFile(error)) throw new ModelFileError("there is no such file or folder", { file: path });
    throw unreadable(error, path);
  });
  if (found.isDirectory()) return { source: new NodeFolder(path, fs), file: null };
  if (!found.isFile()) throw new ModelFileError("is neither a folder nor a regular file", { file: path });
  return { source: new NodeFolder(dirname(path), fs), file: basename(path) };
}

class NodeFolder implements FileSource {
  readonly name: string;
  readonly #fs: Fs;
  readonly #open = new Map<string, Promise<OpenFile | null>>();
  #closed = false;

  constructor(folder: string, fs: Fs) {
    this.name = folder;
    this.#fs = fs;
  }

  async read(
    path: string,
    start: number,
    end: number,
    options: { signal?: AbortSignal | undefined; into?: Uint8Array | undefined } = {},
  ) {
    const file = await this.#handle(path);
    if (file === null) return null;
    // The size bounds what is allocated, whatever a damaged header asks for.
    const length = Math.max(0, Math.min(end, file.size) - start);
    const bytes = options.into?.subarray(0, length) ?? new Uint8Array(length);
    let filled = 0;
    while (filled < bytes.length) {
      options.signal?.throwIfAborted();
      this.#check();
      const piece = Math.min(PIECE_BYTES, bytes.length - filled);
      const { bytesRead } = await file.handle.read(bytes, filled, piece, start + filled);
      if (bytesRead === 0) break; // the file has shrunk since it was opened
      filled += bytesRead;
    }
    return filled === bytes.length ? bytes : bytes.subarray(0, filled);
  }

  async size(path: string) {
    return (await this.#stat(path))?.size ?? null;
  }

  async list() {
    const entries = await this.#fs.readdir(this.name, { withFileTypes: true });
    return entries.filter((entry) => entry.isFile() || entry.isSymbolicLink()).map((entry) => entry.name);
  }

  async close() {
    this.#closed = true;
    const files = await Promise.allSettled(this.#open.values());
    this.#open.clear();
    await Promise.all(files.map((file) => (file.status === "fulfilled" ? file.value?.handle.close() : undefined)));
  }

  #check() {
    if (this.#closed) throw new Error(`${this.name} is closed: it cannot be read any more`);
  }

  #on(path: string): string {
    const problem = pathProblem(path);
    if (problem !== null) throw new ModelFileError(problem, { file: path });
    return `${this.name}/${path}`;
  }

  async #stat(path: string) {
    try {
      const found = await this.#fs.stat(this.#on(path));
      if (found.isDirectory()) return null;
      // Opening a pipe would wait for its writer for ever.
      if (!found.isFile()) throw new ModelFileError("is not a regular file", { file: path });
      return found;
    } catch (error) {
      if (isNoSuchFile(error)) return null;
      throw unreadable(error, path);
    }
  }

  #handle(path: string): Promise<OpenFile | null> {
    this.#check();
    const known = this.#open.get(path);
    if (known !== undefined) return known;
    const opening = this.#openFile(path);
    this.#open.set(path, opening);
    const forget = () => this.#open.delete(path);
    opening.then((file) => file ?? forget(), forget);
    return opening;
  }

  async #openFile(path: string): Promise<OpenFile | null> {
    const found = await this.#stat(path);
    if (found === null) return null;
    try {
      return { handle: await this.#fs.open(this.#on(path), "r"), size: found.size };
    } catch (error) {
      throw unreadable(error, path);
    }
  }
}

/** What the system says of a file that is there and cannot be read (a loop of links, no permission), as our error. */
function unreadable(error: unknown, file: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === "string" ? new ModelFileError(`cannot be read (${code})`, { file }, { cause: error }) : error;
}

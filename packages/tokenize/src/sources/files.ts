/* Where files come from: a folder or file on disk, a web address, what the user holds already. */

import { describe, fileError } from "../errors";
import { MAX_FILE_BYTES } from "../limits";

/** Text or bytes of a file by its name, or parsed JSON; null (or undefined) for a file that is not there. */
export type FileReader = (name: string) => Promise<FileContent | null | undefined> | FileContent | null | undefined;
export type FileContent = string | Uint8Array | object;

/** Reads the files of a folder; `file` is the one file that was meant, or null. */
export interface OpenedFiles {
  readonly read: FileReader;
  readonly file: string | null;
}

const NO_SUCH_FILE = new Set(["ENOENT", "ENOTDIR", "ENAMETOOLONG"]);

/** A path on disk (in Node) or an http(s) or file address: of a folder, or of one file in it. */
export async function openLocation(location: string, signal: AbortSignal | undefined): Promise<OpenedFiles> {
  if (/^https?:\/\//.test(location)) return openWeb(location, signal);
  return openDisk(location, signal);
}

/** A folder is told from a file by its last part: "model.json" is a file, "my-model/" and "my-model" are folders. */
function openWeb(address: string, signal: AbortSignal | undefined): OpenedFiles {
  const url = new URL(address);
  const last = url.pathname.split("/").at(-1) as string;
  const isFile = /\.(json|txt|model|bin)$/.test(last);
  const folder = new URL(isFile || last === "" ? "." : `${last}/`, url);
  return {
    file: isFile ? last : null,
    async read(name) {
      const from = new URL(name, folder);
      from.search = url.search;
      const response = await fetch(from, { signal: signal ?? null });
      if (response.status === 404 || response.status === 403) return null;
      if (!response.ok) {
        const got = `status ${response.status}`;
        throw fileError(from.href, "the address", "a file", got);
      }
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}

/** Node's built-in modules, asked for only where a path is opened: the package itself must load in a browser. */
async function builtin<M>(specifier: string): Promise<M> {
  // A name that is no literal, and the two marks, keep every bundler from resolving it.
  return (await import(/* webpackIgnore: true */ /* @vite-ignore */ specifier)) as M;
}

async function openDisk(path: string, signal: AbortSignal | undefined): Promise<OpenedFiles> {
  if (typeof process === "undefined" || process.versions?.node === undefined) {
    throw new Error(`"${path}" is a path, and there is no file system here: pass an address, a Blob, bytes or files`);
  }
  const fs = await builtin<typeof import("node:fs/promises")>("node:fs/promises");
  const { basename, dirname, join } = await builtin<typeof import("node:path")>("node:path");
  const { fileURLToPath } = await builtin<typeof import("node:url")>("node:url");
  const local = path.startsWith("file:") ? fileURLToPath(path) : path;
  const found = await fs.stat(local).catch((error: NodeJS.ErrnoException) => {
    if (!NO_SUCH_FILE.has(error.code ?? "")) throw error;
    throw fileError(local, "the path", "a folder or file", "none");
  });
  const folder = found.isDirectory() ? local : dirname(local);
  return {
    file: found.isDirectory() ? null : basename(local),
    async read(name) {
      const from = join(folder, name);
      try {
        const { size } = await fs.stat(from);
        if (size > MAX_FILE_BYTES) {
          const expected = `at most ${MAX_FILE_BYTES} bytes`;
          throw fileError(from, "the file", expected, `${size}`);
        }
        return new Uint8Array(await fs.readFile(from, { signal }));
      } catch (error) {
        if (NO_SUCH_FILE.has((error as NodeJS.ErrnoException).code ?? "")) return null;
        throw error;
      }
    },
  };
}

/** Files that the user holds, by name. */
export function openRecord(files: ReadonlyMap<string, unknown> | Readonly<Record<string, unknown>>): OpenedFiles {
  return {
    file: null,
    async read(name) {
      const known = files instanceof Map ? files.has(name) : Object.hasOwn(files, name);
      const content: unknown = known ? (files instanceof Map ? files.get(name) : Reflect.get(files, name)) : null;
      if (content === undefined || content === null) return null;
      if (content instanceof ArrayBuffer) return new Uint8Array(content);
      if (typeof content === "string") return content;
      if (typeof content === "object") {
        const blob = content as Partial<Blob>;
        return typeof blob.arrayBuffer === "function" ? new Uint8Array(await blob.arrayBuffer()) : content;
      }
      throw new TypeError(`from: "${name}" must be text, bytes or parsed JSON, got ${describe(content)}`);
    },
  };
}

/** UTF-8 bytes or a string as text, without a byte order mark. */
export function textOf(content: FileContent, file: string): string {
  if (typeof content === "string") return content.replace(/^\uFEFF/, "");
  const bytes = bytesOf(content, file);
  try {
    // A copy, as browsers refuse to decode shared memory.
    return new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(bytes));
  } catch {
    throw fileError(file, "the file", "UTF-8 text", "other bytes");
  }
}

export function bytesOf(content: FileContent, file: string): Uint8Array {
  if (content instanceof Uint8Array) return content;
  throw fileError(file, "the file", "bytes", describe(content));
}

/** The lines of a text one by one, without their ends. */
export function* linesOf(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    const newline = text.indexOf("\n", from);
    const end = newline === -1 ? text.length : newline;
    yield text.slice(from, text[end - 1] === "\r" ? end - 1 : end);
    from = end + 1;
  }
}

/** Text, bytes or the parsed value as a parsed value. */
export function isParsed(content: FileContent): boolean {
  return typeof content === "object" && !(content instanceof Uint8Array);
}

/** From what a user passes to `load` to a source of files. */

import { CheckedSource } from "./checked";
import { openPath } from "./node";
import type { FileSource } from "./source";

/** What can be opened: a path of a folder or file (Node only), one file's content, or anything that reads. */
export type SourceLike = string | Blob | FileSource;

/** An open source; `file` is the one file that was meant, null where it is a whole folder. */
export interface OpenedSource {
  readonly files: CheckedSource;
  readonly file: string | null;
}

/**
 * Opens a source. A string is a path on disk: a folder, or a file (then `file` is its base name, and its neighbours can
 * be read too). A Blob is a source of one file, named as the File is, else "blob". The caller closes `files`.
 * `signal` calls off every read that is made through it.
 *
 * Throws ModelFileError if there is nothing at the path, and TypeError for what is none of these.
 */
export async function openSource(source: SourceLike, signal?: AbortSignal): Promise<OpenedSource> {
  if (typeof source === "string" && source !== "") {
    const opened = await openPath(source);
    return { files: new CheckedSource(opened.source, signal), file: opened.file };
  }
  if (isBlob(source)) {
    const file = blobName(source);
    return { files: new CheckedSource(blobSource(source, file), signal), file };
  }
  if (isFileSource(source)) return { files: new CheckedSource(source, signal), file: null };
  throw new TypeError(
    "a model is opened from the path of a folder or file, a File or Blob, or an object with read(path, start, end)",
  );
}

// By what they can do rather than by class: a Blob of another realm is one as well.
function isBlob(source: unknown): source is Blob {
  if (typeof source !== "object" || source === null) return false;
  const blob = source as Partial<Blob>;
  return typeof blob.slice === "function" && typeof blob.arrayBuffer === "function" && typeof blob.size === "number";
}

function isFileSource(source: unknown): source is FileSource {
  return typeof source === "object" && source !== null && typeof (source as Partial<FileSource>).read === "function";
}

/** A File's base name: browsers and users may put a path there. */
function blobName(blob: Blob): string {
  const name: unknown = (blob as Partial<File>).name;
  const base = typeof name === "string" ? (name.split(/[/\\]/).at(-1) ?? "") : "";
  return base === "" || base === ".." ? "blob" : base;
}

function blobSource(blob: Blob, file: string): FileSource {
  return {
    name: file,
    async read(path, start, end) {
      return path === file ? new Uint8Array(await blob.slice(start, end).arrayBuffer()) : null;
    },
    async size(path) {
      return path === file ? blob.size : null;
    },
    async list() {
      return [file];
    },
  };
}

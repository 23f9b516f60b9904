/** Where the bytes of a model come from: the one interface that a user may implement. */

/**
 * A set of files. The only thing required is `read`; a folder on disk, a `Blob` and any key-value store fit.
 *
 * ```ts
 * const source: FileSource = {
 *   async read(path, start, end, { signal } = {}) {
 *     const response = await fetch(new URL(path, base), { headers: { range: `bytes=${start}-${end - 1}` }, signal });
 *     return response.status === 404 ? null : new Uint8Array(await response.arrayBuffer());
 *   },
 * };
 * ```
 */
export interface FileSource {
  /**
   * Bytes [start, end) of a file; fewer only where the file ends sooner (empty past the end); null if there is no such
   * file. Paths are relative and "/"-separated. The array is the caller's: it must not change afterwards. Where `into` is
   * given, of end - start bytes, they may be read to it and a part of it be given, which saves an allocation.
   */
  read(
    path: string,
    start: number,
    end: number,
    options?: { signal?: AbortSignal | undefined; into?: Uint8Array | undefined },
  ): Promise<Uint8Array | null>;
  /** Bytes in the file, null if there is none. Without it a truncated file is noticed only when it is read. */
  size?(path: string): Promise<number | null>;
  /** Names of the files, relative and "/"-separated; the top level is enough. */
  list?(): Promise<string[]>;
  /** Frees what is held (file handles). */
  close?(): Promise<void>;
  /** For messages, e.g. the folder's path. */
  readonly name?: string;
}

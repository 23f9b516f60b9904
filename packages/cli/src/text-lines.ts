/** Standard input as lines, in slices: however much is piped in, a little of it is in memory. */

import { fstatSync } from "node:fs";
import { addAbortSignal, Readable } from "node:stream";
import type { Terminal } from "./terminal";

/** Most lines of a slice: so many sort well by length, and their results are small. */
const MAX_LINES = 1000;
/** Longest line in UTF-16 units: texts of books, and not what would exhaust the memory before it ends. */
const MAX_LINE = 1 << 27;

/** Lines that follow each other. */
export interface LineSlice {
  /** Number of the first line, from 0 on. */
  readonly first: number;
  /** Without line feeds. */
  readonly lines: readonly string[];
  /** Where they begin and end in the input, in bytes; roughly, where they came together with others. */
  readonly start: number;
  readonly end: number;
}

/**
 * Lines as they come: those that arrive together are a slice, so that a line is there before the next one comes, and
 * many are where many wait. The last line needs no line feed.
 *
 * @throws Error for bytes that are not UTF-8, and for a line that has no end; the signal's reason
 */
export async function* lineSlices({ stdin, signal }: Terminal): AsyncGenerator<LineSlice> {
  if (stdin instanceof Readable) addAbortSignal(signal, stdin);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let first = 0;
  let bytes = 0;
  let parts: string[] = [];
  let length = 0;
  for await (const chunk of stdin) {
    const size = (chunk as Uint8Array).length;
    const lines = decode(decoder, chunk as Uint8Array, first).split("\n");
    const rest = lines.pop() as string;
    if (lines.length > 0) {
      lines[0] = parts.join("") + lines[0];
      parts = [];
      length = 0;
    }
    parts.push(rest);
    length += rest.length;
    const place = (line: number) => bytes + (size * line) / lines.length;
    for (let at = 0; at < lines.length; at += MAX_LINES) {
      const some = lines.slice(at, at + MAX_LINES);
      yield { first: first + at, lines: some, start: place(at), end: place(at + some.length) };
    }
    first += lines.length;
    bytes += size;
    if (length > MAX_LINE) {
      throw new Error(`line ${first + 1} of standard input is longer than ${MAX_LINE} characters`);
    }
  }
  const last = parts.join("") + decode(decoder, new Uint8Array(), first);
  if (last !== "") yield { first, lines: [last], start: bytes, end: bytes };
}

function decode(decoder: TextDecoder, bytes: Uint8Array, lines: number): string {
  try {
    return decoder.decode(bytes, { stream: bytes.length > 0 });
  } catch {
    throw new Error(`standard input is not UTF-8 text (after line ${lines})`);
  }
}

/** Bytes of standard input where it is a file; null for pipes and terminals, whose end nobody knows. */
export function stdinSize({ stdin }: Terminal): number | null {
  const { fd } = stdin as { readonly fd?: unknown };
  if (typeof fd !== "number") return null;
  try {
    const found = fstatSync(fd);
    return found.isFile() ? found.size : null;
  } catch {
    return null; // closed: there is nothing to read either
  }
}

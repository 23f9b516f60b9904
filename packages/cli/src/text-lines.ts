/** Standard input as lines, in slices: however much is piped in, a little of it is in memory. */

import { fstatSync } from "node:fs";
import { addAbortSignal, Readable } from "node:stream";
import type { Terminal } from "./terminal";

/** Most lines of a slice: so many sort well by length, and their results are small. */
const MAX_LINES = 1000;
/** Longest line in bytes: texts of books, and not what would exhaust the memory before it ends. */
const MAX_LINE = 1 << 27;

const FEED = 0x0a;

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
  let first = 0;
  let bytes = 0;
  /** What came since the last line feed. */
  let parts: Uint8Array[] = [];
  let length = 0;
  const slicesOf = function* (whole: Uint8Array, end: number): Generator<LineSlice> {
    const { lines, isBroken } = decodeLines(whole);
    const place = (line: number) => bytes + ((end - bytes) * line) / Math.max(1, lines.length);
    for (let at = 0; at < lines.length; at += MAX_LINES) {
      const some = lines.slice(at, at + MAX_LINES);
      yield { first: first + at, lines: some, start: place(at), end: place(at + some.length) };
    }
    first += lines.length;
    bytes = end;
    if (isBroken) throw new Error(`standard input is not UTF-8 text (after line ${first})`);
  };
  for await (const chunk of stdin) {
    const piece = chunk as Uint8Array;
    const lastFeed = piece.lastIndexOf(FEED);
    if (lastFeed >= 0) {
      const whole = Buffer.concat([...parts, piece.subarray(0, lastFeed)]);
      yield* slicesOf(whole, bytes + whole.length + 1);
      parts = [];
      length = 0;
    }
    const rest = piece.subarray(lastFeed + 1);
    parts.push(rest);
    length += rest.length;
    if (length > MAX_LINE) throw new Error(`line ${first + 1} of standard input is longer than ${MAX_LINE} bytes`);
  }
  if (length > 0) yield* slicesOf(Buffer.concat(parts), bytes + length);
}

/** The lines of whole lines' bytes, up to one that is broken. */
function decodeLines(bytes: Uint8Array): { lines: string[]; isBroken: boolean } {
  const decode = (part: Uint8Array) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(part);
  try {
    return { lines: decode(bytes).split("\n"), isBroken: false };
  } catch {
    // One by one, to the one that is broken.
  }
  const lines: string[] = [];
  for (let at = 0; ; ) {
    const feed = bytes.indexOf(FEED, at);
    try {
      lines.push(decode(bytes.subarray(at, feed < 0 ? bytes.length : feed)));
    } catch {
      return { lines, isBroken: true };
    }
    at = feed + 1;
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

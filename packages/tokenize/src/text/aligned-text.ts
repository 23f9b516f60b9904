/** A text on its way through the stages, and where in the user's text each part of it comes from. */

import { grown } from "../memory";

/**
 * `text` as the stages have made it. UTF-16 unit `i` of it stands for the units `starts[i]` to `ends[i]` of the user's
 * text; where both arrays are null nothing has moved yet, and unit `i` is unit `origin + i` of the user's text.
 * Both units of a surrogate pair have the same range, and neither text has lone surrogates.
 */
export interface AlignedText {
  readonly text: string;
  readonly starts: Int32Array | null;
  readonly ends: Int32Array | null;
  readonly origin: number;
}

/** The user's text from `from` to `to`, as it is. */
export function alignedText(text: string, from = 0, to = text.length): AlignedText {
  return { text: text.slice(from, to), starts: null, ends: null, origin: from };
}

/** The part from `from` to `to`, which must not cut a character in two. */
export function sliceAligned(source: AlignedText, from: number, to: number): AlignedText {
  if (from === 0 && to === source.text.length) return source;
  const { text, starts, ends, origin } = source;
  return {
    text: text.slice(from, to),
    starts: starts === null ? null : starts.subarray(from, to),
    ends: ends === null ? null : ends.subarray(from, to),
    origin: origin + from,
  };
}

/** Where the part of the user's text starts that unit `at` stands for. */
export function originalStart(source: AlignedText, at: number): number {
  return source.starts === null ? source.origin + at : source.starts[at];
}

/** Where the part of the user's text ends that unit `at` stands for. For the first unit of an unmoved pair: between its units. */
export function originalEnd(source: AlignedText, at: number): number {
  return source.ends === null ? source.origin + at + 1 : source.ends[at];
}

/** As `originalStart`, but for the second unit of an unmoved pair: where the pair starts. */
export function characterStart(source: AlignedText, at: number): number {
  const isLow = source.starts === null && (source.text.charCodeAt(at) & 0xfc00) === 0xdc00;
  return originalStart(source, at) - (isLow ? 1 : 0);
}

/** As `originalEnd`, but for the first unit of an unmoved pair: where the pair ends. */
export function characterEnd(source: AlignedText, at: number): number {
  const isHigh = source.ends === null && (source.text.charCodeAt(at) & 0xfc00) === 0xd800;
  return originalEnd(source, at) + (isHigh ? 1 : 0);
}

/** Arrays that the next writer writes into: making them costs more than writing a short text. */
let spare: { readonly starts: Int32Array<ArrayBuffer>; readonly ends: Int32Array<ArrayBuffer> } | null = null;
const MAX_SPARE = 1 << 16;
const NONE = new Int32Array(0);

/**
 * Writes a new text from an old one, left to right: `copy` what stays, `put` what is new, leave out what goes.
 * One writer makes one text.
 */
export class TextWriter {
  readonly #source: AlignedText;
  #text = "";
  #starts = NONE;
  #ends = NONE;
  #length = 0;

  constructor(source: AlignedText) {
    this.#source = source;
  }

  /** Units `from` to `to` of the source as they are. */
  copy(from: number, to: number): void {
    if (from >= to) return;
    const { text, starts, ends, origin } = this.#source;
    this.#reserve(to - from);
    this.#text += text.slice(from, to);
    if (starts === null || ends === null) {
      for (let at = from; at < to; at++) {
        const unit = text.charCodeAt(at);
        // The units of a pair share the pair's range.
        this.#starts[this.#length] = origin + at - ((unit & 0xfc00) === 0xdc00 ? 1 : 0);
        this.#ends[this.#length++] = origin + at + ((unit & 0xfc00) === 0xd800 ? 2 : 1);
      }
      return;
    }
    this.#starts.set(starts.subarray(from, to), this.#length);
    this.#ends.set(ends.subarray(from, to), this.#length);
    this.#length += to - from;
  }

  /** New text that stands for what unit `at` of the source stands for. */
  put(text: string, at: number): void {
    this.#putRange(text, characterStart(this.#source, at), characterEnd(this.#source, at));
  }

  /** New text that stands for units `from` to `to` of the source together; `from < to`. */
  putOver(text: string, from: number, to: number): void {
    this.#putRange(text, originalStart(this.#source, from), originalEnd(this.#source, to - 1));
  }

  finish(): AlignedText {
    const [starts, ends] = [this.#starts.slice(0, this.#length), this.#ends.slice(0, this.#length)];
    if (this.#starts !== NONE && this.#starts.length <= MAX_SPARE) spare = { starts: this.#starts, ends: this.#ends };
    return { text: this.#text, starts, ends, origin: this.#source.origin };
  }

  #putRange(text: string, start: number, end: number): void {
    this.#reserve(text.length);
    this.#text += text;
    for (let i = 0; i < text.length; i++) {
      this.#starts[this.#length] = start;
      this.#ends[this.#length++] = end;
    }
  }

  #reserve(units: number): void {
    const needed = this.#length + units;
    if (needed <= this.#starts.length) return;
    if (this.#starts === NONE) {
      const likely = Math.max(needed, this.#source.text.length + 16);
      const taken = spare !== null && spare.starts.length >= likely ? spare : null;
      if (taken !== null) spare = null;
      this.#starts = taken?.starts ?? new Int32Array(Math.max(likely, 1024));
      this.#ends = taken?.ends ?? new Int32Array(this.#starts.length);
      return;
    }
    const capacity = Math.max(needed, this.#starts.length * 2);
    this.#starts = grown(this.#starts, capacity);
    this.#ends = grown(this.#ends, capacity);
  }
}

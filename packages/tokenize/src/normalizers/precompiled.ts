/** The normalizer Precompiled: a charsmap as tokenizers applies it, which is not how sentencepiece does. */

import { type AlignedText, TextWriter } from "../text/aligned-text";
import type { Charsmap } from "./charsmap";
import { clusterEnd } from "./grapheme-clusters";

/** Builds the new text with the alignment that tokenizers gives it, slips included. */
class Rewriter {
  readonly #text: string;
  readonly #writer: TextWriter;
  /** The character of the old text that the next one of the new text will stand for. */
  #old = 0;
  /** A character put behind another one: aligned with the one before, unless something is taken out right behind it. */
  #added = "";
  #isEmpty = true;

  constructor(source: AlignedText) {
    this.#text = source.text;
    this.#writer = new TextWriter(source);
  }

  copy(from: number, to: number): void {
    if (from === to) return;
    this.#settle();
    this.#isEmpty = false;
    if (this.#old === from) {
      this.#writer.copy(from, to);
      this.#old = to;
      return;
    }
    for (let at = from; at < to; ) {
      const character = String.fromCodePoint(this.#text.codePointAt(at) as number);
      this.#putNext(character);
      at += character.length;
    }
  }

  replace(from: number, to: number, replacement: string): void {
    let count = 0;
    for (let at = from; at < to; at++) if ((this.#text.charCodeAt(at) & 0xfc00) !== 0xdc00) count++;
    if (replacement === "") {
      // What is taken out goes to the character before. At the very beginning there is none, and all moves up by as much.
      if (this.#isEmpty) return;
      if (this.#added !== "") this.#writer.put(this.#added, this.#old);
      this.#added = "";
      this.#skip(count);
      return;
    }
    this.#isEmpty = false;
    for (const character of replacement) {
      this.#settle();
      if (count > 0) this.#putNext(character);
      else this.#added = character;
      count--;
    }
    this.#skip(count);
  }

  finish(): AlignedText {
    this.#settle();
    return this.#writer.finish();
  }

  #settle(): void {
    if (this.#added !== "") this.#writer.put(this.#added, this.#old - 1);
    this.#added = "";
  }

  #putNext(character: string): void {
    this.#writer.put(character, this.#old);
    this.#skip(1);
  }

  #skip(characters: number): void {
    for (let i = 0; i < characters; i++) this.#old += (this.#text.charCodeAt(this.#old) & 0xfc00) === 0xd800 ? 2 : 1;
  }
}

/** Whether text.slice(start, end) has less than six bytes in UTF-8. */
function isShort(text: string, start: number, end: number): boolean {
  let bytes = 0;
  for (let at = start; at < end && bytes < 6; at++) {
    const unit = text.charCodeAt(at);
    // Two of the four bytes for each unit of a pair.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit & 0xf800) === 0xd800 ? 2 : 3;
  }
  return bytes < 6;
}

/** As tokenizers does: a grapheme cluster of less than six bytes by its shortest key, else each character by itself. */
export function normalizePrecompiled(charsmap: Charsmap, source: AlignedText): AlignedText {
  const { text } = source;
  const { plain } = charsmap;
  const rewriter = new Rewriter(source);
  /** Everything before is rewritten. */
  let done = 0;
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code < 0x80 && plain[code] === 1 && !(text.charCodeAt(at + 1) >= 0x80)) {
      at++;
      continue;
    }
    // Where no key can start, a cluster is taken character by character; so nothing depends on where it starts.
    if (charsmap.isInert(code) && at + 1 < text.length && charsmap.isInert(text.charCodeAt(at + 1))) {
      at++;
      continue;
    }
    const end = clusterEnd(text, at);
    const whole = isShort(text, at, end) ? charsmap.find(text, at, end, false) : null;
    if (whole !== null) {
      rewriter.copy(done, at);
      rewriter.replace(at, end, whole);
      done = at = end;
      continue;
    }
    while (at < end) {
      const next = at + ((text.charCodeAt(at) & 0xfc00) === 0xd800 ? 2 : 1);
      const single = charsmap.find(text, at, next, false);
      if (single !== null) {
        rewriter.copy(done, at);
        rewriter.replace(at, next, single);
        done = next;
      }
      at = next;
    }
  }
  if (done === 0) return source;
  rewriter.copy(done, text.length);
  return rewriter.finish();
}

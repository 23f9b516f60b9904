/** sentencepiece's own normalizer (normalizer.cc): charsmap, white space and the dummy prefix in one pass. */

import { grown, textOfUnits } from "../memory";
import { Trie } from "../models/trie";
import { type AlignedText, originalEnd, originalStart } from "../text/aligned-text";
import type { Charsmap } from "./charsmap";

export interface SentencePieceNormalizer {
  readonly type: "SentencePiece";
  readonly charsmap: Charsmap | null;
  /** Puts a space before the text, or behind it with `whitespaceAsSuffix`. */
  readonly addDummyPrefix: boolean;
  /** Takes out spaces at both ends and all but one between. */
  readonly removeExtraWhitespaces: boolean;
  /** Writes U+2581 for a space. */
  readonly escapeWhitespaces: boolean;
  readonly whitespaceAsSuffix: boolean;
  /** Symbols that pass as they are, the longest first. None is empty. */
  readonly userDefined: readonly string[];
}

const SPACE = 32;
const ESCAPED_SPACE = 0x2581;

const tries = new WeakMap<SentencePieceNormalizer, Trie>();

function userDefinedTrie(normalizer: SentencePieceNormalizer): Trie | null {
  if (normalizer.userDefined.length === 0) return null;
  let trie = tries.get(normalizer);
  if (trie === undefined) {
    trie = new Trie();
    for (const symbol of normalizer.userDefined) trie.add(symbol, 0);
    tries.set(normalizer, trie);
  }
  return trie;
}

/**
 * The normalized text. A unit starts where the part of the text starts that it was made from, and ends where the next
 * unit that was made from another part starts: what is left out between belongs to what stands before it.
 */
export function normalizeSentencePiece(normalizer: SentencePieceNormalizer, source: AlignedText): AlignedText {
  const { text } = source;
  const { charsmap, removeExtraWhitespaces, escapeWhitespaces, addDummyPrefix, whitespaceAsSuffix } = normalizer;
  const symbols = userDefinedTrie(normalizer);
  const out = new Units(text.length + 16);
  const space = escapeWhitespaces ? ESCAPED_SPACE : SPACE;
  const plain = charsmap?.plain;
  let isStarted = false;
  let isBehindSpace = removeExtraWhitespaces;
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at);
    let width = 1;
    /** What stands for the next `width` units; null for themselves. */
    let replacement: string | null = null;
    const matched = symbols === null ? 0 : symbols.longestAt(text, at, text.length);
    if (matched > 0) {
      width = matched;
    } else {
      if ((code & 0xfc00) === 0xd800) width = 2;
      const isPlain = code < 0x80 && !(text.charCodeAt(at + 1) >= 0x80) && (plain === undefined || plain[code] === 1);
      if (!isPlain && charsmap !== null && !charsmap.isInert(code)) {
        replacement = charsmap.find(text, at, text.length, true);
        if (replacement !== null) width = charsmap.matched;
      }
    }
    const piece = replacement ?? text;
    let from = replacement === null ? at : 0;
    const to = replacement === null ? at + width : replacement.length;
    // The first text that is more than one space ends the leading white space.
    if (!isStarted && !(removeExtraWhitespaces && to - from === 1 && piece.charCodeAt(from) === SPACE)) {
      isStarted = true;
      if (addDummyPrefix && !whitespaceAsSuffix) out.push(space, at);
    }
    if (isStarted) {
      while (isBehindSpace && from < to && piece.charCodeAt(from) === SPACE) from++;
      if (from < to) isBehindSpace = removeExtraWhitespaces && piece.charCodeAt(to - 1) === SPACE;
      for (; from < to; from++) {
        const unit = piece.charCodeAt(from);
        out.push(unit === SPACE ? space : unit, at);
      }
    }
    at += width;
  }
  let end = text.length;
  if (isStarted) {
    while (removeExtraWhitespaces && out.length > 0 && out.units[out.length - 1] === space) {
      end = out.starts[--out.length];
    }
    if (addDummyPrefix && whitespaceAsSuffix) out.push(space, end);
  }
  return out.aligned(source, end);
}

/** UTF-16 units and where in the source each one's part starts. */
class Units {
  units: Uint16Array;
  starts: Int32Array;
  length = 0;

  constructor(capacity: number) {
    this.units = new Uint16Array(capacity);
    this.starts = new Int32Array(capacity);
  }

  push(unit: number, start: number): void {
    if (this.length === this.units.length) this.#grow();
    this.units[this.length] = unit;
    this.starts[this.length++] = start;
  }

  aligned(source: AlignedText, sourceEnd: number): AlignedText {
    const { length, units } = this;
    const starts = this.starts.subarray(0, length);
    const ends = new Int32Array(length);
    for (let i = length - 1, next = sourceEnd; i >= 0; i--) {
      const start = starts[i];
      const isHighSurrogate = (units[i] & 0xfc00) === 0xd800;
      // The last unit of a part reaches to the next part, the others are empty, but a pair is one.
      ends[i] = isHighSurrogate ? ends[i + 1] : next;
      next = start;
    }
    for (let i = 0; i < length; i++) {
      starts[i] = boundary(source, starts[i]);
      ends[i] = boundary(source, ends[i]);
    }
    return { text: textOfUnits(units, length), starts, ends, origin: source.origin };
  }

  #grow(): void {
    const units = new Uint16Array(this.units.length * 2);
    units.set(this.units);
    this.units = units;
    this.starts = grown(this.starts, this.starts.length * 2);
  }
}

/** Where in the user's text the boundary before unit `at` lies; the text is not empty. */
function boundary(source: AlignedText, at: number): number {
  return at < source.text.length ? originalStart(source, at) : originalEnd(source, at - 1);
}

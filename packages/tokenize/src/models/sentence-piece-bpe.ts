/** sentencepiece's BPE (bpe_model.cc): user-defined symbols stay whole, unused pieces come apart again, bytes are empty. */

import { Bpe, type BpeConfig } from "./bpe";
import { Tokens } from "./tokens";
import { Trie } from "./trie";

export interface SentencePieceBpeConfig {
  readonly type: "SentencePieceBpe";
  /** Merges by scores; `unkToken` is the unknown piece. */
  readonly bpe: BpeConfig;
  /** By id. */
  readonly pieces: readonly string[];
  readonly scores: Float64Array;
  readonly unkId: number;
  /** Ids of the pieces that no merge touches. */
  readonly userDefined: readonly number[];
  /** Pieces that merges make but no text shall have: it gets the two that were merged last. */
  readonly unused: ReadonlySet<number>;
}

const SPACE = 0x2581;
/** Some piece goes on behind spaces, or with spaces behind something else. */
const JOINS_BEHIND = 1;
const JOINS_BEFORE = 2;

export class SentencePieceBpe {
  readonly #config: SentencePieceBpeConfig;
  readonly #bpe: Bpe;
  readonly #symbols: Trie | null = null;
  /** By id, 1 for a byte token. */
  readonly #isByte: Uint8Array;
  /** Where spaces cut the text into words that no merge joins, which the model then may know by heart. */
  readonly #words: "before" | "after" | "none";
  readonly #found = new Tokens();
  /** Index of the first token of the text at hand. */
  #first = 0;
  /** The two pieces that an unused one is made of, by the length of the first. */
  readonly #cuts = new Map<string, number>();

  constructor(config: SentencePieceBpeConfig) {
    this.#config = config;
    this.#bpe = new Bpe(config.bpe);
    this.#isByte = new Uint8Array(config.pieces.length);
    for (const id of config.bpe.byteIds ?? []) if (id >= 0) this.#isByte[id] = 1;
    let joins = 0;
    for (const piece of config.bpe.ids.keys()) {
      for (let at = 1; at < piece.length; at++) {
        const isSpace = piece.charCodeAt(at) === SPACE;
        if (isSpace !== (piece.charCodeAt(at - 1) === SPACE)) joins |= isSpace ? JOINS_BEFORE : JOINS_BEHIND;
      }
    }
    this.#words = (joins & JOINS_BEFORE) === 0 ? "before" : (joins & JOINS_BEHIND) === 0 ? "after" : "none";
    if (config.userDefined.length === 0) return;
    this.#symbols = new Trie();
    for (const id of config.userDefined) this.#symbols.add(config.pieces[id], id);
  }

  /** Appends the tokens of `text.slice(start, end)`. Time n log n in its length. */
  encode(text: string, start: number, end: number, out: Tokens): void {
    const symbols = this.#symbols;
    let done = start;
    this.#first = out.length;
    for (let at = start; at < end && symbols !== null; ) {
      const length = symbols.longestAt(text, at, end);
      if (length === 0) {
        at++;
        continue;
      }
      if (done < at) this.#mergeWords(text, done, at, out);
      out.push(symbols.find(text, at, at + length), at, at + length);
      at += length;
      done = at;
    }
    if (done < end) this.#mergeWords(text, done, end, out);
  }

  /** What stands between user-defined symbols: none of them merges, so that each part is a text of its own. */
  #mergeWords(text: string, start: number, end: number, out: Tokens): void {
    let done = start;
    for (let at = start + 1; at < end && this.#words !== "none"; at++) {
      const isSpace = text.charCodeAt(at) === SPACE;
      if (isSpace === (text.charCodeAt(at - 1) === SPACE) || isSpace !== (this.#words === "before")) continue;
      this.#merge(text, done, at, out);
      done = at;
    }
    this.#merge(text, done, end, out);
  }

  #merge(text: string, start: number, end: number, out: Tokens): void {
    const found = this.#found;
    found.truncate(0);
    found.texts.clear();
    this.#bpe.encode(text, start, end, found);
    const { unkId, unused } = this.#config;
    for (let i = 0; i < found.length; ) {
      const id = found.ids[i];
      const from = found.starts[i];
      const to = found.ends[i];
      i++;
      if (this.#isByte[id] === 1) {
        // sentencepiece gives the character to its last byte; the others are empty and stand before it.
        const isLast = i === found.length || found.starts[i] !== from || this.#isByte[found.ids[i]] === 0;
        out.push(id, from, isLast ? to : from);
      } else if (id === unkId) {
        this.#pushUnknown(text, from, to, out);
      } else if (unused.has(id)) {
        this.#takeApart(text, from, to, out);
      } else {
        out.push(id, from, to);
      }
    }
  }

  /** Bytes, or one unknown token for all unknown characters in a row. */
  #pushUnknown(text: string, start: number, end: number, out: Tokens): void {
    const { bpe, unkId } = this.#config;
    const { byteIds } = bpe;
    const bytes = byteIds === null ? [] : [...new TextEncoder().encode(text.slice(start, end))];
    if (byteIds !== null && bytes.every((byte) => byteIds[byte] >= 0)) {
      for (let i = 0; i < bytes.length; i++) out.push(byteIds[bytes[i]], start, i === bytes.length - 1 ? end : start);
      return;
    }
    const last = out.length - 1;
    const isRun = last >= this.#first && out.ids[last] === unkId;
    const from = isRun ? out.starts[last] : start;
    if (isRun) out.truncate(last);
    out.pushText(unkId, from, end, text.slice(from, end));
  }

  #takeApart(text: string, start: number, end: number, out: Tokens): void {
    const { bpe, unused } = this.#config;
    const ends = [end];
    for (let at = start; ends.length > 0; ) {
      const to = ends[ends.length - 1];
      const piece = text.slice(at, to);
      const id = bpe.ids.get(piece);
      if (id !== undefined && unused.has(id)) {
        const cut = this.#lastMerge(piece);
        if (cut > 0) {
          ends.push(at + cut);
          continue;
        }
      }
      // A single character that is unused, or no piece at all.
      if (id === undefined || id >= this.#config.pieces.length || unused.has(id)) this.#pushUnknown(text, at, to, out);
      else out.push(id, at, to);
      at = to;
      ends.pop();
    }
  }

  /** Length of the left one of the two symbols that merged into the piece; 0 if it is a single character. */
  #lastMerge(piece: string): number {
    const known = this.#cuts.get(piece);
    if (known !== undefined) return known;
    const { bpe, scores } = this.#config;
    const scoreOf = (from: number, to: number): number => {
      const id = bpe.ids.get(piece.slice(from, to));
      return id === undefined || id >= scores.length ? Number.NEGATIVE_INFINITY : scores[id];
    };
    /** Where the symbols start, and the score of each one with the next. */
    const bounds = [0];
    for (const character of piece) bounds.push(bounds[bounds.length - 1] + character.length);
    const pairs: number[] = [];
    for (let i = 0; i + 2 < bounds.length; i++) pairs.push(scoreOf(bounds[i], bounds[i + 2]));
    while (pairs.length > 1) {
      let best = 0;
      for (let i = 1; i < pairs.length; i++) if (pairs[i] > pairs[best]) best = i;
      bounds.splice(best + 1, 1);
      pairs.splice(best, 1);
      if (best > 0) pairs[best - 1] = scoreOf(bounds[best - 1], bounds[best + 1]);
      if (best < pairs.length) pairs[best] = scoreOf(bounds[best], bounds[best + 2]);
    }
    const cut = bounds.length === 3 ? bounds[1] : 0;
    this.#cuts.set(piece, cut);
    return cut;
  }
}

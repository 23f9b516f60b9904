/**
 * Tokens that are found in the text as they stand, before the model sees it: special tokens and those added later.
 * Follows tokenizers' AddedVocabulary: leftmost, then longest; first the raw text, then the normalized rest.
 */

import { fileError } from "./errors";
import { MAX_ADDED_TOKEN_LENGTH, MAX_ADDED_TOKENS_LENGTH } from "./limits";
import { Trie } from "./models/trie";
import { type Normalizer, normalize } from "./normalizers/normalizer";
import { type AlignedText, alignedText, sliceAligned } from "./text/aligned-text";
import { whiteSpace, wordCharacters } from "./text/characters";

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Only where no word character stands before or behind. */
  readonly singleWord: boolean;
  /** Takes the white space before it along, or behind it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Looked for in its normalized form, in the normalized text. */
  readonly normalized: boolean;
  /** Left out by decode's `skipSpecialTokens`. */
  readonly special: boolean;
}

/** A piece of the user's text: an added token with the text that it matched, or normalized text for the model. */
export type TextPiece =
  | { readonly type: "Token"; readonly id: number; readonly text: AlignedText }
  | { readonly type: "Text"; readonly text: AlignedText };

export class AddedTokens {
  readonly #normalizer: Normalizer | null;
  readonly #raw = new Matcher();
  readonly #normalized = new Matcher();
  readonly #decodeForms = new Map<number, string>();

  /** `file` is for messages. */
  constructor(tokens: readonly AddedToken[], normalizer: Normalizer | null, file: string) {
    this.#normalizer = normalizer;
    let total = 0;
    for (const token of tokens) {
      const check = (length: number, max: number, what: string): void => {
        if (length <= max) return;
        const at = `added token ${token.id}`;
        throw fileError(file, at, `at most ${max} characters ${what}`, `${length}`);
      };
      const form = token.normalized ? normalize(normalizer, alignedText(token.content)).text : token.content;
      check(form.length, MAX_ADDED_TOKEN_LENGTH, "in its normalized form");
      // A form that the normalizer shortened has cost its full length.
      total += Math.max(form.length, token.content.length);
      check(total, MAX_ADDED_TOKENS_LENGTH, "in all added tokens together");
      if (form !== token.content) this.#decodeForms.set(token.id, form);
      if (form !== "") (token.normalized ? this.#normalized : this.#raw).add(form, token);
    }
  }

  /** What the decoder gets for a normalized token: its normalized form, so that the decoder can undo it. */
  decodeForm(id: number): string | undefined {
    return this.#decodeForms.get(id);
  }

  /** Cuts the user's text at the added tokens and normalizes what lies between them. No piece is empty. */
  split(text: string): TextPiece[] {
    const pieces: TextPiece[] = [];
    for (const outer of this.#raw.split(text)) {
      const raw = alignedText(text, outer.start, outer.end);
      if (outer.id !== null) {
        pieces.push({ type: "Token", id: outer.id, text: raw });
        continue;
      }
      const normalized = normalize(this.#normalizer, raw);
      for (const inner of this.#normalized.split(normalized.text)) {
        const part = sliceAligned(normalized, inner.start, inner.end);
        pieces.push(inner.id === null ? { type: "Text", text: part } : { type: "Token", id: inner.id, text: part });
      }
    }
    return pieces;
  }
}

interface Span {
  readonly start: number;
  readonly end: number;
  readonly id: number | null;
}

/** Finds a set of strings in a text. */
class Matcher {
  /** By form, the index of its token. */
  readonly #trie = new Trie();
  readonly #tokens: AddedToken[] = [];
  /** A bit for every UTF-16 unit that a token starts with. */
  readonly #firstUnits = new Int32Array(0x10000 / 32);

  add(form: string, token: AddedToken): void {
    const first = form.charCodeAt(0);
    this.#firstUnits[first >> 5] |= 1 << (first & 31);
    this.#trie.add(form, this.#tokens.push(token) - 1);
  }

  /** Covers the text with spans: those of tokens, and those between (id null). */
  split(text: string): Span[] {
    if (text === "") return [];
    if (this.#tokens.length === 0) return [{ start: 0, end: text.length, id: null }];
    const spans: Span[] = [];
    /** End of the last span, and of the last run of white space taken: a run is walked once, however many tokens claim it. */
    let covered = 0;
    let runEnd = 0;
    const firstUnits = this.#firstUnits;
    const trie = this.#trie;
    for (let at = 0; at < text.length; ) {
      const unit = text.charCodeAt(at);
      const matchEnd = (firstUnits[unit >> 5] >>> (unit & 31)) & 1 ? at + trie.longestAt(text, at, text.length) : at;
      if (matchEnd === at) {
        at++;
        continue;
      }
      const token = this.#tokens[trie.find(text, at, matchEnd)];
      let start = at;
      let end = matchEnd;
      // The search goes on behind the bare token even if that is refused, or takes white space beyond.
      at = matchEnd;
      if (token.singleWord && !standsAlone(text, start, end)) continue;
      if (token.rstrip) {
        if (runEnd <= end) for (runEnd = end; runEnd < text.length && isSpace(text, runEnd); ) runEnd++;
        end = runEnd;
      }
      if (token.lstrip) {
        while (start > covered && isSpace(text, start - 1)) start--;
        // White space that the token before took is not taken twice; without lstrip it can be (as in tokenizers).
        start = Math.max(start, covered);
        if (start >= end) continue;
      }
      if (covered < start) spans.push({ start: covered, end: start, id: null });
      spans.push({ start, end, id: token.id });
      covered = end;
    }
    if (covered < text.length) spans.push({ start: covered, end: text.length, id: null });
    return spans;
  }
}

/** No white space is astral. */
function isSpace(text: string, at: number): boolean {
  return whiteSpace.has(text.charCodeAt(at));
}

function standsAlone(text: string, start: number, end: number): boolean {
  if (start > 0) {
    const unit = text.charCodeAt(start - 1);
    const before = (unit & 0xfc00) === 0xdc00 ? (text.codePointAt(start - 2) as number) : unit;
    if (wordCharacters.has(before)) return false;
  }
  return end === text.length || !wordCharacters.has(text.codePointAt(end) as number);
}

/**
 * Tokens that are found in the text as they stand, before the model sees it: special tokens and those added later.
 * Follows tokenizers' AddedVocabulary: leftmost, then longest; first the raw text, then the normalized rest.
 */

import { TokenizerFileError } from "./errors";
import { MAX_ADDED_TOKEN_LENGTH, MAX_ADDED_TOKENS_LENGTH } from "./limits";
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
        throw new TokenizerFileError({ file, at, expected: `at most ${max} characters ${what}`, got: `${length}` });
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

/** Most nodes have one child, which needs no Map: under 60 bytes a node. */
interface TrieNode {
  /** The first child and its UTF-16 unit. */
  unit: number;
  child: TrieNode | null;
  others: Map<number, TrieNode> | null;
  token: AddedToken | null;
}

function newNode(): TrieNode {
  return { unit: -1, child: null, others: null, token: null };
}

function childOf(node: TrieNode, unit: number): TrieNode | null {
  return node.unit === unit ? node.child : (node.others?.get(unit) ?? null);
}

interface Span {
  readonly start: number;
  readonly end: number;
  readonly id: number | null;
}

/** Finds a set of strings in a text: a trie over UTF-16 units. */
class Matcher {
  readonly #root = newNode();
  /** A bit for every UTF-16 unit that a token starts with. */
  readonly #firstUnits = new Int32Array(0x10000 / 32);

  add(form: string, token: AddedToken): void {
    const first = form.charCodeAt(0);
    this.#firstUnits[first >> 5] |= 1 << (first & 31);
    let node = this.#root;
    for (let i = 0; i < form.length; i++) {
      const unit = form.charCodeAt(i);
      let child = childOf(node, unit);
      if (child === null) {
        child = newNode();
        if (node.child === null) {
          node.unit = unit;
          node.child = child;
        } else {
          node.others ??= new Map();
          node.others.set(unit, child);
        }
      }
      node = child;
    }
    node.token = token;
  }

  /** Covers the text with spans: those of tokens, and those between (id null). */
  split(text: string): Span[] {
    if (text === "") return [];
    if (this.#root.child === null) return [{ start: 0, end: text.length, id: null }];
    const spans: Span[] = [];
    /** End of the last span, and of the last run of white space taken: a run is walked once, however many tokens claim it. */
    let covered = 0;
    let runEnd = 0;
    const firstUnits = this.#firstUnits;
    for (let at = 0; at < text.length; ) {
      const unit = text.charCodeAt(at);
      const match = (firstUnits[unit >> 5] >>> (unit & 31)) & 1 ? this.#longestAt(text, at) : null;
      if (match === null) {
        at++;
        continue;
      }
      const { token, end: matchEnd } = match;
      let start = at;
      let end = matchEnd;
      // The search goes on behind the bare token even if that is refused, or takes white space beyond.
      at = matchEnd;
      if (token.singleWord && !standsAlone(text, start, end)) continue;
      // White space that the token before took is not taken twice, though it can be matched again (as in tokenizers).
      if (token.lstrip) {
        while (start > covered && isSpace(text, start - 1)) start--;
        start = Math.max(start, Math.min(covered, matchEnd));
      }
      if (token.rstrip) {
        if (runEnd <= end) for (runEnd = end; runEnd < text.length && isSpace(text, runEnd); ) runEnd++;
        end = runEnd;
      }
      if (covered < start) spans.push({ start: covered, end: start, id: null });
      spans.push({ start, end, id: token.id });
      covered = end;
    }
    if (covered < text.length) spans.push({ start: covered, end: text.length, id: null });
    return spans;
  }

  #longestAt(text: string, start: number): { token: AddedToken; end: number } | null {
    let found: { token: AddedToken; end: number } | null = null;
    let node = this.#root;
    for (let at = start; at < text.length; at++) {
      const child = childOf(node, text.charCodeAt(at));
      if (child === null) break;
      node = child;
      if (node.token !== null) found = { token: node.token, end: at + 1 };
    }
    return found;
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

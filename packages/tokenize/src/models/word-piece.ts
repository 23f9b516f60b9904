/**
 * WordPiece: the longest token that a word starts with, then the longest continuation ("##ing"), and so on; a word that
 * cannot be covered is one unknown token. Devlin et al. 2018 (arXiv:1810.04805), section 3.
 */

import { UnencodableTextError } from "../errors";
import type { Tokens } from "./tokens";
import { WordCache } from "./word-cache";

export interface WordPieceConfig {
  readonly type: "WordPiece";
  readonly ids: ReadonlyMap<string, number>;
  readonly unkToken: string;
  readonly continuingSubwordPrefix: string;
  /** A longer word, in characters, is unknown as a whole. */
  readonly maxInputCharsPerWord: number;
}

export class WordPiece {
  readonly #config: WordPieceConfig;
  /** Continuations without their prefix. */
  readonly #continuations = new Map<string, number>();
  /** UTF-16 units of the longest token that a word can start with, and of the longest continuation. */
  readonly #longestStart: number;
  readonly #longestContinuation: number;
  readonly #cache = new WordCache();

  constructor(config: WordPieceConfig) {
    this.#config = config;
    const { ids, continuingSubwordPrefix: prefix } = config;
    let start = 0;
    let continuation = 0;
    for (const [token, id] of ids) {
      start = Math.max(start, token.length);
      if (!token.startsWith(prefix)) continue;
      continuation = Math.max(continuation, token.length - prefix.length);
      this.#continuations.set(token.slice(prefix.length), id);
    }
    this.#longestStart = start;
    this.#longestContinuation = continuation;
  }

  /**
   * Appends the tokens of the word `text.slice(start, end)`. Time linear in the word, times the longest token squared.
   *
   * @throws UnencodableTextError if the unknown token is needed and not in the vocabulary
   */
  encode(text: string, start: number, end: number, out: Tokens): void {
    const word = text.slice(start, end);
    const isKept = this.#cache.takes(word.length);
    if (isKept && this.#cache.replay(word, start, out)) return;
    const from = out.length;
    if (!this.#cover(word, start, out)) {
      out.truncate(from);
      out.push(this.#unkId(), start, end);
    }
    if (isKept) this.#cache.store(word, start, out, from);
  }

  #cover(word: string, start: number, out: Tokens): boolean {
    const { ids, maxInputCharsPerWord } = this.#config;
    if (word.length > maxInputCharsPerWord && countCharacters(word) > maxInputCharsPerWord) return false;
    for (let at = 0; at < word.length; ) {
      const known = at === 0 ? ids : this.#continuations;
      let end = Math.min(word.length, at + (at === 0 ? this.#longestStart : this.#longestContinuation));
      let id: number | undefined;
      for (; end > at; end--) {
        id = known.get(word.slice(at, end));
        if (id !== undefined) break;
      }
      if (id === undefined) return false;
      out.push(id, start + at, start + end);
      at = end;
    }
    return true;
  }

  #unkId(): number {
    const { ids, unkToken } = this.#config;
    const id = ids.get(unkToken);
    if (id !== undefined) return id;
    throw new UnencodableTextError(`the unknown token ${JSON.stringify(unkToken)} is not in the vocabulary`);
  }
}

function countCharacters(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) if ((text.charCodeAt(at) & 0xfc00) !== 0xdc00) count++;
  return count;
}

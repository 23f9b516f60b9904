/**
 * WordPiece: the longest token that a word starts with, then the longest continuation ("##ing"), and so on; a word that
 * cannot be covered is one unknown token. Devlin et al. 2018 (arXiv:1810.04805), section 3.
 */

import { noUnknownToken } from "../errors";
import type { Tokens } from "./tokens";
import { Trie } from "./trie";
import { WordCache } from "./word-cache";

export interface WordPieceConfig {
  readonly type: "WordPiece";
  readonly ids: ReadonlyMap<string, number>;
  readonly unkToken: string;
  readonly continuingSubwordPrefix: string;
  /** A longer word, in characters, is unknown as a whole. */
  readonly maxInputCharsPerWord: number;
}

/** Words up to this length, and so many of them, are covered without tries: making those takes longer than a query. */
const SHORT_WORD = 24;
const FIRST_WORDS = 256;

export class WordPiece {
  readonly #config: WordPieceConfig;
  #firstWords = FIRST_WORDS;
  /** What a word can start with, and what can follow, without the prefix. Made when they are needed. */
  #starts: Trie | null = null;
  readonly #continuations = new Trie();
  readonly #cache = new WordCache();

  constructor(config: WordPieceConfig) {
    this.#config = config;
  }

  /**
   * Appends the tokens of the word `text.slice(start, end)`. Time linear in the word, times the longest token.
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
    const { maxInputCharsPerWord } = this.#config;
    if (word.length > maxInputCharsPerWord && countCharacters(word) > maxInputCharsPerWord) return false;
    if (this.#starts === null && word.length <= SHORT_WORD && this.#firstWords-- > 0) {
      return this.#coverByLookup(word, start, out);
    }
    this.#starts ??= this.#makeTries();
    for (let at = 0; at < word.length; ) {
      const trie = at === 0 ? this.#starts : this.#continuations;
      const length = trie.longestAt(word, at, word.length);
      if (length === 0) return false;
      out.push(trie.find(word, at, at + length), start + at, start + at + length);
      at += length;
    }
    return true;
  }

  /** The same, asking for every length from the longest on. */
  #coverByLookup(word: string, start: number, out: Tokens): boolean {
    const { ids, continuingSubwordPrefix: prefix } = this.#config;
    for (let at = 0; at < word.length; ) {
      let end = word.length;
      let id: number | undefined;
      for (; end > at; end--) {
        id = ids.get(at === 0 ? word.slice(0, end) : prefix + word.slice(at, end));
        if (id !== undefined) break;
      }
      if (id === undefined) return false;
      out.push(id, start + at, start + end);
      at = end;
    }
    return true;
  }

  #makeTries(): Trie {
    const { ids, continuingSubwordPrefix: prefix } = this.#config;
    const starts = new Trie();
    for (const [token, id] of ids) {
      starts.add(token, id);
      if (token.startsWith(prefix)) this.#continuations.add(token.slice(prefix.length), id);
    }
    return starts;
  }

  #unkId(): number {
    const { ids, unkToken } = this.#config;
    const id = ids.get(unkToken);
    if (id !== undefined) return id;
    throw noUnknownToken(unkToken);
  }
}

function countCharacters(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) if ((text.charCodeAt(at) & 0xfc00) !== 0xdc00) count++;
  return count;
}

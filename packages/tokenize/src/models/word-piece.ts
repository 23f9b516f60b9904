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

export class WordPiece {
  readonly #config: WordPieceConfig;
  /** What a word can start with, and what can follow, without the prefix. Made when the first word comes. */
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

/** Remembers what a model made of the words that it has seen lately: texts repeat their words. */

import { MAX_CACHED_WORD, MAX_CACHED_WORDS } from "../limits";
import type { Tokens } from "./tokens";

/** Values a token: id, and its range from the start of the word. */
const STRIDE = 3;

export class WordCache {
  #words = new Map<string, number[]>();

  /** Whether a word of this length is kept at all. */
  takes(length: number): boolean {
    return length <= MAX_CACHED_WORD;
  }

  /** Appends the tokens of a word that starts at `start`, if it is known. */
  replay(word: string, start: number, out: Tokens): boolean {
    const known = this.#words.get(word);
    if (known === undefined) return false;
    for (let i = 0; i < known.length; i += STRIDE) out.push(known[i], start + known[i + 1], start + known[i + 2]);
    return true;
  }

  /** Keeps the tokens from index `from` on, which are those of a word that starts at `start`. */
  store(word: string, start: number, out: Tokens, from: number): void {
    // All are forgotten at once: cheaper than knowing which was used last, and common words are soon back.
    if (this.#words.size >= MAX_CACHED_WORDS) this.#words = new Map();
    const tokens: number[] = [];
    for (let i = from; i < out.length; i++) tokens.push(out.ids[i], out.starts[i] - start, out.ends[i] - start);
    this.#words.set(word, tokens);
  }
}

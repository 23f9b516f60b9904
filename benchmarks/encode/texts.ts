/**
 * Texts to embed: words of the model's own vocabulary, as often as their rank says, so that the texts are the same
 * whatever else changes. They mean nothing, which no contender's speed depends on.
 */

import { Tokenizer } from "../../packages/tokenize/src/index";
import { EQUAL_LENGTH, MAX_LENGTH, type Text, type Texts } from "./protocol";

const QUERY = "how does the harbour office work out the height of the tide";

const SHORTEST_WORDS = 4;
const LONGEST_WORDS = 200;
/** Words of the middle text, and the spread of their logarithm: together a mean of 39 words. */
const MIDDLE_WORDS = 27.5;
const SPREAD = 0.86;
/** Words that get an ending; about half of them are not in the vocabulary then, as of ordinary English one in ten. */
const ENDED_SHARE = 0.15;
const NUMBER_SHARE = 0.02;
/** "the": what comes before it are special tokens, characters and punctuation. From here on the commonest is first. */
const FIRST_WORD = 1996;

/** Random numbers of [0, 1). mulberry32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Words by their frequency, and what words go on with. */
function wordsOf(json: string): { readonly words: string[]; readonly ends: string[] } {
  const { vocab } = (JSON.parse(json) as { model: { vocab: Readonly<Record<string, number>> } }).model;
  const entries = Object.entries(vocab).sort(([, a], [, b]) => a - b);
  const matching = (pattern: RegExp) =>
    entries.flatMap(([word, id]) => (id >= FIRST_WORD && pattern.test(word) ? word : []));
  return { words: matching(/^[a-z]{2,}$/), ends: matching(/^##[a-z]{2,}$/).map((end) => end.slice(2)) };
}

/** The number of words of a text: log-normal, its ends cut off. */
function lengthOf(random: () => number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const words = Math.round(MIDDLE_WORDS * Math.exp(SPREAD * normal));
  return Math.min(LONGEST_WORDS, Math.max(SHORTEST_WORDS, words));
}

/** Sentences of a number of words. */
function sentences(count: number, word: () => string, random: () => number): string {
  const parts: string[] = [];
  let begins = true;
  for (let left = count; left > 0; left--) {
    const next = word();
    const said = begins ? next[0].toUpperCase() + next.slice(1) : next;
    begins = left === 1 || random() < 0.07;
    parts.push(said + (begins ? "." : random() < 0.06 ? "," : ""));
  }
  return parts.join(" ");
}

/**
 * @param json the model's tokenizer.json
 * @param counts how many texts of mixed and of equal lengths
 */
export function makeTexts(
  json: string,
  counts: { readonly mixed: number; readonly equal: number },
): Texts & { readonly query: Text; readonly meanWords: number } {
  const tokenizer = Tokenizer.fromTokenizerJson(json);
  const { words, ends } = wordsOf(json);
  const random = seeded(39);
  // By 1 / rank, as Zipf found it.
  const pick = (from: readonly string[]): string => from[Math.floor(from.length ** random()) - 1];
  const word = (): string => {
    const what = random();
    if (what < ENDED_SHARE) return pick(words) + pick(ends);
    return what < ENDED_SHARE + NUMBER_SHARE ? String(Math.floor(10 ** (1 + 3 * random()))) : pick(words);
  };
  const tokenized = (text: string): Text => {
    const { ids } = tokenizer.encode(text, { truncation: { maxLength: MAX_LENGTH } });
    return { text, ids: [...ids], cut: tokenizer.encode(text).ids.length > MAX_LENGTH };
  };
  const mixed = Array.from({ length: counts.mixed }, () => tokenized(sentences(lengthOf(random), word, random)));
  const equal = Array.from({ length: counts.equal }, () =>
    tokenized(Array.from({ length: EQUAL_LENGTH - 2 }, () => pick(words)).join(" ")),
  );
  const other = equal.find(({ ids }) => ids.length !== EQUAL_LENGTH);
  if (other !== undefined) throw new Error(`a text of ${other.ids.length} tokens in place of ${EQUAL_LENGTH}`);
  const meanWords = mixed.reduce((sum, { text }) => sum + text.split(" ").length, 0) / mixed.length;
  return { mixed, equal, query: tokenized(QUERY), meanWords };
}

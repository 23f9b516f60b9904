/** Texts as the metrics of generated text take them, strings or tokens, and the n-grams that are counted in them. */

import { shown } from "../errors";
import { checkArrayLike } from "./check";

/** Tokens of a text: its words or pieces, or ids. */
export type TextTokens = readonly string[] | ArrayLike<number>;

/** A text, or the tokens that it was cut into. */
export type TextOrTokens = string | TextTokens;

// What Python's str.split() parts words at: not quite what \s is in JavaScript.
const WHITE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const WHITESPACE = new RegExp(`[${WHITE}]+`, "u");
const ENDS_IN_WHITESPACE = new RegExp(`[${WHITE}]$`, "u");

/** The words between white space, as Python's `str.split()` has them. */
export function splitWords(text: string): string[] {
  return text.split(WHITESPACE).filter((word) => word !== "");
}

/** Without white space at its end, as Python's `str.rstrip()`. */
export function trimEnd(text: string): string {
  let end = text.length;
  // All white space is in the basic plane. A pattern with + would be quadratic in a run that is not at the end.
  while (end > 0 && ENDS_IN_WHITESPACE.test(text[end - 1])) end--;
  return text.slice(0, end);
}

/** @throws TypeError for what is no array of strings or numbers */
function checkTokens(name: string, tokens: TextTokens): TextTokens {
  checkArrayLike(name, tokens);
  for (let i = 0; i < tokens.length; i++) {
    const type = typeof tokens[i];
    if (type !== "string" && type !== "number") {
      throw new TypeError(`${name}[${i}]: expected a token (a string or a number), got ${shown(tokens[i])}`);
    }
  }
  return tokens;
}

/** How strings are cut into tokens. */
export interface Cutter {
  readonly cut: (text: string) => TextTokens;
  /** The options that apply to strings alone and were given: tokens are not touched, so that they would do nothing. */
  readonly stringOptions: readonly string[];
}

/**
 * The tokens of a text; what comes as tokens stays as it is.
 *
 * @throws TypeError for what is no text, for tokens with options for strings, and for a tokenizer that gives no tokens
 */
export function tokensOf(name: string, text: TextOrTokens, { cut, stringOptions }: Cutter): TextTokens {
  if (typeof text === "string") return checkTokens(`tokenize(${name})`, cut(text));
  if (typeof text !== "object" || text === null) {
    throw new TypeError(`${name}: expected a string or an array of tokens, got ${shown(text)}`);
  }
  checkTokens(name, text);
  if (stringOptions.length > 0) {
    throw new TypeError(`${stringOptions[0]}: applies to strings, and ${name} is given as tokens`);
  }
  return text;
}

/** @throws TypeError if one is a string and the other is tokens: a list of words is easily taken for a list of texts */
export function checkSameKind(name: string, text: TextOrTokens, prediction: TextOrTokens): void {
  if ((typeof text === "string") === (typeof prediction === "string")) return;
  const [expected, got] = typeof text === "string" ? ["tokens", "a string"] : ["a string", shown(text)];
  throw new TypeError(`${name}: expected ${expected}, as the prediction is, got ${got}`);
}

/** More distinct n-grams than a Map can hold (2^24), so that a pair of numbers below it is one number. */
const PAIR_BASE = 2 ** 26;

/**
 * Numbers for the n-grams of several texts, the same for the same n-gram. Each is found from the one before it that is
 * shorter by a token: O(orders · tokens), and exact, as nothing is hashed or joined.
 */
export class NgramIndex {
  readonly #tokens = new Map<string | number, number>();
  readonly #longer: Map<number, number>[] = [];

  /** The number of each token, from 0 on. */
  ids(tokens: TextTokens): Int32Array {
    const ids = new Int32Array(tokens.length);
    for (let i = 0; i < ids.length; i++) ids[i] = numberOf(this.#tokens, tokens[i]);
    return ids;
  }

  /** How often each n-gram occurs: for n = 1 to `orders`, counts by the n-gram's number. */
  counts(tokens: TextTokens, orders: number): Map<number, number>[] {
    const ids = this.ids(tokens);
    const grams = ids.slice();
    return Array.from({ length: orders }, (_, order) => {
      const counts = new Map<number, number>();
      // The tokens themselves have their numbers; the first of these maps stays empty.
      if (this.#longer.length === order) this.#longer.push(new Map());
      const longer = this.#longer[order];
      for (let i = 0; i + order < ids.length; i++) {
        if (order > 0) grams[i] = numberOf(longer, grams[i] * PAIR_BASE + ids[i + order]);
        counts.set(grams[i], (counts.get(grams[i]) ?? 0) + 1);
      }
      return counts;
    });
  }
}

function numberOf<K>(numbers: Map<K, number>, key: K): number {
  let number = numbers.get(key);
  if (number === undefined) {
    number = numbers.size;
    numbers.set(key, number);
  }
  return number;
}

/** How many n-grams both have, each counted as often as it is in the one that has it less often. */
export function sharedCount(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): number {
  let shared = 0;
  for (const [gram, count] of a) shared += Math.min(count, b.get(gram) ?? 0);
  return shared;
}

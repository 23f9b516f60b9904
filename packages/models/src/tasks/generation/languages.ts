/** What languages are called: by T5 in English, by mBART and Marian as tokens of their vocabularies. */

import type { Tokenizer } from "@qkv/tokenize";

/** ISO 639-1 codes of the languages that T5 and FLAN-T5 were trained to translate, and of other usual ones. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ...([
    ["ar", "Arabic"],
    ["bg", "Bulgarian"],
    ["bn", "Bengali"],
    ["ca", "Catalan"],
    ["cs", "Czech"],
  ] as const),
  ...([
    ["da", "Danish"],
    ["de", "German"],
    ["el", "Greek"],
    ["en", "English"],
    ["es", "Spanish"],
  ] as const),
  ...([
    ["et", "Estonian"],
    ["fa", "Persian"],
    ["fi", "Finnish"],
    ["fr", "French"],
    ["gu", "Gujarati"],
  ] as const),
  ...([
    ["he", "Hebrew"],
    ["hi", "Hindi"],
    ["hr", "Croatian"],
    ["hu", "Hungarian"],
    ["id", "Indonesian"],
  ] as const),
  ...([
    ["it", "Italian"],
    ["ja", "Japanese"],
    ["kk", "Kazakh"],
    ["ko", "Korean"],
    ["lt", "Lithuanian"],
  ] as const),
  ...([
    ["lv", "Latvian"],
    ["mr", "Marathi"],
    ["nl", "Dutch"],
    ["no", "Norwegian"],
    ["pl", "Polish"],
  ] as const),
  ...([
    ["pt", "Portuguese"],
    ["ro", "Romanian"],
    ["ru", "Russian"],
    ["sk", "Slovak"],
    ["sl", "Slovenian"],
  ] as const),
  ...([
    ["sv", "Swedish"],
    ["sw", "Swahili"],
    ["ta", "Tamil"],
    ["te", "Telugu"],
    ["th", "Thai"],
  ] as const),
  ...([
    ["tr", "Turkish"],
    ["uk", "Ukrainian"],
    ["ur", "Urdu"],
    ["vi", "Vietnamese"],
    ["zh", "Chinese"],
  ] as const),
]);

/** A language as a prefix names it. */
export interface NamedLanguage {
  readonly name: string;
  /** null for a language that is not in the table. */
  readonly code: string | null;
}

/**
 * A language by its ISO 639-1 code, or by its name in English, which need not be in the table.
 *
 * @param option for the message
 * @throws RangeError for what is neither
 * @example
 * namedLanguage("to", "de"); // { name: "German", code: "de" }
 */
export function namedLanguage(option: string, given: string): NamedLanguage {
  const text = given.trim();
  const known = NAMES.get(text.toLowerCase());
  if (known !== undefined) return { name: known, code: text.toLowerCase() };
  for (const [code, name] of NAMES) if (name.toLowerCase() === text.toLowerCase()) return { name, code };
  // A name has more letters than a code; more than a line is no name.
  if (/^\p{L}[\p{L}\p{M} ()'-]{3,60}$/u.test(text)) return { name: text, code: null };
  throw new RangeError(
    `${option}: expected a language's name in English, or one of the codes ${[...NAMES.keys()].join(", ")}; got ` +
      JSON.stringify(given),
  );
}

/** How a vocabulary writes languages: mBART's "en_XX", Marian's ">>fra<<". */
export type LanguageStyle = "mbart" | "marian";

const PATTERNS: Readonly<Record<LanguageStyle, RegExp>> = {
  mbart: /^[a-z]{2,3}_[A-Z]{2}$/,
  marian: /^>>[^<>\s]{2,40}<<$/,
};

const found: Readonly<Record<LanguageStyle, WeakMap<Tokenizer, ReadonlyMap<string, number>>>> = {
  mbart: new WeakMap(),
  marian: new WeakMap(),
};

/** The languages of a vocabulary, by their tokens. Looks through all of it, once. */
export function languageTokens(tokenizer: Tokenizer, style: LanguageStyle): ReadonlyMap<string, number> {
  const before = found[style].get(tokenizer);
  if (before !== undefined) return before;
  const tokens = new Map<string, number>();
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const token = tokenizer.idToToken(id);
    if (token !== null && PATTERNS[style].test(token)) tokens.set(token, id);
  }
  found[style].set(tokenizer, tokens);
  return tokens;
}

/** Normalizers that take one character after another: Lowercase, StripAccents, Nmt, ByteLevel; and Strip. */

import { type AlignedText, sliceAligned } from "../text/aligned-text";
import { spelled } from "../text/byte-alphabet";
import { CharacterMap, type CharacterRule } from "../text/character-map";
import { whiteSpace } from "../text/characters";
import { afterUnicode9 } from "../text/unicode-versions";

/** A map that is made when it is first used. */
export function lazyMap(rule: CharacterRule): (source: AlignedText) => AlignedText {
  let map: CharacterMap | undefined;
  return (source) => {
    map ??= new CharacterMap(rule);
    return map.apply(source) as AlignedText;
  };
}

const NON_ASCII = /[^\0-\x7f]/;

/** One character alone, so no final sigma: Rust's char::to_lowercase. */
const lowercaseAny = lazyMap((character) => character.toLowerCase());

export function lowercase(source: AlignedText): AlignedText {
  return NON_ASCII.test(source.text) ? lowercaseAny(source) : { ...source, text: source.text.toLowerCase() };
}

/** U+1CF2 and U+1CF3 are letters since Unicode 12. */
const MARK = /[\p{M}\u1cf2\u1cf3]/u;

/** Takes all marks out, and decomposes nothing. */
export const stripAccents = lazyMap((character) =>
  MARK.test(character) && !afterUnicode9.test(character) ? "" : character,
);

// The same characters as in the reference, which takes U+008F and U+009F for controls and leaves the others.
const NMT_REMOVED = /(?=\p{Cc})[^\0\t\n\f\r\x80-\x8e\x90-\x9e]/u;
const NMT_SPACE = /[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/;

export const nmt = lazyMap((character) =>
  NMT_REMOVED.test(character) ? "" : NMT_SPACE.test(character) ? " " : character,
);

/** Each byte of the text's UTF-8 as a character of GPT-2's alphabet. */
export const spellBytes = lazyMap(spelled);

/** White space off the two ends. */
export function strip(source: AlignedText, left: boolean, right: boolean): AlignedText {
  const { text } = source;
  // All white space is in the basic plane.
  let from = 0;
  let to = text.length;
  if (left) while (from < to && whiteSpace.has(text.charCodeAt(from))) from++;
  if (right) while (to > from && whiteSpace.has(text.charCodeAt(to - 1))) to--;
  return sliceAligned(source, from, to);
}

/** Grapheme clusters (Unicode standard annex #29) as far as the normalizer Precompiled needs them. */

import { CharacterSet, codeClass } from "../text/characters";

const CARRIAGE_RETURN = 13;
const LINE_FEED = 10;
const ZERO_WIDTH_JOINER = 0x200d;

// What a cluster may consist of (table 2), as far as JavaScript's classes tell.
const extenders = new CharacterSet(
  /[\p{Grapheme_Extend}\p{Emoji_Modifier}\p{Mc}\u0E33\u0EB3]|\u200D/u,
  codeClass("102b 102c 1038 1062-1064 1067-106d 1083 1087-108c 108f 109a-109c 1a61 1a63 1a64 aa7b aa7d 11720 11721"),
);
const prefixes = new CharacterSet(
  codeClass("600-605 6dd 70f 890 891 8e2 d4e 110bd 110cd 111c2 111c3 113d1 1193f 11941 11a3a 11a84-11a89 11d46 11f02"),
);
const controls = new CharacterSet(
  /[\p{Zl}\p{Zp}\p{Cc}\p{Cf}\u2065\uFFF0-\uFFF8]/u,
  /[\p{Grapheme_Extend}\u0600-\u0605\u06DD\u070F\u0890\u0891\u08E2\u{110BD}\u{110CD}]|\u200D/u,
);
const pictographs = new CharacterSet(/\p{Extended_Pictographic}/u);

/**
 * Where the grapheme cluster ends that begins at `start`. Not Intl.Segmenter, which is slow and not everywhere. Flags,
 * Hangul syllables and Indic conjuncts are left in parts: they have six bytes or more, and their parts have no keys that
 * a mark of two bytes could stand behind.
 */
export function clusterEnd(text: string, start: number): number {
  let code = text.codePointAt(start) as number;
  let at = start + (code > 0xffff ? 2 : 1);
  if (code === CARRIAGE_RETURN) return text.charCodeAt(at) === LINE_FEED ? at + 1 : at;
  if (at === text.length || (code < 0x300 && text.charCodeAt(at) < 0x300) || controls.has(code)) return at;
  let isPictograph = pictographs.has(code);
  while (at < text.length) {
    const next = text.codePointAt(at) as number;
    const isJoined = extenders.has(next)
      ? true
      : prefixes.has(code)
        ? !controls.has(next)
        : code === ZERO_WIDTH_JOINER && isPictograph && pictographs.has(next);
    if (!isJoined) break;
    at += next > 0xffff ? 2 : 1;
    isPictograph = extenders.has(next) ? isPictograph : pictographs.has(next);
    code = next;
  }
  return at;
}

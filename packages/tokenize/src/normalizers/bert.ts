/** BERT's normalizer: cleans the text, puts spaces around Chinese characters, takes accents off, lowers the case. */

import type { AlignedText } from "../text/aligned-text";
import { CharacterMap } from "../text/character-map";
import { codeClass } from "../text/characters";
import { combiningRank, decompose, toForm } from "../text/normalization-forms";
import { afterUnicode8 } from "../text/unicode-versions";
import { lazyMap, lowercase } from "./characters";

export interface BertNormalizer {
  readonly type: "BertNormalizer";
  readonly cleanText: boolean;
  readonly handleChineseChars: boolean;
  /** Null: as `lowercase` says. */
  readonly stripAccents: boolean | null;
  readonly lowercase: boolean;
}

/** Format characters that the reference's tables do not know yet. */
const LATER_FORMAT = codeClass("890 891 8e2 110cd 13430-1343f");
const REMOVED = /[\p{Cc}\p{Cf}\p{Co}\ufffd]/u;
const KEPT_CONTROL = /[\t\n\r]/;
const SPACE = /\p{White_Space}/u;

/** The blocks that the reference counts as Chinese: there is a gap before U+2B920. */
const CHINESE = codeClass("3400-4dbf 4e00-9fff f900-faff 20000-2a6df 2a700-2b81f 2b920-2ceaf 2f800-2fa1f");

/** U+1734 and U+1171E are spacing marks since Unicode 14. */
const ACCENT = /[\p{Mn}\u1734\u{1171e}]/u;

function clean(character: string): string {
  if (!KEPT_CONTROL.test(character) && REMOVED.test(character) && !LATER_FORMAT.test(character)) return "";
  return SPACE.test(character) ? " " : character;
}

function spaceChinese(character: string): string {
  return CHINESE.test(character) ? ` ${character} ` : character;
}

function isAccent(character: string): boolean {
  return ACCENT.test(character) && !afterUnicode8.test(character);
}

// One after the other, as the reference runs them.
const cleanAll = lazyMap(clean);
const spaceAllChinese = lazyMap(spaceChinese);
const dropAccents = lazyMap((character) => (isAccent(character) ? "" : character));

/** ASCII that no cleaning takes out. */
const NOT_PLAIN = /[^\t\n\r\x20-\x7e]/;

/** By the four options as bits. */
const maps: (CharacterMap | undefined)[] = [];

export function normalizeBert(normalizer: BertNormalizer, source: AlignedText): AlignedText {
  const { cleanText, handleChineseChars } = normalizer;
  const stripsAccents = normalizer.stripAccents ?? normalizer.lowercase;
  if (!NOT_PLAIN.test(source.text)) {
    const text = cleanText ? source.text.replace(/[\t\n\r]/g, " ") : source.text;
    return { ...source, text: normalizer.lowercase ? text.toLowerCase() : text };
  }
  const options = [cleanText, handleChineseChars, stripsAccents, normalizer.lowercase];
  const index = options.reduce((bits, option) => bits * 2 + Number(option), 0);
  maps[index] ??= new CharacterMap((character) => rewrite(normalizer, stripsAccents, character));
  const result = maps[index].apply(source);
  if (result !== null) return result;
  // A mark that stays: where it goes depends on its neighbours.
  let text = source;
  if (cleanText) text = cleanAll(text);
  if (handleChineseChars) text = spaceAllChinese(text);
  if (stripsAccents) text = dropAccents(toForm("NFD", text));
  return normalizer.lowercase ? lowercase(text) : text;
}

/** All steps at once for one character; null for one that decomposition may move among its neighbours and that stays. */
function rewrite(normalizer: BertNormalizer, stripsAccents: boolean, character: string): string | null {
  let text = normalizer.cleanText ? clean(character) : character;
  if (normalizer.handleChineseChars) text = spaceChinese(text);
  let result = "";
  for (const kept of text) {
    for (const part of stripsAccents ? decompose(kept, false) : kept) {
      if (stripsAccents && isAccent(part)) continue;
      if (stripsAccents && combiningRank(part) > 0) return null;
      result += normalizer.lowercase ? part.toLowerCase() : part;
    }
  }
  return result;
}

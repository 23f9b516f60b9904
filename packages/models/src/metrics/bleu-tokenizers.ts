/** How BLEU cuts strings into tokens: sacreBLEU's tokenizers for languages that write spaces, after NIST's mteval. */

import { shown } from "../errors";
import { splitWords, type TextTokens, trimEnd } from "./text";

/**
 * `13a`: punctuation of ASCII is parted from words, but for points and commas in numbers, as NIST's mteval-v13a does and
 * WMT reports. `intl`: that of all of Unicode, and symbols, as mteval-v14 with --international-tokenization. `char`:
 * every character. `none`: at white space only. Or a function.
 */
export type BleuTokenizer = "13a" | "intl" | "char" | "none" | ((text: string) => TextTokens);

const TOKENIZERS: Readonly<Record<string, (text: string) => TextTokens>> = {
  "13a": (text) => {
    let line = text.replaceAll("<skipped>", "").replaceAll("-\n", "").replaceAll("\n", " ");
    // In this order: &amp;lt; becomes <.
    line = line.replaceAll("&quot;", '"').replaceAll("&amp;", "&").replaceAll("&lt;", "<").replaceAll("&gt;", ">");
    line = ` ${line} `
      .replace(/[{-~[-` -&(-+:-@/]/gu, " $& ")
      .replace(/([^0-9])([.,])/gu, "$1 $2 ")
      .replace(/([.,])([^0-9])/gu, " $1 $2")
      .replace(/([0-9])(-)/gu, "$1 $2 ");
    return splitWords(line);
  },
  intl: (text) => {
    const line = text
      .replace(/(\P{N})(\p{P})/gu, "$1 $2 ")
      .replace(/(\p{P})(\P{N})/gu, " $1 $2")
      .replace(/\p{S}/gu, " $& ");
    return splitWords(line);
  },
  char: (text) => splitWords(text).flatMap((word) => [...word]),
  none: splitWords,
};

/** @throws RangeError for an unknown name; TypeError for what is neither a name nor a function */
export function bleuTokenizer(tokenize: BleuTokenizer, lowercase: boolean): (text: string) => TextTokens {
  const cased = (text: string) => (lowercase ? text.toLowerCase() : text);
  if (typeof tokenize === "function") return (text) => tokenize(cased(text));
  if (typeof tokenize !== "string") {
    throw new TypeError(`tokenize: expected a name or a function, got ${shown(tokenize)}`);
  }
  if (!Object.hasOwn(TOKENIZERS, tokenize)) {
    throw new RangeError(
      `tokenize: expected a function or one of ${Object.keys(TOKENIZERS).join(", ")}, got ${shown(tokenize)}`,
    );
  }
  return (text) => TOKENIZERS[tokenize](trimEnd(cased(text)));
}

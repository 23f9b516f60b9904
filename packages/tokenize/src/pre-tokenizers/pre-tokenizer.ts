/** Stage 2: cuts the normalized text into the words that the model then works on one by one. */

import { unreachable } from "../errors";
import { isRustWord } from "../patterns/code-set";
import { compilePattern, type Pattern } from "../patterns/pattern";
import { GPT2 } from "../patterns/well-known";
import type { AlignedText } from "../text/aligned-text";
import { whiteSpace } from "../text/characters";
import { bertMatcher } from "./bert";
import { type Metaspace, metaspace, prefixSpaces } from "./metaspace";
import { numeric, punctuation } from "./punctuation";
import { scriptMatcher } from "./scripts";
import { characterMatcher, lengthMatcher, runMatcher, type SplitBehavior, splitWords } from "./split";
import { spellBytes, type Words, wholeText } from "./words";

export { formatPreTokenizer, parsePreTokenizer } from "./pre-tokenizer-json";

export type PreTokenizer =
  | { readonly type: "BertPreTokenizer" | "Whitespace" | "WhitespaceSplit" | "UnicodeScripts" }
  | {
      readonly type: "ByteLevel";
      /** A space before every word that starts with none. */
      readonly addPrefixSpace: boolean;
      /** Does nothing here, and is kept for saving. */
      readonly trimOffsets: boolean;
      /** Cut with GPT-2's regular expression. */
      readonly useRegex: boolean;
    }
  | { readonly type: "CharDelimiterSplit"; readonly delimiter: string }
  | Metaspace
  | {
      readonly type: "Split";
      readonly pattern: Pattern;
      readonly behavior: SplitBehavior;
      readonly invert: boolean;
    }
  | { readonly type: "Punctuation"; readonly behavior: SplitBehavior }
  | { readonly type: "Digits"; readonly individualDigits: boolean }
  | { readonly type: "FixedLength"; readonly length: number }
  | { readonly type: "Sequence"; readonly preTokenizers: readonly PreTokenizer[] };

const gpt2: Pattern = { type: "Regex", regex: GPT2 };
const matchWhiteSpace = characterMatcher((code) => whiteSpace.has(code));
const matchPunctuation = characterMatcher((code) => punctuation.has(code));
const matchNumeric = characterMatcher((code) => numeric.has(code));
/** The regular expression \w+|[^\w\s]+ of Rust's crate. */
const matchWordsAndSigns = runMatcher((code) => (isRustWord(code) ? 1 : whiteSpace.has(code) ? 0 : 2));

/** The words of a piece of text; null takes all of it as one. An empty text has no words. */
export function preTokenize(preTokenizer: PreTokenizer | null, text: AlignedText): Words {
  const whole = wholeText(text);
  return preTokenizer === null ? whole : run(preTokenizer, whole);
}

function run(preTokenizer: PreTokenizer, given: Words): Words {
  if (preTokenizer.type === "Sequence") {
    return preTokenizer.preTokenizers.reduce((words, step) => run(step, words), given);
  }
  const words = spellBytes(given);
  switch (preTokenizer.type) {
    case "BertPreTokenizer":
      return splitWords(words, bertMatcher, "Removed", true);
    case "ByteLevel": {
      const spaced = preTokenizer.addPrefixSpace ? prefixSpaces(words) : words;
      const cut = preTokenizer.useRegex ? splitWords(spaced, compilePattern(gpt2), "Isolated") : spaced;
      return { ...cut, byteLevel: true };
    }
    case "CharDelimiterSplit": {
      const delimiter = preTokenizer.delimiter.codePointAt(0);
      const matcher = characterMatcher((code) => code === delimiter);
      return splitWords(words, matcher, "Removed");
    }
    case "Metaspace":
      return metaspace(words, preTokenizer);
    case "Whitespace":
      return splitWords(words, matchWordsAndSigns, "Removed", true);
    case "WhitespaceSplit":
      return splitWords(words, matchWhiteSpace, "Removed");
    case "Split":
      return splitWords(words, compilePattern(preTokenizer.pattern), preTokenizer.behavior, preTokenizer.invert);
    case "Punctuation":
      return splitWords(words, matchPunctuation, preTokenizer.behavior);
    case "Digits":
      return splitWords(words, matchNumeric, preTokenizer.individualDigits ? "Isolated" : "Contiguous");
    case "UnicodeScripts":
      return splitWords(words, scriptMatcher, "Removed", true);
    case "FixedLength":
      return splitWords(words, lengthMatcher(preTokenizer.length), "Isolated");
    default:
      return unreachable(preTokenizer, "pre-tokenizer");
  }
}

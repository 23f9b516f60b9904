/** Stage 2: cuts the normalized text into the words that the model then works on one by one. Metaspace and Sequence. */

import { unreachable } from "./errors";
import type { JsonCursor, StepCount } from "./json";
import { MAX_GROWTH } from "./limits";

export type PreTokenizer =
  | {
      readonly type: "Metaspace";
      /** One character that stands for a space, usually U+2581. */
      readonly replacement: string;
      /** Whether a piece that does not start with a space gets one: every piece, only the text's first, or none. */
      readonly prependScheme: PrependScheme;
      /** Cut before every replacement character. */
      readonly split: boolean;
    }
  | {
      readonly type: "Sequence";
      readonly preTokenizers: readonly PreTokenizer[];
    };

export type PrependScheme = "always" | "first" | "never";

const SUPPORTED = "null, Metaspace, Sequence";

/** Words of one piece of text. `atStart` says that the piece starts where the user's text starts. */
export function preTokenize(preTokenizer: PreTokenizer | null, text: string, atStart: boolean): string[] {
  if (text === "") return [];
  if (preTokenizer === null) return [text];
  switch (preTokenizer.type) {
    case "Metaspace": {
      const { replacement, prependScheme, split } = preTokenizer;
      const spaced = text.replaceAll(" ", replacement);
      const wanted = prependScheme === "always" || (prependScheme === "first" && atStart);
      const prefixed = wanted && !spaced.startsWith(replacement) ? replacement + spaced : spaced;
      return split ? cutBefore(prefixed, replacement) : [prefixed];
    }
    case "Sequence": {
      let words = [text];
      for (const step of preTokenizer.preTokenizers) {
        words = words.flatMap((word, i) => preTokenize(step, word, atStart && i === 0));
      }
      return words;
    }
    default:
      return unreachable(preTokenizer, "pre-tokenizer");
  }
}

function cutBefore(text: string, mark: string): string[] {
  const words: string[] = [];
  let start = 0;
  for (let at = text.indexOf(mark, 1); at !== -1; at = text.indexOf(mark, at + 1)) {
    words.push(text.slice(start, at));
    start = at;
  }
  words.push(text.slice(start));
  return words;
}

/** Reads `pre_tokenizer` of a tokenizer.json. */
export function parsePreTokenizer(json: JsonCursor): PreTokenizer | null {
  const preTokenizer = parseStep(json, { steps: 0 });
  if (growth(preTokenizer) > MAX_GROWTH) json.fail(`prefixes that lengthen a text at most ${MAX_GROWTH} times`);
  return preTokenizer;
}

/** A Metaspace may double a text of one-character words, and the next one again: together they cut what they put. */
function growth(preTokenizer: PreTokenizer | null): number {
  if (preTokenizer?.type === "Metaspace") return preTokenizer.prependScheme === "never" ? 1 : 2;
  if (preTokenizer?.type !== "Sequence") return 1;
  return preTokenizer.preTokenizers.reduce((product, step) => product * growth(step), 1);
}

function parseStep(json: JsonCursor, count: StepCount): PreTokenizer | null {
  if (json.isNull) return null;
  const type = json.get("type");
  switch (type.value) {
    case "Metaspace":
      return { type: "Metaspace", ...parseMetaspace(json) };
    case "Sequence": {
      json.onlyKeys(["type", "pretokenizers"]);
      const steps = json
        .get("pretokenizers")
        .steps(count)
        .map((step) => parseStep(step, count));
      return {
        type: "Sequence",
        preTokenizers: steps.filter((step) => step !== null),
      };
    }
    default:
      return type.unsupported(SUPPORTED);
  }
}

/** The fields of a Metaspace, the same in pre-tokenizers and decoders. Older files say `add_prefix_space`. */
export function parseMetaspace(json: JsonCursor): {
  replacement: string;
  prependScheme: PrependScheme;
  split: boolean;
} {
  json.onlyKeys(["type", "replacement", "str_rep", "add_prefix_space", "prepend_scheme", "split"]);
  const scheme = json.get("prepend_scheme");
  const legacy = json.get("add_prefix_space");
  let prependScheme: PrependScheme = "always";
  switch (scheme.value) {
    case undefined:
      if (!legacy.boolean(true)) prependScheme = "never";
      break;
    case "always":
    case "first":
    case "never":
      prependScheme = scheme.value;
      if (!legacy.boolean(true) && prependScheme !== "never") legacy.fail(`agreement with prepend_scheme`);
      break;
    default:
      scheme.unsupported("always, first, never");
  }
  return {
    replacement: json.get("replacement").character(),
    prependScheme,
    split: json.get("split").boolean(true),
  };
}

/** Pre-tokenizers from and to the form of tokenizer.json. */

import { unreachable } from "../errors";
import type { JsonCursor, StepCount } from "../json";
import { MAX_FIXED_LENGTH, MAX_GROWTH } from "../limits";
import { formatPattern, parsePattern } from "../patterns/pattern";
import { parseMetaspace } from "./metaspace";
import type { PreTokenizer } from "./pre-tokenizer";
import { parseBehavior } from "./split";

const SUPPORTED =
  "null, BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, FixedLength, Metaspace, Punctuation, Sequence, Split, UnicodeScripts, Whitespace, WhitespaceSplit";
/** Of FixedLength, as in the reference. */
const DEFAULT_LENGTH = 5;

/** Reads `pre_tokenizer` of a tokenizer.json. */
export function parsePreTokenizer(json: JsonCursor): PreTokenizer | null {
  const preTokenizer = parseStep(json, { steps: 0 });
  if (growth(preTokenizer) > MAX_GROWTH)
    json.fail(`prefixes and bytes that lengthen a text at most ${MAX_GROWTH} times`);
  return preTokenizer;
}

/** A prefix may double a text of one-character words, and the next one again: together they cut what they put. */
function growth(preTokenizer: PreTokenizer | null): number {
  switch (preTokenizer?.type) {
    case "Metaspace":
      return preTokenizer.prependScheme === "never" ? 1 : 2;
    case "ByteLevel":
      // Three bytes for one UTF-16 unit.
      return preTokenizer.addPrefixSpace ? 6 : 3;
    case "Sequence":
      return preTokenizer.preTokenizers.reduce((product, step) => product * growth(step), 1);
    default:
      return 1;
  }
}

function parseStep(json: JsonCursor, count: StepCount): PreTokenizer | null {
  if (json.isNull) return null;
  const type = json.get("type");
  const only = (...keys: string[]): void => json.onlyKeys(["type", ...keys]);
  switch (type.value) {
    case "BertPreTokenizer":
    case "Whitespace":
    case "WhitespaceSplit":
    case "UnicodeScripts":
      only();
      return { type: type.value };
    case "ByteLevel":
      only("add_prefix_space", "trim_offsets", "use_regex");
      return {
        type: "ByteLevel",
        addPrefixSpace: flag(json, "add_prefix_space"),
        trimOffsets: flag(json, "trim_offsets"),
        useRegex: json.get("use_regex").boolean(true),
      };
    case "CharDelimiterSplit":
      only("delimiter");
      return { type: "CharDelimiterSplit", delimiter: json.get("delimiter").character() };
    case "Metaspace":
      return { type: "Metaspace", ...parseMetaspace(json) };
    case "Sequence": {
      only("pretokenizers");
      const steps = json
        .get("pretokenizers")
        .steps(count)
        .map((step) => parseStep(step, count));
      return { type: "Sequence", preTokenizers: steps.filter((step) => step !== null) };
    }
    case "Split":
      only("pattern", "behavior", "invert");
      return {
        type: "Split",
        pattern: parsePattern(json.get("pattern")),
        behavior: parseBehavior(json.get("behavior")),
        invert: flag(json, "invert"),
      };
    case "Punctuation": {
      only("behavior");
      const behavior = json.get("behavior");
      return { type: "Punctuation", behavior: behavior.isNull ? "Isolated" : parseBehavior(behavior) };
    }
    case "Digits":
      only("individual_digits");
      return { type: "Digits", individualDigits: flag(json, "individual_digits") };
    case "FixedLength": {
      only("length");
      const length = json.get("length");
      return { type: "FixedLength", length: length.isNull ? DEFAULT_LENGTH : length.integer(1, MAX_FIXED_LENGTH) };
    }
    default:
      return type.unsupported(SUPPORTED);
  }
}

/** A flag that the reference has no default for. */
function flag(json: JsonCursor, key: string): boolean {
  const value = json.get(key);
  return value.isNull ? value.fail("true or false") : value.boolean(false);
}

/** The form of tokenizer.json, with the keys that the reference writes. */
export function formatPreTokenizer(preTokenizer: PreTokenizer | null): unknown {
  if (preTokenizer === null) return null;
  const { type } = preTokenizer;
  switch (type) {
    case "BertPreTokenizer":
    case "Whitespace":
    case "WhitespaceSplit":
    case "UnicodeScripts":
      return { type };
    case "ByteLevel": {
      const { addPrefixSpace, trimOffsets, useRegex } = preTokenizer;
      return { type, add_prefix_space: addPrefixSpace, trim_offsets: trimOffsets, use_regex: useRegex };
    }
    case "CharDelimiterSplit":
      return { type, delimiter: preTokenizer.delimiter };
    case "Metaspace": {
      const { replacement, prependScheme, split } = preTokenizer;
      return { type, replacement, prepend_scheme: prependScheme, split };
    }
    case "Sequence":
      return { type, pretokenizers: preTokenizer.preTokenizers.map(formatPreTokenizer) };
    case "Split": {
      const { pattern, behavior, invert } = preTokenizer;
      return { type, pattern: formatPattern(pattern), behavior, invert };
    }
    case "Punctuation":
      return { type, behavior: preTokenizer.behavior };
    case "Digits":
      return { type, individual_digits: preTokenizer.individualDigits };
    case "FixedLength":
      return { type, length: preTokenizer.length };
    default:
      return unreachable(type, "pre-tokenizer");
  }
}

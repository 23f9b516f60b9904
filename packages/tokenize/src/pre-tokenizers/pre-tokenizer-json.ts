/** Pre-tokenizers from and to the form of tokenizer.json. */

import { BYTE_LEVEL_OPTIONS, inSnakeCase, integerFrom, type JsonCursor, optional, type StepCount } from "../json";
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
  const kind = type.value;
  switch (kind) {
    case "BertPreTokenizer":
    case "Whitespace":
    case "WhitespaceSplit":
    case "UnicodeScripts":
      json.onlyKeys(["type"]);
      return { type: kind };
    case "ByteLevel":
      return {
        type: kind,
        ...json.options({ ...BYTE_LEVEL_OPTIONS, add_prefix_space: neededFlag, trim_offsets: neededFlag }),
      };
    case "CharDelimiterSplit":
      return { type: kind, ...json.options({ delimiter: (delimiter) => delimiter.character() }) };
    case "Metaspace":
      return { type: kind, ...parseMetaspace(json) };
    case "Sequence":
      return { type: kind, preTokenizers: json.sequence("pretokenizers", count, parseStep) };
    case "Split":
      return {
        type: kind,
        ...json.options({ pattern: parsePattern, behavior: parseBehavior, invert: neededFlag }),
      };
    case "Punctuation":
      return { type: kind, ...json.options({ behavior: optional("Isolated", parseBehavior) }) };
    case "Digits":
      return { type: kind, ...json.options({ individual_digits: neededFlag }) };
    case "FixedLength":
      return { type: kind, ...json.options({ length: optional(DEFAULT_LENGTH, integerFrom(1, MAX_FIXED_LENGTH)) }) };
    default:
      return type.unsupported(SUPPORTED);
  }
}

/** A flag that the reference has no default for. */
function neededFlag(json: JsonCursor): boolean {
  return json.isNull ? json.fail("true or false") : json.boolean(false);
}

/** The form of tokenizer.json, with the keys that the reference writes. */
export function formatPreTokenizer(preTokenizer: PreTokenizer | null): unknown {
  if (preTokenizer === null) return null;
  switch (preTokenizer.type) {
    case "Sequence":
      return { type: "Sequence", pretokenizers: preTokenizer.preTokenizers.map(formatPreTokenizer) };
    case "Split":
      return { ...preTokenizer, pattern: formatPattern(preTokenizer.pattern) };
    default:
      return inSnakeCase(preTokenizer);
  }
}

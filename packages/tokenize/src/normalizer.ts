/** Stage 1: rewrites the text before it is cut. Prepend, Replace (of a string) and Sequence, as in tokenizer.json. */

import { unreachable } from "./errors";
import type { JsonCursor, StepCount } from "./json";
import { MAX_GROWTH, MAX_PATTERN_LENGTH } from "./limits";

export type Normalizer =
  | { readonly type: "Prepend"; readonly prepend: string }
  | {
      readonly type: "Replace";
      readonly pattern: string;
      readonly content: string;
    }
  | { readonly type: "Sequence"; readonly normalizers: readonly Normalizer[] };

const SUPPORTED = "null, Prepend, Replace, Sequence";

/** The text as the model sees it. An empty text stays empty: no prefix is put before nothing. */
export function normalize(normalizer: Normalizer | null, text: string): string {
  if (normalizer === null) return text;
  switch (normalizer.type) {
    case "Prepend":
      return text === "" ? "" : normalizer.prepend + text;
    case "Replace":
      return text.replaceAll(normalizer.pattern, () => normalizer.content);
    case "Sequence":
      return normalizer.normalizers.reduce((result, step) => normalize(step, result), text);
    default:
      return unreachable(normalizer, "normalizer");
  }
}

/** Reads `normalizer` of a tokenizer.json. */
export function parseNormalizer(json: JsonCursor): Normalizer | null {
  const normalizer = parseStep(json, { steps: 0 });
  if (grownLength(normalizer, 1) > MAX_GROWTH)
    json.fail(`prefixes and replacements that lengthen a text at most ${MAX_GROWTH} times`);
  return normalizer;
}

/** Greatest length of a text of `length`. A single character is the worst case: a prefix lengthens it the most times. */
function grownLength(normalizer: Normalizer | null, length: number): number {
  switch (normalizer?.type) {
    case "Prepend":
      return length + normalizer.prepend.length;
    case "Replace":
      return length * growthOfReplacement(normalizer);
    case "Sequence":
      return normalizer.normalizers.reduce((grown, step) => grownLength(step, grown), length);
    default:
      return length;
  }
}

/** How many times longer a replacement can make a text. */
export function growthOfReplacement(replace: { readonly pattern: string; readonly content: string }): number {
  return Math.max(1, replace.content.length / replace.pattern.length);
}

function parseStep(json: JsonCursor, count: StepCount): Normalizer | null {
  if (json.isNull) return null;
  const type = json.get("type");
  switch (type.value) {
    case "Prepend":
      json.onlyKeys(["type", "prepend"]);
      return {
        type: "Prepend",
        prepend: json.get("prepend").string(MAX_PATTERN_LENGTH),
      };
    case "Replace":
      return { type: "Replace", ...parseReplacement(json) };
    case "Sequence": {
      json.onlyKeys(["type", "normalizers"]);
      const steps = json
        .get("normalizers")
        .steps(count)
        .map((step) => parseStep(step, count));
      return {
        type: "Sequence",
        normalizers: steps.filter((step) => step !== null),
      };
    }
    default:
      return type.unsupported(SUPPORTED);
  }
}

/** The fields of a Replace, the same in normalizers and decoders. A regex from a file could hang: not yet taken. */
export function parseReplacement(json: JsonCursor): {
  pattern: string;
  content: string;
} {
  json.onlyKeys(["type", "pattern", "content"]);
  const pattern = json.get("pattern");
  if (!pattern.get("Regex").isNull) pattern.get("Regex").unsupported('a pattern of the form {"String": "..."}');
  pattern.onlyKeys(["String"]);
  const text = pattern.get("String").string(MAX_PATTERN_LENGTH);
  if (text === "") pattern.get("String").fail("at least one character");
  return {
    pattern: text,
    content: json.get("content").string(MAX_PATTERN_LENGTH),
  };
}

// Every pre-tokenizer against the goldens: words and offsets of all texts, and the JSON form there and back.

import { describe, expect, test } from "vitest";
import { awkwardTexts, fixtureJson } from "../../../../tests/support/tokenizer-fixtures";
import { JsonCursor } from "../json";
import { alignedText, originalEnd, originalStart } from "../text/aligned-text";
import { formatPreTokenizer, parsePreTokenizer, preTokenize } from "./pre-tokenizer";
import { spellBytes } from "./words";

type Cut = [word: string, offsets: [number, number]];
interface Component {
  name: string;
  config: unknown;
  outputs: Record<string, Cut[]>;
}

const { components } = fixtureJson<{ components: Component[] }>("stages", "pre_tokenizers.json");
const { texts } = awkwardTexts();

function cut(config: unknown, text: string): Cut[] {
  const words = preTokenize(parsePreTokenizer(new JsonCursor(config, "a test")), alignedText(text));
  const { text: aligned, spans } = words.byteLevel ? spellBytes(words) : words;
  // The goldens count code points.
  const points = new Int32Array(text.length + 1);
  for (let i = 0; i < text.length; i++) points[i + 1] = points[i] + ((text.charCodeAt(i) & 0xfc00) === 0xd800 ? 0 : 1);
  return Array.from({ length: spans.length }, (_, i) => {
    const [start, end] = [spans.start(i), spans.end(i)];
    const range: [number, number] = [points[originalStart(aligned, start)], points[originalEnd(aligned, end - 1)]];
    return [aligned.text.slice(start, end), range];
  });
}

describe("goldens", () => {
  test.each(components)("$name", ({ config, outputs }) => {
    // The longest texts are left out there.
    for (const [name, words] of Object.entries(outputs)) {
      const expected = words.filter(([word]) => word !== "");
      expect(cut(config, texts[name]), name).toEqual(expected);
    }
  });

  test.each(components)("$name is written as it was read", ({ config }) => {
    expect(formatPreTokenizer(parsePreTokenizer(new JsonCursor(config, "a test")))).toEqual(config);
  });
});

test.each([
  [{ type: "Delimiter", delimiter: "-" }, /pre_tokenizer.type "Delimiter" is not supported/],
  [
    { type: "Split", pattern: { Regex: "(a)\\1" }, behavior: "Isolated", invert: false },
    /\\1 at character 4" is not supported/,
  ],
  [{ type: "Split", pattern: { Regex: "(a" }, behavior: "Isolated", invert: false }, /expected the end of a group/],
  [
    { type: "Split", pattern: { Regex: "a", String: "a" }, behavior: "Isolated", invert: false },
    /one of String and Regex/,
  ],
  [
    { type: "Split", pattern: { Regex: "a" }, behavior: "isolated", invert: false },
    /behavior "isolated" is not supported/,
  ],
  [{ type: "Split", pattern: { Regex: "a" }, behavior: "Isolated" }, /invert: expected true or false/],
  [{ type: "ByteLevel", trim_offsets: true }, /add_prefix_space: expected true or false/],
  [{ type: "Digits", individual_digits: 1 }, /individual_digits: expected true or false/],
  [{ type: "FixedLength", length: 0 }, /length: expected an integer from 1/],
  [{ type: "Whitespace", option: 1 }, /option 1 is not supported/],
  [
    {
      type: "Sequence",
      pretokenizers: Array(4).fill({ type: "ByteLevel", add_prefix_space: false, trim_offsets: true }),
    },
    /lengthen a text at most 64 times/,
  ],
])("refuses %j", (config, message) => {
  expect(() => parsePreTokenizer(new JsonCursor({ pre_tokenizer: config }, "a test").get("pre_tokenizer"))).toThrow(
    message,
  );
});

test("older forms", () => {
  const read = (config: unknown): unknown => formatPreTokenizer(parsePreTokenizer(new JsonCursor(config, "a test")));
  expect(read({ type: "ByteLevel", add_prefix_space: false, trim_offsets: true })).toHaveProperty("use_regex", true);
  expect(read({ type: "Metaspace", replacement: "_", add_prefix_space: true })).toHaveProperty(
    "prepend_scheme",
    "always",
  );
  expect(read({ type: "Punctuation" })).toHaveProperty("behavior", "Isolated");
  expect(read({ type: "FixedLength" })).toHaveProperty("length", 5);
  expect(read(null)).toBe(null);
});

test("a ByteLevel in the middle is spelled out before the next step", () => {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  const split = { type: "Split", pattern: { String: "\u0120" }, behavior: "MergedWithNext", invert: false };
  expect(cut({ type: "Sequence", pretokenizers: [byteLevel, split] }, "a é b")).toEqual([
    ["a", [0, 1]],
    ["\u0120\u00c3\u00a9", [1, 3]],
    ["\u0120b", [3, 5]],
  ]);
});

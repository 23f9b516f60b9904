/** Normalizers against the goldens and against alignments of native `tokenizers`, and what files may not ask for. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { awkwardTexts, fixtureJson } from "../../../../tests/support/tokenizer-fixtures";
import { TokenizerFileError, UnsupportedTokenizerError } from "../errors";
import { JsonCursor } from "../json";
import { type AlignedText, alignedText, originalEnd, originalStart } from "../text/aligned-text";
import { formatNormalizer, type Normalizer, normalize, parseNormalizer } from "./normalizer";

interface Goldens {
  readonly components: readonly {
    readonly name: string;
    readonly config: unknown;
    readonly outputs: Readonly<Record<string, string>>;
  }[];
}

function parse(config: unknown): Normalizer | null {
  return parseNormalizer(new JsonCursor(config, "tokenizer.json", "normalizer"));
}

/** Ranges in code points, as Python gives them, one for each character. */
function ranges(text: string, result: AlignedText): string {
  const codePoints = (at: number): number => [...text.slice(0, at)].length;
  const found: string[] = [];
  for (let at = 0; at < result.text.length; ) {
    const width = (result.text.codePointAt(at) as number) > 0xffff ? 2 : 1;
    const [start, end] = [originalStart(result, at), originalEnd(result, at + width - 1)];
    found.push(`${codePoints(start)}-${codePoints(end)}`);
    at += width;
  }
  return found.join(" ");
}

const { texts } = awkwardTexts();
const MAX_GOLDEN_TEXT = 250;

describe("goldens of tokenizers", () => {
  test.each(fixtureJson<Goldens>("stages", "normalizers.json").components)("$name", ({ config, outputs }) => {
    const normalizer = parse(config);
    expect(formatNormalizer(normalizer)).toEqual(config);
    for (const [name, text] of Object.entries(texts)) {
      // The goldens leave long texts out.
      if (text.length > MAX_GOLDEN_TEXT) continue;
      expect(normalize(normalizer, alignedText(text)).text, name).toBe(outputs[name] ?? text);
    }
  });
});

/** From `tokenizers` 0.23.2: one token a character shows where each comes from. */
const bert = {
  type: "BertNormalizer",
  clean_text: true,
  handle_chinese_chars: true,
  strip_accents: null,
  lowercase: true,
};
const aligned: readonly (readonly [config: unknown, text: string, expected: string, ranges: string])[] = [
  [{ type: "NFC" }, "e\u0323\u0302\u0301x\u1112\u1161\u11ab", "\u1ec7\u0301x\ud55c", "0-1 3-4 4-5 5-6"],
  [{ type: "NFC" }, "\u1ed9\u0302a\u0307\u0323", "\u1ed9\u0302\u1ea1\u0307", "0-1 1-2 2-3 4-5"],
  [
    { type: "NFD" },
    "\u1ec7\u0327\ud55c\ud834\udd5e",
    "e\u0327\u0323\u0302\u1112\u1161\u11ab\ud834\udd57\ud834\udd65",
    "0-1 1-2 1-2 1-2 2-3 2-3 2-3 3-4 3-4",
  ],
  [
    { type: "NFKC" },
    "\ufb01\u2460\uff8a\uff9f\u3300\u1e9b\u0323",
    "fi1\u30d1\u30a2\u30d1\u30fc\u30c8\u1e69",
    "0-1 0-1 1-2 2-3 4-5 4-5 4-5 4-5 5-6",
  ],
  [{ type: "NFKD" }, "\u0345\u0344\u0323\u00bd", "\u0323\u0308\u0301\u03451\u20442", "0-1 1-2 1-2 2-3 3-4 3-4 3-4"],
  [{ type: "NFC" }, "a\u1add\u0301\ud801\uddd2\u0307", "a\u1add\u0301\ud801\uddd2\u0307", "0-1 1-2 2-3 3-4 4-5"],
  [{ type: "NFD" }, "\u0301\u0897\u0323\ud806\udd38", "\u0301\u0897\u0323\ud806\udd38", "0-1 1-2 2-3 3-4"],
  [{ type: "Lowercase" }, "\u0130\u03a3\ud83d\ude00\u01c5", "i\u0307\u03c3\ud83d\ude00\u01c6", "0-1 0-1 1-2 2-3 3-4"],
  [
    bert,
    "\u00c9\u200d\u4e2d\u1ec7\u302e\u0301\ud834\udd65\u0130\u8c48\t.",
    "e \u4e2d e\ud834\udd65\u302ei \u8c48  .",
    "0-1 2-3 2-3 2-3 3-4 4-5 5-6 7-8 8-9 8-9 8-9 9-10 10-11",
  ],
  [bert, "a\u08d4\u0301\u1734b\u1dfbc", "a\u08d4b\u1dfbc", "0-1 2-3 4-5 5-6 6-7"],
  [
    { type: "ByteLevel" },
    "\u00e9 \ud83d\ude00",
    "\u00c3\u00a9\u0120\u00f0\u0141\u013a\u0122",
    "0-1 0-1 1-2 2-3 2-3 2-3 2-3",
  ],
  [{ type: "Nmt" }, "\u0001a\u200bb\u008f\u0085\u2581", "a b\u0085 ", "1-2 2-3 3-4 5-6 6-7"],
  [{ type: "Strip", strip_left: true, strip_right: true }, " \u3000a \n", "a", "2-3"],
  [{ type: "Prepend", prepend: "\u2581x" }, "\ud83d\ude00b", "\u2581x\ud83d\ude00b", "0-1 0-1 0-1 1-2"],
  [{ type: "Prepend", prepend: "" }, "ab", "ab", "0-0 1-2"],
  [{ type: "Replace", pattern: { String: "ab" }, content: "xyz" }, "cabab", "cxyzxyz", "0-1 2-3 2-3 2-3 4-5 4-5 4-5"],
  [
    { type: "Replace", pattern: { Regex: "^" }, content: "\u2581" },
    "ab\nc",
    "\u2581ab\n\u2581c",
    "0-0 0-1 1-2 2-3 2-3 3-4",
  ],
  [
    {
      type: "Sequence",
      normalizers: [
        { type: "Strip", strip_left: true, strip_right: true },
        { type: "Replace", pattern: { Regex: "^" }, content: "xy" },
      ],
    },
    "  a",
    "xya",
    "0-0 0-0 2-3",
  ],
  [
    {
      type: "Sequence",
      normalizers: [
        { type: "Replace", pattern: { String: "a" }, content: "\ud83d\ude00x" },
        { type: "NFD" },
        { type: "Replace", pattern: { String: "x" }, content: "" },
        { type: "Lowercase" },
      ],
    },
    "a\u00c9a",
    "\ud83d\ude00e\u0301\ud83d\ude00",
    "0-1 1-2 1-2 2-3",
  ],
  [{ type: "StripAccents" }, "e\u0301\u00e9\u1cf2\u08ca", "e\u00e9\u08ca", "0-1 2-3 4-5"],
];

describe("alignment", () => {
  test.each(aligned)("%j on %j", (config, text, expected, expectedRanges) => {
    const result = normalize(parse(config), alignedText(text));
    expect(result.text).toBe(expected);
    expect(ranges(text, result)).toBe(expectedRanges);
    // A part of a longer text has the same ranges, further right.
    const part = normalize(parse(config), alignedText(`😀😀${text}!`, 4, 4 + text.length));
    const moved = expectedRanges.replace(/\d+/g, (offset) => `${Number(offset) + 2}`);
    expect(ranges(`😀😀${text}!`, part)).toBe(moved);
  });

  test("stays what it is where every character keeps its place", () => {
    for (const [config, text] of [
      [bert, "The CAT\tsat é"],
      [{ type: "NFC" }, "Déjà vu ệ 한"],
      [{ type: "Lowercase" }, "ÀÉ Σ 😀"],
      [{ type: "Replace", pattern: { String: " " }, content: "▁" }, "a b c"],
      [{ type: "Strip", strip_left: true, strip_right: true }, "  a "],
    ]) {
      expect(normalize(parse(config), alignedText(text as string)).starts).toBeNull();
    }
  });
});

const character = fc.oneof(
  fc.constantFrom("a", "E", " ", "é", "ệ", "\u0323", "\u0301", "\u0302", "\u0344", "\u0f73", "\u1e9b", "ﬁ", "한"),
  fc.constantFrom(
    "\u1112",
    "\u1161",
    "\u11ab",
    "\u09c7",
    "\u09be",
    "\u302e",
    "\u{1d15e}",
    "\u{1d165}",
    "中",
    "😀",
    "İ",
    "\u200d",
  ),
  fc.integer({ min: 0x300, max: 0x36f }).map((code) => String.fromCodePoint(code)),
);
const text = fc.array(character, { maxLength: 24 }).map((letters) => letters.join(""));

test("forms are the engine's where all characters are in Unicode 9", () => {
  fc.assert(
    fc.property(text, fc.constantFrom("NFC", "NFD", "NFKC", "NFKD"), (input, form) => {
      expect(normalize(parse({ type: form }), alignedText(input)).text).toBe(input.normalize(form));
    }),
    { seed: 1, numRuns: 3000 },
  );
});

test("BERT's normalizer in one pass is its steps one after the other", () => {
  const off = { clean_text: false, handle_chinese_chars: false, strip_accents: false, lowercase: false };
  const steps = Object.keys(off).map((step) => ({ type: "BertNormalizer", ...off, [step]: true }));
  const [whole, apart] = [parse(bert), parse({ type: "Sequence", normalizers: steps })];
  fc.assert(
    fc.property(text, (input) => {
      const [once, stepwise] = [normalize(whole, alignedText(input)), normalize(apart, alignedText(input))];
      expect(once.text).toBe(stepwise.text);
      expect(ranges(input, once)).toBe(ranges(input, stepwise));
    }),
    { seed: 2, numRuns: 3000 },
  );
});

test("a run of half a million marks ends in good time", () => {
  // ICU alone takes minutes.
  const marks = "\u0301\u0323".repeat(250_000);
  for (const form of ["NFC", "NFKD"]) {
    const result = normalize(parse({ type: form }), alignedText(`a${marks}`));
    expect(result.text.slice(0, 2)).toBe(form === "NFC" ? "\u1ea1\u0323" : "a\u0323");
    expect(result.text.endsWith("\u0301")).toBe(true);
  }
});

test("files that the reader refuses", () => {
  const double = { type: "Replace", pattern: { String: "a" }, content: "aa" };
  for (const step of [
    double,
    { ...double, pattern: { Regex: "a?" } },
    { ...double, pattern: { String: "" } },
    { type: "ByteLevel" },
  ]) {
    expect(() => parse({ type: "Sequence", normalizers: Array(7).fill(step) })).toThrow(TokenizerFileError);
  }
  const fishes = { type: "Replace", pattern: { String: "f" }, content: "\ufdfa" };
  for (const config of [
    { type: "Sequence", normalizers: [{ type: "NFKC" }, fishes, { type: "NFKC" }] },
    { type: "Sequence", normalizers: Array(65).fill({ type: "NFC" }) },
    { type: "Sequence" },
    { type: "Prepend" },
    { type: "Prepend", prepend: "\ud800" },
    { type: "Replace", pattern: {}, content: "" },
    { type: "Replace", pattern: { Regex: "(" }, content: "" },
    { type: "Strip", strip_left: 1, strip_right: true },
    { ...bert, lowercase: "yes" },
    { type: "Precompiled", precompiled_charsmap: "?" },
  ]) {
    expect(() => parse(config)).toThrow(TokenizerFileError);
  }
  expect(() => parse({ type: "NFC", other: 1 })).toThrow(UnsupportedTokenizerError);
  expect(() => parse({ type: "Other" })).toThrow(UnsupportedTokenizerError);
});

test("files that are sound have room", () => {
  // ALBERT's steps, as its tokenizer.json has them, with another decomposition for the charsmap.
  const steps = [
    { type: "Replace", pattern: { String: "``" }, content: '"' },
    { type: "NFKD" },
    { type: "StripAccents" },
    { type: "Lowercase" },
    { type: "NFKC" },
    { type: "Replace", pattern: { Regex: " {2,}" }, content: " " },
    { type: "Prepend", prepend: "▁" },
    bert,
  ];
  const result = normalize(parse({ type: "Sequence", normalizers: steps }), alignedText("``É  \ufdfa"));
  expect(result.text).toBe('▁"e صلى الله عليه وسلم');
});

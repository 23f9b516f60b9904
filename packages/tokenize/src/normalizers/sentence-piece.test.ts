import { describe, expect, it } from "vitest";
import { fixtureBytes } from "../../../../tests/support/tokenizer-fixtures";
import { readSentencePiece } from "../sources/sentencepiece-model";
import { alignedText, originalEnd, originalStart, TextWriter } from "../text/aligned-text";
import { parseCharsmap } from "./charsmap";
import { normalizeSentencePiece, type SentencePieceNormalizer } from "./sentence-piece";

const fail = (expected: string): never => {
  throw new Error(expected);
};
const nfkc = parseCharsmap(readSentencePiece(fixtureBytes("vocab", "t5.spiece.model"), "t5").normalizer.charsmap, fail);
const DEFAULT: SentencePieceNormalizer = {
  type: "SentencePiece",
  charsmap: null,
  addDummyPrefix: true,
  removeExtraWhitespaces: true,
  escapeWhitespaces: true,
  whitespaceAsSuffix: false,
  userDefined: [],
};

/** The normalized text with its ranges, those of one kind of unit after another. */
function run(options: Partial<SentencePieceNormalizer>, text: string, from = 0): [string, string] {
  const result = normalizeSentencePiece({ ...DEFAULT, ...options }, alignedText(text, from));
  const places = Array.from(result.text, (_, i) => `${originalStart(result, i)}-${originalEnd(result, i)}`);
  return [result.text.replaceAll("\u2581", "_"), places.join(" ")];
}

// That all of it is as in sentencepiece is tested with the goldens of whole models, beside the source.
describe("normalizeSentencePiece", () => {
  it.each<[string, Partial<SentencePieceNormalizer>, string, string, string]>([
    ["puts a space in front", {}, "ab", "_ab", "0-0 0-1 1-2"],
    ["or behind", { whitespaceAsSuffix: true }, "ab", "ab_", "0-1 1-2 2-2"],
    ["or not", { addDummyPrefix: false }, "ab", "ab", "0-1 1-2"],
    ["takes out all spaces but one", {}, "  a   b  ", "_a_b", "2-2 2-3 3-6 6-7"],
    ["or none", { removeExtraWhitespaces: false }, " a  b ", "__a__b_", "0-0 0-1 1-2 2-3 3-4 4-5 5-6"],
    ["keeps spaces as they are", { escapeWhitespaces: false }, "a b", " a b", "0-0 0-1 1-2 2-3"],
    ["makes nothing of spaces", {}, "   ", "", ""],
    ["makes nothing of nothing", {}, "", "", ""],
    ["takes an escaped space off the end, not the start", {}, "\u2581a\u2581", "__a", "0-0 0-1 1-2"],
    ["maps the longest key", { charsmap: nfkc }, "e\u0301\u0302\uFB01", "_\u00E9\u0302fi", "0-0 0-2 2-3 3-3 3-4"],
    [
      "passes symbols as they are, the longest first",
      { charsmap: nfkc, userDefined: ["\uFB01", "\uFB01\uFB01"] },
      "\uFB01\uFB01\uFB01",
      "_\uFB01\uFB01\uFB01",
      "0-0 0-0 0-2 2-3",
    ],
  ])("%s", (_, options, text, normalized, places) => {
    expect(run(options, text)).toEqual([normalized, places]);
  });

  it("knows where a part of a text lies", () => {
    expect(run({}, "xx a", 2)).toEqual(["_a", "3-3 3-4"]);
  });

  it("goes on from a text that has moved", () => {
    const writer = new TextWriter(alignedText("0123456789"));
    for (const [at, character] of [..."a b"].entries()) writer.put(character, at * 3);
    const result = normalizeSentencePiece(DEFAULT, writer.finish());
    expect([...(result.starts ?? [])]).toEqual([0, 0, 3, 6]);
    expect([...(result.ends ?? [])]).toEqual([0, 3, 6, 7]);
  });

  it("keeps the units of a pair together", () => {
    expect(run({}, "\u{1F600}a")[0]).toBe("_\u{1F600}a");
    const result = normalizeSentencePiece(DEFAULT, alignedText("\u{1F600}a"));
    expect([...(result.starts ?? [])]).toEqual([0, 0, 0, 2]);
    expect([...(result.ends ?? [])]).toEqual([0, 2, 2, 3]);
  });
});

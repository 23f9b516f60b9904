/** chrF and chrF++ against sacreBLEU 2.6.0, and by hand. */

import { describe, expect, test } from "vitest";
import { fixture, readJson } from "../../../../tests/support/fixtures";
import { type ChrfOptions, corpusChrf, sentenceChrf } from "./chrf";

interface ChrfCase {
  readonly predictions: string[];
  readonly references: string[][];
  readonly options: ChrfOptions;
  readonly score: number;
}

const CASES = readJson<{ chrf: ChrfCase[] }>(fixture("metrics-text/metrics.json")).chrf;

describe("against sacreBLEU", () => {
  test.each(CASES.map((each, i) => [i, JSON.stringify(each.options), each] as const))("%i: %s", (_i, _name, each) => {
    expect(corpusChrf(each.predictions, each.references, each.options).score).toBeCloseTo(each.score, 14);
  });
});

describe("by hand", () => {
  test("precision, recall and their F", () => {
    // Characters: 3 of 4 and 3 of 3; pairs: 2 of 3 and 2 of 2.
    const got = sentenceChrf("abcd", ["abc"], { charOrder: 2 });
    expect(got.counts).toEqual([3, 2]);
    expect(got.candidateTotals).toEqual([4, 3]);
    expect(got.referenceTotals).toEqual([3, 2]);
    const precision = (3 / 4 + 2 / 3) / 2;
    expect(got.precision).toBe(precision);
    expect(got.recall).toBe(1);
    expect(got.score).toBeCloseTo((5 * precision) / (4 * precision + 1), 15);
    const even = sentenceChrf("abcd", ["abc"], { charOrder: 2, beta: 1 });
    expect(even.score).toBeCloseTo((2 * precision) / (precision + 1), 15);
  });

  test("orders that a text is too short for are left out, or count as 0 with epsSmoothing", () => {
    expect(sentenceChrf("ab", ["ab"]).score).toBe(1);
    expect(sentenceChrf("ab", ["ab"]).candidateTotals).toEqual([2, 1, 0, 0, 0, 0]);
    expect(sentenceChrf("ab", ["ab"], { epsSmoothing: true }).score).toBeCloseTo(2 / 6, 14);
    expect(sentenceChrf("abc", ["ab"]).candidateTotals).toEqual([3, 2, 0, 0, 0, 0]);
  });

  test("white space, case, code points", () => {
    expect(sentenceChrf("a b", ["ab"]).score).toBe(1);
    expect(sentenceChrf("a b", ["ab"], { whitespace: true }).score).toBeLessThan(1);
    expect(sentenceChrf("AB", ["ab"]).score).toBe(0);
    expect(sentenceChrf("AB", ["ab"], { lowercase: true }).score).toBe(1);
    // One character each, though their UTF-16 begins alike.
    expect(sentenceChrf("😀", ["😁"]).counts[0]).toBe(0);
  });

  test("one mark of punctuation is parted from a word, at its end first", () => {
    const words = (text: string) => sentenceChrf(text, [text], { charOrder: 1, wordOrder: 1 }).candidateTotals[1];
    expect(words("(hi)")).toBe(2);
    expect(words("(hi")).toBe(2);
    expect(words("hi!?")).toBe(2);
    expect(words("!")).toBe(1);
    expect(words("。hi。")).toBe(1);
    expect(words("hi… 😀")).toBe(2);
    expect(sentenceChrf("hi )", ["hi)"], { charOrder: 1, wordOrder: 2 }).score).toBe(1);
  });

  test("the best reference counts", () => {
    const alone = sentenceChrf("abcdef", ["abcxef"]);
    expect(sentenceChrf("abcdef", ["zzzz", "abcxef", ""])).toEqual(alone);
  });

  test("nothing in common, and nothing at all, is 0", () => {
    for (const [prediction, reference] of [
      ["ab", "cd"],
      ["", "ab"],
      ["ab", ""],
      ["", ""],
    ]) {
      expect(sentenceChrf(prediction, [reference], { wordOrder: 2 }).score).toBe(0);
    }
  });
});

test("20,000 words", () => {
  const text = Array.from({ length: 20_000 }, (_, i) => `w${(i * i) % 9973}`).join(" ");
  expect(sentenceChrf(text, [text], { wordOrder: 2 }).score).toBe(1);
});

describe("wrong input", () => {
  const cases: readonly [string, () => unknown, typeof TypeError, string][] = [
    [
      "a string for a corpus",
      () => corpusChrf("a" as never, [["a"]]),
      TypeError,
      'predictions: expected an array, got "a"',
    ],
    ["empty", () => corpusChrf([], []), RangeError, "predictions: expected at least one, got none"],
    [
      "lengths",
      () => corpusChrf(["a"], []),
      RangeError,
      "references: expected a list for each of 1 predictions, got 0",
    ],
    ["no list", () => corpusChrf(["a"], ["a"] as never), TypeError, 'references[0]: expected an array, got "a"'],
    ["an empty list", () => sentenceChrf("a", []), RangeError, "references: expected at least one, got none"],
    ["tokens", () => sentenceChrf(["a"] as never, ["a"]), TypeError, 'prediction: expected a string, got ["a"]'],
    ["a number", () => sentenceChrf("a", [1] as never), TypeError, "references[0]: expected a string, got 1"],
    [
      "charOrder",
      () => sentenceChrf("a", ["a"], { charOrder: 0 }),
      RangeError,
      "charOrder: expected an integer from 1 to 100",
    ],
    [
      "wordOrder",
      () => sentenceChrf("a", ["a"], { wordOrder: -1 }),
      RangeError,
      "wordOrder: expected an integer from 0",
    ],
    ["beta", () => sentenceChrf("a", ["a"], { beta: 0 }), RangeError, "beta: expected a number above 0"],
    ["beta", () => sentenceChrf("a", ["a"], { beta: 1e200 }), RangeError, "beta: expected a number above 0"],
    [
      "a flag",
      () => sentenceChrf("a", ["a"], { whitespace: "no" as never }),
      TypeError,
      "whitespace: expected true or false",
    ],
    [
      "an option",
      () => sentenceChrf("a", ["a"], { order: 4 } as never),
      TypeError,
      'sentenceChrf: unknown option "order"',
    ],
  ];
  test.each(cases)("%s", (_name, call, type, message) => {
    expect(call).toThrow(type);
    expect(call).toThrow(message);
  });
});

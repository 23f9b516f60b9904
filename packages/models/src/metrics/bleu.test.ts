/** BLEU against sacreBLEU 2.6.0 and NLTK 3.10.4, and by hand. */

import { describe, expect, test } from "vitest";
import { fixture, readJson } from "../../../../tests/support/fixtures";
import { type BleuOptions, type BleuSmoothing, corpusBleu, sentenceBleu } from "./bleu";

interface BleuCase {
  readonly predictions: string[];
  readonly references: string[][];
  readonly options: BleuOptions;
  readonly score: number;
  readonly precisions: number[];
  readonly brevityPenalty: number;
  readonly candidateLength: number;
  readonly referenceLength: number;
}

interface Method4Case {
  readonly prediction: string[];
  readonly reference: string[];
  readonly weights: number[];
  readonly score: number;
}

const FILE = readJson<{ bleu: BleuCase[]; method4: Method4Case[] }>(fixture("metrics-text/metrics.json"));

describe("against sacreBLEU", () => {
  test.each(FILE.bleu.map((each, i) => [i, JSON.stringify(each.options), each] as const))(
    "%i: %s",
    (_i, _name, each) => {
      const got = corpusBleu(each.predictions, each.references, each.options);
      expect(got.score).toBeCloseTo(each.score, 14);
      expect(got.brevityPenalty).toBeCloseTo(each.brevityPenalty, 15);
      expect(got.candidateLength).toBe(each.candidateLength);
      expect(got.referenceLength).toBe(each.referenceLength);
      expect(got.precisions).toHaveLength(each.precisions.length);
      got.precisions.forEach((precision, n) => {
        expect(precision).toBeCloseTo(each.precisions[n], 15);
      });
    },
  );

  test("the cases hold every smoothing, some with nothing to match, and more than one reference", () => {
    expect(new Set(FILE.bleu.map(({ options }) => options.smoothing)).size).toBe(4);
    expect(FILE.bleu.some(({ references }) => references.some(({ length }) => length > 1))).toBe(true);
    const unmatched = FILE.bleu.filter((each) =>
      corpusBleu(each.predictions, each.references, each.options).counts.includes(0),
    );
    expect(unmatched.length).toBeGreaterThan(2);
  });
});

test.each(FILE.method4.map((each) => [JSON.stringify(each.weights), each] as const))(
  "method4 against NLTK, weights %s",
  (_name, { prediction, reference, weights, score }) => {
    const options = { smoothing: "method4", weights } as const;
    expect(sentenceBleu(prediction, [reference], options).score).toBeCloseTo(score, 14);
  },
);

describe("by hand", () => {
  const REFERENCE = "the quick brown fox jumps over a lazy dog near the river";

  test("precisions 11/12, 9/11, 8/10, 7/9 without a penalty give (7/15)^(1/4) = 0.8265", () => {
    const got = sentenceBleu(REFERENCE.replace("quick", "slow"), [REFERENCE]);
    expect(got.counts).toEqual([11, 9, 8, 7]);
    expect(got.totals).toEqual([12, 11, 10, 9]);
    expect(got.precisions).toEqual([11 / 12, 9 / 11, 8 / 10, 7 / 9]);
    expect(got.brevityPenalty).toBe(1);
    expect(got.score).toBeCloseTo(Math.sqrt(Math.sqrt(7 / 15)), 15);
    expect(Math.abs(got.score - 0.8266)).toBeLessThan(1e-4);
  });

  test("words count as often as in the reference that has them most often (Papineni et al., example 2)", () => {
    const references = ["the cat is on the mat", "there is a cat on the mat"];
    const got = sentenceBleu("the the the the the the the", references, { maxOrder: 1 });
    expect(got.precisions).toEqual([2 / 7]);
    expect(got.referenceLength).toBe(7);
  });

  test("the reference nearest in length counts, of two as near the shorter; too short costs e^(1 - r/c)", () => {
    const lengthFor = (lengths: number[]) =>
      sentenceBleu(
        Array<string>(6).fill("a"),
        lengths.map((n) => Array<string>(n).fill("a")),
      );
    expect(lengthFor([9, 8, 4]).referenceLength).toBe(4);
    expect(lengthFor([4, 8]).referenceLength).toBe(4);
    expect(lengthFor([9, 3, 7]).referenceLength).toBe(7);
    expect(lengthFor([9]).brevityPenalty).toBeCloseTo(Math.exp(-0.5), 15);
    expect(lengthFor([9]).score).toBeCloseTo(Math.exp(-0.5), 15);
    expect(lengthFor([3]).brevityPenalty).toBe(1);
  });

  test("a corpus adds up counts and lengths before it divides", () => {
    const got = corpusBleu(
      [
        ["a", "b"],
        ["c", "d", "e", "x"],
      ],
      [[["a", "b", "c"]], [["c", "d", "e"]]],
      { maxOrder: 2 },
    );
    expect(got.counts).toEqual([5, 3]);
    expect(got.totals).toEqual([6, 4]);
    expect([got.candidateLength, got.referenceLength]).toEqual([6, 6]);
    expect(got.score).toBeCloseTo(Math.sqrt((5 / 6) * (3 / 4)), 15);
  });

  test("what each smoothing makes of 4/5, 2/4, 0/3, 0/2", () => {
    const precisions = (smoothing: BleuSmoothing, smoothingValue?: number) => {
      const options = smoothingValue === undefined ? { smoothing } : { smoothing, smoothingValue };
      return sentenceBleu("a b x c d", ["a b c d y"], options);
    };
    expect(precisions("none").counts).toEqual([4, 2, 0, 0]);
    expect(precisions("none").precisions).toEqual([4 / 5, 2 / 4, 0, 0]);
    expect(precisions("none").score).toBe(0);
    expect(precisions("floor").precisions).toEqual([4 / 5, 2 / 4, 0.1 / 3, 0.1 / 2]);
    expect(precisions("floor", 0.5).precisions).toEqual([4 / 5, 2 / 4, 0.5 / 3, 0.5 / 2]);
    expect(precisions("add-k").precisions).toEqual([4 / 5, 3 / 5, 1 / 4, 1 / 3]);
    expect(precisions("add-k", 2).precisions).toEqual([4 / 5, 4 / 6, 2 / 5, 2 / 4]);
    expect(precisions("exp").precisions).toEqual([4 / 5, 2 / 4, 1 / 6, 1 / 8]);
    expect(precisions("method4", 1).precisions[3]).toBeCloseTo(Math.log(5) / 8, 15);
    expect(precisions("exp").counts).toEqual([4, 2, 0, 0]);
    expect(precisions("floor", 1e6).precisions).toEqual([4 / 5, 2 / 4, 1, 1]);
  });

  test("short texts: their orders alone for a sentence, 0 for a corpus", () => {
    expect(sentenceBleu("a b", ["a b"]).score).toBe(1);
    expect(sentenceBleu("a b", ["a b"], { effectiveOrder: false }).score).toBe(0);
    expect(corpusBleu(["a b"], [["a b"]]).score).toBe(0);
    expect(corpusBleu(["a b"], [["a b"]], { effectiveOrder: true }).score).toBe(1);
    // The orders that are left out take their weights with them.
    const weights = [0.25, 0.25, 0.5];
    expect(sentenceBleu("a x", ["a b"], { weights, smoothing: "floor" }).score).toBeCloseTo(Math.sqrt(0.05), 14);
    expect(sentenceBleu("a b", ["a b"], { weights: [0, 0, 1] }).score).toBe(0);
  });

  test("nothing in common, and nothing at all, is 0 under every smoothing", () => {
    for (const smoothing of ["none", "floor", "add-k", "exp", "method4"] as const) {
      for (const [prediction, reference] of [
        ["a b", "c d"],
        ["", "a"],
        ["a", ""],
        ["", ""],
      ]) {
        const got = sentenceBleu(prediction, [reference], { smoothing });
        expect(got.score).toBe(0);
        expect(got.precisions).toEqual([0, 0, 0, 0]);
      }
    }
    expect(sentenceBleu("", ["a"]).brevityPenalty).toBe(0);
  });
});

test("white space at the end goes before the text is cut, as in sacreBLEU", () => {
  // Otherwise the point would be followed by what is no digit, and the hyphen would be one at the end of a line.
  expect(sentenceBleu("in 1999. \n", ["in 1999."], { tokenize: "intl" }).totals).toEqual([2, 1, 0, 0]);
  expect(sentenceBleu("well-\n", ["well-"]).counts).toEqual([1, 0, 0, 0]);
});

test("tokens are compared as they are: words, ids, and numbers are not their digits", () => {
  expect(sentenceBleu([1, 2, 3, 4], [Int32Array.of(1, 2, 3, 4)]).score).toBe(1);
  expect(sentenceBleu([1, 2], [["1", "2"]]).score).toBe(0);
  expect(sentenceBleu(["a b"], [["a b"]]).totals).toEqual([1, 0, 0, 0]);
  const words = (text: string) => text.split("_");
  expect(sentenceBleu("A_b", ["a_b"], { tokenize: words, lowercase: true }).counts).toEqual([2, 1, 0, 0]);
});

test("100,000 tokens, all orders", () => {
  const tokens = Int32Array.from({ length: 100_000 }, (_, i) => (i * i) % 9973);
  const got = sentenceBleu(tokens, [tokens], { maxOrder: 8 });
  expect(got.score).toBe(1);
  expect(got.totals[7]).toBe(99_993);
});

describe("wrong input", () => {
  const cases: readonly [string, () => unknown, typeof TypeError, string][] = [
    [
      "a string for a corpus",
      () => corpusBleu("a" as never, [["a"]]),
      TypeError,
      'predictions: expected an array, got "a"',
    ],
    ["no references", () => corpusBleu(["a"], undefined as never), TypeError, "references: expected an array"],
    ["empty", () => corpusBleu([], []), RangeError, "predictions: expected at least one, got none"],
    [
      "lengths",
      () => corpusBleu(["a"], []),
      RangeError,
      "references: expected a list for each of 1 predictions, got 0",
    ],
    ["no list", () => corpusBleu(["a"], ["a"] as never), TypeError, 'references[0]: expected an array, got "a"'],
    ["an empty list", () => corpusBleu(["a"], [[]]), RangeError, "references[0]: expected at least one, got none"],
    ["a string", () => sentenceBleu("a", "a" as never), TypeError, 'references: expected an array, got "a"'],
    [
      "a number",
      () => sentenceBleu(7 as never, ["a"]),
      TypeError,
      "prediction: expected a string or an array of tokens",
    ],
    ["null in tokens", () => sentenceBleu([null] as never, [["a"]]), TypeError, "prediction[0]: expected a token"],
    [
      "words for texts",
      () => sentenceBleu(["a"], ["a"]),
      TypeError,
      "references[0]: expected tokens, as the prediction",
    ],
    [
      "tokens for texts",
      () => sentenceBleu("a", [["a"]]),
      TypeError,
      "references[0]: expected a string, as the prediction",
    ],
    [
      "tokenize for tokens",
      () => sentenceBleu(["a"], [["a"]], { tokenize: "13a" }),
      TypeError,
      "tokenize: applies to strings",
    ],
    [
      "lowercase for tokens",
      () => sentenceBleu(["a"], [["a"]], { lowercase: true }),
      TypeError,
      "lowercase: applies to str",
    ],
    [
      "a tokenizer's result",
      () => sentenceBleu("a", ["a"], { tokenize: (() => 3) as never }),
      TypeError,
      "tokenize(prediction): ",
    ],
    [
      "tokenize",
      () => sentenceBleu("a", ["a"], { tokenize: "zh" as never }),
      RangeError,
      "tokenize: expected a function or one",
    ],
    [
      "tokenize null",
      () => sentenceBleu("a", ["a"], { tokenize: null as never }),
      TypeError,
      "tokenize: expected a name or",
    ],
    [
      "smoothing",
      () => sentenceBleu("a", ["a"], { smoothing: "method9" as never }),
      RangeError,
      "smoothing: expected one of none",
    ],
    [
      "no value",
      () => sentenceBleu("a", ["a"], { smoothingValue: 1 }),
      TypeError,
      'smoothingValue: smoothing "exp" takes none',
    ],
    [
      "value",
      () => sentenceBleu("a", ["a"], { smoothing: "floor", smoothingValue: 0 }),
      RangeError,
      "smoothingValue: expected",
    ],
    [
      "maxOrder",
      () => sentenceBleu("a", ["a"], { maxOrder: 0 }),
      RangeError,
      "maxOrder: expected an integer from 1 to 100",
    ],
    [
      "weights",
      () => sentenceBleu("a", ["a"], { weights: [0.5, 0.4] }),
      RangeError,
      "weights: expected numbers that add up",
    ],
    [
      "a weight",
      () => sentenceBleu("a", ["a"], { weights: [2, -1] }),
      RangeError,
      "weights[1]: expected a finite number",
    ],
    [
      "no weights",
      () => sentenceBleu("a", ["a"], { weights: [] }),
      RangeError,
      "weights.length: expected an integer from 1",
    ],
    [
      "both",
      () => sentenceBleu("a", ["a"], { weights: [1], maxOrder: 2 }),
      RangeError,
      "weights: expected one for each",
    ],
    [
      "a flag",
      () => sentenceBleu("a", ["a"], { lowercase: 1 as never }),
      TypeError,
      "lowercase: expected true or false, got 1",
    ],
    [
      "an option",
      () => sentenceBleu("a", ["a"], { order: 4 } as never),
      TypeError,
      'sentenceBleu: unknown option "order"',
    ],
  ];
  test.each(cases)("%s", (_name, call, type, message) => {
    expect(call).toThrow(type);
    expect(call).toThrow(message);
  });
});

/** SQuAD's metrics against the rules of the official evaluation script, and the threshold against brute force. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { answerF1, bestNoAnswerThreshold, exactMatch, type NoAnswerExample, squadScores } from "./squad";

describe("exactMatch and answerF1", () => {
  // Values of the official script of SQuAD 2.0 (Python 3.11): [prediction, gold answers, exact match, F1].
  const CASES: readonly [string, readonly string[], number, number][] = [
    ["Paris", ["Paris"], 1, 1],
    ["The Eiffel Tower!", ["Eiffel tower", "la tour Eiffel"], 1, 1],
    ["in the city of Paris", ["Paris"], 0, 0.4],
    ["Paris Paris", ["Paris", "Paris Paris Texas"], 0, 0.8],
    ["don't", ["dont"], 1, 1],
    ["don’t", ["dont"], 0, 0],
    ["theatre", ["atre"], 0, 0],
    ["the-man", ["man"], 0, 0],
    ["the, man", ["man"], 1, 1],
    // é is a letter: no article stands before it. A combining accent is none, and white space by Unicode parts words.
    ["theé", ["é"], 0, 0],
    ["the\u0301", ["\u0301"], 1, 1],
    ["²the", ["²"], 0, 0],
    ["a\u3000b\u0085c\u001cd", ["b c d"], 1, 1],
    ["b\ufeffc", ["b c"], 0, 0],
    // No answer: only "" is right, and what is nothing but articles and punctuation is the same as "".
    ["", [], 1, 1],
    ["the.", [], 1, 1],
    ["Paris", [], 0, 0],
    ["", ["Paris"], 0, 0],
    // Gold answers of which nothing is left do not count beside others.
    ["", ["the", "Paris"], 0, 0],
    ["", ["the"], 1, 1],
  ];
  test.each(CASES)("%j for %j", (prediction, answers, exact, f1) => {
    expect(exactMatch(prediction, answers)).toBe(exact);
    expect(answerF1(prediction, answers)).toBeCloseTo(f1, 14);
  });

  test("what is no text throws", () => {
    expect(() => exactMatch(7 as never, [])).toThrow(TypeError);
    expect(() => answerF1("a", "Paris" as never)).toThrow('answers: expected an array of strings, got "Paris"');
  });
});

describe("squadScores", () => {
  test("percent, over all, and by whether there is an answer", () => {
    const scores = squadScores(["Paris", "in Rome", "", "x"], [["Paris"], ["Rome", "Roma"], [], []]);
    const f1 = 200 / 3;
    expect(scores.exactMatch).toBe(50);
    expect(scores.f1).toBeCloseTo((100 + f1 + 100 + 0) / 4, 12);
    expect(scores.total).toBe(4);
    expect(scores.hasAnswer?.exactMatch).toBe(50);
    expect(scores.hasAnswer?.f1).toBeCloseTo((100 + f1) / 2, 12);
    expect(scores.noAnswer).toEqual({ exactMatch: 50, f1: 50, total: 2 });
  });

  test("parts without questions are null; a gold answer of an article alone is an answer", () => {
    expect(squadScores(["b"], [["b"]]).noAnswer).toBeNull();
    expect(squadScores([""], [[]]).hasAnswer).toBeNull();
    expect(squadScores([""], [["the"]]).hasAnswer?.f1).toBe(100);
  });

  test("as many references as predictions; NaN of none", () => {
    expect(() => squadScores(["a"], [])).toThrow("references: expected one for each of 1 predictions, got 0");
    expect(squadScores([], []).f1).toBeNaN();
  });
});

describe("bestNoAnswerThreshold", () => {
  // Halves, so that sums and differences of scores are exact and ties are frequent.
  const score = fc.integer({ min: -12, max: 12 }).map((n) => n / 2);
  const example: fc.Arbitrary<NoAnswerExample> = fc.record({
    nullScore: score,
    bestSpanScore: fc.oneof({ weight: 9, arbitrary: score }, fc.constant(Number.NEGATIVE_INFINITY)),
    prediction: fc.constantFrom("x", "x y", "x y z", ""),
    answers: fc.constantFrom([], ["x"], ["z", "x q"]),
  });
  const meanF1 = (examples: readonly NoAnswerExample[], threshold: number) => {
    const f1 = ({ nullScore, bestSpanScore, prediction, answers }: NoAnswerExample) =>
      answerF1(bestSpanScore > nullScore + threshold ? prediction : "", answers);
    return (100 * examples.reduce((sum, each) => sum + f1(each), 0)) / examples.length;
  };

  test("no other threshold is better, nor as good and nearer to 0", () => {
    // Every difference is a half: these are all the thresholds that can be told apart, and what lies between.
    const thresholds = Array.from({ length: 201 }, (_, i) => (i - 100) / 4);
    fc.assert(
      fc.property(fc.array(example, { minLength: 1, maxLength: 12 }), (examples) => {
        const { threshold, f1 } = bestNoAnswerThreshold(examples);
        expect(f1).toBeCloseTo(meanF1(examples, threshold), 10);
        const differences = examples.map((each) => each.bestSpanScore - each.nullScore).filter(Number.isFinite);
        const sorted = [...new Set(differences)].sort((a, b) => a - b);
        const candidates = [...sorted, Number.NaN].map((d, i) =>
          i === 0 ? d - 1 : ((sorted[i] ?? sorted[i - 1] + 2) + sorted[i - 1]) / 2,
        );
        const best = Math.max(...thresholds.map((each) => meanF1(examples, each)));
        expect(f1).toBeCloseTo(best, 9);
        if (sorted.length === 0) {
          expect(threshold).toBe(0);
          return;
        }
        const equals = candidates.filter((each) => meanF1(examples, each) > best - 1e-9);
        equals.sort((a, b) => Math.abs(a) - Math.abs(b) || a - b);
        expect(threshold).toBe(equals[0]);
      }),
      { numRuns: 500 },
    );
  });

  test("between the answers to keep and those to drop", () => {
    const examples = [
      { nullScore: 1, bestSpanScore: 9, prediction: "Paris", answers: ["Paris"] },
      { nullScore: 1, bestSpanScore: 3, prediction: "Rome", answers: [] },
    ];
    expect(bestNoAnswerThreshold(examples)).toEqual({ threshold: 5, f1: 100 });
    // Of equals: everything answered (-1 - 1) and nothing answered (3 + 1) are as good; nearer to 0 wins.
    const even = [
      { nullScore: 1, bestSpanScore: 0, prediction: "Rome", answers: [] },
      { nullScore: 0, bestSpanScore: 3, prediction: "Paris", answers: ["Paris"] },
    ];
    expect(bestNoAnswerThreshold(even)).toEqual({ threshold: 1, f1: 100 });
  });

  test("differences that are neighbours are told apart", () => {
    for (const bestSpanScore of [1, 1 + Number.EPSILON, 1 + 2 * Number.EPSILON]) {
      const examples = [
        { nullScore: 0, bestSpanScore, prediction: "Rome", answers: [] },
        { nullScore: 0, bestSpanScore: bestSpanScore + Number.EPSILON, prediction: "Paris", answers: ["Paris"] },
      ];
      expect(bestNoAnswerThreshold(examples)).toEqual({ threshold: bestSpanScore, f1: 100 });
    }
  });

  test("scores must be finite, and there must be examples", () => {
    const good = { nullScore: 0, bestSpanScore: 1, prediction: "", answers: [] };
    expect(() => bestNoAnswerThreshold([])).toThrow("examples: expected at least one, got none");
    expect(() => bestNoAnswerThreshold([good, { ...good, nullScore: Number.NaN }])).toThrow(/examples\[1\].*NaN/);
    expect(() => bestNoAnswerThreshold([{ ...good, bestSpanScore: Number.POSITIVE_INFINITY }])).toThrow(RangeError);
    const far = { ...good, nullScore: -Number.MAX_VALUE, bestSpanScore: Number.MAX_VALUE };
    expect(() => bestNoAnswerThreshold([far])).toThrow(RangeError);
    expect(() => bestNoAnswerThreshold([{ ...good, answers: [1] as never }])).toThrow(/examples\[0\]\.answers/);
  });
});

test("what is no array throws, with the name of the argument", () => {
  for (const value of [undefined, null, 7, "Paris", {}]) {
    expect(() => exactMatch("a", value as never)).toThrow("answers: expected an array of strings, got ");
    expect(() => squadScores(value as never, [])).toThrow(TypeError);
    expect(() => squadScores(value as never, [])).toThrow("predictions: expected an array, got ");
    expect(() => squadScores([], value as never)).toThrow("references: expected an array, got ");
    expect(() => squadScores(["a"], [value as never])).toThrow("references[0]: expected an array of strings, got ");
    expect(() => bestNoAnswerThreshold(value as never)).toThrow("examples: expected an array, got ");
  }
  expect(() => squadScores([7 as never], [[]])).toThrow("predictions[0]: expected a string, got 7");
  expect(() => bestNoAnswerThreshold([null as never])).toThrow("examples[0]: expected an object, got null");
  const example = { nullScore: 0, bestSpanScore: 1, prediction: 7 as never, answers: [] };
  expect(() => bestNoAnswerThreshold([example])).toThrow("examples[0].prediction: expected a string, got 7");
});

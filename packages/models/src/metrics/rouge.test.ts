/** ROUGE against rouge_score 0.1.2, its stems against NLTK 3.10.4, its subsequences against the plain table. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fixture, readJson } from "../../../../tests/support/fixtures";
import { LcsText } from "./lcs";
import { porterStem } from "./porter";
import { corpusRouge, type RougeType, rouge } from "./rouge";

interface RougeCase {
  readonly prediction: string;
  readonly references: string[];
  readonly stem: boolean;
  /** Precision, recall, F1. */
  readonly scores: Record<RougeType, [number, number, number]>;
}

const FILE = readJson<{ rouge: RougeCase[]; stems: Record<string, string> }>(fixture("metrics-text/metrics.json"));

describe("against rouge_score", () => {
  test.each(FILE.rouge.map((each, i) => [i, JSON.stringify(each.prediction), each] as const))(
    "%i: %s",
    (_i, _name, each) => {
      const types = Object.keys(each.scores) as RougeType[];
      const got = rouge(each.prediction, each.references, { types, stem: each.stem });
      expect(Object.keys(got)).toEqual(types);
      for (const type of types) {
        const { precision, recall, f1 } = got[type];
        // To the last bit: only divisions and products, in the same order.
        expect([type, precision, recall, f1]).toEqual([type, ...each.scores[type]]);
      }
    },
  );
});

test("stems as NLTK's PorterStemmer", () => {
  const got = Object.keys(FILE.stems).map((word) => [word, porterStem(word)]);
  expect(got.length).toBeGreaterThan(100);
  expect(Object.fromEntries(got)).toEqual(FILE.stems);
});

describe("longest common subsequences", () => {
  // Every length around words of 32 bits, few letters so that much is carried, and some that are rare.
  const ids = fc
    .tuple(fc.integer({ min: 0, max: 140 }), fc.constantFrom(1, 2, 3, 30), fc.infiniteStream(fc.nat()))
    .map(([length, letters, stream]) => Int32Array.from({ length }, () => stream.next().value % letters));

  function table(a: Int32Array, b: Int32Array): Int32Array[] {
    const rows = Array.from({ length: a.length + 1 }, () => new Int32Array(b.length + 1));
    for (let i = 1; i <= a.length; i++) {
      for (let j = 1; j <= b.length; j++) {
        rows[i][j] = a[i - 1] === b[j - 1] ? rows[i - 1][j - 1] + 1 : Math.max(rows[i - 1][j], rows[i][j - 1]);
      }
    }
    return rows;
  }

  function positions(rows: Int32Array[], a: Int32Array, b: Int32Array): number[] {
    const found: number[] = [];
    for (let i = a.length, j = b.length; i > 0 && j > 0; ) {
      if (a[i - 1] === b[j - 1]) {
        found.push(i - 1);
        i--;
        j--;
      } else if (rows[i][j - 1] > rows[i - 1][j]) j--;
      else i--;
    }
    return found;
  }

  test("lengths and positions as by the plain table, one text against several", () => {
    fc.assert(
      fc.property(ids, fc.array(ids, { maxLength: 3 }), (a, others) => {
        const text = new LcsText(a);
        for (const b of others) {
          const rows = table(a, b);
          expect(text.length(b)).toBe(rows[a.length][b.length]);
          const found = new Set<number>();
          text.addPositions(b, found);
          expect([...found]).toEqual(positions(rows, a, b));
        }
      }),
      { numRuns: 300 },
    );
  });

  test("20,000 tokens a side need no table of 400 million cells", () => {
    const a = Int32Array.from({ length: 20_000 }, (_, i) => (i * i) % 997);
    const text = new LcsText(a);
    expect(text.length(a)).toBe(a.length);
    const found = new Set<number>();
    text.addPositions(a.slice(5), found);
    expect(found.size).toBe(a.length - 5);
    const length = text.length(a.slice().reverse());
    found.clear();
    text.addPositions(a.slice().reverse(), found);
    expect(found.size).toBe(length);
    expect(length).toBeGreaterThan(100);
  });
});

describe("by hand", () => {
  test("n-grams and subsequences", () => {
    const got = rouge("police kill the gunman", ["police killed the gunman"]);
    expect(got.rouge1).toEqual({ precision: 3 / 4, recall: 3 / 4, f1: 3 / 4 });
    expect(got.rouge2.f1).toBeCloseTo(1 / 3, 15);
    expect(got.rougeL.f1).toBe(3 / 4);
    // Lin's example: one bigram in common, and a subsequence of two.
    expect(rouge("the gunman kill police", ["police killed the gunman"]).rougeL.recall).toBe(2 / 4);
    expect(rouge("police killing the gunman", ["police killed the gunman"], { stem: true }).rouge2.f1).toBe(1);
  });

  test("stems are of words of more than three letters", () => {
    const f1 = (a: string, b: string) => rouge(a, [b], { types: ["rouge1"], stem: true }).rouge1.f1;
    expect(f1("cats", "cat")).toBe(1);
    expect(f1("was", "wa")).toBe(0);
  });

  test("rougeLsum is the union over sentences (Lin 2004, section 3.2)", () => {
    // w1 w2 of the first sentence, w1 w3 w5 of the second: four of five words.
    const got = rouge("w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", ["w1 w2 w3 w4 w5"], { types: ["rougeLsum"] });
    expect(got).toEqual({ rougeLsum: { precision: 4 / 10, recall: 4 / 5, f1: (2 * 0.4 * 0.8) / (0.4 + 0.8) } });
    const sentences = (text: string) => text.split("|");
    const cut = rouge("a b|c d", ["c d|a b"], { types: ["rougeL", "rougeLsum"], sentences });
    expect([cut.rougeL.f1, cut.rougeLsum.f1]).toEqual([0.5, 1]);
  });

  test("tokens are compared as they are, and are one sentence", () => {
    const got = rouge([1, 2, 3, 4], [Int32Array.of(3, 4, 1, 2)]);
    expect([got.rouge1.f1, got.rouge2.f1, got.rougeL.f1, got.rougeLsum.f1]).toEqual([1, 2 / 3, 0.5, 0.5]);
    expect(rouge(["Ä"], [["ä"]]).rouge1.f1).toBe(0);
    expect(rouge("Ä é", ["Ä é"]).rouge1.f1).toBe(0);
    expect(rouge("Ä é", ["Ä e"], { tokenize: (text) => text.split(" ") }).rouge1.f1).toBe(0.5);
  });

  test("the best reference by type, the first of equals", () => {
    const got = rouge("a b c d", ["d c b a", "a b x y", "a b x z z"]);
    expect(got.rouge1.f1).toBe(1);
    expect(got.rougeL).toEqual({ precision: 0.5, recall: 0.5, f1: 0.5 });
    expect(rouge("a b", ["a", "b"], { types: ["rouge1"] }).rouge1).toEqual({ precision: 0.5, recall: 1, f1: 2 / 3 });
  });

  test("means over a corpus; nothing in common is 0", () => {
    const got = corpusRouge(["a b", "a", ""], [["a b"], ["a b"], ["a"]], { types: ["rouge1"] });
    expect(got.rouge1).toEqual({ precision: 2 / 3, recall: 0.5, f1: (1 + 2 / 3) / 3 });
    const zero = { precision: 0, recall: 0, f1: 0 };
    for (const [prediction, reference] of [
      ["", ""],
      ["a", ""],
      ["", "a"],
      ["a", "b"],
      ["\n", "\n"],
    ]) {
      expect(rouge(prediction, [reference])).toEqual({ rouge1: zero, rouge2: zero, rougeL: zero, rougeLsum: zero });
    }
  });
});

describe("wrong input", () => {
  const cases: readonly [string, () => unknown, typeof TypeError, string][] = [
    [
      "a string for a corpus",
      () => corpusRouge("a" as never, [["a"]]),
      TypeError,
      'predictions: expected an array, got "a"',
    ],
    ["empty", () => corpusRouge([], []), RangeError, "predictions: expected at least one, got none"],
    [
      "lengths",
      () => corpusRouge(["a"], []),
      RangeError,
      "references: expected a list for each of 1 predictions, got 0",
    ],
    ["no list", () => corpusRouge(["a"], ["a"] as never), TypeError, 'references[0]: expected an array, got "a"'],
    ["an empty list", () => rouge("a", []), RangeError, "references: expected at least one, got none"],
    ["a string", () => rouge("a", "a" as never), TypeError, 'references: expected an array, got "a"'],
    [
      "null",
      () => rouge(null as never, ["a"]),
      TypeError,
      "prediction: expected a string or an array of tokens, got null",
    ],
    ["words for texts", () => rouge(["a"], ["a"]), TypeError, "references[0]: expected tokens, as the prediction is"],
    ["types", () => rouge("a", ["a"], { types: ["rouge0" as never] }), RangeError, "types: expected rouge1 to rouge9"],
    ["types", () => rouge("a", ["a"], { types: "rouge1" as never }), TypeError, "types: expected an array"],
    ["no types", () => rouge("a", ["a"], { types: [] }), RangeError, "types: expected at least one, got none"],
    ["stem of tokens", () => rouge(["a"], [["a"]], { stem: true }), TypeError, "stem: applies to strings"],
    [
      "stem and tokenize",
      () => rouge("a", ["a"], { stem: true, tokenize: () => [] }),
      TypeError,
      "stem: is of the standard",
    ],
    ["tokenize", () => rouge("a", ["a"], { tokenize: "13a" as never }), TypeError, "tokenize: expected a function"],
    [
      "a tokenizer's result",
      () => rouge("a", ["a"], { tokenize: () => [{}] as never }),
      TypeError,
      "tokenize(prediction)[0]: ",
    ],
    [
      "no sentences",
      () => rouge("a", ["a"], { sentences: () => "a" as never }),
      TypeError,
      "sentences(prediction): expected",
    ],
    [
      "no rougeLsum",
      () => rouge("a", ["a"], { types: ["rougeL"], sentences: () => [] }),
      TypeError,
      "sentences: is for rou",
    ],
    ["an option", () => rouge("a", ["a"], { stemmer: true } as never), TypeError, 'rouge: unknown option "stemmer"'],
  ];
  test.each(cases)("%s", (_name, call, type, message) => {
    expect(call).toThrow(type);
    expect(call).toThrow(message);
  });
});

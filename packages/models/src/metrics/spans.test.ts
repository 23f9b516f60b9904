/** Spans of tags against seqeval 1.2.2: `get_entities`, and its strict schemes. */

import { describe, expect, test } from "vitest";
import { spanScores, type TagScheme, tagSpans } from "./spans";

// Random tags, and what seqeval makes of them: [type, start, end], mostly of sequences that break their scheme.
const CASES: readonly [TagScheme, string, readonly [string, number, number][]][] = [
  [
    "conll",
    "I-X B S-Y I-Y E-X E-Y B-Y",
    [
      ["X", 0, 1],
      ["_", 1, 2],
      ["Y", 2, 3],
      ["Y", 3, 4],
      ["X", 4, 5],
      ["Y", 5, 6],
      ["Y", 6, 7],
    ],
  ],
  [
    "conll",
    "O O E-X E-Y I-X I-Y E-Y B-X",
    [
      ["X", 2, 3],
      ["Y", 3, 4],
      ["X", 4, 5],
      ["Y", 5, 7],
      ["X", 7, 8],
    ],
  ],
  [
    "conll",
    "I-X E-X S-Y B-Y B-X I-Y O B-X",
    [
      ["X", 0, 2],
      ["Y", 2, 3],
      ["Y", 3, 4],
      ["X", 4, 5],
      ["Y", 5, 6],
      ["X", 7, 8],
    ],
  ],
  [
    "IOB1",
    "I-Y O O B-X O I-X",
    [
      ["Y", 0, 1],
      ["X", 5, 6],
    ],
  ],
  [
    "IOB1",
    "B-Y I-Y O O B-Y I-Y B-Y O",
    [
      ["Y", 1, 2],
      ["Y", 5, 6],
      ["Y", 6, 7],
    ],
  ],
  [
    "IOB1",
    "O I-X I-X I-Y B-X O",
    [
      ["X", 1, 3],
      ["Y", 3, 4],
    ],
  ],
  [
    "IOB1",
    "I-X B-X B-Y B-Y",
    [
      ["X", 0, 1],
      ["Y", 3, 4],
    ],
  ],
  [
    "IOB2",
    "O B-X I-Y B-Y I-Y I-Y",
    [
      ["X", 1, 2],
      ["Y", 3, 6],
    ],
  ],
  [
    "IOB2",
    "B-X I-X O B-Y I-X I-Y I-X B-Y I-X",
    [
      ["X", 0, 2],
      ["Y", 3, 4],
      ["Y", 7, 8],
    ],
  ],
  ["IOB2", "O I-X I-Y B-Y O I-Y O O O", [["Y", 3, 4]]],
  ["IOE2", "O O I-X O O I-X", []],
  [
    "IOE2",
    "I-X I-X E-X O I-Y E-Y",
    [
      ["X", 0, 3],
      ["Y", 4, 6],
    ],
  ],
  [
    "IOE2",
    "E-Y O E-X I E-X E-Y I-X I-Y",
    [
      ["Y", 0, 1],
      ["X", 2, 3],
      ["X", 4, 5],
      ["Y", 5, 6],
    ],
  ],
  [
    "IOBES",
    "O I-X O S-Y B B-Y E-Y",
    [
      ["Y", 3, 4],
      ["Y", 5, 7],
    ],
  ],
  [
    "IOBES",
    "S-Y E-Y I-X B-Y I-Y E-X S-X",
    [
      ["Y", 0, 1],
      ["X", 6, 7],
    ],
  ],
  ["BILOU", "I-Y L-X B-Y I-Y L-Y B-Y I-X", [["Y", 2, 5]]],
  ["BILOU", "O L-X U-Y I-X I-X I-Y", [["Y", 2, 3]]],
];

describe("tagSpans", () => {
  test.each(CASES)("%s: %s", (scheme, tags, expected) => {
    const spans = tagSpans(tags.split(" "), { scheme });
    expect(spans).toEqual(expected.map(([type, start, end]) => ({ type, start, end })));
  });

  test("types may have hyphens; without tags there are no spans", () => {
    expect(tagSpans(["B-geo-loc", "I-geo-loc"])).toEqual([{ type: "geo-loc", start: 0, end: 2 }]);
    expect(tagSpans([])).toEqual([]);
  });

  test("tags that are none of the scheme throw", () => {
    expect(() => tagSpans(["O", "U-PER"])).toThrow(
      'tags[1]: expected O, or one of B-, I-, E-, S- and a type, got "U-PER"',
    );
    expect(() => tagSpans(["E-PER"], { scheme: "IOB2" })).toThrow(RangeError);
    for (const tag of ["", "PER", "BPER", "o"]) expect(() => tagSpans([tag])).toThrow(RangeError);
    expect(() => tagSpans([3 as never])).toThrow(TypeError);
    expect(() => tagSpans([], { scheme: "toString" as never })).toThrow("scheme: expected one of conll, IOB1");
    expect(() => tagSpans([], { mode: "strict" } as never)).toThrow(TypeError);
  });
});

describe("spanScores", () => {
  const split = (texts: readonly string[]) => texts.map((text) => text.split(" "));

  test("by type, micro and macro, as precision_recall_fscore_support", () => {
    const references = split(["I-X I-X B-Y E-X S-X", "S-Y O S-Y", "I-Y O I-X", "I-X S-Y B-Y"]);
    const predictions = split(["E-Y I-X S-X E-X S-X", "S-Y O I-X", "I-Y O I-X", "O S-Y B-Y"]);
    const { perLabel, micro, macro } = spanScores(predictions, references);
    expect(micro).toEqual({ precision: 7 / 11, recall: 7 / 11, f1: 7 / 11, support: 11 });
    expect(macro.precision).toBeCloseTo(0.65, 15);
    expect(macro.recall).toBeCloseTo(0.6333333333333333, 15);
    expect(macro.f1).toBeCloseTo(0.6363636363636362, 15);
    expect([...perLabel.keys()]).toEqual(["X", "Y"]);
    expect(perLabel.get("Y")).toEqual({ precision: 4 / 5, recall: 4 / 6, f1: 8 / 11, support: 6 });
  });

  test("strict, as mode='strict'", () => {
    const references = split(["B-X B-Y O B-Y I-X B-X", "O O I-Y B-Y", "O B-X I-X I-Y"]);
    const predictions = split(["I-X B-Y O B-Y I-X B-X", "O O I-Y I-X", "O B-X I-X O"]);
    const { micro } = spanScores(predictions, references, { scheme: "IOB2" });
    expect(micro.precision).toBe(1);
    expect(micro.recall).toBeCloseTo(2 / 3, 15);
    expect(micro.f1).toBeCloseTo(0.8, 15);
  });

  test("a span is not continued from one text into the next", () => {
    const { micro } = spanScores([["B-X"], ["I-X"]], [["B-X"], ["I-X"]]);
    expect(micro.support).toBe(2);
  });

  test("nothing marked gives zeros, and unequal lengths throw", () => {
    expect(spanScores([["O"]], [["O"]]).macro).toEqual({ precision: 0, recall: 0, f1: 0, support: 0 });
    expect(() => spanScores([], [["O"]])).toThrow(RangeError);
    expect(() => spanScores([["O"]], [["O", "O"]])).toThrow(
      "spanScores: text 0: expected as many predictions as references, got 1 and 2",
    );
  });

  test("what is no array throws, with the name of the argument", () => {
    for (const value of [undefined, null, 7, "O", {}]) {
      expect(() => tagSpans(value as never)).toThrow(TypeError);
      expect(() => tagSpans(value as never)).toThrow("tags: expected an array, got ");
      expect(() => spanScores(value as never, [])).toThrow("spanScores: predictions: expected an array, got ");
      expect(() => spanScores([], value as never)).toThrow("spanScores: references: expected an array, got ");
      expect(() => spanScores([value as never], [["O"]])).toThrow("spanScores: text 0: predictions: expected an array");
      expect(() => spanScores([["O"]], [value as never])).toThrow("spanScores: text 0: references: expected an array");
    }
    expect(() => spanScores([{ length: 0 } as never], [[]])).toThrow("predictions[0]: expected an array");
  });
});

/** Grouping of tokens by hand-made scores, and the merging of windows. */

import { describe, expect, test } from "vitest";
import { type Aggregation, groupTokens, mergeEntities, mergeTokens, type ScoredToken } from "./entities";

const LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];

/** "Mi crosoft": of each token its place, whether it continues a word, and the scores of the labels. */
function tokens(...rows: [start: number, end: number, continuesWord: boolean, ...scores: number[]][]): ScoredToken[] {
  return rows.map(([start, end, continuesWord, ...scores]) => ({ start, end, continuesWord, scores }));
}

/** A token that is surely of one label. */
const sure = (start: number, label: string): ScoredToken => ({
  start,
  end: start + 1,
  continuesWord: false,
  scores: LABELS.map((each) => (each === label ? 1 : 0)),
});

const group = (given: readonly ScoredToken[], aggregation: Aggregation) =>
  groupTokens(given, LABELS, aggregation).map(({ label, start, end, score }) => [label, start, end, score]);

describe("spans of one type", () => {
  const labels = (...given: string[]) =>
    group(
      given.map((label, i) => sure(i, label)),
      "simple",
    ).map(([label, start, end]) => `${label} ${start}-${end}`);

  test("B- begins another, I- goes on, also after another I- and after its own B-", () => {
    expect(labels("B-PER", "I-PER", "B-PER", "I-PER", "I-LOC", "I-LOC", "B-LOC")).toEqual([
      "PER 0-2",
      "PER 2-4",
      "LOC 4-6",
      "LOC 6-7",
    ]);
  });

  test("what lies between parts them, and is a span too", () => {
    expect(labels("I-PER", "O", "O", "I-PER")).toEqual(["PER 0-1", "O 1-3", "PER 3-4"]);
  });

  test("labels without marks are types; other marks are no part of it", () => {
    const all = ["ADJ", "date-of-birth", "E-LOC", "I-LOC"];
    const spans = all.map((_, i): ScoredToken => {
      return { start: i, end: i + 1, continuesWord: false, scores: all.map((_, j) => (i === j ? 1 : 0)) };
    });
    expect(groupTokens(spans, all, "simple").map(({ label }) => label)).toEqual(["ADJ", "date-of-birth", "LOC", "LOC"]);
  });
});

describe("words", () => {
  // Two words: the first has two tokens that disagree.
  const given = tokens(
    [0, 2, false, 0.1, 0.5, 0.2, 0.2, 0],
    [2, 9, true, 0.2, 0, 0, 0.1, 0.7],
    [10, 12, false, 0, 0, 0, 0, 1],
  );

  test.each<[Aggregation, (string | number)[][]]>([
    [
      "none",
      [
        ["B-PER", 0, 2, 0.5],
        ["I-LOC", 2, 9, 0.7],
        ["I-LOC", 10, 12, 1],
      ],
    ],
    [
      "simple",
      [
        ["PER", 0, 2, 0.5],
        ["LOC", 2, 12, 0.85],
      ],
    ],
    [
      "first",
      [
        ["PER", 0, 9, 0.5],
        ["LOC", 10, 12, 1],
      ],
    ],
    ["average", [["LOC", 0, 12, 0.675]]],
    ["max", [["LOC", 0, 12, 0.85]]],
  ])("%s", (aggregation, wanted) => {
    expect(group(given, aggregation)).toEqual(wanted);
  });

  test("a text may begin with the rest of a word", () => {
    expect(group(given.slice(1), "first")).toEqual([["LOC", 2, 12, 0.85]]);
    expect(group([], "max")).toEqual([]);
  });
});

describe("windows", () => {
  const span = (label: string, start: number, end: number, score: number) => ({ label, start, end, score });

  test("of entities that overlap the longest stays, then the better", () => {
    const windows = [
      [span("PER", 0, 4, 0.9), span("LOC", 10, 14, 0.9), span("ORG", 20, 22, 0.5)],
      [span("LOC", 10, 18, 0.2), span("MISC", 20, 22, 0.6), span("PER", 22, 24, 0.1)],
    ];
    expect(mergeEntities(windows)).toEqual([windows[0][0], windows[1][0], windows[1][1], windows[1][2]]);
    expect(mergeEntities([[], []])).toEqual([]);
  });

  test("a token comes from the window that shows more around it", () => {
    const names = (window: string, from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => `${window}${from + i}`);
    // Tokens 3 and 4 are in both.
    expect(mergeTokens([names("a", 0, 5), names("b", 3, 8)], 2)).toEqual("a0 a1 a2 a3 b4 b5 b6 b7".split(" "));
    expect(mergeTokens([names("a", 0, 3)], 2)).toEqual(["a0", "a1", "a2"]);
    expect(mergeTokens([], 2)).toEqual([]);
  });
});

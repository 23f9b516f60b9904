import { describe, expect, test } from "vitest";
import { pool } from "./pooling";
import { POOLINGS, type Pooling } from "./sentence-settings";

// Three tokens of two numbers.
const HIDDEN = Float32Array.of(1, -8, 2, 4, 6, 1);

describe("pool", () => {
  const cases: [pooling: Pooling, all: number[], withoutFirst: number[], without: number[]][] = [
    ["mean", [3, -1], [4, 2.5], [0, 0]],
    ["cls", [1, -8], [2, 4], [1, -8]],
    ["max", [6, 4], [6, 4], [0, 0]],
    ["weightedMean", [23 / 6, 3 / 6], [22 / 5, 11 / 5], [0, 0]],
    ["lastToken", [6, 1], [6, 1], [0, 0]],
    ["meanSqrtLength", [9 / Math.sqrt(3), -3 / Math.sqrt(3)], [8 / Math.sqrt(2), 5 / Math.sqrt(2)], [0, 0]],
  ];

  test("every pooling is here", () => {
    expect(cases.map(([pooling]) => pooling)).toEqual(expect.arrayContaining([...POOLINGS]));
  });

  test.each(cases)("%s of all tokens, of those behind a prompt, and of none", (pooling, all, withoutFirst, without) => {
    expect([...pool(HIDDEN, 2, [pooling], 0)]).toEqual(all);
    expect([...pool(HIDDEN, 2, [pooling], 1)]).toEqual(withoutFirst);
    expect([...pool(HIDDEN, 2, [pooling], 3)]).toEqual(without);
    expect([...pool(HIDDEN, 2, [pooling], 9)]).toEqual(without);
  });

  test("several stand one behind the other, in their order", () => {
    expect([...pool(HIDDEN, 2, ["lastToken", "cls", "max"], 0)]).toEqual([6, 1, 1, -8, 6, 4]);
  });

  test("sums in double precision", () => {
    const hidden = Float32Array.of(2 ** 25, 1, 1, 1);
    expect([...pool(hidden, 1, ["mean"], 0)]).toEqual([(2 ** 25 + 3) / 4]);
  });
});

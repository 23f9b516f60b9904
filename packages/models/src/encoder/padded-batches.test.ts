/** Batches as data: what they look like, and that nothing is lost. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { packByTokens, paddedBatches, restoreOrder } from "./padded-batches";

const SEQUENCES = [
  [4, 7, 9, 15, 23, 18],
  [2, 8, 10],
  [3, 13, 2, 8],
];

describe("paddedBatches", () => {
  test("one batch keeps the order, and pads on the right with 0", () => {
    expect(paddedBatches(SEQUENCES)).toEqual([
      {
        ids: [
          [4, 7, 9, 15, 23, 18],
          [2, 8, 10, 0, 0, 0],
          [3, 13, 2, 8, 0, 0],
        ],
        attentionMask: [
          [1, 1, 1, 1, 1, 1],
          [1, 1, 1, 0, 0, 0],
          [1, 1, 1, 1, 0, 0],
        ],
        indices: [0, 1, 2],
      },
    ]);
  });

  test("sorted by length, longest first, and cut by size", () => {
    const batches = paddedBatches(SEQUENCES, { batchSize: 2, padId: 9, side: "left" });
    expect(batches).toEqual([
      {
        ids: [
          [4, 7, 9, 15, 23, 18],
          [9, 9, 3, 13, 2, 8],
        ],
        attentionMask: [
          [1, 1, 1, 1, 1, 1],
          [0, 0, 1, 1, 1, 1],
        ],
        indices: [0, 2],
      },
      { ids: [[2, 8, 10]], attentionMask: [[1, 1, 1]], indices: [1] },
    ]);
  });

  test("the budget counts the padding: 3 and 4 ids make 8", () => {
    expect(paddedBatches(SEQUENCES, { maxTokens: 8 }).map(({ indices }) => indices)).toEqual([[0], [1, 2]]);
    expect(paddedBatches(SEQUENCES, { maxTokens: 7 }).map(({ indices }) => indices)).toEqual([[0], [2], [1]]);
    expect(paddedBatches(SEQUENCES, { maxTokens: 1 }).map(({ indices }) => indices)).toEqual([[0], [2], [1]]);
  });

  test("every sequence comes back, within the limits, in the caller's order", () => {
    const sequence = fc.array(fc.integer({ min: 1, max: 30_000 }), { maxLength: 20 });
    fc.assert(
      fc.property(
        fc.array(sequence, { maxLength: 15 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 60 }),
        fc.constantFrom("left" as const, "right" as const),
        (sequences, batchSize, maxTokens, side) => {
          const batches = paddedBatches(
            sequences.map((each) => Int32Array.from(each)),
            { batchSize, maxTokens, side },
          );
          let longest = Number.POSITIVE_INFINITY;
          for (const { ids, attentionMask, indices } of batches) {
            expect(ids.length).toBeLessThanOrEqual(batchSize);
            if (ids.length > 1) expect(ids.length * ids[0].length).toBeLessThanOrEqual(maxTokens);
            expect(indices).toEqual([...indices].sort((a, b) => a - b));
            ids.forEach((row, i) => {
              expect(row.length).toBe(ids[0].length);
              expect(attentionMask[i].length).toBe(row.length);
              if (side === "left") expect(attentionMask[i]).toEqual([...attentionMask[i]].sort());
            });
            const lengths = indices.map((index) => sequences[index].length);
            expect(Math.max(...lengths)).toBe(ids[0].length);
            expect(Math.max(...lengths)).toBeLessThanOrEqual(longest);
            longest = Math.min(...lengths);
          }
          const rows = batches.map((batch) =>
            batch.ids.map((r, i) => r.filter((_, t) => batch.attentionMask[i][t] === 1)),
          );
          expect(
            restoreOrder(
              rows,
              batches.map(({ indices }) => indices),
            ),
          ).toEqual(sequences);
        },
      ),
    );
  });

  test("nothing gives nothing; what is wrong throws", () => {
    expect(paddedBatches([])).toEqual([]);
    expect(paddedBatches([[]])).toEqual([{ ids: [[]], attentionMask: [[]], indices: [0] }]);
    expect(() => paddedBatches([[1], [2, 0.5]])).toThrow("sequences[1][1]: expected an integer at least 0, got 0.5");
    expect(() => paddedBatches([], { batchSize: 0 })).toThrow("batchSize: expected an integer at least 1, got 0");
    expect(() => paddedBatches([], { maxTokens: 2.5 })).toThrow(RangeError);
    expect(() => paddedBatches([], { padId: -1 })).toThrow(RangeError);
    expect(() => paddedBatches([], { side: "up" as never })).toThrow('side: expected "right" or "left", got up');
    expect(() => paddedBatches([], { size: 3 } as never)).toThrow(TypeError);
  });
});

test("restoreOrder takes a permutation, whole", () => {
  expect(restoreOrder([["c", "a"], ["b"]], [[2, 0], [1]])).toEqual(["a", "b", "c"]);
  expect(() => restoreOrder([["a"]], [])).toThrow("indices: expected those of 1 batches, got 0");
  expect(() => restoreOrder([["a"]], [[0, 1]])).toThrow("indices[0]: expected one for each of 1 results, got 2");
  expect(() => restoreOrder([["a"], ["b"]], [[0], [0]])).toThrow("indices[1][0]: 0 comes twice");
  expect(() => restoreOrder([["a"]], [[1]])).toThrow(RangeError);
});

describe("packByTokens", () => {
  test("longest first, equals as given, cut by the sum", () => {
    expect(packByTokens([5, 2, 9, 3], 8)).toEqual([[2], [0, 3], [1]]);
    expect(packByTokens([1, 1, 1, 1, 1], 2)).toEqual([[0, 1], [2, 3], [4]]);
    expect(packByTokens([0, 4, 0], 4)).toEqual([[1, 0, 2]]);
    expect(packByTokens([], 4)).toEqual([]);
  });

  test("each index once, no batch over the budget unless alone, none that could have taken the next", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(40)), fc.integer({ min: 1, max: 60 }), (lengths, maxTokens) => {
        const batches = packByTokens(lengths, maxTokens);
        const sum = (batch: readonly number[]) => batch.reduce((total, index) => total + lengths[index], 0);
        expect(batches.flat().sort((a, b) => a - b)).toEqual([...lengths.keys()]);
        batches.forEach((batch, i) => {
          if (batch.length > 1) expect(sum(batch)).toBeLessThanOrEqual(maxTokens);
          if (i > 0) expect(sum(batches[i - 1]) + lengths[batch[0]]).toBeGreaterThan(maxTokens);
        });
      }),
    );
  });

  test("what is wrong throws", () => {
    expect(() => packByTokens([1], 0)).toThrow("maxTokens: expected an integer at least 1, got 0");
    expect(() => packByTokens([1, -1], 4)).toThrow("lengths[1]: expected an integer at least 0, got -1");
  });
});

/** Batches as data: sequences of unequal length, sorted and cut so that little is padded, or packed without padding. */

import { checkInteger, checkOptions } from "@qkv/core";

/** Options of `paddedBatches`. Without `batchSize` and `maxTokens` everything is one batch. */
export interface PaddedBatchesOptions {
  /** The id that fills rows up, 0 if left out. */
  readonly padId?: number;
  /** Most sequences of a batch. */
  readonly batchSize?: number;
  /** Most ids of a batch, padding included: rows times the longest. A longer sequence gets a batch alone. */
  readonly maxTokens?: number;
  /** Where padding goes: `right`, after the ids, if left out. */
  readonly side?: "right" | "left";
}

/** Some sequences as a rectangle [B, T], T being the longest of them. */
export interface PaddedBatch {
  /** [B, T] */
  readonly ids: number[][];
  /** [B, T]: 1 for an id of the sequence, 0 for padding. */
  readonly attentionMask: number[][];
  /** [B]: which of the given sequences each row is. Ascending. */
  readonly indices: number[];
}

/**
 * Sequences as padded rectangles, for whatever takes them so. They are sorted by length, longest first (what needs most
 * memory comes first), and cut by `batchSize` and `maxTokens`, so that a batch pads little; within a batch they keep the
 * order in which they were given. `restoreOrder` puts results back.
 *
 * @param sequences ids of each
 * @throws RangeError for ids, sizes and sides that are none; TypeError for unknown options
 * @example
 * paddedBatches([[4, 7, 9], [2, 8]]);
 * // [{ ids: [[4, 7, 9], [2, 8, 0]], attentionMask: [[1, 1, 1], [1, 1, 0]], indices: [0, 1] }]
 */
export function paddedBatches(
  sequences: readonly ArrayLike<number>[],
  options: PaddedBatchesOptions = {},
): PaddedBatch[] {
  checkOptions("paddedBatches", options, ["padId", "batchSize", "maxTokens", "side"]);
  const { padId = 0, side = "right" } = options;
  const { batchSize = Number.MAX_SAFE_INTEGER, maxTokens = Number.MAX_SAFE_INTEGER } = options;
  checkInteger("padId", padId, 0);
  checkInteger("batchSize", batchSize, 1);
  checkInteger("maxTokens", maxTokens, 1);
  if (side !== "right" && side !== "left") {
    throw new RangeError(`side: expected "right" or "left", got ${String(side)}`);
  }
  if (!Array.isArray(sequences as unknown))
    throw new TypeError(`paddedBatches: expected an array, got ${String(sequences)}`);
  const lengths = sequences.map((sequence) => sequence.length);
  // The first of a batch is its longest: with it the rectangle is as wide as it gets.
  const groups = cut(lengths, (rows, width) => rows <= batchSize && rows * width <= maxTokens);
  return groups.map((indices) => {
    const width = lengths[indices[0]];
    indices.sort((a, b) => a - b);
    const attentionMask = indices.map((index) => padded(new Array(lengths[index]).fill(1), width, 0, side));
    const ids = indices.map((index) => {
      const row = Array.from(sequences[index]);
      row.forEach((id, position) => {
        checkInteger(`sequences[${index}][${position}]`, id, 0);
      });
      return padded(row, width, padId, side);
    });
    return { ids, attentionMask, indices };
  });
}

function padded(row: number[], width: number, fill: number, side: "right" | "left"): number[] {
  const padding = new Array<number>(width - row.length).fill(fill);
  return side === "right" ? [...row, ...padding] : [...padding, ...row];
}

/**
 * Results of batches in the order of what was given.
 *
 * @param results of each batch, one for each of its rows
 * @param indices which of the given each row was: the `indices` of `paddedBatches`, or what `packByTokens` gives
 * @throws RangeError unless there is one result for each, and each index from 0 on comes once
 * @example
 * const batches = paddedBatches([[2, 8], [4, 7, 9]], { batchSize: 1 });
 * restoreOrder(batches.map(({ ids }) => ids.map((row) => row.length)), batches.map(({ indices }) => indices)); // [2, 3]
 */
export function restoreOrder<T>(results: readonly ArrayLike<T>[], indices: readonly ArrayLike<number>[]): T[] {
  if (results.length !== indices.length) {
    throw new RangeError(`indices: expected those of ${results.length} batches, got ${indices.length}`);
  }
  let count = 0;
  results.forEach((batch, b) => {
    if (batch.length !== indices[b].length) {
      throw new RangeError(`indices[${b}]: expected one for each of ${batch.length} results, got ${indices[b].length}`);
    }
    count += batch.length;
  });
  const out = new Array<T>(count);
  const seen = new Uint8Array(count);
  results.forEach((batch, b) => {
    for (let i = 0; i < batch.length; i++) {
      const index = checkInteger(`indices[${b}][${i}]`, indices[b][i], 0, count - 1);
      if (seen[index] === 1) throw new RangeError(`indices[${b}][${i}]: ${index} comes twice`);
      seen[index] = 1;
      out[index] = batch[i];
    }
  });
  return out;
}

/**
 * Which texts to run together where nothing is padded: indices sorted by length, longest first (equals as given), cut so
 * that the lengths of a batch sum up to at most `maxTokens`. A longer text gets a batch alone.
 *
 * @param lengths of each text
 * @throws RangeError for lengths that are no integers from 0 on, and a budget below 1
 * @example
 * packByTokens([5, 2, 9, 3], 8); // [[2], [0, 3], [1]]
 */
export function packByTokens(lengths: readonly number[], maxTokens: number): number[][] {
  checkInteger("maxTokens", maxTokens, 1);
  lengths.forEach((length, i) => {
    checkInteger(`lengths[${i}]`, length, 0);
  });
  return cut(lengths, (_rows, _width, sum) => sum <= maxTokens);
}

/** Indices, longest first, in batches that `fits` allows; what it never allows is alone. */
function cut(lengths: readonly number[], fits: (rows: number, width: number, sum: number) => boolean): number[][] {
  // Array.prototype.sort is stable: equals stay as given.
  const order = Array.from(lengths.keys()).sort((a, b) => lengths[b] - lengths[a]);
  const batches: number[][] = [];
  let batch: number[] = [];
  let sum = 0;
  for (const index of order) {
    if (batch.length > 0 && !fits(batch.length + 1, lengths[batch[0]], sum + lengths[index])) {
      batches.push(batch);
      batch = [];
      sum = 0;
    }
    batch.push(index);
    sum += lengths[index];
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

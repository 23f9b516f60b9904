/** Texts cut into batches, and the part of them that a slow contender runs. */

import type { Share, Way } from "./protocol";

/** Batches of text numbers. */
type Batches = readonly (readonly number[])[];

/** All texts as batches. `lengths` are in tokens. */
function batchesOf(way: Way, lengths: readonly number[]): Batches {
  const numbers = [...lengths.keys()];
  switch (way) {
    case "1":
      return cut(numbers, 1);
    case "8":
      return cut(numbers, 8);
    case "32":
      return cut(numbers, 32);
    case "32 sorted":
      return cut(
        numbers.sort((a, b) => lengths[a] - lengths[b]),
        32,
      );
    case "all":
      return [numbers];
  }
}

function cut(numbers: readonly number[], size: number): Batches {
  return Array.from({ length: Math.ceil(numbers.length / size) }, (_, i) => numbers.slice(i * size, i * size + size));
}

/** Each of `step` things, from the middle of the first ones. */
function every<T>(items: readonly T[], step: number): T[] {
  return items.filter((_, i) => i % step === step >> 1);
}

/** The batches of a share, and how many times as much all of them are. */
export function planOf(
  { way, step }: Share,
  lengths: readonly number[],
  padded: boolean,
): { readonly batches: Batches; readonly scale: number } {
  const all = batchesOf(way, lengths);
  const batches = way === "all" ? [every(all[0], step)] : every(all, step);
  const positions = (some: Batches): number =>
    some
      .map((batch) => batch.map((i) => lengths[i]))
      .map((batch) => (padded ? batch.length * Math.max(...batch) : batch.reduce((sum, length) => sum + length, 0)))
      .reduce((sum, each) => sum + each, 0);
  return { batches, scale: positions(all) / positions(batches) };
}

/** Batches, and texts, that a part has at least. */
const LEAST_BATCHES = 3;
const LEAST_TEXTS = 48;

/** The largest step of a share. */
export function largestStep(way: Way, texts: number): number {
  const size = way === "all" ? 1 : Number.parseInt(way, 10);
  return Math.max(1, Math.floor(texts / Math.max(LEAST_TEXTS, LEAST_BATCHES * size)));
}

/** Vectors of positions: learned ones of a file, and the sinusoids that Marian and Pegasus make. */

import { type Address, type Kernels, pow, sinusoidalPositions } from "@qkv/core";
import type { Weights } from "../weights/weights";
import type { BartConfig } from "./config";

/** out[N, D] = the vectors of N positions, counted from 0. */
export type PositionVectors = (kernels: Kernels, out: Address, positions: readonly number[]) => void;

/**
 * `embed_positions` of a stack, a row for each position behind the first `offset`: fairseq kept those for padding, and
 * counted from there.
 */
export function learnedPositions(stack: Weights, c: BartConfig, offset: number): PositionVectors {
  const table = stack.lookup("embed_positions", c.maxPositionEmbeddings + offset, c.dModel);
  return (kernels, out, positions) => {
    const ids = offset === 0 ? positions : positions.map((position) => position + offset);
    table.lookUp(kernels, out, ids);
  };
}

/** Positions that are made first; then twice as many, up to the longest text that comes. */
const FIRST_POSITIONS = 64;

/**
 * Sines, then cosines, of p / 10000^(2i/D), each made once. Serves both stacks.
 *
 * An odd D has one sine more: that is what a row of D + 1 has, without its last cosine.
 */
export function sinusoids({
  dModel: D,
  maxPositionEmbeddings,
}: Pick<BartConfig, "dModel" | "maxPositionEmbeddings">): PositionVectors {
  const width = D + (D % 2);
  const shape = { width, theta: pow(10_000, width / D), layout: "half-split" } as const;
  let rows = new Float32Array(0);
  let made = 0;
  const reach = (wanted: number): void => {
    let count = Math.max(made, Math.min(FIRST_POSITIONS, maxPositionEmbeddings));
    while (count < wanted) count = Math.min(2 * count, Math.max(wanted, maxPositionEmbeddings));
    if (count === made) return;
    const more = sinusoidalPositions(
      Array.from({ length: count - made }, (_, i) => made + i),
      shape,
    );
    const longer = new Float32Array(count * width);
    longer.set(rows);
    longer.set(more, made * width);
    rows = longer;
    made = count;
  };
  return ({ arena }, out, positions) => {
    reach(1 + positions.reduce((last, position) => Math.max(last, position), -1));
    const target = arena.f32(out, positions.length * D);
    positions.forEach((position, i) => {
      target.set(rows.subarray(position * width, position * width + D), i * D);
    });
  };
}

/** How sequences are cut into passes, and where their keys and values lie. */

import type { Address, KvCache } from "@qkv/core";

/** What a decoder's cross-attention reads of one source: keys and values of every layer, computed once. */
export interface Memory {
  readonly cache: KvCache;
  /** The row of the source's first token. */
  readonly first: number;
  /** How many tokens the source has, S. */
  readonly length: number;
}

/** Some new positions of one sequence. */
export interface Segment {
  /** Which sequence of the pass this is. */
  readonly sequence: number;
  readonly ids: readonly number[];
  /** Where its rows begin among the positions that the pass adds to the sequence. */
  readonly first: number;
  /** How many positions of the sequence lie before these. */
  readonly position: number;
  /** Holds its past, and receives the new keys and values: from `row` on, in order. */
  readonly cache: KvCache;
  readonly row: number;
  /** The row of the sequence's first position; where `keyRows` is given, that which its rows count from. */
  readonly base: number;
  /** int32 [position + T]: the row of each position, the new ones included; null where they follow `base` in order. */
  readonly keyRows: Address | null;
  /**
   * How many positions the whole pass reaches in this sequence, of which the segment may be a chunk. Rotary scalings
   * that go by length choose their table by it.
   */
  readonly reach: number;
  /** What cross-attention reads; null in a decoder that has none. */
  readonly memory: Memory | null;
}

/** Rows of one chunk: what scratch buffers are made for. Longer passes run in several, with the same result. */
export const CHUNK_ROWS = 64;

/** New ids of a sequence, and the cache that receives them behind what it holds. */
export interface SequencePast {
  readonly ids: readonly number[];
  readonly cache: KvCache;
  /** How many positions the sequence has already. */
  readonly start: number;
  /** The row of its first position. */
  readonly base: number;
  readonly memory: Memory | null;
}

/** Cuts sequences into passes of at most CHUNK_ROWS rows; short ones share a pass. */
export function* chunksOf(sequences: readonly SequencePast[]): Generator<Segment[]> {
  let chunk: Segment[] = [];
  let room = CHUNK_ROWS;
  for (const [sequence, { ids, cache, start, base, memory }] of sequences.entries()) {
    const reach = start + ids.length;
    for (let at = 0; at < ids.length; ) {
      const taken = ids.slice(at, at + room);
      const position = start + at;
      const where = { position, cache, row: base + position, base, keyRows: null, memory };
      chunk.push({ sequence, ids: taken, first: at, reach, ...where });
      at += taken.length;
      room -= taken.length;
      if (room === 0) {
        yield chunk;
        chunk = [];
        room = CHUNK_ROWS;
      }
    }
  }
  if (chunk.length > 0) yield chunk;
}

/** Rows of a pass whose keys and values are written side by side. */
export interface AdjacentRows {
  readonly cache: KvCache;
  /** The first of them in the cache. */
  readonly row: number;
  /** The first of them in the pass. */
  readonly first: number;
  readonly rows: number;
}

/** The rows of a pass by where they are written: one product serves those that lie side by side. */
export function adjacentRows(segments: readonly Segment[]): readonly AdjacentRows[] {
  if (segments.length === 1) {
    const { cache, row, ids } = segments[0];
    return [{ cache, row, first: 0, rows: ids.length }];
  }
  const runs: { cache: KvCache; row: number; first: number; rows: number }[] = [];
  let first = 0;
  for (const { cache, row, ids } of segments) {
    const last = runs.at(-1);
    if (last !== undefined && last.cache === cache && last.row + last.rows === row) last.rows += ids.length;
    else runs.push({ cache, row, first, rows: ids.length });
    first += ids.length;
  }
  return runs;
}

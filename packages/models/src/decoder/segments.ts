/** How sequences are cut into passes. */

import type { KvCache } from "@qkv/core";

/** Some new positions of one sequence. */
export interface Segment {
  /** Which sequence of the pass this is. */
  readonly sequence: number;
  readonly ids: readonly number[];
  /** Where its rows begin among the positions that the pass adds to the sequence. */
  readonly first: number;
  /** Its past; receives the new keys and values. */
  readonly cache: KvCache;
  /**
   * How many positions the whole pass reaches in this sequence, of which the segment may be a chunk. Rotary scalings
   * that go by length choose their table by it.
   */
  readonly reach: number;
}

/** Rows of one chunk: what scratch buffers are made for. Longer passes run in several, with the same result. */
export const CHUNK_ROWS = 64;

/** Cuts sequences into passes of at most CHUNK_ROWS rows; short ones share a pass. */
export function* chunksOf(sequences: readonly (readonly number[])[], caches: readonly KvCache[]): Generator<Segment[]> {
  let chunk: Segment[] = [];
  let room = CHUNK_ROWS;
  for (const [sequence, ids] of sequences.entries()) {
    const cache = caches[sequence] as KvCache;
    const reach = cache.length + ids.length;
    for (let at = 0; at < ids.length; ) {
      const taken = ids.slice(at, at + room);
      chunk.push({ sequence, ids: taken, first: at, cache, reach });
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

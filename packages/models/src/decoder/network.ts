/** What a decoder-only architecture gives: the part of a model that is its own page. */

import type { Address, Arena, KvCache } from "@qkv/core";
import type { Capture } from "../taps/capture";
import type { Segment } from "./segments";

/**
 * A decoder: rows of new positions in, rows of hidden states out. It holds weights and scratch layouts, no state.
 *
 * @typeParam Scratch addresses of the buffers of one pass; opaque to the caller, who keeps one for each pass under way
 */
export interface DecoderNetwork<Scratch = unknown> {
  readonly arena: Arena;
  readonly vocabSize: number;
  /** Positions that the model was made for; Infinity where its rotary scaling grows with the text. */
  readonly maxPositions: number;
  /** Every name that can be captured, "logits" aside. */
  readonly taps: readonly string[];

  /** A cache for so many positions. */
  createCache(capacity: number): KvCache;
  /** Buffers for a pass of at most CHUNK_ROWS rows. */
  createScratch(): Scratch;

  /**
   * Runs the rows of all segments, at most CHUNK_ROWS together, and leaves their final hidden states in the scratch.
   * Yields after each layer after which `due` says so, that a caller can let others run; caches are advanced at the end.
   */
  forward(
    scratch: Scratch,
    segments: readonly Segment[],
    capture: Capture | null,
    due: () => boolean,
  ): Generator<void, void>;

  /** out[rows, V]: logits of adjacent rows of the last `forward`. */
  logits(scratch: Scratch, row: number, rows: number, out: Address): void;
}

/** One synchronous pass over sequences: chunks, captures, and the logits that are asked for. */

import type { KvCache } from "@qkv/core";
import { Capture, type Tensor } from "../taps/capture";
import type { DecoderNetwork } from "./network";
import { chunksOf } from "./segments";

/** What a pass is to do. */
export interface Pass {
  /** Ids of each sequence, at least one each. */
  readonly sequences: readonly (readonly number[])[];
  /** The past of each; receives the new positions. */
  readonly caches: readonly KvCache[];
  /** Names of taps. */
  readonly capture: ReadonlySet<string>;
  /** Logits of so many last positions of each sequence. */
  readonly logitsOf: readonly number[];
  /** Told about each of these rows, in order; the view is valid during the call. */
  readonly onLogits: (sequence: number, row: number, logits: Float32Array) => void;
}

/**
 * Runs a pass to its end. Where it fails, the caches are as they were.
 *
 * @returns what was captured of each sequence
 */
export function runPass<Scratch>(
  network: DecoderNetwork<Scratch>,
  scratch: Scratch,
  { sequences, caches, capture: names, logitsOf, onLogits }: Pass,
): Record<string, Tensor>[] {
  const { arena, vocabSize } = network;
  const starts = caches.map((cache) => cache.length);
  const lengths = sequences.map((ids, b) => ({ length: ids.length, start: starts[b] }));
  const capture = names.size === 0 ? null : new Capture(names, lengths, arena);
  try {
    for (const chunk of chunksOf(sequences, caches)) {
      // synchronous: nobody else gets a turn
      network.forward(scratch, chunk, capture, never).next();
      let row = 0;
      for (const { sequence: b, ids, cache } of chunk) {
        const firstWanted = starts[b] + sequences[b].length - logitsOf[b];
        for (let t = 0; t < ids.length; t++, row++) {
          const position = cache.length - ids.length + t;
          if (position < firstWanted) continue;
          onLogits(b, position - firstWanted, arena.f32(network.logits(scratch, row), vocabSize));
        }
      }
    }
  } catch (error) {
    caches.forEach((cache, b) => {
      cache.truncate(starts[b]);
    });
    throw error;
  }
  return sequences.map((_, b) => capture?.take(b) ?? {});
}

const never = () => false;

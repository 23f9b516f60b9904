/** One synchronous pass over sequences: chunks, captures, and the logits that are asked for. */

import type { Address } from "@qkv/core";
import { Capture, type Tensor } from "../taps/capture";
import type { DecoderNetwork } from "./network";
import { chunksOf, type SequencePast } from "./segments";

/** Rows whose logits are computed at once: the head's weights are read once for them. */
export const LOGIT_ROWS = 8;

/** What a pass is to do. */
export interface Pass {
  /** Ids of each, at least one, and the past that receives them. */
  readonly sequences: readonly SequencePast[];
  /** Names of taps. */
  readonly capture: ReadonlySet<string>;
  /** Logits of so many last positions of each sequence. */
  readonly logitsOf: readonly number[];
  /** Room for LOGIT_ROWS rows of logits. */
  readonly logits: Address;
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
  { sequences, capture: names, logitsOf, logits, onLogits }: Pass,
): Record<string, Tensor>[] {
  const { arena, vocabSize } = network;
  const starts = sequences.map(({ cache }) => cache.length);
  const lengths = sequences.map(({ ids }) => ids.length);
  const capture = names.size === 0 ? null : new Capture(names, lengths, arena);
  try {
    for (const chunk of chunksOf(sequences)) {
      // synchronous: nobody else gets a turn
      network.forward(scratch, chunk, capture, never).next();
      let row = 0;
      for (const { sequence: b, ids, first } of chunk) {
        const firstWanted = lengths[b] - logitsOf[b];
        for (let t = Math.max(0, firstWanted - first); t < ids.length; t += LOGIT_ROWS) {
          const rows = Math.min(LOGIT_ROWS, ids.length - t);
          network.logits(scratch, row + t, rows, logits);
          for (let i = 0; i < rows; i++) {
            onLogits(b, first + t + i - firstWanted, arena.f32(logits + 4 * i * vocabSize, vocabSize));
          }
        }
        row += ids.length;
      }
    }
  } catch (error) {
    sequences.forEach(({ cache }, b) => {
      cache.truncate(starts[b]);
    });
    throw error;
  }
  return sequences.map((_, b) => capture?.take(b) ?? {});
}

const never = () => false;

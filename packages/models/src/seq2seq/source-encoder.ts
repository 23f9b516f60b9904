/** Sources through the encoder: packed, not padded, and remembered for the decoder. */

import { CachePool } from "../decoder/pools";
import type { PackedText } from "../encoder/network";
import { packByTokens } from "../encoder/padded-batches";
import { PassBuffers } from "../encoder/pass-buffers";
import type { Capture } from "../taps/capture";
import { EncodedSource, SharedMemory } from "./encoded";
import type { Seq2SeqNetwork } from "./network";

/** Rows of a pass: enough that weights are read seldom, few enough for the caches. */
const BATCH_TOKENS = 512;

export class SourceEncoder {
  readonly #network: Seq2SeqNetwork;
  readonly #buffers: PassBuffers;
  readonly #memories: CachePool;

  /** @param contextLength most tokens of a source */
  constructor(network: Seq2SeqNetwork, contextLength: number) {
    const first = Math.min(contextLength, BATCH_TOKENS);
    this.#network = network;
    this.#buffers = new PassBuffers(network.encoder, first);
    this.#memories = new CachePool(network.arena, contextLength, (rows) => network.createMemory(rows), first);
  }

  /** Sources in passes that pack some of them, the shortest with the shortest: their indices. */
  passes(sources: readonly (readonly number[])[]): readonly (readonly number[])[] {
    return packByTokens(
      sources.map(({ length }) => length),
      BATCH_TOKENS,
    );
  }

  /**
   * One pass over sources of any lengths: each gives the bits that it gives alone. Yields where `due` says so.
   *
   * @throws OutOfMemoryError; what was taken is given back
   */
  *encode(
    sources: readonly (readonly number[])[],
    capture: Capture | null,
    due: () => boolean,
  ): Generator<void, EncodedSource[]> {
    const { arena, encoder } = this.#network;
    const D = encoder.hiddenSize;
    const texts = sources.map((ids, sequence): PackedText => ({ sequence, ids, typeIds: null, first: 0 }));
    const rows = sources.reduce((sum, { length }) => sum + length, 0);
    const buffers = this.#buffers.take(rows);
    let shared: SharedMemory | null = null;
    let complete = false;
    try {
      const hidden = yield* encoder.forward(buffers.scratch, texts, capture, due);
      capture?.rows("final", texts, hidden, D);
      shared = new SharedMemory(this.#memories, rows);
      yield* this.#network.remember(hidden, rows, shared.cache, due);
      let row = 0;
      const states = sources.map(({ length }) => {
        const data = arena.f32(hidden + 4 * row * D, length * D).slice();
        row += length;
        return { data, shape: [length, D] };
      });
      const memories = shared.share(sources.map(({ length }) => length));
      complete = true;
      return memories.map((memory, i) => new EncodedSource({ ids: sources[i], hidden: states[i], memory }));
    } finally {
      this.#buffers.give(buffers);
      if (!complete) shared?.giveBack();
    }
  }
}

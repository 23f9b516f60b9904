/** Buffers of an encoder's passes: kept for the next, made anew only when all that are large enough are in use. */

import type { EncoderNetwork } from "./network";

/** Buffers for so many rows. */
export interface EncoderBuffers {
  readonly rows: number;
  readonly scratch: unknown;
}

export class PassBuffers {
  readonly #network: EncoderNetwork;
  readonly #free: EncoderBuffers[] = [];

  /** @param rows what the first have room for; they are laid out with the weights */
  constructor(network: EncoderNetwork, rows: number) {
    this.#network = network;
    this.#free.push(this.#create(rows));
  }

  /** @throws OutOfMemoryError where new ones do not fit; nothing is taken then */
  take(rows: number): EncoderBuffers {
    let best = -1;
    for (const [i, free] of this.#free.entries()) {
      if (free.rows >= rows && (best < 0 || free.rows < this.#free[best].rows)) best = i;
    }
    if (best >= 0) return this.#free.splice(best, 1)[0];
    // In powers of two: there must not be buffers for every length that ever came.
    return this.#network.arena.attempt(() => this.#create(2 ** Math.ceil(Math.log2(rows))));
  }

  give(buffers: EncoderBuffers): void {
    this.#free.push(buffers);
  }

  #create(rows: number): EncoderBuffers {
    return { rows, scratch: this.#network.createScratch(rows) };
  }
}

/** Buffers of an encoder's passes: kept for the next, made anew only when all that are large enough are in use. */

import { takeSmallest } from "../pool";
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
    const found = takeSmallest(this.#free, rows, (buffers) => buffers.rows);
    if (found !== null) return found;
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

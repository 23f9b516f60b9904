/** A source that was encoded once, to be decoded from as often as is wanted. */

import type { KvCache } from "@qkv/core";
import type { CachePool } from "../decoder/pools";
import type { Memory } from "../decoder/segments";
import type { Tensor } from "../taps/capture";

/** The part of one source, until it is released. */
export interface LentMemory extends Memory {
  readonly release: () => void;
}

/** Keys and values of sources that were encoded together, given back with the last of them. */
export class SharedMemory {
  readonly cache: KvCache;
  readonly #pool: CachePool;

  constructor(pool: CachePool, rows: number) {
    this.#pool = pool;
    this.cache = pool.take(rows);
  }

  /** The parts of all sources, whose rows lie one behind the other. */
  share(lengths: readonly number[]): LentMemory[] {
    let users = lengths.length;
    let first = 0;
    const release = () => {
      if (--users === 0) this.giveBack();
    };
    return lengths.map((length) => {
      const memory = { cache: this.cache, first, length, release };
      first += length;
      return memory;
    });
  }

  /** All of it: where nobody has a part. */
  giveBack(): void {
    this.#pool.give(this.cache);
  }
}

/** A source that is read at the moment. */
export interface HeldSource {
  readonly ids: readonly number[];
  readonly memory: Memory;
  readonly letGo: () => void;
}

/** What an encoded source is made of. */
export interface EncodedParts {
  readonly ids: readonly number[];
  readonly hidden: Tensor;
  readonly memory: LentMemory;
}

/**
 * A source after the encoder, with the keys and values that every layer of the decoder's cross-attention has of it. Made
 * by `Seq2Seq.encode`; good for any number of passes and generations of that model, at once too. Dispose it to give its
 * memory back.
 */
export class EncodedSource {
  /** The source's ids, special tokens included. */
  readonly ids: readonly number[];
  /** [S, D]: the encoder's last states, after the final norm. A copy, which nothing else reads. */
  readonly hidden: Tensor;
  readonly #memory: LentMemory;
  #disposed = false;
  /** How many generations read it at the moment. */
  #readers = 0;

  constructor({ ids, hidden, memory }: EncodedParts) {
    this.ids = ids;
    this.hidden = hidden;
    this.#memory = memory;
  }

  /** What cross-attention reads. @throws Error once it was disposed */
  get memory(): Memory {
    if (this.#disposed) throw new Error("this encoded source was disposed");
    return this.#memory;
  }

  /**
   * Keeps its memory until it is let go, even if it is disposed meanwhile.
   *
   * @throws Error once it was disposed
   */
  hold(): HeldSource {
    const { ids, memory } = this;
    this.#readers++;
    const letGo = () => {
      if (--this.#readers === 0 && this.#disposed) this.#memory.release();
    };
    return { ids, memory, letGo };
  }

  /** Gives its memory back, once nobody reads it any more. Every later use throws; calling it twice does not. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.#readers === 0) this.#memory.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }
}

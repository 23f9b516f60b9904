/** Caches and buffers that passes borrow: kept for the next, made anew only when all of them are in use. */

import type { Address, Arena, KvCache } from "@qkv/core";
import { takeSmallest } from "../pool";

/** No cache is smaller: so few positions cost next to nothing, and more lengths can share one. */
const LEAST_CAPACITY = 32;
/** As LEAST_CAPACITY, in bytes. */
const LEAST_ROOM = 4096;

/** Key/value caches, lent by how many positions they must hold. */
export class CachePool {
  readonly #arena: Arena;
  readonly #create: (capacity: number) => KvCache;
  readonly #contextLength: number;
  readonly #free: KvCache[] = [];
  readonly #lent = new Set<KvCache>();
  /** Those of them that a caller of the model holds. */
  readonly #withCaller = new Set<KvCache>();

  /** @param first positions of the cache that is laid out with the weights, so that a model that loads can run */
  constructor(arena: Arena, contextLength: number, create: (capacity: number) => KvCache, first = contextLength) {
    this.#arena = arena;
    this.#create = create;
    this.#contextLength = contextLength;
    this.#free.push(create(first));
  }

  /**
   * An empty cache of at least so many positions: the smallest that is free.
   *
   * @throws OutOfMemoryError if a new one does not fit; nothing is taken then
   */
  take(positions: number): KvCache {
    const cache = takeSmallest(this.#free, positions, ({ capacity }) => capacity) ?? this.#made(positions);
    cache.truncate(0);
    this.#lent.add(cache);
    return cache;
  }

  give(cache: KvCache): void {
    if (!this.#lent.delete(cache)) throw new Error("this cache was not lent");
    this.#free.push(cache);
  }

  /** As `take`, for a caller of the model, who alone may give it back. */
  lend(positions: number): KvCache {
    const cache = this.take(positions);
    this.#withCaller.add(cache);
    return cache;
  }

  /** Whether a caller has this cache, and has not given it back: no other may be used in a pass. */
  isWithCaller(cache: KvCache): boolean {
    return this.#withCaller.has(cache);
  }

  /** @throws TypeError for a cache that no caller has, or that was given back already */
  takeBack(cache: KvCache): void {
    if (!this.#withCaller.delete(cache)) throw new TypeError("this cache is not one that this model has lent out");
    this.give(cache);
  }

  // In powers of two, the context's own length aside: there must not be a cache for every length that ever came.
  #made(positions: number): KvCache {
    let capacity = LEAST_CAPACITY;
    while (capacity < positions) capacity *= 2;
    if (positions <= this.#contextLength) capacity = Math.min(capacity, this.#contextLength);
    return this.#arena.attempt(() => this.#create(capacity));
  }
}

/** Some bytes of an arena. */
export interface Room {
  readonly address: Address;
  readonly bytes: number;
}

/** Bytes for a while: lent by how many are needed. */
export class RoomPool {
  readonly #arena: Arena;
  readonly #free: Room[] = [];

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** At least so many bytes: the least that is free. @throws OutOfMemoryError if new ones do not fit */
  take(bytes: number): Room {
    const found = takeSmallest(this.#free, bytes, (room) => room.bytes);
    if (found !== null) return found;
    // In powers of two, as caches are.
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, LEAST_ROOM)));
    return { address: this.#arena.take(size, "scratch"), bytes: size };
  }

  give(room: Room): void {
    this.#free.push(room);
  }
}

/** Buffers of passes. */
export class ScratchPool<Scratch> {
  readonly #arena: Arena;
  readonly #create: () => Scratch;
  readonly #free: Scratch[] = [];

  constructor(arena: Arena, create: () => Scratch) {
    this.#arena = arena;
    this.#create = create;
    this.#free.push(create());
  }

  /** @throws OutOfMemoryError if new ones do not fit; nothing is taken then */
  take(): Scratch {
    return this.#free.pop() ?? this.#arena.attempt(this.#create);
  }

  give(scratch: Scratch): void {
    this.#free.push(scratch);
  }
}

/** The keys and values of the positions that a decoder has seen. */

import { checkFloats, checkInteger, checkOptions, checkRows } from "../check";
import { type Address, Arena } from "../memory/arena";

/** Shape of a cache. */
export interface KvCacheShape {
  /** L; 1 if left out. */
  readonly layers?: number;
  /** G */
  readonly kvHeads: number;
  /** K */
  readonly headDim: number;
  /** How many positions it can hold. Fixed: nothing is allocated per token. */
  readonly capacity: number;
}

/**
 * Keys and values of every layer, [capacity, G, K] each, written in place row by row.
 *
 * The layers of a pass write the same new rows, so the length moves once a pass: kernels write through `keyRow` and
 * `valueRow`, then `advance`. By hand, `append` does both for a cache of one layer.
 *
 * @example
 * const cache = new KvCache({ kvHeads: 2, headDim: 8, capacity: 128 });
 * cache.append(k, v); // rows of one or more new positions
 * attention(q, cache.keys(), cache.values(), { heads: 4, kvHeads: 2, headDim: 8, mask: { causal: true } });
 */
export class KvCache {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly capacity: number;
  readonly #arena: Arena;
  readonly #address: Address;
  #length = 0;

  /** @param arena where the rows lie; its own if left out. Filed under "cache". */
  constructor(shape: KvCacheShape, arena: Arena = new Arena()) {
    checkOptions("KvCache", shape, ["layers", "kvHeads", "headDim", "capacity"]);
    this.layers = checkInteger("layers", shape.layers ?? 1, 1);
    this.kvHeads = checkInteger("kvHeads", shape.kvHeads, 1);
    this.headDim = checkInteger("headDim", shape.headDim, 1);
    this.capacity = checkInteger("capacity", shape.capacity, 1);
    this.#arena = arena;
    this.#address = arena.allocate(KvCache.bytes(shape), "cache");
  }

  /** Bytes that a cache of this shape takes. */
  static bytes({ layers = 1, kvHeads, headDim, capacity }: KvCacheShape): number {
    return 2 * layers * capacity * kvHeads * headDim * 4;
  }

  /** How many positions it holds. */
  get length(): number {
    return this.#length;
  }

  /** Address of a layer's key row. Row `length` is the next to be written. */
  keyRow(layer: number, position: number): Address {
    return this.#row(2 * layer, position);
  }

  /** Address of a layer's value row. */
  valueRow(layer: number, position: number): Address {
    return this.#row(2 * layer + 1, position);
  }

  /** Counts `rows` new positions, once all layers have written them. */
  advance(rows: number): void {
    this.checkRoom(rows);
    this.#length += rows;
  }

  /** @throws RangeError if `rows` more positions do not fit */
  checkRoom(rows: number): void {
    checkInteger("rows", rows, 0);
    if (this.#length + rows > this.capacity) {
      throw new RangeError(`the cache holds ${this.capacity} positions: ${rows} more do not fit after ${this.#length}`);
    }
  }

  /** Forgets the positions from `length` on: to go back, or with 0 to start anew. */
  truncate(length: number): void {
    this.#length = checkInteger("length", length, 0, this.#length);
  }

  /** Takes over what another cache of the same arena holds: its rows and its length. */
  copyFrom(other: KvCache): void {
    const same = (["layers", "kvHeads", "headDim"] as const).every((name) => this[name] === other[name]);
    if (!same || other.#arena !== this.#arena)
      throw new RangeError("copyFrom: expected a cache of the same shape and arena");
    this.truncate(0);
    this.checkRoom(other.length);
    for (let layer = 0; layer < this.layers; layer++) {
      this.#rows(this.keyRow(layer, 0), other.length).set(other.keys(layer));
      this.#rows(this.valueRow(layer, 0), other.length).set(other.values(layer));
    }
    this.#length = other.length;
  }

  /** Adds rows of keys and values [T, G, K] to a cache of one layer. */
  append(keys: Float32Array, values: Float32Array): void {
    if (this.layers !== 1) throw new RangeError(`append serves caches of one layer, this has ${this.layers}`);
    const width = this.kvHeads * this.headDim;
    const rows = checkRows("keys", keys, width, `[T, ${this.kvHeads}, ${this.headDim}]`);
    checkFloats("values", values, rows * width, `[${rows}, ${this.kvHeads}, ${this.headDim}]`);
    this.checkRoom(rows);
    this.#arena.f32(this.keyRow(0, this.#length), keys.length).set(keys);
    this.#arena.f32(this.valueRow(0, this.#length), values.length).set(values);
    this.advance(rows);
  }

  /** View of a layer's keys so far, [length, G, K]. Valid until its arena is written to or grows. */
  keys(layer = 0): Float32Array {
    checkInteger("layer", layer, 0, this.layers - 1);
    return this.#rows(this.keyRow(layer, 0), this.#length);
  }

  /** View of a layer's values so far, [length, G, K]. Valid until its arena is written to or grows. */
  values(layer = 0): Float32Array {
    checkInteger("layer", layer, 0, this.layers - 1);
    return this.#rows(this.valueRow(layer, 0), this.#length);
  }

  #rows(address: Address, rows: number): Float32Array {
    return this.#arena.f32(address, rows * this.kvHeads * this.headDim);
  }

  #row(block: number, position: number): Address {
    return this.#address + (block * this.capacity + position) * this.kvHeads * this.headDim * 4;
  }
}

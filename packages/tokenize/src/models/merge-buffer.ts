/** The symbols of one word while they merge: a linked list in typed arrays and a heap of candidates, n log n in all. */

import type { MergeTable } from "./merge-table";

/** A heap key is rank * POSITIONS + position, so that ties in rank go to the left; exact in a double (22 + 31 bits). */
const POSITIONS = 2 ** 31;
/** Marks a symbol that a merge has swallowed, and a pair that does not merge. */
const NONE = -1;

export class MergeBuffer {
  #capacity = 0;
  #length = 0;
  #ids = new Int32Array(0);
  #next = new Int32Array(0);
  #previous = new Int32Array(0);
  /** Rank and merged id of the pair that starts at a symbol, as they are now: an older heap entry no longer agrees. */
  #pairRank = new Int32Array(0);
  #pairMerged = new Int32Array(0);
  #heap = new Float64Array(0);
  #heapLength = 0;

  /** How many symbols there is memory for. */
  get capacity(): number {
    return this.#capacity;
  }

  clear(): void {
    this.#length = 0;
  }

  push(id: number): void {
    if (this.#length === this.#capacity) this.#grow();
    this.#ids[this.#length++] = id;
  }

  /** Merges until no pair is left, always the lowest rank, the leftmost among equals. */
  merge(table: MergeTable): void {
    const length = this.#length;
    this.#heapLength = 0;
    for (let at = 0; at < length; at++) {
      this.#next[at] = at + 1 < length ? at + 1 : NONE;
      this.#previous[at] = at - 1;
    }
    for (let at = 0; at < length; at++) this.#consider(at, table);
    while (this.#heapLength > 0) {
      const key = this.#pop();
      const rank = Math.floor(key / POSITIONS);
      const at = key - rank * POSITIONS;
      if (this.#pairRank[at] !== rank) continue;
      const swallowed = this.#next[at];
      const after = this.#next[swallowed];
      this.#ids[at] = this.#pairMerged[at];
      this.#pairRank[swallowed] = NONE;
      this.#next[at] = after;
      if (after !== NONE) this.#previous[after] = at;
      this.#consider(at, table);
      if (this.#previous[at] !== NONE) this.#consider(this.#previous[at], table);
    }
  }

  /** Calls `visit` with the ids that are left, in order. */
  forEach(visit: (id: number) => void): void {
    if (this.#length === 0) return;
    for (let at = 0; at !== NONE; at = this.#next[at]) visit(this.#ids[at]);
  }

  #consider(at: number, table: MergeTable): void {
    const right = this.#next[at];
    const cell = right === NONE ? NONE : table.find(this.#ids[at], this.#ids[right]);
    if (cell === NONE) {
      this.#pairRank[at] = NONE;
      return;
    }
    const rank = table.rankAt(cell);
    this.#pairRank[at] = rank;
    this.#pairMerged[at] = table.mergedAt(cell);
    this.#add(rank * POSITIONS + at);
  }

  #add(key: number): void {
    if (this.#heapLength === this.#heap.length) this.#heap = grown(this.#heap, this.#heap.length * 2 + 64);
    const heap = this.#heap;
    let at = this.#heapLength++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent] <= key) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = key;
  }

  #pop(): number {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap[--this.#heapLength];
    const length = this.#heapLength;
    let at = 0;
    for (let child = 1; child < length; child = 2 * at + 1) {
      if (child + 1 < length && heap[child + 1] < heap[child]) child++;
      if (heap[child] >= last) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return top;
  }

  #grow(): void {
    this.#capacity = this.#capacity * 2 + 64;
    this.#ids = grown(this.#ids, this.#capacity);
    this.#next = new Int32Array(this.#capacity);
    this.#previous = new Int32Array(this.#capacity);
    this.#pairRank = new Int32Array(this.#capacity);
    this.#pairMerged = new Int32Array(this.#capacity);
  }
}

function grown<T extends Int32Array | Float64Array>(from: T, length: number): T {
  const to = (from instanceof Int32Array ? new Int32Array(length) : new Float64Array(length)) as T;
  to.set(from);
  return to;
}

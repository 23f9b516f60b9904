/** The symbols of one word while they merge: a linked list in typed arrays and a heap of candidates, n log n in all. */

import { grown } from "../memory";
import type { MergeTable } from "./merge-table";

/** A heap key is rank * POSITIONS + position, so that ties in rank go to the left; exact in a double (22 + 31 bits). */
const POSITIONS = 2 ** 31;
/** Marks a symbol that a merge has swallowed, and a pair that does not merge. */
const NONE = -1;
/** Up to here looking at every pair for each merge is cheaper than a heap. */
const SHORT_WORD = 24;

export class MergeBuffer {
  #capacity = 0;
  #length = 0;
  #ids = new Int32Array(0);
  /** The part of the text that each symbol was made from. */
  #starts = new Int32Array(0);
  #ends = new Int32Array(0);
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

  push(id: number, start: number, end: number): void {
    if (this.#length === this.#capacity) this.#grow();
    this.#ids[this.#length] = id;
    this.#starts[this.#length] = start;
    this.#ends[this.#length++] = end;
  }

  /** Merges until no pair is left, always the lowest rank, the leftmost among equals. */
  merge(table: MergeTable): void {
    if (this.#length <= SHORT_WORD) this.#mergeShort(table);
    else this.#mergeLong(table);
  }

  /** Calls `visit` for each symbol that is left, in order. */
  forEach(visit: (id: number, start: number, end: number) => void): void {
    for (let at = 0; at < this.#length; at++) visit(this.#ids[at], this.#starts[at], this.#ends[at]);
  }

  /** Symbols move up as pairs merge. */
  #mergeShort(table: MergeTable): void {
    const ids = this.#ids;
    const ends = this.#ends;
    const ranks = this.#pairRank;
    const merged = this.#pairMerged;
    let length = this.#length;
    for (let at = 0; at + 1 < length; at++) this.#look(at, ids[at], ids[at + 1], table);
    for (;;) {
      let best = NONE;
      for (let at = 0; at + 1 < length; at++) {
        if (ranks[at] !== NONE && (best === NONE || ranks[at] < ranks[best])) best = at;
      }
      if (best === NONE) break;
      ids[best] = merged[best];
      ends[best] = ends[best + 1];
      length--;
      for (let at = best + 1; at < length; at++) {
        ids[at] = ids[at + 1];
        this.#starts[at] = this.#starts[at + 1];
        ends[at] = ends[at + 1];
        ranks[at] = ranks[at + 1];
        merged[at] = merged[at + 1];
      }
      if (best + 1 < length) this.#look(best, ids[best], ids[best + 1], table);
      if (best > 0) this.#look(best - 1, ids[best - 1], ids[best], table);
    }
    this.#length = length;
  }

  #mergeLong(table: MergeTable): void {
    const length = this.#length;
    const next = this.#next;
    const previous = this.#previous;
    if (this.#heap.length < length) this.#heap = new Float64Array(length * 2);
    this.#heapLength = 0;
    for (let at = 0; at < length; at++) {
      next[at] = at + 1 < length ? at + 1 : NONE;
      previous[at] = at - 1;
    }
    for (let at = 0; at < length; at++) this.#consider(at, table);
    while (this.#heapLength > 0) {
      const key = this.#pop();
      const rank = Math.floor(key / POSITIONS);
      const at = key - rank * POSITIONS;
      if (this.#pairRank[at] !== rank) continue;
      const swallowed = next[at];
      const after = next[swallowed];
      this.#ids[at] = this.#pairMerged[at];
      this.#ends[at] = this.#ends[swallowed];
      this.#pairRank[swallowed] = NONE;
      next[at] = after;
      if (after !== NONE) previous[after] = at;
      this.#consider(at, table);
      if (previous[at] !== NONE) this.#consider(previous[at], table);
    }
    let count = 0;
    for (let at = 0; at !== NONE; at = next[at]) {
      this.#ids[count] = this.#ids[at];
      this.#starts[count] = this.#starts[at];
      this.#ends[count++] = this.#ends[at];
    }
    this.#length = count;
  }

  /** Notes whether and how the pair at a symbol merges. */
  #look(at: number, left: number, right: number, table: MergeTable): boolean {
    const cell = table.find(left, right);
    if (cell === NONE) {
      this.#pairRank[at] = NONE;
      return false;
    }
    this.#pairRank[at] = table.rankAt(cell);
    this.#pairMerged[at] = table.mergedAt(cell);
    return true;
  }

  #consider(at: number, table: MergeTable): void {
    const right = this.#next[at];
    if (right === NONE) this.#pairRank[at] = NONE;
    else if (this.#look(at, this.#ids[at], this.#ids[right], table)) this.#add(this.#pairRank[at] * POSITIONS + at);
  }

  #add(key: number): void {
    if (this.#heapLength === this.#heap.length) {
      const larger = new Float64Array(this.#heap.length * 2 + 64);
      larger.set(this.#heap);
      this.#heap = larger;
    }
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
    this.#starts = grown(this.#starts, this.#capacity);
    this.#ends = grown(this.#ends, this.#capacity);
    this.#next = new Int32Array(this.#capacity);
    this.#previous = new Int32Array(this.#capacity);
    this.#pairRank = new Int32Array(this.#capacity);
    this.#pairMerged = new Int32Array(this.#capacity);
  }
}

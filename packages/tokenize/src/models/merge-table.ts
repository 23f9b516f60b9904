/**
 * Which pairs of neighbours merge, into what, and in which order: a hash table from two ids to (rank, id).
 * Merging by a list of merges (tokenizer.json) and by scores (sentencepiece, llama2.c) differ only in what fills it.
 */

import { MAX_CACHED_PAIRS } from "../limits";

const EMPTY = -1;
/** Stands as rank of a pair that was looked up and does not merge. */
const NO_MERGE = -1;
/** Int32 values a cell: left id, right id, rank (lower merges first), merged id. */
const CELL = 4;

export interface ScoredVocabulary {
  /** Text of each id; null where the token (control, byte) never takes part in a merge. */
  readonly texts: readonly (string | null)[];
  /** The other way round. */
  readonly ids: ReadonlyMap<string, number>;
  /** Score of each id; -Infinity where merging may never make the token. NaN is not allowed. */
  readonly scores: ArrayLike<number>;
}

export class MergeTable {
  #cells: Int32Array;
  #mask: number;
  #count = 0;
  readonly #lookUp: ((left: number, right: number) => number) | null;
  /** Rank of each id when merging by score; null when merging by list, where a rank belongs to the pair. */
  readonly #rankOfId: Int32Array | null;

  private constructor(
    capacity: number,
    lookUp: ((left: number, right: number) => number) | null,
    rankOfId: Int32Array | null,
  ) {
    let slots = 16;
    while (slots < capacity * 2) slots *= 2;
    this.#cells = new Int32Array(slots * CELL).fill(EMPTY);
    this.#mask = slots - 1;
    this.#lookUp = lookUp;
    this.#rankOfId = rankOfId;
  }

  /** Merges in order of rank: `triples` holds left, right and merged id. Where a pair comes twice the later one counts. */
  static fromList(triples: Int32Array): MergeTable {
    const table = new MergeTable(triples.length / 3, null, null);
    for (let i = 0; i < triples.length; i += 3) table.#set(triples[i], triples[i + 1], i / 3, triples[i + 2]);
    return table;
  }

  /** Any two tokens whose joined text is a token merge, the best score first. Pairs are looked up when a text has them. */
  static fromScores(vocabulary: ScoredVocabulary): MergeTable {
    const { texts, ids, scores } = vocabulary;
    const longest = texts.reduce((max, text) => Math.max(max, text === null ? 0 : text.length), 0);
    const lookUp = (left: number, right: number): number => {
      const a = texts[left];
      const b = texts[right];
      if (a === null || b === null || a.length + b.length > longest) return NO_MERGE;
      const id = ids.get(a + b);
      return id === undefined || id >= scores.length || scores[id] === Number.NEGATIVE_INFINITY ? NO_MERGE : id;
    };
    return new MergeTable(0, lookUp, denseRanks(scores));
  }

  /** Where the pair's rank and merged id stand, or -1 if it does not merge. Good until the next call of `find`. */
  find(left: number, right: number): number {
    const cell = this.#probe(left, right);
    if (this.#cells[cell] !== EMPTY) return this.#cells[cell + 2] === NO_MERGE ? -1 : cell;
    if (this.#lookUp === null || this.#rankOfId === null) return -1;
    const merged = this.#lookUp(left, right);
    if (this.#count >= MAX_CACHED_PAIRS) {
      this.#cells.fill(EMPTY);
      this.#count = 0;
    }
    const rank = merged === NO_MERGE ? NO_MERGE : this.#rankOfId[merged];
    const stored = this.#set(left, right, rank, merged);
    return rank === NO_MERGE ? -1 : stored;
  }

  /** The pairs in order of rank; null for a table of scores, which holds only the pairs that were looked up. */
  list(): [left: number, right: number][] | null {
    if (this.#lookUp !== null) return null;
    const cells: number[] = [];
    for (let cell = 0; cell < this.#cells.length; cell += CELL) if (this.#cells[cell] !== EMPTY) cells.push(cell);
    cells.sort((a, b) => this.#cells[a + 2] - this.#cells[b + 2]);
    return cells.map((cell) => [this.#cells[cell], this.#cells[cell + 1]]);
  }

  rankAt(cell: number): number {
    return this.#cells[cell + 2];
  }

  mergedAt(cell: number): number {
    return this.#cells[cell + 3];
  }

  #probe(left: number, right: number): number {
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash ^= hash >>> 15;
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const cell = slot * CELL;
      const found = this.#cells[cell];
      if (found === EMPTY || (found === left && this.#cells[cell + 1] === right)) return cell;
    }
  }

  #set(left: number, right: number, rank: number, merged: number): number {
    if (this.#count * 2 >= this.#mask) this.#grow();
    const cell = this.#probe(left, right);
    if (this.#cells[cell] === EMPTY) this.#count++;
    this.#cells[cell] = left;
    this.#cells[cell + 1] = right;
    this.#cells[cell + 2] = rank;
    this.#cells[cell + 3] = merged;
    return cell;
  }

  #grow(): void {
    const old = this.#cells;
    this.#cells = new Int32Array(old.length * 2).fill(EMPTY);
    this.#mask = this.#cells.length / CELL - 1;
    for (let cell = 0; cell < old.length; cell += CELL) {
      if (old[cell] !== EMPTY) this.#cells.set(old.subarray(cell, cell + CELL), this.#probe(old[cell], old[cell + 1]));
    }
  }
}

/** Rank of each score: 0 for the highest; equal scores share a rank, so that the leftmost pair wins among them. */
function denseRanks(scores: ArrayLike<number>): Int32Array {
  const ascending = Float64Array.from(scores).sort();
  return Int32Array.from({ length: scores.length }, (_, id) => {
    let low = 0;
    let high = ascending.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ascending[middle] <= scores[id]) low = middle + 1;
      else high = middle;
    }
    return ascending.length - low;
  });
}

/** Which rows of a shared cache belong to each of several branches of a text: a switch of beams moves these, not caches. */

import type { Address, Arena } from "@qkv/core";
import type { Room, RoomPool } from "./pools";

/**
 * For each branch the row of the cache that each of its positions lies in. Branches share the rows of what they have in
 * common.
 */
export class Branches {
  readonly #arena: Arena;
  readonly #rooms: RoomPool;
  readonly #width: number;
  #positions = 0;
  /** int32 [width, positions], the one in use and the one that the next step is written to. */
  #tables: [Room, Room] | null = null;
  #lengths: number[] = [];

  /** @param width most branches */
  constructor(arena: Arena, rooms: RoomPool, width: number) {
    this.#arena = arena;
    this.#rooms = rooms;
    this.#width = width;
  }

  /** A branch for each text, whose positions lie in adjacent rows. */
  start(texts: readonly { readonly row: number; readonly length: number }[], positions: number): void {
    this.#reserve(positions);
    this.#lengths = texts.map(({ length }) => length);
    for (const [b, { row, length }] of texts.entries()) {
      const table = this.#table(0, b, length);
      for (let i = 0; i < length; i++) table[i] = row + i;
    }
  }

  /** New branches: each continues one of those before by one position, whose rows are adjacent from `row` on. */
  fork(parents: readonly number[], row: number): void {
    const longest = Math.max(...parents.map((parent) => this.#lengths[parent])) + 1;
    if (longest > this.#positions) this.#reserve(2 * longest);
    const lengths = parents.map((parent) => this.#lengths[parent] + 1);
    for (const [b, parent] of parents.entries()) {
      const length = lengths[b];
      const table = this.#table(1, b, length);
      table.set(this.#table(0, parent, length - 1));
      table[length - 1] = row + b;
    }
    this.#lengths = lengths;
    const [now, next] = this.#tables as [Room, Room];
    this.#tables = [next, now];
  }

  /** How many positions a branch has. */
  length(branch: number): number {
    return this.#lengths[branch];
  }

  /** int32 [length] */
  rows(branch: number): Address {
    return (this.#tables as [Room, Room])[0].address + 4 * branch * this.#positions;
  }

  release(): void {
    for (const room of this.#tables ?? []) this.#rooms.give(room);
    this.#tables = null;
  }

  /** Room for so many positions of every branch; what is in the tables stays. */
  #reserve(positions: number): void {
    const before = this.#tables;
    const kept = this.#lengths.map((length, b) => (before === null ? null : this.#table(0, b, length).slice()));
    const bytes = 4 * this.#width * positions;
    const first = this.#rooms.take(bytes);
    try {
      this.#tables = [first, this.#rooms.take(bytes)];
    } catch (error) {
      this.#rooms.give(first);
      throw error;
    }
    this.#positions = positions;
    for (const room of before ?? []) this.#rooms.give(room);
    for (const [b, rows] of kept.entries()) if (rows !== null) this.#table(0, b, rows.length).set(rows);
  }

  #table(which: 0 | 1, branch: number, length: number): Int32Array {
    const [now, next] = this.#tables as [Room, Room];
    return this.#arena.i32((which === 0 ? now : next).address + 4 * branch * this.#positions, length);
  }
}

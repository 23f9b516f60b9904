/** A set of strings with a number each, walked one UTF-16 unit at a time: edges in one hash table, no object per node. */

/** Int32 values an edge: the node it leaves + 1 (0 marks an empty cell), its unit, the node it reaches, the value there. */
const CELL = 4;

/** The node where every walk begins. */
export const ROOT = 0;

/** What a walk steps over: see `Trie.edge`. */
export type Edge = number;

export class Trie {
  #cells = new Int32Array(64 * CELL);
  /** 32 - log2 of the number of cells. */
  #shift = 26;
  #nodes = 1;
  /** Odd random factors: a hostile vocabulary cannot aim its edges at one part of the table. */
  readonly #nodeFactor = (Math.random() * 2 ** 32) | 1;
  readonly #unitFactor = (Math.random() * 2 ** 32) | 1;

  /** `value` from 0 on; of equal strings the last one counts. The empty string has no place here. */
  add(text: string, value: number): void {
    let node = ROOT;
    let last = -1;
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      let cell = this.#probe(node, unit);
      if (this.#cells[cell] === 0) {
        // A node with edges is no longer marked as an end.
        if (last >= 0) this.#cells[last + 2] = node;
        if (this.#nodes * 6 > this.#cells.length) {
          this.#grow();
          cell = this.#probe(node, unit);
        }
        this.#cells[cell] = node + 1;
        this.#cells[cell + 1] = unit;
        this.#cells[cell + 2] = ~this.#nodes++;
        this.#cells[cell + 3] = -1;
      }
      last = cell;
      node = this.#cells[cell + 2];
      if (node < 0) node = ~node;
    }
    if (last >= 0) this.#cells[last + 3] = value;
  }

  /** The edge for `unit` that leaves a node (not one that is negative), or -1. */
  edge(node: number, unit: number): Edge {
    const cell = this.#probe(node, unit);
    return this.#cells[cell] === 0 ? -1 : cell;
  }

  /** Where the edge leads: a node, or something negative if no edge leaves that. */
  target(edge: Edge): number {
    return this.#cells[edge + 2];
  }

  /** The value of the string that ends with the edge, or -1. */
  value(edge: Edge): number {
    return this.#cells[edge + 3];
  }

  /** The value of text[start, end), or -1. */
  find(text: string, start: number, end: number): number {
    let node = ROOT;
    let edge = -1;
    for (let at = start; at < end; at++) {
      edge = node < 0 ? -1 : this.edge(node, text.charCodeAt(at));
      if (edge < 0) return -1;
      node = this.target(edge);
    }
    return edge < 0 ? -1 : this.value(edge);
  }

  /** Length in units of the longest string that stands in the text at `start` and ends by `end`; 0 for none. */
  longestAt(text: string, start: number, end: number): number {
    let longest = 0;
    for (let at = start, node = ROOT; at < end && node >= 0; ) {
      const edge = this.edge(node, text.charCodeAt(at++));
      if (edge < 0) break;
      if (this.value(edge) >= 0) longest = at - start;
      node = this.target(edge);
    }
    return longest;
  }

  #probe(node: number, unit: number): number {
    const cells = this.#cells;
    const last = cells.length - CELL;
    const hash = Math.imul(node, this.#nodeFactor) + Math.imul(unit, this.#unitFactor);
    let cell = ((hash | 0) >>> this.#shift) * CELL;
    while (cells[cell] !== 0 && (cells[cell] !== node + 1 || cells[cell + 1] !== unit)) cell = (cell + CELL) & last;
    return cell;
  }

  /** At most two thirds of the cells are taken. */
  #grow(): void {
    const old = this.#cells;
    const cells = new Int32Array(old.length * 2);
    this.#cells = cells;
    this.#shift--;
    for (let from = 0; from < old.length; from += CELL) {
      if (old[from] === 0) continue;
      const cell = this.#probe(old[from] - 1, old[from + 1]);
      for (let i = 0; i < CELL; i++) cells[cell + i] = old[from + i];
    }
  }
}

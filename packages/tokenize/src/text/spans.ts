/** A growing list of ranges in a text. */

import { grown } from "../memory";

export class Spans {
  #bounds = new Int32Array(64);
  #length = 0;

  /** How many ranges. */
  get length(): number {
    return this.#length;
  }

  push(start: number, end: number): void {
    const at = this.#length * 2;
    if (at === this.#bounds.length) {
      this.#bounds = grown(this.#bounds, at * 2);
    }
    this.#bounds[at] = start;
    this.#bounds[at + 1] = end;
    this.#length++;
  }

  start(index: number): number {
    return this.#bounds[index * 2];
  }

  end(index: number): number {
    return this.#bounds[index * 2 + 1];
  }
}

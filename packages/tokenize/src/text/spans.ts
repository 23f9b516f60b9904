import { grown } from "../memory";

/** A growing list of ranges in a text. */
export class Spans {
  /** Start and end of each in turn. Small at first, as most texts are. */
  #bounds = new Int32Array(16);
  #length = 0;

  /** How many ranges. */
  get length(): number {
    return this.#length;
  }

  push(start: number, end: number): void {
    const at = this.#length++ * 2;
    if (at === this.#bounds.length) this.#bounds = grown(this.#bounds, at * 2);
    this.#bounds[at] = start;
    this.#bounds[at + 1] = end;
  }

  start(index: number): number {
    return this.#bounds[index * 2];
  }

  end(index: number): number {
    return this.#bounds[index * 2 + 1];
  }
}

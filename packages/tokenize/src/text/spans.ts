/** A growing list of ranges in a text. */
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
      const larger = new Int32Array(at * 2);
      larger.set(this.#bounds);
      this.#bounds = larger;
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

/** A growing list of ranges in a text. */
export class Spans {
  /** Start and end of each in turn. */
  readonly #bounds: number[] = [];

  /** How many ranges. */
  get length(): number {
    return this.#bounds.length / 2;
  }

  push(start: number, end: number): void {
    this.#bounds.push(start, end);
  }

  start(index: number): number {
    return this.#bounds[index * 2];
  }

  end(index: number): number {
    return this.#bounds[index * 2 + 1];
  }
}

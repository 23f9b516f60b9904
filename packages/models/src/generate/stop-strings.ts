/** Ending a streamed text at a string, of which no part may have been shown. */

/**
 * Passes text on as it comes, but holds back an end that may be the beginning of a stop string.
 *
 * @example
 * const gate = new StopStrings(["END"]);
 * gate.push("the E");  // "the "
 * gate.push("ND.");    // "", and gate.stopped is true
 */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = "";
  #stopped = false;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** Whether a stop string has come. Nothing is passed on after it. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Takes the next piece, gives what can be shown. */
  push(piece: string): string {
    if (this.#stopped || piece === "") return "";
    const text = this.#held + piece;
    let end = text.length;
    let held = 0;
    for (const stop of this.#stops) {
      const found = text.indexOf(stop);
      if (found >= 0) {
        this.#stopped = true;
        end = Math.min(end, found);
      } else {
        held = Math.max(held, overlap(text, stop));
      }
    }
    if (this.#stopped) {
      this.#held = "";
      return text.slice(0, end);
    }
    this.#held = text.slice(text.length - held);
    return text.slice(0, text.length - held);
  }

  /** At the end of the text: what was held back. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }
}

/** Length of the longest end of `text` that `stop` begins with. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}

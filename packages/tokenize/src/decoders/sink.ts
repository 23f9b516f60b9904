/** The two ends of a chain of decoders: what a stage writes to, and what collects the text. */

/** What a stage writes to. A token may come in several parts; `ends` says that this part is its last. */
export interface Sink {
  push(text: string, ends: boolean): void;
  /** No more tokens: give out what is held back. */
  finish(): void;
}

/** The end of every chain: collects the text. */
export class TextSink implements Sink {
  #text = "";

  push(text: string): void {
    this.#text += text;
  }

  finish(): void {}

  /** What came since the last call. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }
}

import { grown } from "../memory";

/** What a model finds in the words of a text: ids, and which part of the text each one covers. */
export class Tokens {
  ids = new Int32Array(64);
  /** UTF-16 units of the text that the model was given. A token for some bytes of a character covers the whole character. */
  starts = new Int32Array(64);
  ends = new Int32Array(64);
  length = 0;
  /** Strings of the tokens that do not read as the vocabulary says (an unknown piece, the text of an added token), by index. */
  readonly texts = new Map<number, string>();

  push(id: number, start: number, end: number): void {
    if (this.length === this.ids.length) this.#grow();
    this.ids[this.length] = id;
    this.starts[this.length] = start;
    this.ends[this.length++] = end;
  }

  /** A token that reads as the text does, whatever its id. */
  pushText(id: number, start: number, end: number, text: string): void {
    this.texts.set(this.length, text);
    this.push(id, start, end);
  }

  #grow(): void {
    this.ids = grown(this.ids, this.length * 2);
    this.starts = grown(this.starts, this.length * 2);
    this.ends = grown(this.ends, this.length * 2);
  }
}

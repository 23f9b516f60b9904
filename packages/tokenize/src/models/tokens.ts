import { grown } from "../memory";

/** What a model finds in the words of a text: ids, and which part of the text each one covers. */
export class Tokens {
  /** The first `length` values of each count. Small at first, as most texts are. */
  ids = new Int32Array(16);
  /** UTF-16 units of the text that the model was given. A token for some bytes of a character covers the whole character. */
  starts = new Int32Array(16);
  ends = new Int32Array(16);
  length = 0;
  /** Strings of the tokens that do not read as the vocabulary says (an unknown piece, the text of an added token), by index. */
  readonly texts = new Map<number, string>();

  push(id: number, start: number, end: number): void {
    const at = this.length++;
    if (at === this.ids.length) {
      this.ids = grown(this.ids, at * 2);
      this.starts = grown(this.starts, at * 2);
      this.ends = grown(this.ends, at * 2);
    }
    this.ids[at] = id;
    this.starts[at] = start;
    this.ends[at] = end;
  }

  /** A token that reads as the text does, whatever its id. */
  pushText(id: number, start: number, end: number, text: string): void {
    this.texts.set(this.length, text);
    this.push(id, start, end);
  }

  /** Takes all from index `length` on away again. */
  truncate(length: number): void {
    this.length = length;
    for (const index of this.texts.keys()) if (index >= length) this.texts.delete(index);
  }
}

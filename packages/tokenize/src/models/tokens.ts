/** What a model finds in the words of a text: ids, and which part of the text each one covers. */
export class Tokens {
  readonly ids: number[] = [];
  /** UTF-16 units of the text that the model was given. A token for some bytes of a character covers the whole character. */
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  /** Strings of the tokens that do not read as the vocabulary says (an unknown piece, the text of an added token), by index. */
  readonly texts = new Map<number, string>();

  get length(): number {
    return this.ids.length;
  }

  push(id: number, start: number, end: number): void {
    this.ids.push(id);
    this.starts.push(start);
    this.ends.push(end);
  }

  /** A token that reads as the text does, whatever its id. */
  pushText(id: number, start: number, end: number, text: string): void {
    this.texts.set(this.length, text);
    this.push(id, start, end);
  }

  /** Takes all from index `length` on away again. */
  truncate(length: number): void {
    this.ids.length = length;
    this.starts.length = length;
    this.ends.length = length;
    for (const index of this.texts.keys()) if (index >= length) this.texts.delete(index);
  }
}

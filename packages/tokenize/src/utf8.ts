/** UTF-8 by hand where TextDecoder does not fit: one character at a time, and one U+FFFD for each byte that is wrong. */

/** Appends the 1 to 4 UTF-8 bytes of a code point (never a surrogate). */
export function pushUtf8(code: number, bytes: number[]): void {
  if (code < 0x80) {
    bytes.push(code);
  } else if (code < 0x800) {
    bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
  } else if (code < 0x10000) {
    bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  } else {
    bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  }
}

/** The bytes of a text that has no lone surrogates. */
export function utf8Of(text: string): number[] {
  const bytes: number[] = [];
  for (const character of text) pushUtf8(character.codePointAt(0) as number, bytes);
  return bytes;
}

/** How many bytes the code point takes in UTF-8. */
export function utf8Length(code: number): number {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/** Assembles bytes into characters as they come; refuses overlong forms, surrogates and what lies past U+10FFFF. */
export class Utf8Assembler {
  /** U+FFFD for each byte of what breaks off, as in sentencepiece; else one for all of them, as TextDecoder and Rust do. */
  readonly #isByByte: boolean;
  /** Of the character at hand: bytes that have come, bytes to come, its bits so far, and what the next byte may be. */
  #held = 0;
  #needed = 0;
  #code = 0;
  #min = 0x80;
  #max = 0xbf;
  #wrongBytes = 0;

  constructor(isByByte = true) {
    this.#isByByte = isByByte;
  }

  /** How many bytes became U+FFFD since the last flush. */
  get wrongBytes(): number {
    return this.#wrongBytes;
  }

  /** Gives the text that this byte completes. */
  push(byte: number): string {
    if (this.#needed === 0) return byte < 0x80 ? String.fromCharCode(byte) : this.#lead(byte);
    const fits = byte >= this.#min && byte <= this.#max;
    this.#min = 0x80;
    this.#max = 0xbf;
    if (!fits) return this.#breakOff() + this.push(byte);
    this.#held++;
    this.#code = (this.#code << 6) | (byte & 63);
    return --this.#needed === 0 ? String.fromCodePoint(this.#code) : "";
  }

  /** The end: what is still held can no longer become a character. */
  flush(): string {
    const rest = this.#needed > 0 ? this.#breakOff() : "";
    this.#wrongBytes = 0;
    return rest;
  }

  #breakOff(): string {
    this.#needed = 0;
    this.#wrongBytes += this.#held;
    return "\uFFFD".repeat(this.#isByByte ? this.#held : 1);
  }

  /** The first byte of a character (Unicode standard, table 3-7). */
  #lead(byte: number): string {
    this.#held = 1;
    if (byte < 0xc2 || byte > 0xf4) return this.#breakOff();
    this.#needed = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    this.#code = byte & (0x3f >> this.#needed);
    this.#min = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    this.#max = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
    return "";
  }
}

/** The byte that a `<0xXX>` token stands for, or -1. */
export function byteOfToken(token: string): number {
  // Most tokens have another length.
  return token.length === 6 && /^<0x[\dA-Fa-f]{2}>$/.test(token) ? Number.parseInt(token.slice(3, 5), 16) : -1;
}

/** The token of a byte: `<0x0A>` for 10. */
export function tokenOfByte(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

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

/** How many bytes the code point takes in UTF-8. */
export function utf8Length(code: number): number {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/** Assembles bytes into characters as they come; refuses overlong forms, surrogates and what lies past U+10FFFF. */
export class Utf8Assembler {
  /** Bytes that arrived without completing a character: 0 to 3. */
  readonly #held: number[] = [];

  #wrongBytes = 0;

  /** How many bytes became U+FFFD since the last flush. */
  get wrongBytes(): number {
    return this.#wrongBytes;
  }

  /** Gives the text that this byte completes; each impossible byte becomes one U+FFFD, as in sentencepiece. */
  push(byte: number): string {
    const held = this.#held;
    held.push(byte);
    let text = "";
    while (held.length > 0) {
      const width = sequenceWidth(held);
      if (width === INCOMPLETE) break;
      if (width === IMPOSSIBLE) this.#wrongBytes++;
      text += width === IMPOSSIBLE ? "\uFFFD" : String.fromCodePoint(codePoint(held));
      held.splice(0, Math.max(width, 1));
    }
    return text;
  }

  /** The end: what is still held can no longer become a character. */
  flush(): string {
    const text = "\uFFFD".repeat(this.#held.length);
    this.#held.length = 0;
    this.#wrongBytes = 0;
    return text;
  }
}

const INCOMPLETE = 0;
const IMPOSSIBLE = -1;

/** Width of the character that the bytes start with, or INCOMPLETE, or IMPOSSIBLE (Unicode standard, table 3-7). */
function sequenceWidth(bytes: readonly number[]): number {
  const lead = bytes[0];
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return IMPOSSIBLE;
  const width = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  for (let i = 1; i < width; i++) {
    if (i === bytes.length) return INCOMPLETE;
    const min = i > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const max = i > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (bytes[i] < min || bytes[i] > max) return IMPOSSIBLE;
  }
  return width;
}

function codePoint(bytes: readonly number[]): number {
  const lead = bytes[0];
  if (lead < 0x80) return lead;
  if (lead < 0xe0) return ((lead & 31) << 6) | (bytes[1] & 63);
  if (lead < 0xf0) return ((lead & 15) << 12) | ((bytes[1] & 63) << 6) | (bytes[2] & 63);
  return ((lead & 7) << 18) | ((bytes[1] & 63) << 12) | ((bytes[2] & 63) << 6) | (bytes[3] & 63);
}

/** The byte that a `<0xXX>` token stands for, or -1. */
export function byteOfToken(token: string): number {
  if (token.length !== 6 || !token.startsWith("<0x") || token[5] !== ">") return -1;
  const high = hexDigit(token.charCodeAt(3));
  const low = hexDigit(token.charCodeAt(4));
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

/** The token of a byte: `<0x0A>` for 10. */
export function tokenOfByte(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

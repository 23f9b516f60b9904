/** Sets of characters that are asked about for every character of a text: a bit each, filled in when first needed. */

const PAGE = 256;
const BMP_PAGES = 0x10000 / PAGE;

/** All code points that match a regular expression of one character, less and plus the given ones. */
export class CharacterSet {
  readonly #pattern: RegExp;
  readonly #without: RegExp | null;
  /** By code point / 256, 1 for a member. Made when a character of the page first comes up. */
  readonly #pages: (Uint8Array | undefined)[] = new Array(BMP_PAGES);

  /** `pattern` has the flag u and no g, and is anchored nowhere; `without` takes code points out again. */
  constructor(pattern: RegExp, without: RegExp | null = null) {
    this.#pattern = pattern;
    this.#without = without;
  }

  has(code: number): boolean {
    const page = this.#pages[code >>> 8] ?? this.#fill(code >>> 8);
    return page[code & 0xff] === 1;
  }

  #fill(index: number): Uint8Array {
    const page = new Uint8Array(PAGE);
    for (let low = 0; low < PAGE; low++) {
      const character = String.fromCodePoint(index * PAGE + low);
      if (this.#pattern.test(character) && !(this.#without?.test(character) ?? false)) page[low] = 1;
    }
    this.#pages[index] = page;
    return page;
  }
}

/** The inside of a class of these code points, for the flag u: "88f 1acf-1add" gives \\u{88f}\\u{1acf}-\\u{1add}. */
export function codeRanges(hex: string): string {
  return hex.replace(/\w+/g, "\\u{$&}").replaceAll(" ", "");
}

/** Unicode's White_Space, which is Rust's `char::is_whitespace`: unlike JavaScript's \s without U+FEFF and with U+0085. */
export const whiteSpace = new CharacterSet(/\p{White_Space}/u);

/** The class \w of Unicode TS #18, annex C, which Rust's regex and Oniguruma use. */
export const wordCharacters = new CharacterSet(/[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u);

/** Sets of characters that are asked about for every character of a text: a bit each, filled in when first needed. */

const PAGE = 256;
/** Most pages hold all or nothing; those share these two. */
const NONE = new Uint8Array(PAGE);
const ALL = new Uint8Array(PAGE).fill(1);

export type CodeTest = (code: number) => boolean;

/** A test of code points whose answers are kept by page, as each page comes up. */
export class CodeSet {
  readonly #test: CodeTest;
  /** By code point / 256, 1 for a member. */
  readonly #pages: (Uint8Array | undefined)[] = [];

  constructor(test: CodeTest) {
    this.#test = test;
  }

  has(code: number): boolean {
    const page = this.#pages[code >>> 8] ?? this.#fill(code >>> 8);
    return page[code & 0xff] === 1;
  }

  #fill(index: number): Uint8Array {
    const page = Uint8Array.from(NONE, (_, low) => (this.#test(index * PAGE + low) ? 1 : 0));
    const kept = !page.includes(1) ? NONE : !page.includes(0) ? ALL : page;
    this.#pages[index] = kept;
    return kept;
  }
}

/** All code points that match a regular expression of one character, but for those of `without`. */
export class CharacterSet extends CodeSet {
  /** `pattern` has the flag u and no g, and is anchored nowhere. */
  constructor(pattern: RegExp, without: RegExp | null = null) {
    super((code) => {
      const character = String.fromCodePoint(code);
      return pattern.test(character) && without?.test(character) !== true;
    });
  }
}

/** The class of these code points in hexadecimal: "88f 1acf-1add" gives /[\\u{88f}\\u{1acf}-\\u{1add}]/u. */
export function codeClass(hex: string): RegExp {
  return new RegExp(`[${hex.replace(/\w+/g, "\\u{$&}").replaceAll(" ", "")}]`, "u");
}

/** Unicode's White_Space, which is Rust's `char::is_whitespace`: unlike JavaScript's \s without U+FEFF and with U+0085. */
export const whiteSpace = new CharacterSet(/\p{White_Space}/u);

/** The class \w of Unicode TS #18, annex C, which Rust's regex and Oniguruma use. */
export const wordCharacters = new CharacterSet(/[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u);

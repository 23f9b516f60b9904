/** The text of a regular expression while it is read, and the escapes that mean the same inside and outside of classes. */

import { MAX_REGEX_PROPERTIES } from "../limits";
import { whiteSpace } from "../text/characters";
import { type CodeTest, isWord, posixTest, propertyTest, rangesTest } from "./code-set";

/** How a reader says what is wrong: an error in every reader of this syntax, or a construct that is not built here. */
export type RegexFailure = (kind: "broken" | "unsupported", what: string, at: number) => never;

export class RegexText {
  readonly #characters: readonly string[];
  readonly #fail: RegexFailure;
  readonly #properties = new Set<string>();
  at = 0;

  constructor(source: string, fail: RegexFailure) {
    this.#characters = [...source];
    this.#fail = fail;
  }

  get isEnd(): boolean {
    return this.at >= this.#characters.length;
  }

  /** The character `ahead` of the next one, or nothing. */
  peek(ahead = 0): string {
    return this.#characters[this.at + ahead] ?? "";
  }

  next(): string {
    return this.#characters[this.at++] ?? this.broken("more");
  }

  /** Goes past `text` if it is next; `text` is ASCII. */
  take(text: string): boolean {
    for (let i = 0; i < text.length; i++) if (this.peek(i) !== text[i]) return false;
    this.at += text.length;
    return true;
  }

  /** Goes past what `pattern` matches of the next `most` characters, which must be at their start. */
  match(pattern: RegExp, most: number): RegExpExecArray | null {
    const found = pattern.exec(this.#characters.slice(this.at, this.at + most).join(""));
    if (found !== null) this.at += [...found[0]].length;
    return found;
  }

  has(text: string): boolean {
    return this.#characters.includes(text, this.at);
  }

  broken(what: string): never {
    return this.#fail("broken", what, this.at);
  }

  unsupported(what: string): never {
    return this.#fail("unsupported", what, this.at);
  }

  property(name: string): CodeTest {
    const test = propertyTest(name) ?? this.unsupported(`the property "${name}"`);
    this.#properties.add(name);
    if (this.#properties.size > MAX_REGEX_PROPERTIES) this.broken(`at most ${MAX_REGEX_PROPERTIES} properties`);
    return test;
  }
}

const isHexDigit = rangesTest([0x30, 0x39, 0x41, 0x46, 0x61, 0x66]);
const TESTS: Readonly<Record<string, CodeTest>> = {
  s: (code) => whiteSpace.has(code),
  w: isWord,
  d: posixTest("digit") as CodeTest,
  h: isHexDigit,
};
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, a: 7, e: 27 };
/** Longest `\p{...}` that is looked at; Unicode's names stay below 40. */
const MAX_NAME = 64;

export function inverted(test: CodeTest): CodeTest {
  return (code) => !test(code);
}

/** What follows a backslash, if it stands for a kind of characters: `\s`, `\p{L}`. */
export function kindEscape(text: RegexText, isInClass = false): CodeTest | null {
  const letter = text.peek();
  const lower = letter.toLowerCase();
  if (Object.hasOwn(TESTS, lower)) {
    text.at++;
    const test = isInClass && lower === "w" ? (posixTest("word") as CodeTest) : TESTS[lower];
    return letter === lower ? test : inverted(test);
  }
  if (lower !== "p" || text.peek(1) !== "{") return null;
  const found = text.match(/^[pP]\{(\^?)([^}]*)\}/, MAX_NAME) ?? text.broken("a property name and its brace");
  const test = !isInClass && /^word$/i.test(found[2]) ? isWord : text.property(found[2]);
  return (letter === "P") !== (found[1] === "^") ? inverted(test) : test;
}

/** What follows a backslash, if it stands for one character: `\n`, `\x{1F600}`, `\.`. */
export function codeEscape(text: RegexText): number {
  const letter = text.next();
  if (Object.hasOwn(CONTROLS, letter)) return CONTROLS[letter];
  if (letter === "x" || letter === "u" || letter === "o") {
    const long = letter === "u" ? null : text.match(/^\{([0-9A-Fa-f]{1,8})\}/, 10);
    // Oniguruma takes numbers above Unicode's as well, which match nothing.
    if (long !== null) return Number.parseInt(long[1], letter === "o" ? 8 : 16);
    if (letter === "o") return 0x6f;
    if (text.peek() === "{") text.unsupported(`\\${letter}{`);
    const short = text.match(letter === "u" ? /^[0-9A-Fa-f]{4}/ : /^[0-9A-Fa-f]{0,2}/, 4);
    const code = short === null ? text.broken("four hexadecimal digits") : Number.parseInt(short[0] || "0", 16);
    // Above ASCII these are bytes of UTF-8, which have to make whole characters.
    return letter === "x" && code > 0x7f ? text.unsupported("\\x of a byte above 7F") : code;
  }
  if (letter === "0" || (letter >= "1" && letter <= "7")) {
    text.at--;
    const code = Number.parseInt((text.match(/^[0-7]{1,3}/, 3) as RegExpExecArray)[0], 8);
    return code > 0x7f ? text.unsupported("an octal escape above 177") : code;
  }
  if (/[cCM89]/.test(letter)) text.unsupported(`\\${letter}`);
  return letter.codePointAt(0) as number;
}

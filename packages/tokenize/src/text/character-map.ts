/** Rewriting a text one character after another, with a memory of what each character becomes. */

import { textOfUnits } from "../memory";
import { type AlignedText, characterEnd, characterStart } from "./aligned-text";

/** What stands in place of a part of a text: unit `i` of `text` stands for the character at unit `origins[i]` of the part. */
export interface Rewritten {
  readonly text: string;
  readonly origins: ArrayLike<number>;
}

/** What a character becomes; null where that depends on its neighbours. */
export type CharacterRule = (character: string) => string | null;

/** What a part becomes that starts with any character and goes on with characters whose rule is null. */
export type PartRule = (part: string) => Rewritten;

// Values of a page; from 0 on: the one unit that the character becomes. From FIRST_TEXT down: texts, by index.
const UNKNOWN = -1;
const KEPT = -2;
const JOINED = -3;
const FIRST_TEXT = -4;

const PAGE = 256;
const PAGES = 0x110000 / PAGE;
const EMPTY_PAGE = new Int32Array(PAGE).fill(UNKNOWN);

/** Room beyond the text, so that single characters need no check. */
const SLACK = 64;
/** Units for which memory is kept between calls; a longer text gives it back. */
const KEPT_UNITS = 1 << 16;

// Shared by all maps: apply() is never entered again before it has returned.
let units = new Uint16Array(4096);
let origins = new Int32Array(4096);

export class CharacterMap {
  readonly #rule: CharacterRule;
  readonly #partRule: PartRule | null;
  readonly #pages: Int32Array[] = new Array<Int32Array>(PAGES).fill(EMPTY_PAGE);
  readonly #texts: string[] = [];

  constructor(rule: CharacterRule, partRule: PartRule | null = null) {
    this.#rule = rule;
    this.#partRule = partRule;
  }

  /** The rewritten text: each new character stands for what its old one stood for. Null where a part has no rule. */
  apply(source: AlignedText): AlignedText | null {
    const { text } = source;
    const pages = this.#pages;
    reserve(0, text.length);
    let length = 0;
    let isChanged = false;
    let isMoved = false;
    // Where the last character began, in the old text and in the new one.
    let lastAt = 0;
    let lastLength = 0;
    for (let at = 0; at < text.length; ) {
      let code = text.charCodeAt(at);
      let width = 1;
      if ((code & 0xfc00) === 0xd800) {
        code = text.codePointAt(at) as number;
        if (code > 0xffff) width = 2;
      }
      let value = pages[code >>> 8][code & 0xff];
      if (value === UNKNOWN) value = this.#learn(code);
      if (value === JOINED) {
        if (this.#partRule === null) return null;
        // Takes the last character back: the part begins with it.
        const from = lastAt;
        let to = at + width;
        while (to < text.length && this.#isJoined(text.codePointAt(to) as number)) to += widthAt(text, to);
        length = lastLength;
        const part = text.slice(from, to);
        const made = this.#partRule(part);
        reserve(length, made.text.length + text.length - to);
        if (!isMoved && isUnmoved(made, part)) {
          isChanged ||= made.text !== part;
        } else {
          if (!isMoved) countUp(length);
          isChanged = isMoved = true;
          for (let i = 0; i < made.text.length; i++) origins[length + i] = from + made.origins[i];
        }
        for (let i = 0; i < made.text.length; i++) units[length + i] = made.text.charCodeAt(i);
        length += made.text.length;
        at = to;
        // The next part cannot begin inside of this one: what follows is not joined.
        lastAt = at;
        lastLength = length;
        continue;
      }
      lastAt = at;
      lastLength = length;
      if (value >= 0 && width === 1) {
        if (value !== code) isChanged = true;
        if (isMoved) origins[length] = at;
        units[length++] = value;
        at++;
        continue;
      }
      const made = value === KEPT ? null : value >= 0 ? String.fromCharCode(value) : this.#texts[FIRST_TEXT - value];
      const size = made === null ? width : made.length;
      if (made !== null) {
        isChanged = true;
        if (!isMoved && (size !== width || !isLow(made.charCodeAt(1)))) {
          countUp(length);
          isMoved = true;
        }
        reserve(length, size + text.length - at);
      }
      for (let i = 0; i < size; i++) {
        if (isMoved) origins[length] = at;
        units[length++] = made === null ? text.charCodeAt(at + i) : made.charCodeAt(i);
      }
      at += width;
    }
    const result = !isChanged
      ? source
      : isMoved
        ? moved(source, length)
        : { text: textOfUnits(units, length), starts: source.starts, ends: source.ends, origin: source.origin };
    if (units.length > KEPT_UNITS) {
      units = new Uint16Array(4096);
      origins = new Int32Array(4096);
    }
    return result;
  }

  #isJoined(code: number): boolean {
    const value = this.#pages[code >>> 8][code & 0xff];
    return (value === UNKNOWN ? this.#learn(code) : value) === JOINED;
  }

  #learn(code: number): number {
    if (this.#pages[code >>> 8] === EMPTY_PAGE) this.#pages[code >>> 8] = EMPTY_PAGE.slice();
    const character = String.fromCodePoint(code);
    const text = this.#rule(character);
    let value = KEPT;
    if (text === null) value = JOINED;
    else if (text.length === 1) value = text.charCodeAt(0);
    else if (text !== character) value = FIRST_TEXT - (this.#texts.push(text) - 1);
    this.#pages[code >>> 8][code & 0xff] = value;
    return value;
  }
}

/** True where every character stands for the old one in its place. */
function isUnmoved(made: Rewritten, part: string): boolean {
  if (made.text.length !== part.length) return false;
  for (let i = 0; i < part.length; i++) {
    const isSecond = isLow(part.charCodeAt(i));
    if (isSecond !== isLow(made.text.charCodeAt(i)) || made.origins[i] !== (isSecond ? i - 1 : i)) return false;
  }
  return true;
}

function isLow(unit: number): boolean {
  return (unit & 0xfc00) === 0xdc00;
}

function widthAt(text: string, at: number): number {
  return (text.codePointAt(at) as number) > 0xffff ? 2 : 1;
}

/** Room for `more` units behind the first `length`. */
function reserve(length: number, more: number): void {
  const needed = length + more + SLACK;
  if (needed <= units.length) return;
  const capacity = Math.max(needed, units.length * 2);
  const [oldUnits, oldOrigins] = [units, origins];
  units = new Uint16Array(capacity);
  origins = new Int32Array(capacity);
  units.set(oldUnits.subarray(0, length));
  origins.set(oldOrigins.subarray(0, length));
}

function countUp(length: number): void {
  for (let i = 0; i < length; i++) origins[i] = i;
}

/** The new text with the ranges of the characters at `origins`. */
function moved(source: AlignedText, length: number): AlignedText {
  const starts = new Int32Array(length);
  const ends = new Int32Array(length);
  for (let i = 0; i < length; i++) {
    const at = origins[i];
    starts[i] = characterStart(source, at);
    ends[i] = characterEnd(source, at);
  }
  return { text: textOfUnits(units, length), starts, ends, origin: source.origin };
}

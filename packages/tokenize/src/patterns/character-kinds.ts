/** What the scanners ask about a character: its bits, from a table that is filled in by the page. */

import { whiteSpace } from "../text/characters";
import { type CodeTest, propertyTest } from "./code-set";

export const LETTER = 1;
export const NUMBER = 2;
export const SPACE = 4;
export const NEWLINE = 8;
/** Neither letter, number nor white space. */
export const SIGN = 16;
export const MARK = 32;
/** Punctuation or symbol. */
export const PUNCTUATION = 64;
/** What o200k takes as capitals, [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], and as small letters, [\p{Ll}\p{Lm}\p{Lo}\p{M}]. */
export const UPPER = 128;
export const LOWER = 256;
/** Two UTF-16 units. */
export const WIDE = 512;

const test = (name: string): CodeTest => propertyTest(name) as CodeTest;
const kinds = new Uint16Array(0x10000);
const isFilled = new Uint8Array(0x100);

/** The bits of the character at `at`. */
export function kindAt(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  if (isFilled[unit >>> 8] === 0) fill(unit >>> 8);
  if ((unit & 0xfc00) !== 0xd800) return kinds[unit];
  const code = text.codePointAt(at) as number;
  return code > 0xffff ? wideKind(code) : kinds[unit];
}

/** Of the characters above U+FFFF, those seen lately. */
const wide = { codes: new Int32Array(1024), kinds: new Uint16Array(1024) };

function wideKind(code: number): number {
  const slot = code & 1023;
  if (wide.codes[slot] !== code) {
    wide.codes[slot] = code;
    wide.kinds[slot] = kindOf(code) | WIDE;
  }
  return wide.kinds[slot];
}

function fill(page: number): void {
  for (let code = page * 256; code < page * 256 + 256; code++) kinds[code] = kindOf(code);
  isFilled[page] = 1;
}

const isLetter = test("L");
const isNumber = test("N");
const isMark = test("M");
const isPunctuation = test("P");
const isSymbol = test("S");
const isUpper = test("Lu");
const isTitle = test("Lt");
const isLower = test("Ll");

function kindOf(code: number): number {
  if (isLetter(code)) {
    if (isUpper(code) || isTitle(code)) return LETTER | UPPER;
    return isLower(code) ? LETTER | LOWER : LETTER | UPPER | LOWER;
  }
  if (isNumber(code)) return NUMBER;
  if (whiteSpace.has(code)) return code === 10 || code === 13 ? SPACE | NEWLINE : SPACE;
  if (isMark(code)) return SIGN | MARK | UPPER | LOWER;
  return isPunctuation(code) || isSymbol(code) ? SIGN | PUNCTUATION : SIGN;
}

/** Where the run of characters ends that have one of the bits of `mask`. */
export function runEnd(text: string, from: number, to: number, mask: number): number {
  let at = from;
  while (at < to) {
    const unit = text.charCodeAt(at);
    const kind = unit < 128 ? kinds[unit] : kindAt(text, at);
    if ((kind & mask) === 0) break;
    at += kind & WIDE ? 2 : 1;
  }
  return at;
}

fill(0);

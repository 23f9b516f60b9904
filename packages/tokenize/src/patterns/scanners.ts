/**
 * Scanners by hand for the regular expressions of well-known tokenizers: each gives the matches of its expression, in
 * one pass. A test compares them with the engine.
 */

import {
  kindAt,
  LETTER,
  LOWER,
  MARK,
  NEWLINE,
  NUMBER,
  PUNCTUATION,
  runEnd,
  SIGN,
  SPACE,
  UPPER,
  WIDE,
} from "./character-kinds";
import type { Matcher } from "./pattern";
import { CLIP, DEEPSEEK, DEEPSEEK_HAN, GPT2, llama3, o200k } from "./well-known";

/** Where the match ends that starts at `at`, or -1. */
type Scan = (text: string, at: number, to: number) => number;

const BLANK = 0x20;
const APOSTROPHE = 0x27;
const SLASH = 0x2f;

let scanners: ReadonlyMap<string, Matcher> | undefined;

/** The scanner for exactly this regular expression, if there is one. */
export function scannerOf(regex: string): Matcher | undefined {
  scanners ??= new Map<string, Matcher>([
    [GPT2, scanner(scanGpt2)],
    [llama3(""), scanner(llama3Scan(1))],
    [llama3("{1,3}"), scanner(llama3Scan(3))],
    [llama3("+"), scanner(llama3Scan(Number.POSITIVE_INFINITY))],
    [o200k(true, "{1,3}"), scanner(o200kScan(true, 3))],
    [o200k(true, ""), scanner(o200kScan(true, 1))],
    [o200k(false, ""), scanner(o200kScan(false, 1))],
    [o200k(false, "{1,3}"), scanner(o200kScan(false, 3))],
    [DEEPSEEK, scanner(scanDeepSeek)],
    [DEEPSEEK_HAN, scanHan],
    [CLIP[0], scanner(clipScan(false))],
    [CLIP[1], scanner(clipScan(true))],
    ["\\p{N}", scanner(numberScan(1))],
    ["\\p{N}{1,3}", scanner(numberScan(3))],
    ["\\p{N}+", scanner(numberScan(Number.POSITIVE_INFINITY))],
  ]);
  return scanners.get(regex);
}

/** All the scanned expressions, for the test. */
export function scannedRegexes(): string[] {
  scannerOf("");
  return [...(scanners as ReadonlyMap<string, Matcher>).keys()];
}

function scanner(scan: Scan): Matcher {
  return (text, from, to, found) => {
    for (let at = from; at < to; ) {
      const end = scan(text, at, to);
      if (end === -1) {
        at += kindAt(text, at) & WIDE ? 2 : 1;
      } else {
        found(at, end);
        at = end;
      }
    }
  };
}

function width(kind: number): number {
  return kind & WIDE ? 2 : 1;
}

const scanGpt2: Scan = (text, at, to) => {
  const unit = text.charCodeAt(at);
  if (unit === APOSTROPHE) {
    const end = contractionEnd(text, at, to, false);
    if (end !== at) return end;
  }
  let start = at;
  let kind = kindAt(text, at);
  if (unit === BLANK && at + 1 < to) {
    start = at + 1;
    kind = kindAt(text, start);
  }
  if (kind & LETTER) return runEnd(text, start, to, LETTER);
  if (kind & SIGN) return runEnd(text, start, to, SIGN);
  if (kind & NUMBER) return runEnd(text, start, to, NUMBER);
  return spaceEnd(at, runEnd(text, at, to, SPACE), to);
};

function llama3Scan(maxDigits: number): Scan {
  return (text, at, to) => {
    const unit = text.charCodeAt(at);
    if (unit === APOSTROPHE) {
      const end = contractionEnd(text, at, to, true);
      if (end !== at) return end;
    }
    const kind = kindAt(text, at);
    if (kind & LETTER) return runEnd(text, at, to, LETTER);
    if (kind & NUMBER) return numbersEnd(text, at, to, maxDigits);
    const second = at + width(kind);
    const next = second < to ? kindAt(text, second) : 0;
    if (next & LETTER && (kind & NEWLINE) === 0) return runEnd(text, second, to, LETTER);
    if (kind & SIGN) return tailEnd(text, runEnd(text, at, to, SIGN), to, false);
    if (unit === BLANK && next & SIGN) return tailEnd(text, runEnd(text, second, to, SIGN), to, false);
    return lineEnd(text, at, to);
  };
}

function o200kScan(hasContractions: boolean, maxDigits: number): Scan {
  return (text, at, to) => {
    const kind = kindAt(text, at);
    const second = at + width(kind);
    const hasPrefix = (kind & (NEWLINE | LETTER | NUMBER)) === 0;
    let end = hasPrefix ? smallEnd(text, second, to) : -1;
    if (end === -1 && kind & (UPPER | LOWER)) end = smallEnd(text, at, to);
    if (end === -1 && hasPrefix) end = capitalsEnd(text, second, to);
    if (end === -1) end = capitalsEnd(text, at, to);
    if (end !== -1) return hasContractions ? contractionEnd(text, end, to, true) : end;
    if (kind & NUMBER) return numbersEnd(text, at, to, maxDigits);
    if (kind & SIGN) return tailEnd(text, runEnd(text, at, to, SIGN), to, true);
    if (text.charCodeAt(at) === BLANK && second < to && kindAt(text, second) & SIGN) {
      return tailEnd(text, runEnd(text, second, to, SIGN), to, true);
    }
    return lineEnd(text, at, to);
  };
}

/** Of UPPER* LOWER+: the capitals give back as little as they must, down to the last that is a small letter as well. */
function smallEnd(text: string, from: number, to: number): number {
  let last = -1;
  let at = from;
  while (at < to) {
    const kind = kindAt(text, at);
    if ((kind & UPPER) === 0) break;
    at += width(kind);
    if (kind & LOWER) last = at;
  }
  const end = runEnd(text, at, to, LOWER);
  return end > at ? end : last;
}

/** Of UPPER+ LOWER*. */
function capitalsEnd(text: string, from: number, to: number): number {
  const end = runEnd(text, from, to, UPPER);
  return end > from ? runEnd(text, end, to, LOWER) : -1;
}

const scanDeepSeek: Scan = (text, at, to) => {
  const unit = text.charCodeAt(at);
  const kind = kindAt(text, at);
  const second = at + width(kind);
  if (unit < 128 && kind & PUNCTUATION) {
    let end = second;
    while (end < to && isAsciiLetter(text.charCodeAt(end))) end++;
    if (end > second) return end;
  }
  const next = second < to ? kindAt(text, second) : 0;
  if ((kind & (NEWLINE | LETTER | PUNCTUATION)) === 0 && next & (LETTER | MARK)) {
    return runEnd(text, second, to, LETTER | MARK);
  }
  if (kind & (LETTER | MARK)) return runEnd(text, at, to, LETTER | MARK);
  if (kind & PUNCTUATION) return tailEnd(text, runEnd(text, at, to, PUNCTUATION), to, false);
  if (unit === BLANK && next & PUNCTUATION) return tailEnd(text, runEnd(text, second, to, PUNCTUATION), to, false);
  return kind & SPACE ? lineEnd(text, at, to) : -1;
};

function isAsciiLetter(unit: number): boolean {
  const small = unit | 0x20;
  return small >= 0x61 && small <= 0x7a;
}

const scanHan: Matcher = (text, from, to, found) => {
  let start = -1;
  for (let at = from; at < to; at++) {
    const unit = text.charCodeAt(at);
    const isHan = unit >= 0x3040 && ((unit >= 0x4e00 && unit <= 0x9fa5) || unit <= 0x30ff);
    if (isHan) {
      if (start === -1) start = at;
    } else if (start !== -1) {
      found(start, at);
      start = -1;
    }
  }
  if (start !== -1) found(start, to);
};

function clipScan(hasSpecialTokens: boolean): Scan {
  return (text, at, to) => {
    const unit = text.charCodeAt(at);
    if (unit === APOSTROPHE) {
      const end = contractionEnd(text, at, to, false);
      if (end !== at) return end;
    }
    if (hasSpecialTokens && unit === 0x3c) {
      for (const token of ["<|startoftext|>", "<|endoftext|>"]) {
        if (text.startsWith(token, at) && at + token.length <= to) return at + token.length;
      }
    }
    const kind = kindAt(text, at);
    if (kind & LETTER) return runEnd(text, at, to, LETTER);
    if (kind & NUMBER) return at + width(kind);
    return kind & SIGN ? runEnd(text, at, to, SIGN) : -1;
  };
}

function numberScan(most: number): Scan {
  return (text, at, to) => {
    const unit = text.charCodeAt(at);
    // Most characters are no numbers.
    if (unit < 128 && (unit < 0x30 || unit > 0x39)) return -1;
    return kindAt(text, at) & NUMBER ? numbersEnd(text, at, to, most) : -1;
  };
}

function numbersEnd(text: string, from: number, to: number, most: number): number {
  let at = from;
  for (let count = 0; count < most && at < to; count++) {
    const kind = kindAt(text, at);
    if ((kind & NUMBER) === 0) break;
    at += width(kind);
  }
  return at;
}

/** Where 's 't 're 've 'm 'll 'd ends, or `at`. In any case they have the long s as well, which folds to s. */
function contractionEnd(text: string, at: number, to: number, inAnyCase: boolean): number {
  if (at + 1 >= to || text.charCodeAt(at) !== APOSTROPHE) return at;
  const fold = inAnyCase ? 0x20 : 0;
  const first = text.charCodeAt(at + 1) | fold;
  switch (first) {
    case 0x73: // s
    case 0x74: // t
    case 0x6d: // m
    case 0x64: // d
      return at + 2;
    case 0x17f | 0x20:
      return inAnyCase && text.charCodeAt(at + 1) === 0x17f ? at + 2 : at;
    case 0x6c: // ll
    case 0x72: // re
    case 0x76: {
      // ve
      const second = at + 2 < to ? text.charCodeAt(at + 2) | fold : 0;
      return second === (first === 0x6c ? 0x6c : 0x65) ? at + 3 : at;
    }
    default:
      return at;
  }
}

/** The line breaks after signs, and with `slashes` those too. */
function tailEnd(text: string, from: number, to: number, slashes: boolean): number {
  let at = from;
  while (at < to) {
    const unit = text.charCodeAt(at);
    if (unit !== 10 && unit !== 13 && !(slashes && unit === SLASH)) break;
    at++;
  }
  return at;
}

/** Of \s*[\r\n]+|\s+(?!\S)|\s+ in white space: up to its last line break, or else all but one space before a word. */
function lineEnd(text: string, at: number, to: number): number {
  const end = runEnd(text, at, to, SPACE);
  for (let last = end - 1; last >= at; last--) {
    const unit = text.charCodeAt(last);
    if (unit === 10 || unit === 13) return last + 1;
  }
  return spaceEnd(at, end, to);
}

/** Of \s+(?!\S)|\s+ in white space from `at` to `end`, all of it of one unit each. */
function spaceEnd(at: number, end: number, to: number): number {
  return end === to || end === at + 1 ? end : end - 1;
}

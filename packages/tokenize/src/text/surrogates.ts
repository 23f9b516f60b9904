/** Surrogates: texts that have half of one, and offsets that count a pair as one. */

import { isWellFormed } from "../json";

const LONE = /\p{Surrogate}/gu;

/** The text with U+FFFD for each lone surrogate, which no UTF-8 can carry. */
export function wellFormed(text: string): string {
  return isWellFormed(text) ? text : text.replace(LONE, "\uFFFD");
}

/** For offsets in UTF-16 units of the texts, how many code points lie before them. */
export function codePointCounter(texts: readonly string[]): (offset: number, sequence: number) => number {
  const counts = new Array<Int32Array | undefined>(texts.length);
  return (offset, sequence) => {
    counts[sequence] ??= countCodePoints(texts[sequence]);
    return counts[sequence][offset];
  };
}

function countCodePoints(text: string): Int32Array {
  const before = new Int32Array(text.length + 1);
  for (let at = 0, count = 0; at <= text.length; at++) {
    before[at] = count;
    if ((text.charCodeAt(at) & 0xfc00) !== 0xd800) count++;
  }
  return before;
}

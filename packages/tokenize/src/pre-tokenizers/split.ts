/** Cutting words at matches: what becomes of the matches and of what lies between them. */

import type { JsonCursor } from "../json";
import type { Matcher } from "../patterns/pattern";
import { Spans } from "../text/spans";
import type { Words } from "./words";

const BEHAVIORS = {
  Removed: "Removed",
  Isolated: "Isolated",
  MergedWithPrevious: "MergedWithPrevious",
  MergedWithNext: "MergedWithNext",
  Contiguous: "Contiguous",
} as const;

/** Matches are dropped, words of their own, ends of the word before, beginnings of the next, or joined while they touch. */
export type SplitBehavior = keyof typeof BEHAVIORS;

export function parseBehavior(json: JsonCursor): SplitBehavior {
  return json.oneOf<SplitBehavior>(BEHAVIORS);
}

/** Cuts every word at the matches in it. With `invert`, what lies between the matches takes their place. */
export function splitWords(words: Words, matcher: Matcher, behavior: SplitBehavior, invert = false): Words {
  const { text } = words.text;
  const spans = new Spans();
  const joiner = new Joiner(behavior, spans);
  // By far the most common: every match and every gap is a word at once.
  const isPlain = behavior === "Isolated";
  let last = 0;
  const found = (start: number, end: number): void => {
    if (isPlain) {
      if (start > last) spans.push(last, start);
      if (end > start) spans.push(start, end);
    } else {
      if (start > last) joiner.add(last, start, invert);
      joiner.add(start, end, !invert);
    }
    last = end;
  };
  for (let i = 0; i < words.spans.length; i++) {
    const end = words.spans.end(i);
    last = words.spans.start(i);
    matcher(text, last, end, found);
    if (last < end) joiner.add(last, end, invert);
    joiner.finish();
  }
  return { ...words, spans };
}

/** Takes the parts of a word in order, each a match or not, and gives words. */
class Joiner {
  readonly #behavior: SplitBehavior;
  readonly #spans: Spans;
  /** The part that the next one may join; none if the start is -1. */
  #start = -1;
  #end = -1;
  #isMatch = false;

  constructor(behavior: SplitBehavior, spans: Spans) {
    this.#behavior = behavior;
    this.#spans = spans;
  }

  add(start: number, end: number, isMatch: boolean): void {
    if (this.#behavior === "Removed" && isMatch) return;
    if (this.#start === -1 || !this.#joins(isMatch)) {
      this.finish();
      this.#start = start;
    }
    this.#end = end;
    this.#isMatch = isMatch;
  }

  #joins(isMatch: boolean): boolean {
    switch (this.#behavior) {
      case "Contiguous":
        return isMatch === this.#isMatch;
      case "MergedWithPrevious":
        return isMatch && !this.#isMatch;
      case "MergedWithNext":
        return !isMatch && this.#isMatch;
      default:
        return false;
    }
  }

  finish(): void {
    if (this.#end > this.#start) this.#spans.push(this.#start, this.#end);
    this.#start = -1;
    this.#end = -1;
  }
}

/** Each character of a set is a match of its own. */
export function characterMatcher(has: (code: number) => boolean): Matcher {
  return (text, from, to, found) => {
    for (let at = from; at < to; ) {
      const code = text.codePointAt(at) as number;
      const end = code > 0xffff ? at + 2 : at + 1;
      if (has(code)) found(at, end);
      at = end;
    }
  };
}

/** Runs of characters for which `kindOf` gives the same number are matches; 0 is for what is not matched. */
export function runMatcher(kindOf: (code: number) => number): Matcher {
  return (text, from, to, found) => {
    let start = from;
    let kind = 0;
    for (let at = from; at < to; ) {
      const code = text.codePointAt(at) as number;
      const next = kindOf(code);
      if (next !== kind) {
        if (kind !== 0) found(start, at);
        start = at;
        kind = next;
      }
      at += code > 0xffff ? 2 : 1;
    }
    if (kind !== 0) found(start, to);
  };
}

/** Pieces of `length` characters are matches, the last one of fewer. */
export function lengthMatcher(length: number): Matcher {
  return (text, from, to, found) => {
    let start = from;
    let count = 0;
    for (let at = from; at < to; ) {
      at += (text.codePointAt(at) as number) > 0xffff ? 2 : 1;
      if (++count < length && at < to) continue;
      found(start, at);
      start = at;
      count = 0;
    }
  };
}

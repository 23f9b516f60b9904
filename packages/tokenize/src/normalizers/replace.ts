/** Replace: a pattern and what is put in its place, the same in normalizers and decoders. */

import type { JsonCursor } from "../json";
import { MAX_PATTERN_LENGTH } from "../limits";
import { compilePattern, formatPattern, type Pattern, parsePattern } from "../patterns/pattern";
import { type AlignedText, TextWriter } from "../text/aligned-text";

export interface Replace {
  readonly type: "Replace";
  readonly pattern: Pattern;
  readonly content: string;
}

/**
 * What is put in stands for the last character of its match, or for the one before an empty match. At the start of the
 * text, which is `origin` of the user's, an empty match has nothing to stand for.
 */
export function replaceAligned(replace: Replace, source: AlignedText, origin: number): AlignedText {
  const { pattern, content } = replace;
  const { text } = source;
  if (text === "") return source;
  if (pattern.type === "String" && pattern.string !== "") {
    if (!text.includes(pattern.string)) return source;
    if (isOneUnit(pattern.string) && isOneUnit(content)) {
      return { ...source, text: text.replaceAll(pattern.string, () => content) };
    }
  }
  const writer = new TextWriter(source);
  let done = 0;
  let prefix = "";
  let isFound = false;
  compilePattern(pattern)(text, 0, text.length, (start, end) => {
    isFound = true;
    writer.copy(done, start);
    if (end > 0) writer.put(content, end - 1);
    else prefix = content;
    done = end;
  });
  if (!isFound) return source;
  writer.copy(done, text.length);
  return prefixed(prefix, origin, origin, writer.finish());
}

function isOneUnit(text: string): boolean {
  return text.length === 1;
}

export function replaceString(string: string, content: string): Replace {
  return { type: "Replace", pattern: { type: "String", string }, content };
}

/** Puts text before a text that has its own alignment. */
export function prefixed(prefix: string, start: number, end: number, rest: AlignedText): AlignedText {
  const { length } = prefix;
  if (length === 0 || rest.starts === null || rest.ends === null) return rest;
  const starts = new Int32Array(length + rest.text.length).fill(start, 0, length);
  const ends = new Int32Array(length + rest.text.length).fill(end, 0, length);
  starts.set(rest.starts, length);
  ends.set(rest.ends, length);
  return { text: prefix + rest.text, starts, ends, origin: rest.origin };
}

/** Replaces inside of a plain string. */
export function replaceIn(replace: Replace, text: string): string {
  if (text === "") return "";
  const { pattern, content } = replace;
  if (pattern.type === "String" && pattern.string !== "") return text.replaceAll(pattern.string, () => content);
  let result = "";
  let done = 0;
  compilePattern(pattern)(text, 0, text.length, (start, end) => {
    result += text.slice(done, start) + content;
    done = end;
  });
  return result + text.slice(done);
}

/** Signs of a regular expression that may match nothing at all. More of them than needed is safe. */
const MAY_BE_EMPTY = /[*?|^$]|\\[bBAzZGKyY]|\{[0,]|\(\)|^$/;

/** Greatest length that a replacement makes of a text of `length`. */
export function grownByReplace({ pattern, content }: Replace, length: number): number {
  if (pattern.type === "String" && pattern.string !== "") {
    return length * Math.max(1, content.length / pattern.string.length);
  }
  const mayBeEmpty = pattern.type === "String" || MAY_BE_EMPTY.test(pattern.regex);
  return mayBeEmpty ? length + (length + 1) * content.length : length * Math.max(1, content.length);
}

export function parseReplace(json: JsonCursor): Replace {
  json.onlyKeys(["type", "pattern", "content"]);
  const pattern = parsePattern(json.get("pattern"));
  return { type: "Replace", pattern, content: json.get("content").string(MAX_PATTERN_LENGTH) };
}

export function formatReplace({ type, pattern, content }: Replace): unknown {
  return { type, pattern: formatPattern(pattern), content };
}

/** Reads a regular expression in the syntax of Hugging Face's files: Oniguruma's own, over Unicode's code points. */

import { MAX_REGEX_DEPTH, MAX_REGEX_REPEAT } from "../limits";
import { CodeSet, caseVariants, rangesTest } from "./code-set";
import { foldedTest, parseClass } from "./regex-class";
import { codeEscape, kindEscape, type RegexFailure, RegexText } from "./regex-text";

export type AssertionKind =
  | "lineStart"
  | "lineEnd"
  | "textStart"
  | "textEnd"
  | "lastLineEnd"
  | "wordBoundary"
  | "noWordBoundary";

export type RegexNode =
  | { readonly type: "Character"; readonly code: number }
  | { readonly type: "Set"; readonly set: CodeSet }
  | { readonly type: "Sequence"; readonly nodes: readonly RegexNode[] }
  | { readonly type: "Choice"; readonly nodes: readonly RegexNode[] }
  | {
      readonly type: "Repeat";
      readonly node: RegexNode;
      readonly min: number;
      readonly max: number;
      readonly isLazy: boolean;
    }
  | { readonly type: "Atomic"; readonly node: RegexNode }
  | { readonly type: "Look"; readonly node: RegexNode; readonly isBehind: boolean; readonly isNegative: boolean }
  | { readonly type: "Assertion"; readonly kind: AssertionKind };

interface Options {
  readonly ignoreCase: boolean;
  readonly dotAll: boolean;
  readonly extended: boolean;
}

const ASSERTIONS: Readonly<Record<string, AssertionKind>> = {
  A: "textStart",
  z: "textEnd",
  Z: "lastLineEnd",
  b: "wordBoundary",
  B: "noWordBoundary",
};
/** Escapes of Oniguruma that are not built: backreferences, calls, text segments, `\K`, `\G`. */
const UNSUPPORTED_ESCAPES = /^[GKXYgky1-9]$/;

const anyCharacter: RegexNode = { type: "Set", set: new CodeSet(() => true) };
const noNewline: RegexNode = { type: "Set", set: new CodeSet((code) => code !== 10) };
const lineBreak: RegexNode = { type: "Set", set: new CodeSet(rangesTest([10, 13, 0x85, 0x85, 0x2028, 0x2029])) };
/** `\R` takes CR LF as one and never gives the LF back. */
const newline: RegexNode = {
  type: "Atomic",
  node: {
    type: "Choice",
    nodes: [
      {
        type: "Sequence",
        nodes: [
          { type: "Character", code: 13 },
          { type: "Character", code: 10 },
        ],
      },
      lineBreak,
    ],
  },
};

export function parseRegex(source: string, fail: RegexFailure): RegexNode {
  const text = new RegexText(source, fail);
  const node = parseChoice(text, { ignoreCase: false, dotAll: false, extended: false }, 0);
  return text.isEnd ? node : text.broken("the end, not `)`");
}

function parseChoice(text: RegexText, options: Options, depth: number): RegexNode {
  if (depth > MAX_REGEX_DEPTH) text.broken(`at most ${MAX_REGEX_DEPTH} nested groups`);
  const nodes = [parseSequence(text, options, depth)];
  while (text.take("|")) nodes.push(parseSequence(text, options, depth));
  return nodes.length === 1 ? nodes[0] : { type: "Choice", nodes };
}

function parseSequence(text: RegexText, options: Options, depth: number): RegexNode {
  const nodes: RegexNode[] = [];
  while (!text.isEnd && text.peek() !== "|" && text.peek() !== ")") {
    if (skipped(text, options)) continue;
    const switched = parseSwitch(text, options);
    if (switched !== null) {
      // It holds to the end of the group, over every `|` on the way.
      nodes.push({ type: "Sequence", nodes: [parseChoice(text, switched, depth + 1)] });
      break;
    }
    nodes.push(parseQuantifiers(text, parseAtom(text, options, depth)));
  }
  return nodes.length === 1 ? nodes[0] : { type: "Sequence", nodes };
}

/** Goes past a comment, or past what extended syntax does not read. */
function skipped(text: RegexText, options: Options): boolean {
  if (text.take("(?#")) {
    while (!text.take(")")) if (text.next() === "\\") text.next();
    return true;
  }
  if (!options.extended) return false;
  if (text.peek() !== "#") return text.match(/^[ \t-\r]/, 1) !== null;
  while (!text.isEnd && text.next() !== "\n");
  return true;
}

/** The options that `(?i)` switches to. */
function parseSwitch(text: RegexText, options: Options): Options | null {
  const found = text.match(/^\(\?([imx]*(?:-[imx]*)?)\)/, 16);
  return found === null ? null : switchedOptions(options, found[1]);
}

function switchedOptions(options: Options, letters: string): Options {
  const [on, off = ""] = letters.split("-");
  const value = (letter: string, before: boolean): boolean => (before || on.includes(letter)) && !off.includes(letter);
  return {
    ignoreCase: value("i", options.ignoreCase),
    dotAll: value("m", options.dotAll),
    extended: value("x", options.extended),
  };
}

function parseAtom(text: RegexText, options: Options, depth: number): RegexNode {
  switch (text.peek()) {
    case "(":
      return parseGroup(text, options, depth);
    case "[":
      text.at++;
      return { type: "Set", set: parseClass(text, options.ignoreCase) };
    case ".":
      text.at++;
      return options.dotAll ? anyCharacter : noNewline;
    case "^":
      text.at++;
      return { type: "Assertion", kind: "lineStart" };
    case "$":
      text.at++;
      return { type: "Assertion", kind: "lineEnd" };
    case "*":
    case "+":
    case "?":
      return text.broken("something to repeat");
    case "\\":
      text.at++;
      return parseEscape(text, options);
    default:
      if (peekInterval(text) !== null) text.broken("something to repeat");
      return literal(text.next().codePointAt(0) as number, options);
  }
}

function literal(code: number, options: Options): RegexNode {
  const variants = options.ignoreCase ? caseVariants(code) : [code];
  if (variants.length === 1) return { type: "Character", code };
  return { type: "Set", set: new CodeSet((other) => variants.includes(other)) };
}

function parseEscape(text: RegexText, options: Options): RegexNode {
  const letter = text.peek();
  if (letter === "") text.broken("a character after \\");
  if (UNSUPPORTED_ESCAPES.test(letter)) {
    // \1 to \9 are backreferences or, with more digits, octal numbers.
    if (!/^[1-7]$/.test(letter) || !/^[0-7]$/.test(text.peek(1))) text.unsupported(`\\${letter}`);
  }
  if (Object.hasOwn(ASSERTIONS, letter)) {
    text.at++;
    return { type: "Assertion", kind: ASSERTIONS[letter] };
  }
  if (text.take("R")) return newline;
  if (text.take("N")) return noNewline;
  if (text.take("O")) return anyCharacter;
  const test = kindEscape(text);
  if (test === null) return literal(codeEscape(text), options);
  const set = new CodeSet(test);
  return { type: "Set", set: options.ignoreCase ? new CodeSet(foldedTest(set)) : set };
}

function parseGroup(text: RegexText, options: Options, depth: number): RegexNode {
  const start = text.at;
  text.at++;
  if (!text.take("?")) {
    if (text.peek() === "*") text.unsupported("a callout `(*`");
    return parseInner(text, options, depth);
  }
  const optional = text.match(/^([imx]*(?:-[imx]*)?):/, 16);
  // A group for itself, which may be repeated whatever is in it.
  if (optional?.[1]) {
    return { type: "Sequence", nodes: [parseInner(text, switchedOptions(options, optional[1]), depth)] };
  }
  if (optional !== null) return parseInner(text, options, depth);
  if (text.take(">")) return { type: "Atomic", node: parseInner(text, options, depth) };
  const look = text.match(/^(<?)([=!])/, 2);
  if (look !== null) {
    const node = parseInner(text, options, depth);
    return { type: "Look", node, isBehind: look[1] === "<", isNegative: look[2] === "!" };
  }
  if (text.match(/^(?:<[\p{L}_][\p{L}\p{M}\p{N}_-]*>|'[\p{L}_][\p{L}\p{M}\p{N}_-]*')/u, 256) !== null) {
    return parseInner(text, options, depth);
  }
  const found = `(?${text.peek()}${text.peek(1)}`;
  text.at = start;
  return text.unsupported(`the group ${found}`);
}

function parseInner(text: RegexText, options: Options, depth: number): RegexNode {
  const node = parseChoice(text, options, depth + 1);
  return text.take(")") ? node : text.broken("the end of a group");
}

function peekInterval(text: RegexText): RegExpExecArray | null {
  if (text.peek() !== "{") return null;
  const start = text.at;
  const found = text.match(/^\{(?:(\d{1,9})(?:(,)(\d{0,9}))?|,(\d{1,9}))\}/, 24);
  text.at = start;
  return found;
}

function parseQuantifiers(text: RegexText, atom: RegexNode): RegexNode {
  let node = atom;
  for (;;) {
    let min = 0;
    let max = Number.POSITIVE_INFINITY;
    const sign = text.peek();
    const interval = peekInterval(text);
    if (interval !== null) {
      const [whole, low, comma, high, only] = interval;
      text.at += whole.length;
      min = Number(low ?? 0);
      max = only !== undefined ? Number(only) : comma === undefined ? min : high === "" ? max : Number(high);
      if (min > MAX_REGEX_REPEAT || (max > MAX_REGEX_REPEAT && max !== Number.POSITIVE_INFINITY)) {
        text.broken(`at most ${MAX_REGEX_REPEAT} repetitions`);
      }
      if (min > max) text.unsupported("a repetition with its limits in descending order");
    } else if (sign === "*" || sign === "+" || sign === "?") {
      text.at++;
      min = sign === "+" ? 1 : 0;
      if (sign === "?") max = 1;
    } else {
      return node;
    }
    if (node.type === "Look" || node.type === "Assertion") text.broken("something that takes characters to repeat");
    // `{n}?` may also take nothing, and `{n,m}+` repeats a repetition: only signs are possessive.
    const isLazy = min === max && interval !== null ? false : text.take("?");
    node = { type: "Repeat", node, min, max, isLazy };
    if (interval === null && !isLazy && text.take("+")) node = { type: "Atomic", node };
    if (nesting(node) > MAX_REGEX_DEPTH) text.broken(`at most ${MAX_REGEX_DEPTH} nested repetitions`);
  }
}

/** How many repetitions stand directly around each other, as in `a**`. */
function nesting(node: RegexNode): number {
  let count = 0;
  let inner = node;
  while (inner.type === "Repeat" || inner.type === "Atomic") {
    inner = inner.node;
    count++;
  }
  return count;
}

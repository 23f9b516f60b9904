/** Classes of a regular expression: `[a-z]`, `[^\s\p{L}]`, nested, intersected with `&&`, and POSIX brackets. */

import { MAX_REGEX_DEPTH } from "../limits";
import { CodeSet, type CodeTest, caseVariants, posixTest, rangesTest } from "./code-set";
import { codeEscape, inverted, kindEscape, type RegexText } from "./regex-text";

/** A class whose `[` has been read. Case is folded over the whole of it, before its own `^`: as Oniguruma does. */
export function parseClass(text: RegexText, ignoreCase: boolean): CodeSet {
  const isNegative = text.take("^");
  const members = new CodeSet(parseMembers(text, 0));
  const test: CodeTest = ignoreCase ? foldedTest(members) : (code) => members.has(code);
  return new CodeSet(isNegative ? inverted(test) : test);
}

export function foldedTest(set: CodeSet): CodeTest {
  return (code) => caseVariants(code).some((variant) => set.has(variant));
}

/** All up to the closing `]`, without a leading `^`. */
function parseMembers(text: RegexText, depth: number): CodeTest {
  if (depth > MAX_REGEX_DEPTH) text.broken(`at most ${MAX_REGEX_DEPTH} nested classes`);
  const operands: CodeTest[] = [];
  let ranges: number[] = [];
  let tests: CodeTest[] = [];
  const closeOperand = (): void => {
    operands.push(unionTest(ranges, tests));
    ranges = [];
    tests = [];
  };
  // A `]` that comes first is a member, if another one ends the class.
  if (text.peek() === "]") {
    text.at++;
    if (!text.has("]")) text.broken("a class with members");
    text.at--;
    parseRange(text, ranges);
  }
  for (;;) {
    if (text.isEnd) text.broken("the end of a class");
    if (text.take("]")) break;
    if (text.take("&&")) {
      closeOperand();
      continue;
    }
    const kind = parseKind(text, depth);
    if (kind === null) {
      parseRange(text, ranges);
      continue;
    }
    tests.push(kind.test);
    if (kind.mayNotRange && text.peek() === "-" && text.peek(1) !== "]")
      text.broken("a class without a range of classes");
    // After a nested class a `-` is a member.
    else if (text.peek() === "-" && text.take("-")) ranges.push(0x2d, 0x2d);
  }
  closeOperand();
  return operands.length === 1 ? operands[0] : (code) => operands.every((operand) => operand(code));
}

function parseKind(text: RegexText, depth: number): { test: CodeTest; mayNotRange: boolean } | null {
  if (text.peek() === "\\") {
    text.at++;
    const test = kindEscape(text, true);
    if (test !== null) return { test, mayNotRange: true };
    text.at--;
    return null;
  }
  if (text.peek() !== "[") return null;
  const posix = text.match(/^\[:(\^?)([A-Za-z]{1,20}):\]/, 26);
  if (posix !== null) {
    const test = posixTest(posix[2]) ?? text.broken(`a POSIX bracket, not "${posix[2]}"`);
    return { test: posix[1] === "^" ? inverted(test) : test, mayNotRange: true };
  }
  text.at++;
  const isNegative = text.take("^");
  const test = parseMembers(text, depth + 1);
  return { test: isNegative ? inverted(test) : test, mayNotRange: false };
}

/** One character, or two with a `-` between them. */
function parseRange(text: RegexText, ranges: number[]): void {
  const from = parseCode(text);
  let to = from;
  if (
    text.peek() === "-" &&
    text.peek(1) !== "]" &&
    text.peek(1) !== "" &&
    !(text.peek(1) === "&" && text.peek(2) === "&")
  ) {
    text.at++;
    if (text.peek() === "[") {
      // A nested class cannot end a range: the `-` is a member.
      ranges.push(0x2d, 0x2d);
    } else {
      to = parseCode(text);
      if (to < from) text.broken("a range in ascending order");
    }
  }
  ranges.push(from, to);
}

function parseCode(text: RegexText): number {
  if (!text.take("\\")) return text.next().codePointAt(0) as number;
  if (text.take("b")) return 8;
  if (kindEscape(text, true) !== null) text.broken("a character at the end of a range");
  return codeEscape(text);
}

function unionTest(ranges: number[], tests: readonly CodeTest[]): CodeTest {
  if (ranges.length === 0) {
    if (tests.length === 1) return tests[0];
    return (code) => tests.some((test) => test(code));
  }
  const inRanges = rangesTest(ranges);
  return tests.length === 0 ? inRanges : (code) => inRanges(code) || tests.some((test) => test(code));
}

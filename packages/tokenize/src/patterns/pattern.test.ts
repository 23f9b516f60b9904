// The engine against Oniguruma's own results, against JavaScript's on what both know, and against hostile patterns.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JsonCursor } from "../json";
import { compileEngine, compilePattern, formatPattern, type Matcher, parsePattern } from "./pattern";

/** What a Split "isolated" of tokenizers 0.23.3 makes of the text; null for an error. Chosen and random cases. */
const recorded = JSON.parse(readFileSync(new URL("fixtures/oniguruma.json", import.meta.url), "utf8")) as [
  regex: string,
  text: string,
  pieces: string[] | null,
][];

function cut(matcher: Matcher, text: string): string[] {
  const pieces: string[] = [];
  let last = 0;
  const push = (start: number, end: number): void => {
    if (end > start) pieces.push(text.slice(start, end));
  };
  matcher(text, 0, text.length, (start, end) => {
    push(last, start);
    push(start, end);
    last = end;
  });
  push(last, text.length);
  return pieces;
}

test.each(recorded)("as Oniguruma: %j in %j", (regex, text, pieces) => {
  if (pieces === null) expect(() => compileEngine(regex)).toThrow(SyntaxError);
  else expect(cut(compileEngine(regex), text)).toEqual(pieces);
});

describe("as JavaScript", () => {
  const atom = fc.constantFrom(
    "a",
    "b",
    "[ab]",
    "[^a]",
    "\\p{L}",
    ".",
    "\\d",
    "(?:ab|a)",
    "(?=b)",
    "(?!a)",
    "(?<=a)",
    "x",
  );
  const repeated = fc
    .tuple(atom, fc.constantFrom("", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{2,}"))
    .map(([node, sign]) =>
      node.startsWith("(?=") || node.startsWith("(?!") || node.startsWith("(?<") ? node : node + sign,
    );
  const sequence = fc.array(repeated, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(""));
  const regex = fc.array(sequence, { minLength: 1, maxLength: 3 }).map((options) => options.join("|"));
  const text = fc
    .array(fc.constantFrom("a", "b", "x", "1", "\n", "\u{1f600}"), { maxLength: 20 })
    .map((all) => all.join(""));

  test("first match", () => {
    fc.assert(
      fc.property(regex, text, (source, given) => {
        const found: [number, number][] = [];
        compileEngine(source)(given, 0, given.length, (start, end) => found.push([start, end]));
        const expected = new RegExp(source, "u").exec(given);
        expect(found[0]).toEqual(expected === null ? undefined : [expected.index, expected.index + expected[0].length]);
      }),
      { numRuns: 3000 },
    );
  });
});

test("only the part from `from` to `to` is seen", () => {
  const found: [number, number][] = [];
  compileEngine("^b+$|(?<=a)b|b(?=c)")("abbc", 1, 3, (start, end) => found.push([start, end]));
  expect(found).toEqual([[1, 3]]);
});

describe("hostile patterns end in time: each would take years, or the square of the text", () => {
  const patterns = [
    ["(a|a)*b", "a"],
    ["(a*)*b", "a"],
    ["(?:a+)+b", "a"],
    ["(a|aa)+$b", "a"],
    ["a*b|a", "a"],
    ["(?=.*b)|a", "a"],
    ["(?>a*)b", "a"],
    ["(?>(?:a|aa)*)b", "a"],
    ["(?<=b.*)a", "a"],
    ["(?<!(?:a|aa)*b)a", "a"],
    ["(?:(?=(?:a|aa)*b)a)*c", "a"],
    ["(((a?)*)*)*b", "a"],
    ["(x+x+)+y", "x"],
    ["(?:(?!.*b)a)+c", "a"],
    ["(?:.*?,){5}x", "a,"],
    ["(?:a*a*a*a*a*)b", "a"],
    ["(?=(\\d{3})+(?!\\d))", "1"],
    ["\\s+$b|\\s*[\\r\\n]+|\\s+(?!\\s)", " "],
  ];
  test.each(patterns)("%s", (regex, unit) => {
    let count = 0;
    const text = unit.repeat(200_000 / unit.length);
    compileEngine(regex)(text, 0, text.length, () => count++);
    expect(count).toBeLessThanOrEqual(text.length + 1);
  });
});

test("a pattern that would need too much memory says so", () => {
  const text = "a".repeat(5_000_000);
  expect(() => compileEngine("(?:a|b)*")(text, 0, text.length, () => {})).toThrow(RangeError);
});

test.each([
  ["\\k<a>", /unsupported \\k/],
  ["(a)\\1", /character 4: unsupported \\1/],
  ["(?~a)", /unsupported the group \(\?~a/],
  ["(?(1)a)", /unsupported the group/],
  ["\\X", /unsupported \\X/],
  ["\\p{Klingon}", /unsupported the property "Klingon"/],
  ["\\p{Script=Han}", /unsupported the property/],
  ["(*FAIL)", /unsupported a callout/],
  ["(?<=a++)b", /unsupported an atomic group/],
  ["\\xe9", /unsupported \\x of a byte above 7F/],
  ["a{2,1}", /unsupported a repetition/],
  ["(".repeat(40), /at most 32 nested groups/],
  [`a${"*".repeat(40)}`, /at most 32 nested repetitions/],
  ["[".repeat(40), /at most 32 nested classes/],
  ["(?:a{1000}){1000}", /at most 4096 instructions/],
  ["(?:(?:){100000}){100000}a{100001}", /at most 100000 repetitions/],
  [
    [
      "",
      "Lu",
      "Ll",
      "Lt",
      "Lm",
      "Lo",
      "M",
      "Mn",
      "Mc",
      "Me",
      "N",
      "Nd",
      "Nl",
      "No",
      "P",
      "Pc",
      "Pd",
      "Ps",
      "Pe",
      "Pi",
      "Pf",
      "Po",
      "S",
      "Sm",
      "Sc",
      "Sk",
      "So",
      "Z",
      "Zs",
      "Zl",
      "Zp",
      "C",
      "Cc",
      "Cf",
    ]
      .map((name) => `\\p{${name || "L"}}`)
      .join(""),
    /at most 32 properties/,
  ],
])("refuses %s", (regex, message) => {
  expect(() => compileEngine(regex)).toThrow(message);
});

test("empty repetitions cost nothing", () => {
  expect(cut(compileEngine("(?:(?:(?:){100000}){100000}){100000}a"), "ba")).toEqual(["b", "a"]);
});

test("case folds as in Unicode's simple folding", () => {
  expect(cut(compileEngine("(?i:'s|[k-l]|\u03c3)"), "'\u017f'S\u212aKL\u03c2\u03a3x")).toEqual([
    "'\u017f",
    "'S",
    "\u212a",
    "K",
    "L",
    "\u03c2",
    "\u03a3",
    "x",
  ]);
});

test("strings match literally; an empty one matches everywhere", () => {
  const split = (string: string, text: string): string[] => cut(compilePattern({ type: "String", string }), text);
  expect(split("a.", "xa.aa.a")).toEqual(["x", "a.", "a", "a.", "a"]);
  expect(split("aa", "aaa")).toEqual(["aa", "a"]);
  expect(split("", "a\u{1f600}b")).toEqual(["a", "\u{1f600}", "b"]);
});

test("JSON form", () => {
  const read = (value: unknown) => parsePattern(new JsonCursor({ pattern: value }, "a test").get("pattern"));
  for (const value of [{ String: "a" }, { Regex: "a|b" }]) expect(formatPattern(read(value))).toEqual(value);
  expect(() => read({ Regex: "(" })).toThrow(/pattern.Regex: expected the end of a group at character 1/);
  expect(() => read({ Regex: "\\X" })).toThrow(/pattern.Regex "\\\\X at character 1" is not supported/);
  expect(() => read({})).toThrow(/one of String and Regex/);
  expect(() => read("a")).toThrow(/an object/);
  expect(() => read({ Regex: "a".repeat(5000) })).toThrow(/at most 4096 characters/);
});

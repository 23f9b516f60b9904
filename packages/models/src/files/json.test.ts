import { describe, expect, it } from "vitest";
import { ModelFileError } from "../errors";
import { isJsonObject, parseJson } from "./json";

const parse = (text: string, limits = {}) => parseJson(text, { file: "config.json", ...limits });

describe("parseJson", () => {
  it("reads what JSON.parse reads, a byte order mark skipped", () => {
    const text = ' {"a": [1, -2.5e3, "x\\"y\\\\", {"b": null}], "c\\u0064": true, "": {"a": ""}} ';
    expect(parse(text)).toEqual(JSON.parse(text));
    expect(parse("\ufeff[1]")).toEqual([1]);
    expect(parse("3")).toBe(3);
  });

  it("keeps __proto__ a key like any other", () => {
    const value = parse('{"__proto__": {"polluted": 1}}');
    expect(Object.keys(value as object)).toEqual(["__proto__"]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it.each([
    ['{"a": 1,\n "b": 2, "a": 3}', /the key "a" twice in one object \(at line 2, column 10\)/],
    ['{"a": 1, "\\u0061": 3}', /the key "a" twice/],
    ['[{"a": [{"b": 1, "b": 2}]}]', /the key "b" twice/],
    ['{"a": 1,\n "b": }', /^config.json: is not valid JSON( at line 2, column \d+)?: /],
    ["", /is not valid JSON: it is empty/],
    ['{"a', /is not valid JSON/],
    ['{"a": "\\', /is not valid JSON/],
    ["]", /is not valid JSON/],
    ['{"a": NaN}', /is not valid JSON/],
    ['{"\\x": 1}', /is not valid JSON/],
  ])("refuses %j", (text, problem) => {
    expect(() => parse(text)).toThrow(ModelFileError);
    expect(() => parse(text)).toThrow(problem);
  });

  it("does not take the same key in two objects, or a value that equals a key, for a double", () => {
    expect(parse('{"a": {"a": "a"}, "b": ["a", "a"], "c": {"a": "c"}}')).toBeDefined();
  });

  it("refuses a million levels of nesting, and values beyond the limit, before it parses", () => {
    expect(() => parse("[".repeat(1_000_000))).toThrow(/deeper than 64 levels \(at line 1, column 65\)/);
    expect(() => parse('{"a":'.repeat(1_000_000))).toThrow(/deeper than 64 levels/);
    expect(() => parse("[[1]]", { maxDepth: 1 })).toThrow(/deeper than 1 levels/);
    expect(parse("[[1]]", { maxDepth: 2 })).toEqual([[1]]);
    expect(() => parse("[1,2,3]", { maxValues: 3 })).toThrow(/more than 3 values/);
    expect(parse("[1,2,3]", { maxValues: 4 })).toEqual([1, 2, 3]);
  });

  it("reads a string full of escaped quotes in linear time", () => {
    const text = JSON.stringify({ a: '\\"'.repeat(500_000) });
    // Squared time would take minutes, past the test's own limit.
    expect(parse(text)).toEqual(JSON.parse(text));
  });
});

it("isJsonObject is true for objects alone", () => {
  expect([{}, [], null, "a", 1, undefined].map(isJsonObject)).toEqual([true, false, false, false, false, false]);
});

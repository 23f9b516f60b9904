/** Sizes, escapes and suggestions. */

import { describe, expect, test } from "vitest";
import { formatBytes, formatCount, forTerminal, jsonLine, oneLine } from "./output";
import { closest } from "./suggest";

describe("output", () => {
  test("bytes to three digits", () => {
    const sizes = [0, 999, 1000, 1_040_128, 65_536_000, 123_456_789, 5e9, 7e15].map(formatBytes);
    expect(sizes).toEqual(["0 bytes", "999 bytes", "1.00 kB", "1.04 MB", "65.5 MB", "123 MB", "5.00 GB", "7000 TB"]);
    expect(formatCount(260_032)).toBe("260,032");
  });

  test("a model's text in a terminal keeps its lines and its emoji, and drives nothing", () => {
    const text = "one\n\ttwo 👩‍👧 \u001b]0;title\u0007\u009b31m\r";
    expect(forTerminal(text)).toBe("one\n\ttwo 👩‍👧 \\u{1b}]0;title\\u{7}\\u{9b}31m\\u{d}");
  });

  test("what drives a terminal is escaped, the rest is left alone", () => {
    expect(oneLine("a\u001b[2J\n\u009b\u202eé☃")).toBe("a\\u{1b}[2J\\u{a}\\u{9b}\\u{202e}é☃");
    const value = { text: '\u001b\u009b\u2028\n"é☃👩‍👧' };
    expect(jsonLine(value)).not.toMatch(/[\p{Cc}\p{Zl}]./u);
    expect(JSON.parse(jsonLine(value))).toEqual(value);
  });

  test("the closest name, if it is close", () => {
    const names = ["--temperature", "--top-k", "--top-p", "--max-new-tokens"];
    const typed = ["--temp", "--temprature", "--topk", "--max_tokens", "--verbose", ""];
    const expected = [null, "--temperature", "--top-k", "--max-new-tokens", null, null];
    expect(typed.map((name) => closest(name, names))).toEqual(expected);
  });
});

/** Added tokens: which wins, what the flags take along, and that a hostile text costs no more than a plain one. */

import { expect, test } from "vitest";
import { type AddedToken, AddedTokens } from "./added-tokens";
import type { Normalizer } from "./normalizers/normalizer";

const PLAIN = { singleWord: false, lstrip: false, rstrip: false, normalized: false, special: false };

function split(
  text: string,
  tokens: (Partial<AddedToken> & { content: string })[],
  normalizer?: Normalizer,
): unknown[] {
  const added = new AddedTokens(
    tokens.map((token, id) => ({ ...PLAIN, id, ...token })),
    normalizer ?? null,
    "t.json",
  );
  return added.split(text).map((piece) => (piece.type === "Token" ? piece.id : piece.text.text));
}

test("leftmost, then longest", () => {
  expect(split("xabcd", [{ content: "ab" }, { content: "abc" }, { content: "bcd" }])).toEqual(["x", 1, "d"]);
  expect(split("abab", [{ content: "ab" }])).toEqual([0, 0]);
  expect(split("", [{ content: "ab" }])).toEqual([]);
});

test("single words: letters, digits, marks and joiners of any script make a word", () => {
  const cat = [{ content: "cat", singleWord: true }];
  expect(split("cat, cat", cat)).toEqual([0, ", ", 0]);
  for (const text of ["cats", "scat", "cat_", "cat1", "\u{1D400}cat", "cat\u{1D400}", "cat\u0301", "cat\u200d"]) {
    expect(split(text, cat)).toEqual([text]);
  }
});

test("white space is Unicode's, and belongs to the first token that takes it", () => {
  expect(split("a \u0085\u3000[x]\u2003b", [{ content: "[x]", lstrip: true, rstrip: true }])).toEqual(["a", 0, "b"]);
  expect(split("a\uFEFF[x]", [{ content: "[x]", lstrip: true }])).toEqual(["a\uFEFF", 0]);
  // The search goes on behind the bare token, so what rstrip took can be found again (tokenizers does so).
  expect(split("[x]  y", [{ content: "[x]", rstrip: true }, { content: "  " }])).toEqual([0, 1, "y"]);
});

test("normalized tokens are found in the normalized text, in normalized form", () => {
  const normalizer: Normalizer = { type: "Replace", pattern: { type: "String", string: "A" }, content: "a" };
  expect(split("xABAy", [{ content: "AB", normalized: true }, { content: "A" }], normalizer)).toEqual([
    "x",
    1,
    "B",
    1,
    "y",
  ]);
  expect(split("xAb", [{ content: "Ab", normalized: true }], normalizer)).toEqual(["x", 0]);
});

test("a run of white space that a million tokens claim is walked once", () => {
  const text = " ".repeat(300_000);
  expect(split(text, [{ content: " ", lstrip: true, rstrip: true }]).length).toBe(1);
});

test("the normalized form of a token is limited too, and so is the length of all forms together", () => {
  const grow: Normalizer = { type: "Replace", pattern: { type: "String", string: "a" }, content: "b".repeat(64) };
  expect(split("aaaa", [{ content: "aaaa", normalized: true }], grow)).toEqual([0]);
  expect(() => split("", [{ content: "aaaaa", normalized: true }], grow)).toThrow(
    "t.json: added token 0: expected at most 256 characters in its normalized form, got 320",
  );
  expect(() => split("", [{ content: "a".repeat(257) }])).toThrow(/at most 256 characters/);
  const long = (count: number) => Array.from({ length: count }, (_, i) => ({ content: `${i}`.padEnd(200, "x") }));
  expect(split("y", long(10_000))).toEqual(["y"]);
  expect(() => split("", long(10_001))).toThrow(/added token 10000: expected at most 2000000 characters in all/);
  // What the normalizer takes away has been worked on all the same.
  const drop: Normalizer = { type: "Replace", pattern: { type: "String", string: "x" }, content: "" };
  expect(() =>
    split(
      "",
      long(10_001).map((token) => ({ ...token, normalized: true })),
      drop,
    ),
  ).toThrow(/in all/);
});

test("tokens that branch at every letter are all found", () => {
  const letters = [..."abc"];
  const tokens = letters.flatMap((a) => letters.flatMap((b) => letters.map((c) => ({ content: a + b + c }))));
  expect(split(tokens.map((token) => token.content).join(""), tokens)).toEqual(tokens.map((_, id) => id));
});

/** Windows are in the text's order, on whichever side the tokenizer cuts. */

import { Tokenizer } from "@qkv/tokenize";
import { expect, test } from "vitest";
import { windowsOf } from "./windows";

const VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ..."abcdefghij"];
const tokenizer = Tokenizer.fromVocabTxt(VOCABULARY.join("\n"));

test.each(["right", "left"] as const)("cut on the %s", (direction) => {
  const truncation = { maxLength: 6, stride: 1, direction };
  const encoding = tokenizer.encode("a b c d e f g h i j", { truncation });
  const windows = windowsOf({ encoding, ids: encoding.ids, typeIds: encoding.typeIds }, 0);
  expect(windows.map((window) => window.encoding.tokens.slice(1, -1).join(""))).toEqual(["abcd", "defg", "ghij"]);
  for (const { ids, typeIds, encoding } of windows) {
    expect(ids).toEqual(encoding.ids);
    expect(typeIds).toEqual([0, 0, 0, 0, 0, 0]);
  }
});

test("a pair: the question stays, its context is cut; models without token types get none", () => {
  const truncation = { maxLength: 7, strategy: "onlySecond", direction: "left" } as const;
  const encoding = tokenizer.encode("a b", "c d e f", { truncation });
  const windows = windowsOf({ encoding, ids: encoding.ids, typeIds: null }, 1);
  expect(windows.map((window) => window.encoding.tokens.join(" "))).toEqual([
    "[CLS] a b [SEP] c d [SEP]",
    "[CLS] a b [SEP] e f [SEP]",
  ]);
  expect(windows.map(({ typeIds }) => typeIds)).toEqual([null, null]);
});

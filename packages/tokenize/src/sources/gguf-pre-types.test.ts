// Every pre type of GGUF compiles, and cuts as the regular expressions say.

import { expect, test } from "vitest";
import { awkwardTexts } from "../../../../tests/support/tokenizer-fixtures";
import { compilePattern } from "../patterns/pattern";
import { preTokenize } from "../pre-tokenizers/pre-tokenizer";
import { alignedText } from "../text/aligned-text";
import { GgufMetadata } from "./gguf-metadata";
import { findPreType, preTypeNames, preTypeOf } from "./gguf-pre-types";

const { texts } = awkwardTexts();

function cut(name: string, text: string): string[] {
  const preTokenizers = findPreType(name)?.splits ?? [];
  const { spans } = preTokenize({ type: "Sequence", preTokenizers }, alignedText(text));
  return Array.from({ length: spans.length }, (_, i) => text.slice(spans.start(i), spans.end(i)));
}

test.each(preTypeNames())("%s compiles, and keeps the whole of each text", (name) => {
  for (const split of findPreType(name)?.splits ?? []) if (split.type === "Split") compilePattern(split.pattern);
  for (const text of Object.values(texts)) expect(cut(name, text).join("")).toBe(text);
});

test.each([
  ["gpt-2", "I'll pay 12345!!", ["I", "'ll", " pay", " 12345", "!!"]],
  ["smollm", " 12 a", [" ", "1", "2", " a"]],
  ["llama-bpe", "I'LL pay 12345!!\n", ["I", "'LL", " pay", " ", "123", "45", "!!\n"]],
  ["qwen2", "pay 123", ["pay", " ", "1", "2", "3"]],
  ["gpt-4o", "HelloWorld's/\n", ["Hello", "World's", "/\n"]],
  ["tekken", "HelloWorld's 12", ["Hello", "World", "'s", " ", "1", "2"]],
  ["kimi-k2", "Hello\u4e16\u754cabc", ["Hello", "\u4e16\u754c", "abc"]],
  ["afmoe", "1234567 a", ["1", "234", "567", " a"]],
  ["superbpe", "1234567 a", ["1", "234", "567", " a"]],
  ["bloom", "a b, (c)", ["a", " b", ", (", "c", ")"]],
  ["default", "it's 1234", ["it", "'", "s", " ", "123", "4"]],
  // Its range for punctuation, :-~, has the ASCII letters as well.
  ["deepseek-llm", "It's \u00c9\u00e9t 12!", ["It", "'", "s", " \u00c9\u00e9", "t", " ", "12", "!"]],
  ["deepseek-v3", "a1234\u4e16b", ["a", "123", "4", "\u4e16", "b"]],
])("%s cuts %j", (name, text, words) => {
  expect(cut(name, text)).toEqual(words);
});

test("flags, no name at all, and names that are not known", () => {
  const of = (values: Record<string, unknown>) => preTypeOf(new GgufMetadata(values, "model.gguf"));
  expect(of({ "tokenizer.ggml.pre": "llama-bpe" })).toMatchObject({ ignoreMerges: true, addBos: true });
  expect(of({ "tokenizer.ggml.pre": "dbrx" })).toMatchObject({ ignoreMerges: false, addBos: false });
  expect(of({})).toEqual(findPreType("default"));
  expect(() => of({ "tokenizer.ggml.pre": "gemma4" })).toThrow(/tokenizer.ggml.pre "gemma4" is not supported/);
  expect(() => of({ "tokenizer.ggml.pre": "constructor" })).toThrow(/is not supported/);
  expect(() => of({ "tokenizer.ggml.pre": 3 })).toThrow(/expected a string, got 3/);
});

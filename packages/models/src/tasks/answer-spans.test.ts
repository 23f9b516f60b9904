/** Spans of a window, from logits made by hand. */

import { Tokenizer } from "@qkv/tokenize";
import { expect, test } from "vitest";
import { answersOfWindow, type SpanRules } from "./answer-spans";

const VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who", "?", "anna", "##s", "met", "bob"];
const tokenizer = Tokenizer.fromVocabTxt(VOCABULARY.join("\n"));
const QUESTION = "who?";
const CONTEXT = "Annas met Bob";
// [CLS] who ? [SEP] anna ##s met bob [SEP]
const encoding = tokenizer.encode(QUESTION, CONTEXT);
const RULES: SpanRules = { count: 100, maxTokens: 15, alignToWords: false };

/** Logits that are `low` but for some rows. */
function logits(rows: Readonly<Record<number, number>>, low = -10): Float32Array {
  return Float32Array.from({ length: encoding.length }, (_, row) => rows[row] ?? low);
}

const texts = (spans: readonly { start: number; end: number }[]) =>
  spans.map(({ start, end }) => CONTEXT.slice(start, end));

test("the context is rows 4 to 7", () => {
  expect(encoding.tokens).toEqual(["[CLS]", "who", "?", "[SEP]", "anna", "##s", "met", "bob", "[SEP]"]);
});

test("spans end where they begin or later, lie in the context, and are not too long", () => {
  const all = answersOfWindow(CONTEXT, encoding, logits({}), logits({}), RULES);
  expect(texts(all.spans).sort()).toEqual(
    ["Anna", "Annas", "Annas met", "Annas met Bob", "s", "s met", "s met Bob", "met", "met Bob", "Bob"].sort(),
  );
  const short = answersOfWindow(CONTEXT, encoding, logits({}), logits({}), { ...RULES, maxTokens: 1 });
  expect(texts(short.spans)).toEqual(["Anna", "s", "met", "Bob"]);
});

test("logits of the question and of separators change nothing", () => {
  const plain = answersOfWindow(CONTEXT, encoding, logits({ 6: 1 }), logits({ 7: 2 }), RULES);
  const loud = answersOfWindow(
    CONTEXT,
    encoding,
    logits({ 1: 50, 3: 50, 6: 1, 8: 50 }),
    logits({ 2: 50, 7: 2 }),
    RULES,
  );
  expect(loud).toEqual(plain);
  expect(texts(plain.spans)[0]).toBe("met Bob");
});

test("probabilities over the context and [CLS], and SQuAD's scores", () => {
  // Starts: e^1 of [CLS], e^1 of "anna", e^0 of the other three; ends: all alike.
  const { spans, nullScore, nullProbability, bestSpanScore } = answersOfWindow(
    CONTEXT,
    encoding,
    logits({ 0: 1, 4: 1 }, 0),
    logits({}, 0.25),
    RULES,
  );
  const start = Math.E / (2 * Math.E + 3);
  expect(spans[0].score).toBeCloseTo(start / 5, 14);
  expect(nullProbability).toBeCloseTo(start / 5, 14);
  expect(nullScore).toBe(1.25);
  expect(bestSpanScore).toBe(1.25);
});

test("a span grows to the words that it begins and ends in", () => {
  const [starts, ends] = [logits({ 5: 3 }), logits({ 5: 3 })];
  const one = { ...RULES, count: 1 };
  expect(texts(answersOfWindow(CONTEXT, encoding, starts, ends, one).spans)).toEqual(["s"]);
  expect(texts(answersOfWindow(CONTEXT, encoding, starts, ends, { ...one, alignToWords: true }).spans)).toEqual([
    "Annas",
  ]);
});

test("an empty context has no span", () => {
  const empty = tokenizer.encode(QUESTION, "");
  const flat = new Float32Array(empty.length);
  const { spans, bestSpanScore, nullProbability } = answersOfWindow("", empty, flat, flat, RULES);
  expect([spans, bestSpanScore, nullProbability]).toEqual([[], Number.NEGATIVE_INFINITY, 1]);
});

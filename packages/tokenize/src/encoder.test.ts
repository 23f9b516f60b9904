/** What the goldens do not reach: options of encode, and cases in which tokenizers 0.23.2 was asked what it gives. */

import { describe, expect, test } from "vitest";
import { fixtureBytes, fixtureText } from "../../../tests/support/tokenizer-fixtures";
import { Tokenizer } from "./tokenizer";

const bert = Tokenizer.fromVocabTxt(fixtureText("vocab", "bert_base_uncased_vocab.txt"));

/** A tokenizer.json of these parts. */
function make(parts: object): Tokenizer {
  return Tokenizer.fromTokenizerJson({ version: "1.0", added_tokens: [], ...parts });
}

describe("added tokens and white space, as native tokenizers gives them", () => {
  const words = {
    model: { type: "WordLevel", vocab: { a: 0, "<unk>": 1, "<x>": 2, "\n": 3 }, unk_token: "<unk>" },
    pre_tokenizer: { type: "WhitespaceSplit" },
  };
  const of = (first: object, second: object): Tokenizer =>
    make({
      ...words,
      added_tokens: [
        { id: 2, content: "<x>", normalized: false, ...first },
        { id: 3, content: "\n", normalized: false, ...second },
      ],
    });

  test("what one token took, the next one does not take again", () => {
    expect(of({ rstrip: true }, { lstrip: true }).encode("<x>\na").ids).toEqual([2, 0]);
    expect(of({ rstrip: true }, { lstrip: true, rstrip: true }).encode("<x>\n\na").ids).toEqual([2, 0]);
  });

  test("of two with the same text the later one counts", () => {
    const twice = [
      { id: 2, content: "<x>", normalized: false },
      { id: 2, content: "<x>", normalized: false, single_word: true },
    ];
    expect(make({ ...words, added_tokens: twice }).encode("a<x>a").ids).toEqual([1]);
  });
});

test("offsets of unknown characters and bytes that change places, as native tokenizers gives them", () => {
  const tokenizer = make({
    model: {
      type: "BPE",
      vocab: { "<unk>": 0, a: 1, "<0x3E>": 2 },
      merges: [],
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
    },
  });
  const { ids, offsets } = tokenizer.encode("x>yaaaa");
  expect(ids).toEqual([2, 0, 1, 1, 1, 1]);
  expect(offsets.map(([start, end]) => `${start}-${end}`)).toEqual(["0-1", "1-3", "3-4", "4-5", "5-6", "6-7"]);
});

describe("parseSpecialTokens", () => {
  test("false: special tokens in a text are letters", () => {
    expect(bert.encode("[SEP]", { addSpecialTokens: false }).tokens).toEqual(["[SEP]"]);
    const plain = bert.encode("[SEP]", { addSpecialTokens: false, parseSpecialTokens: false });
    expect(plain.tokens).toEqual(["[", "sep", "]"]);
  });

  test("true: also where the source would not", () => {
    const t5 = Tokenizer.fromSentencePiece(fixtureBytes("vocab", "t5.spiece.model"));
    expect(t5.encode("</s>").ids).not.toContain(1);
    expect(t5.encode("</s>", { parseSpecialTokens: true }).ids).toEqual([1]);
  });
});

describe("truncation", () => {
  test("parts that were cut off have their special tokens, and repeat `stride` tokens", () => {
    const { tokens, overflowing } = bert.encode("one two three four five", { truncation: { maxLength: 5, stride: 1 } });
    expect(tokens).toEqual(["[CLS]", "one", "two", "three", "[SEP]"]);
    expect(overflowing.map((part) => part.tokens)).toEqual([["[CLS]", "three", "four", "five", "[SEP]"]]);
  });

  test("parts cost nothing until they are read, and are limited in number", () => {
    const many = bert.encode("[SEP] ".repeat(40_000), { truncation: { maxLength: 3 } });
    expect(many.length).toBe(3);
    const text = "a ".repeat(3000);
    const both = bert.encode(text, text, { truncation: { maxLength: 5 } });
    expect(both.tokens).toEqual(["[CLS]", "a", "[SEP]", "a", "[SEP]"]);
    expect(() => both.overflowing).toThrow(/more than 1048576 parts/);
  });

  test("what cannot be done is an error", () => {
    expect(() => bert.encode("a", { truncation: { maxLength: 1 } })).toThrow(/leaves no room for the 2 special tokens/);
    const onlySecond = { maxLength: 3, strategy: "onlySecond" } as const;
    expect(() => bert.encode("a b c", { truncation: onlySecond })).toThrow(/needs a pair/);
    expect(() => bert.encode("a b c", { truncation: { maxLength: 4, stride: 2 } })).toThrow(/stride 2 must be less/);
  });
});

describe("padding", () => {
  test("to the longest of the batch, on either side", () => {
    const [short, long] = bert.encodeBatch(["a", "a b c"], { padding: true });
    expect(short.tokens).toEqual(["[CLS]", "a", "[SEP]", "[PAD]", "[PAD]"]);
    expect(short.attentionMask).toEqual([1, 1, 1, 0, 0]);
    expect(short.specialTokensMask).toEqual([1, 0, 1, 1, 1]);
    expect(long.attentionMask).toEqual([1, 1, 1, 1, 1]);
    const [left] = bert.encodeBatch(["a"], { padding: { length: 4, direction: "left" } });
    expect(left.ids).toEqual([0, 101, 1037, 102]);
  });

  test("without a padding token, and none given, is an error", () => {
    const gpt2 = Tokenizer.fromVocabAndMerges({ a: 0 }, "");
    expect(() => gpt2.encode("a", { padding: true })).toThrow(/names no padding token; pass padding: \{ padId/);
    expect(gpt2.encode("a", { padding: { length: 2, padId: 0 } }).ids).toEqual([0, 0]);
  });
});

describe("lone surrogates and code points", () => {
  test("half a surrogate pair counts as U+FFFD", () => {
    const gpt2 = Tokenizer.fromVocabAndMerges(
      fixtureText("vocab", "gpt2_bpe_encoder.json"),
      fixtureText("vocab", "gpt2_bpe_vocab.bpe"),
    );
    for (const text of ["\ud83d", "a\ude00b", "\ude00\ud83d"]) {
      const { ids, offsets } = gpt2.encode(text);
      expect(ids).toEqual(gpt2.encode(text.replace(/[\ud800-\udfff]/g, "\ufffd")).ids);
      expect(offsets.at(-1)?.[1]).toBe(text.length);
    }
  });

  test("offsets slice the text in UTF-16 units, and Python's text in code points", () => {
    const text = "😀 né 😀x";
    const options = { addSpecialTokens: false } as const;
    const units = bert.encode(text, options).offsets.map(([start, end]) => text.slice(start, end));
    const points = bert
      .encode(text, { ...options, offsets: "codePoints" })
      .offsets.map(([start, end]) => [...text].slice(start, end).join(""));
    expect(points).toEqual(units);
    expect(units[0]).toBe("😀");
  });
});

test("a hostile WordPiece vocabulary costs no more than its length for each token", () => {
  const long = `##${"a".repeat(1000)}b`;
  const vocab = { "[UNK]": 0, a: 1, "##a": 2, [long]: 3 };
  const tokenizer = make({
    model: { type: "WordPiece", vocab, unk_token: "[UNK]", max_input_chars_per_word: 2 ** 30 },
  });
  expect(tokenizer.encode("a".repeat(100_000)).length).toBe(100_000);
});

test("a sentencepiece folder with cleanup saves what it does", async () => {
  const files = {
    "tokenizer.model": fixtureBytes("spm", "bpe_byte_fallback.model"),
    "tokenizer_config.json": { tokenizer_class: "LlamaTokenizer", clean_up_tokenization_spaces: true },
  };
  const first = await Tokenizer.from(files);
  const again = Tokenizer.fromTokenizerJson(first.save());
  const { ids } = first.encode("well , yes . é");
  expect(first.decode(ids)).toBe("well, yes. é");
  expect(again.decode(ids)).toBe(first.decode(ids));
});

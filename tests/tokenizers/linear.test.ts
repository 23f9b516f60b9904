/** Texts that are hard on careless algorithms come through in full: one word of ten million letters, a megabyte without a space. */

import { Tokenizer } from "@qkv/tokenize";
import { describe, expect, test } from "vitest";
import { fixtureBytes, fixtureText } from "../support/tokenizer-fixtures";

/** Seeded letters, none of them a space. */
function letters(length: number): string {
  let state = 1;
  return Array.from({ length }, () => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return String.fromCharCode(97 + (state % 26));
  }).join("");
}

const tokenizers: Readonly<Record<string, () => Tokenizer>> = {
  WordPiece: () => Tokenizer.fromVocabTxt(fixtureText("vocab", "bert_base_uncased_vocab.txt")),
  "byte-level BPE": () =>
    Tokenizer.fromVocabAndMerges(
      fixtureText("vocab", "gpt2_bpe_encoder.json"),
      fixtureText("vocab", "gpt2_bpe_vocab.bpe"),
    ),
  Unigram: () => Tokenizer.fromSentencePiece(fixtureBytes("vocab", "t5.spiece.model")),
  "sentencepiece's BPE": () => Tokenizer.fromSentencePiece(fixtureBytes("vocab", "en.wiki.bpe.vs10000.model")),
};

/** GPT-2 has "aaaa", T5 nothing longer than "a", and so on; BERT takes a long word for an unknown one. */
const TOKENS_OF_AS = {
  WordPiece: 1,
  "byte-level BPE": 2_500_000,
  Unigram: 10_000_001,
  "sentencepiece's BPE": 5_000_001,
};

describe.each(Object.entries(tokenizers))("%s", (name, make) => {
  const tokenizer = make();

  test("ten million times the letter a", { timeout: 300_000 }, () => {
    const { ids } = tokenizer.encode("a".repeat(10_000_000), { addSpecialTokens: false });
    expect(ids.length).toBe(TOKENS_OF_AS[name as keyof typeof TOKENS_OF_AS]);
  });

  test("a megabyte without a space decodes to itself", { timeout: 300_000 }, () => {
    const text = letters(1_000_000);
    const encoding = tokenizer.encode(text, { addSpecialTokens: false });
    const { offsets } = encoding;
    expect(offsets.at(-1)?.[1]).toBe(text.length);
    if (name !== "WordPiece") expect(tokenizer.decode(encoding.ids)).toBe(text);
  });
});

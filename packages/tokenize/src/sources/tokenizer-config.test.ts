/** What tokenizer_config.json and its companions say, and what is refused. */

import { describe, expect, test } from "vitest";
import { TokenizerFileError } from "../errors";
import { JsonCursor } from "../json";
import { readTokenizerConfig, type TokenizerConfig } from "./tokenizer-config";

function read(config: unknown, specialTokensMap?: unknown, addedTokens?: unknown): TokenizerConfig {
  const cursor = (value: unknown, file: string) => (value === undefined ? null : new JsonCursor(value, file));
  return readTokenizerConfig({
    config: cursor(config, "tokenizer_config.json"),
    specialTokensMap: cursor(specialTokensMap, "special_tokens_map.json"),
    addedTokens: cursor(addedTokens, "added_tokens.json"),
  });
}

const ADDED = { lstrip: false, rstrip: false, single_word: false, normalized: false, special: true };
const FORM = { lstrip: false, rstrip: false, singleWord: false, normalized: false, special: true };

describe("readTokenizerConfig", () => {
  test("no file at all: nothing is known", () => {
    const config = read(undefined);
    expect(config).toMatchObject({ tokenizerClass: null, addBosToken: null, modelMaxLength: null, addedTokens: [] });
    expect(config.specialTokens).toMatchObject({ bos: null, mask: null, additional: [] });
  });

  test("a BERT of 2020 (MiniLM's files)", () => {
    const special = {
      unk_token: "[UNK]",
      sep_token: "[SEP]",
      pad_token: "[PAD]",
      cls_token: "[CLS]",
      mask_token: "[MASK]",
    };
    const file = {
      ...{ do_lower_case: true, ...special, tokenize_chinese_chars: true, strip_accents: null },
      ...{ never_split: null, do_basic_tokenize: true, tokenizer_class: "BertTokenizer", model_max_length: 512 },
    };
    const config = read(file, special);
    expect(config).toMatchObject({ tokenizerClass: "BertTokenizer", doLowerCase: true, tokenizeChineseChars: true });
    expect(config).toMatchObject({ stripAccents: null, modelMaxLength: 512, addedTokens: [] });
    expect(config.specialTokens).toMatchObject({ bos: null, eos: null, unk: "[UNK]", cls: "[CLS]", mask: "[MASK]" });
    expect(config.specialForms.map(({ content }) => content)).toEqual(["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"]);
    expect(config.specialForms[0]).toEqual({ content: "[UNK]", ...FORM });
  });

  test("a Llama of today: tokens as objects, added_tokens_decoder, flags", () => {
    const config = read({
      ...{ tokenizer_class: "LlamaTokenizerFast", add_bos_token: true, add_eos_token: false, legacy: false },
      ...{
        add_prefix_space: null,
        clean_up_tokenization_spaces: false,
        padding_side: "left",
        truncation_side: "right",
      },
      ...{ model_max_length: 1e30, bos_token: { __type: "AddedToken", content: "<s>", ...ADDED }, eos_token: "</s>" },
      ...{ pad_token: null, image_token: "<image>", additional_special_tokens: ["<x>", { content: "<y>", ...ADDED }] },
      added_tokens_decoder: {
        "10": { content: "word", ...ADDED, normalized: true, special: false, single_word: true },
        "2": { content: "</s>", ...ADDED, rstrip: true, special: false },
        "1": { content: "<s>", ...ADDED },
      },
    });
    expect(config).toMatchObject({ addBosToken: true, addEosToken: false, legacy: false, addPrefixSpace: null });
    expect(config).toMatchObject({ modelMaxLength: null, paddingSide: "left", truncationSide: "right" });
    expect(config.specialTokens).toMatchObject({ bos: "<s>", eos: "</s>", pad: null, additional: ["<x>", "<y>"] });
    expect([...config.specialTokens.named]).toEqual([["image_token", "<image>"]]);
    expect(config.addedTokens).toEqual([
      { id: 1, content: "<s>", ...FORM },
      { id: 2, content: "</s>", ...FORM, rstrip: true },
      { id: 10, content: "word", ...FORM, normalized: true, special: false, singleWord: true },
    ]);
    expect(config.specialForms.map(({ content }) => content)).toEqual(["<s>", "</s>", "<image>", "<x>", "<y>"]);
    expect(config.specialForms[1].rstrip).toBe(true);
  });

  test("the older files: they go before the config, and added_tokens.json takes its flags from what is special", () => {
    const config = read(
      { bos_token: "old", eos_token: "</s>", additional_special_tokens: ["<a>"] },
      {
        bos_token: { content: "<s>", lstrip: true, special: false },
        eos_token: null,
        additional_special_tokens: ["<b>"],
      },
      { word: 9, "<b>": 8 },
    );
    expect(config.specialTokens).toMatchObject({ bos: "<s>", eos: null, additional: ["<a>", "<b>"] });
    expect(config.specialForms[0]).toEqual({ content: "<s>", ...FORM, lstrip: true });
    expect(config.addedTokens).toEqual([
      { id: 8, content: "<b>", ...FORM },
      { id: 9, content: "word", ...FORM, normalized: true, special: false },
    ]);
  });

  test("with added_tokens_decoder the older files do not count", () => {
    const config = read({ bos_token: "<s>", added_tokens_decoder: {} }, { bos_token: "x" }, { y: 1 });
    expect(config.specialTokens.bos).toBe("<s>");
    expect(config.addedTokens).toEqual([]);
  });

  test("named tokens in extra_special_tokens", () => {
    expect([...read({ extra_special_tokens: { boi_token: "<i>" } }).specialTokens.named]).toEqual([
      ["boi_token", "<i>"],
    ]);
  });

  test.each<[unknown, string]>([
    [[], "the document: expected an object, got an array of 0"],
    [{ tokenizer_class: 1 }, "tokenizer_class: expected a string, got 1"],
    [{ do_lower_case: "yes" }, 'do_lower_case: expected true or false, got "yes"'],
    [{ model_max_length: "512" }, 'model_max_length: expected a number, got "512"'],
    [{ padding_side: "top" }, 'padding_side: expected "left" or "right", got "top"'],
    [{ extra_ids: -1 }, "extra_ids: expected an integer from 0 to 10000, got -1"],
    [{ bos_token: 5 }, "bos_token: expected a token: a string, or an object with a content, got 5"],
    [{ bos_token: "x".repeat(257) }, "bos_token: expected at most 256 characters, got 257"],
    [{ bos_token: { content: 1 } }, "bos_token.content: expected a string, got 1"],
    [{ bos_token: "\ud800" }, "bos_token: expected a string without lone surrogates"],
    [{ additional_special_tokens: "x" }, 'additional_special_tokens: expected an object, got "x"'],
    [{ added_tokens_decoder: { "-1": { content: "x" } } }, "added_tokens_decoder: expected ids from 0 to 4194303"],
    [{ added_tokens_decoder: { "4194304": { content: "x" } } }, "added_tokens_decoder: expected ids from 0 to 4194303"],
    [{ added_tokens_decoder: { "1": "x" } }, 'added_tokens_decoder.1: expected an object, got "x"'],
    [{ added_tokens_decoder: { "1": { content: "x", lstrip: 1 } } }, "added_tokens_decoder.1.lstrip: expected true or"],
  ])("refuses %#", (config, message) => {
    expect(() => read(config)).toThrow(TokenizerFileError);
    expect(() => read(config)).toThrow(`tokenizer_config.json: ${message}`);
  });

  test("two added tokens of one id", () => {
    const message = 'added_tokens.json: b: expected an id of its own (1 is "a"), got 1';
    expect(() => read({}, undefined, { a: 1, b: 1 })).toThrow(message);
  });
});

/** The tokenizers that are compared: real vocabularies, as tokenizer.json and in their older forms, and all small fixtures. */

import { existsSync } from "node:fs";
import { Tokenizer } from "@qkv/tokenize";
import { external, readJson, repository } from "../support/fixtures";
import { fixtureBytes, fixtureText, openArchive } from "../support/tokenizer-fixtures";
import { bertJson, gpt2Json, sentencePiece, t5Json } from "./files";

/** A tokenizer that both sides can make. */
export interface Vocabulary {
  readonly name: string;
  /** A tokenizer.json for the native side. */
  readonly json: () => object;
  readonly ours: () => Tokenizer;
}

function ofJson(name: string, json: () => object): Vocabulary {
  return { name, json, ours: () => Tokenizer.fromTokenizerJson(json()) };
}

/** Folders that may have tokenizer.json files which are too large for the repository. */
const FOLDERS = [
  external("QKV_MODELS"),
  process.env.QKV_GOLDENS && `${process.env.QKV_GOLDENS}/../models`,
  process.env.QKV_EXPORTS,
].filter((folder): folder is string => typeof folder === "string" && folder !== "");

/** `NAME/tokenizer.json` of one of these folders; where none has it, the test is skipped. */
function ofFolder(name: string): Vocabulary | { readonly name: string; readonly skipped: string } {
  const path = FOLDERS.map((folder) => `${folder}/${name}/tokenizer.json`).find(existsSync);
  if (path === undefined) return { name, skipped: "not in QKV_MODELS, QKV_GOLDENS/../models, QKV_EXPORTS" };
  return ofJson(name, () => readJson<object>(path));
}

/** Vocabularies that are in use. */
export const REAL: readonly ReturnType<typeof ofFolder>[] = [
  ofJson("bert-base-uncased", () => JSON.parse(fixtureText("vocab", "bert-base-uncased.tokenizer.json")) as object),
  {
    name: "BERT uncased, vocab.txt",
    json: () => bertJson(fixtureText("vocab", "bert_base_uncased_vocab.txt"), true),
    ours: () => Tokenizer.fromVocabTxt(fixtureText("vocab", "bert_base_uncased_vocab.txt"), { lowercase: true }),
  },
  {
    name: "BERT cased, vocab.txt",
    json: () => bertJson(fixtureText("vocab", "bert_base_cased_vocab.txt"), false),
    ours: () => Tokenizer.fromVocabTxt(fixtureText("vocab", "bert_base_cased_vocab.txt"), { lowercase: false }),
  },
  {
    name: "GPT-2, encoder.json and vocab.bpe",
    json: () => gpt2Json(fixtureText("vocab", "gpt2_bpe_encoder.json"), fixtureText("vocab", "gpt2_bpe_vocab.bpe")),
    ours: () =>
      Tokenizer.fromVocabAndMerges(
        fixtureText("vocab", "gpt2_bpe_encoder.json"),
        fixtureText("vocab", "gpt2_bpe_vocab.bpe"),
      ),
  },
  ofJson("T5", () => t5Json(fixtureBytes("vocab", "t5.spiece.model"))),
  ofJson("stories260K", () => readJson<object>(repository("packages/cli/models/stories260K/tokenizer.json"))),
  ofFolder("all-MiniLM-L6-v2"),
  ofFolder("t5-titler"),
  ofFolder("smollm2"),
];

/** The small trained ones: each model, normalizer, pre-tokenizer, post-processor and decoder in turn. */
export const SMALL: readonly Vocabulary[] = [...openArchive("json").keys()]
  .sort()
  .map((name) => ofJson(name.replace(/\.json$/, ""), () => JSON.parse(fixtureText("json", name)) as object));

const T5_CHARSMAP = {
  type: "Precompiled",
  precompiled_charsmap: sentencePiece(fixtureBytes("vocab", "t5.spiece.model")).charsmap,
};
const BERT = {
  type: "BertNormalizer",
  clean_text: true,
  handle_chinese_chars: true,
  strip_accents: null,
  lowercase: true,
};

const NORMALIZERS: Readonly<Record<string, object>> = {
  NFC: { type: "NFC" },
  NFD: { type: "NFD" },
  NFKC: { type: "NFKC" },
  NFKD: { type: "NFKD" },
  Lowercase: { type: "Lowercase" },
  "NFD, StripAccents": { type: "Sequence", normalizers: [{ type: "NFD" }, { type: "StripAccents" }] },
  StripAccents: { type: "StripAccents" },
  Strip: { type: "Strip", strip_left: true, strip_right: true },
  Nmt: { type: "Nmt" },
  "Precompiled (T5)": T5_CHARSMAP,
  "NFKC, Lowercase, Precompiled": {
    type: "Sequence",
    normalizers: [{ type: "NFKC" }, { type: "Lowercase" }, T5_CHARSMAP],
  },
  BertNormalizer: BERT,
  "BertNormalizer, cased": { ...BERT, lowercase: false },
  "BertNormalizer, accents kept": { ...BERT, strip_accents: false },
  "BertNormalizer, clean_text alone": { ...BERT, handle_chinese_chars: false, strip_accents: false, lowercase: false },
};

const PRE_TOKENIZERS: Readonly<Record<string, object>> = {
  BertPreTokenizer: { type: "BertPreTokenizer" },
  Whitespace: { type: "Whitespace" },
  WhitespaceSplit: { type: "WhitespaceSplit" },
  Punctuation: { type: "Punctuation", behavior: "Isolated" },
  Digits: { type: "Digits", individual_digits: false },
  UnicodeScripts: { type: "UnicodeScripts" },
  Metaspace: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: true },
};

/** Regular expressions of tokenizer.json files in use that the fixtures do not have, and classes that engines define differently. */
const REGEXES = [
  "[^(\\s|[.,!?…。，、।۔،])]+",
  "\\p{N}{1,3}",
  "\\w+|[^\\w\\s]+",
  "\\d+|\\D",
  "(?i:'s|k|σ|å|ǆ|ꭰ)",
  "[[:punct:]]+",
  "[[:alpha:][:digit:]]+",
  "[\\p{L}&&[^\\p{Han}\\p{Lu}]]+",
  "\\b",
  "(?<=\\p{Ll})(?=\\p{Lu})",
  "\\p{M}+|\\p{S}+|\\p{P}+",
  "^.|.$",
];

/** One component over a model of bytes, which hides nothing of what the component made. */
function ofComponent(name: string, component: object): Vocabulary {
  return ofJson(name, () => ({ ...(JSON.parse(fixtureText("json", "bpe_gpt2.json")) as object), ...component }));
}

const BYTES = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false };

function ofPreTokenizer(name: string, preTokenizer: object): Vocabulary {
  return ofComponent(name, { pre_tokenizer: { type: "Sequence", pretokenizers: [preTokenizer, BYTES] } });
}

export function splitBy(Regex: string): Vocabulary {
  return ofPreTokenizer(`Split by ${Regex}`, {
    type: "Split",
    pattern: { Regex },
    behavior: "Isolated",
    invert: false,
  });
}

export const COMPONENTS: readonly Vocabulary[] = [
  ...Object.entries(NORMALIZERS).map(([name, normalizer]) => ofComponent(name, { normalizer, pre_tokenizer: BYTES })),
  ...Object.entries(PRE_TOKENIZERS).map(([name, preTokenizer]) => ofPreTokenizer(name, preTokenizer)),
  ...REGEXES.map(splitBy),
];

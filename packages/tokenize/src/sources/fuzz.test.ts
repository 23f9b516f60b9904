/** Damaged files of every format, through Tokenizer.from: one error that names the file, or a tokenizer that works. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fixtureBytes, fixtureText } from "../../../../tests/support/tokenizer-fixtures";
import { stories } from "../../fixtures/load";
import { TokenizerFileError, UnencodableTextError, UnsupportedTokenizerError } from "../errors";
import { Tokenizer } from "../tokenizer";
import { TOKENIZER_FILES } from "./detect";
import { preTypeNames } from "./gguf-pre-types";

const TEXT = "Once upon a time, <s> é😀 日本\n  [MASK] low1234 <|x|>";

type Values = Readonly<Record<string, unknown>>;
type Files = Values;

function isOurs(error: unknown): error is TokenizerFileError | UnsupportedTokenizerError {
  return error instanceof TokenizerFileError || error instanceof UnsupportedTokenizerError;
}

/** Of the runs so far: a test in which all files are refused, or none is, shows little. */
const outcomes = { loaded: 0, refused: 0 };

/** Loads, and if that works encodes and decodes. The error must be this package's, and name one of the files. */
async function mustLoadOrRefuse(load: () => Tokenizer | Promise<Tokenizer>, names: readonly string[]): Promise<void> {
  let tokenizer: Tokenizer;
  try {
    tokenizer = await load();
  } catch (error) {
    if (!isOurs(error)) throw error;
    outcomes.refused++;
    if (!names.some((name) => error.message.startsWith(`${name}: `))) throw error;
    return;
  }
  outcomes.loaded++;
  let ids: readonly number[];
  try {
    ({ ids } = tokenizer.encode(TEXT));
    const padding = tokenizer.padId === null ? { padId: 0, padToken: "" } : true;
    tokenizer.encodeBatch([TEXT, ["a", "b"]], { padding, truncation: { maxLength: 40 } });
  } catch (error) {
    if (error instanceof UnencodableTextError || isTooShort(error)) return;
    throw error;
  }
  expect(tokenizer.decode(ids)).toBeTypeOf("string");
  expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBeTypeOf("string");
  const stream = tokenizer.decodeStream();
  expect(ids.map((id) => stream.push(id)).join("") + stream.flush()).toBe(tokenizer.decode(ids));
  const known = [tokenizer.bosId, tokenizer.eosId, tokenizer.unkId, tokenizer.padId].filter((id) => id !== null);
  for (const id of [...ids, ...known]) {
    expect(id).toBeGreaterThanOrEqual(0);
    expect(id).toBeLessThan(tokenizer.vocabSize);
  }
}

/** A template of more than 40 tokens leaves no room for a text. */
function isTooShort(error: unknown): boolean {
  return error instanceof RangeError && /maxLength/.test(error.message);
}

// ---- Ways to damage a file

type Damage<T> = (file: T, other: T) => T;

const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
/** Half of the damage goes where the structure is: to the beginning. */
const anywhere = fc.oneof(
  place,
  place.map((part) => part ** 4),
);

const damagedBytes: fc.Arbitrary<Damage<Uint8Array>> = fc.oneof(
  fc.array(fc.tuple(anywhere, fc.nat(255)), { minLength: 1, maxLength: 8 }).map((edits) => (file: Uint8Array) => {
    const bytes = file.slice();
    for (const [part, byte] of edits) bytes[Math.floor(part * bytes.length)] = byte;
    return bytes;
  }),
  anywhere.map((part) => (file: Uint8Array) => file.subarray(0, Math.floor(part * file.length))),
  anywhere.map((part) => (file: Uint8Array) => file.subarray(Math.floor(part * file.length))),
  fc.tuple(anywhere, anywhere).map(([part, otherPart]) => (file: Uint8Array, other: Uint8Array) => {
    const head = file.subarray(0, Math.floor(part * file.length));
    return Uint8Array.from([...head, ...other.subarray(Math.floor(otherPart * other.length))]);
  }),
  // A few bytes more, or taken out.
  fc.tuple(anywhere, fc.uint8Array({ maxLength: 9 }), fc.nat(9)).map(([part, more, less]) => (file: Uint8Array) => {
    const at = Math.floor(part * file.length);
    return Uint8Array.from([...file.subarray(0, at), ...more, ...file.subarray(at + less)]);
  }),
);

const TOKENS = [
  "{",
  "}",
  "[",
  "]",
  '"',
  ",",
  ":",
  "null",
  "-1",
  "1e9",
  "0",
  "\\ud800",
  "\u2581",
  "\n",
  "\r",
  " ",
  "##",
];
const shortText = fc.oneof(fc.constantFrom(...TOKENS), fc.string({ maxLength: 8, unit: "binary" }));

const damagedText: fc.Arbitrary<Damage<string>> = fc.oneof(
  fc.array(fc.tuple(anywhere, fc.nat(30), shortText), { minLength: 1, maxLength: 4 }).map((edits) => (file: string) => {
    let text = file;
    for (const [part, less, more] of edits) {
      const at = Math.floor(part * text.length);
      text = text.slice(0, at) + more + text.slice(at + less);
    }
    return text;
  }),
  anywhere.map((part) => (file: string) => file.slice(0, Math.floor(part * file.length))),
  anywhere.map((part) => (file: string) => file.slice(Math.floor(part * file.length))),
  fc.tuple(anywhere, anywhere).map(([part, otherPart]) => (file: string, other: string) => {
    return file.slice(0, Math.floor(part * file.length)) + other.slice(Math.floor(otherPart * other.length));
  }),
  // Lines in another order.
  fc.tuple(anywhere, anywhere).map(([from, to]) => (file: string) => {
    const lines = file.split("\n");
    const [line] = lines.splice(Math.floor(from * lines.length), 1);
    lines.splice(Math.floor(to * lines.length), 0, line ?? "");
    return lines.join("\n");
  }),
);

/** Any value, more often one that almost fits. */
const badValue: fc.Arbitrary<unknown> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.anything({ withBigInt: true, withTypedArray: true, withNullPrototype: true, maxDepth: 2 }),
  },
  { weight: 2, arbitrary: fc.constantFrom(null, undefined, "", [], {}, -1, 0, 1, 2 ** 32, 1e30, Number.NaN, true) },
  { weight: 1, arbitrary: fc.integer({ min: -2, max: 700 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("<s>", "a", "\u2581", "\ud800", "x".repeat(2000), "constructor", "__proto__"),
  },
);

/** Where the values of a document are; of long lists and vocabularies the first and last alone. */
function pathsOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return [path];
  const keys = Object.keys(value);
  const some = keys.length > 20 ? [...keys.slice(0, 3), ...keys.slice(-3)] : keys;
  return [path, ...some.flatMap((key) => pathsOf((value as Values)[key], [...path, key]))];
}

function valueAt(document: unknown, path: readonly string[]): unknown {
  return path.reduce((value, key) => (value as Values)[key], document);
}

/** A copy of a document with another value at a path; undefined takes it out. */
function withValue(document: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const copy = (Array.isArray(document) ? [...document] : { ...(document as object) }) as Record<string, unknown>;
  copy[key] = withValue(copy[key], rest, value);
  return copy;
}

/** A document with one to three values changed, to bad ones or to what stands elsewhere in one like it. */
function damagedDocument(documents: readonly object[]): fc.Arbitrary<object> {
  const paths = documents.map((document) => pathsOf(document).filter((path) => path.length > 0));
  const edit = fc.record({
    path: fc.nat(),
    other: fc.nat(),
    otherPath: fc.nat(),
    value: badValue,
    splice: fc.boolean(),
  });
  return fc
    .tuple(fc.nat(documents.length - 1), fc.array(edit, { minLength: 1, maxLength: 3 }))
    .map(([index, edits]) => {
      let document: unknown = documents[index];
      for (const { path, other, otherPath, value, splice } of edits) {
        const places = pathsOf(document).filter((some) => some.length > 0);
        const place = places[path % Math.max(places.length, 1)] ?? ["model"];
        const from = other % documents.length;
        // Most often what stands under the same name, else it is refused at once.
        const alike = paths[from].filter((some) => some.at(-1) === place.at(-1));
        const source = alike.length > 0 && otherPath % 4 > 0 ? alike : paths[from];
        const spliced = valueAt(documents[from], source[otherPath % source.length]);
        document = withValue(document, place, splice ? spliced : value);
      }
      return document as object;
    });
}

// ---- The files

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const json = <T>(text: string): T => JSON.parse(text) as T;
const names = (list: string): string[] => list.split(" ");
const byId = (vocab: Readonly<Record<string, number>>): string[] =>
  Object.entries(vocab)
    .sort(([, a], [, b]) => a - b)
    .map(([token]) => token);
const vocabOf = <V>(name: string): V => json<{ model: { vocab: V } }>(fixtureText("json", `${name}.json`)).model.vocab;
const UNIGRAM = vocabOf<[string, number][]>("unigram_t5");
/** As llama.cpp's converter writes a word and its continuation. */
const ggufWord = (token: string): string =>
  token.startsWith("##") ? token.slice(2) : token.startsWith("[") ? token : `\u2581${token}`;
const DOCUMENTS = names(
  "bpe_llama2 bpe_gemma bpe_gpt2 bpe_llama3 bpe_clip bpe_roberta bpe_qwen2_nfc unigram_t5 unigram_albert unigram_byte_fallback " +
    "wordpiece_bert wordpiece_bert_processing wordlevel ctc added_wordpiece added_metaspace template_multi_ids " +
    "norm_sequence norm_replace_regex norm_precompiled pre_sequence pre_regex_o200k pre_split_vowels_removed pre_digits",
).map((name) => fixtureText("json", `${name}.json`));
const PARSED = DOCUMENTS.map((text) => json<object>(text));
const MODELS = names("bpe_byte_fallback bpe_suffix unigram_byte_fallback unigram_no_prefix unigram_rules").map((name) =>
  fixtureBytes("spm", `${name}.model`),
);
const VOCAB_TXT = ["wordpiece_bert", "wordpiece_bert_processing"].map(
  (name) => `${byId(vocabOf<Record<string, number>>(name)).join("\n")}\n`,
);

interface BpeDocument {
  readonly model: {
    readonly vocab: Record<string, number>;
    readonly merges: readonly (string | readonly [string, string])[];
  };
}

const BPE = ["bpe_gpt2", "bpe_roberta"].map((name) => json<BpeDocument>(fixtureText("json", `${name}.json`)).model);
const mergeLines = ({ merges }: BpeDocument["model"]): string[] =>
  merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" ")));
const VOCAB_JSON = BPE.map(({ vocab }) => JSON.stringify(vocab));
const MERGES_TXT = BPE.map((model) => `#version: 0.2\n${mergeLines(model).join("\n")}\n`);

/** GGUF metadata of each vocabulary. */
const GGUF: readonly Record<string, unknown>[] = [
  Object.fromEntries([...stories.gguf()].filter(([key]) => key.startsWith("tokenizer."))),
  {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "llama-bpe",
    "tokenizer.ggml.tokens": byId(BPE[0].vocab),
    "tokenizer.ggml.merges": mergeLines(BPE[0]),
    "tokenizer.ggml.token_type": byId(BPE[0].vocab).map((_, id) => (id === 0 ? 3 : 1)),
    "tokenizer.ggml.bos_token_id": 0,
    "tokenizer.ggml.eos_token_id": 0,
    "tokenizer.ggml.add_bos_token": true,
  },
  {
    "tokenizer.ggml.model": "bert",
    "tokenizer.ggml.tokens": VOCAB_TXT[0].trimEnd().split("\n").map(ggufWord),
    "tokenizer.ggml.unknown_token_id": VOCAB_TXT[0].split("\n").indexOf("[UNK]"),
    "tokenizer.ggml.cls_token_id": VOCAB_TXT[0].split("\n").indexOf("[CLS]"),
    "tokenizer.ggml.seperator_token_id": VOCAB_TXT[0].split("\n").indexOf("[SEP]"),
  },
  {
    "tokenizer.ggml.model": "t5",
    "tokenizer.ggml.tokens": UNIGRAM.map(([piece]) => piece),
    "tokenizer.ggml.scores": UNIGRAM.map(([, score]) => score),
    "tokenizer.ggml.token_type": UNIGRAM.map((_, id) => (id === 2 ? 2 : id < 2 ? 3 : 1)),
    "tokenizer.ggml.precompiled_charsmap": [],
    "tokenizer.ggml.remove_extra_whitespaces": true,
  },
];
const GGUF_KEYS = names(
  "model pre tokens scores merges token_type bos_token_id eos_token_id unknown_token_id padding_token_id mask_token_id " +
    "cls_token_id seperator_token_id add_bos_token add_eos_token add_space_prefix remove_extra_whitespaces " +
    "precompiled_charsmap normalizer.lowercase",
).map((name) => `tokenizer.ggml.${name}`);

test("the files are sound", async () => {
  const vocab = { "vocab.json": VOCAB_JSON[0], "merges.txt": MERGES_TXT[0] };
  const sources = [...DOCUMENTS, ...MODELS, ...VOCAB_TXT.map((text) => ({ "vocab.txt": text })), vocab, ...GGUF];
  for (const source of sources) expect((await Tokenizer.from(source)).vocabSize).toBeGreaterThan(100);
});

/** At least a twentieth of the runs must load, and a twentieth be refused; with `never`, all may be. */
async function check<T>(
  seed: number,
  numRuns: number,
  arbitrary: fc.Arbitrary<T>,
  run: (value: T) => Promise<void>,
  never?: "loads",
): Promise<void> {
  Object.assign(outcomes, { loaded: 0, refused: 0 });
  await fc.assert(fc.asyncProperty(arbitrary, run), { seed, numRuns });
  expect(outcomes.refused).toBeGreaterThan(numRuns / 20);
  if (never === undefined) expect(outcomes.loaded).toBeGreaterThan(numRuns / 20);
}

/** A file with the damage, where the other one is one of the same kind. */
function damaged<T>(files: readonly T[], damage: fc.Arbitrary<Damage<T>>): fc.Arbitrary<T> {
  return fc
    .tuple(fc.constantFrom(...files), fc.constantFrom(...files), damage)
    .map(([file, other, change]) => change(file, other));
}

describe("tokenizer.json", () => {
  test("as text", () =>
    check(21, 300, damaged(DOCUMENTS, damagedText), (text) =>
      mustLoadOrRefuse(() => Tokenizer.from({ "tokenizer.json": text }), ["tokenizer.json"]),
    ));

  test("as bytes", () =>
    check(22, 200, damaged(DOCUMENTS.map(utf8), damagedBytes), (bytes) =>
      mustLoadOrRefuse(() => Tokenizer.from(bytes, { file: "t.json" }), ["t.json"]),
    ));

  test("as a document, with other values and with other files' components", () =>
    check(23, 600, damagedDocument(PARSED), (document) =>
      mustLoadOrRefuse(() => Tokenizer.fromTokenizerJson(document, { file: "t.json" }), ["t.json"]),
    ));
});

describe("vocab.txt", () => {
  test("as text", () =>
    check(24, 300, damaged(VOCAB_TXT, damagedText), (text) =>
      mustLoadOrRefuse(() => Tokenizer.from({ "vocab.txt": text }), ["vocab.txt"]),
    ));

  test("as bytes", () =>
    check(25, 300, damaged(VOCAB_TXT.map(utf8), damagedBytes), (bytes) =>
      mustLoadOrRefuse(() => Tokenizer.from({ "vocab.txt": bytes }), ["vocab.txt"]),
    ));
});

describe("vocab.json and merges.txt", () => {
  const files = ["vocab.json", "merges.txt"];

  test("vocab.json", () =>
    check(26, 200, damaged(VOCAB_JSON, damagedText), (text) =>
      mustLoadOrRefuse(() => Tokenizer.from({ "vocab.json": text, "merges.txt": MERGES_TXT[0] }), files),
    ));

  test("vocab.json as a document", () =>
    check(27, 200, damagedDocument(BPE.map(({ vocab }) => vocab)), (vocab) =>
      mustLoadOrRefuse(() => Tokenizer.from({ "vocab.json": vocab, "merges.txt": MERGES_TXT[0] }), files),
    ));

  test("merges.txt", () =>
    check(28, 200, damaged(MERGES_TXT, damagedText), (text) =>
      mustLoadOrRefuse(() => Tokenizer.from({ "vocab.json": VOCAB_JSON[0], "merges.txt": text }), files),
    ));

  test("merges.txt as bytes", () =>
    check(29, 200, damaged(MERGES_TXT.map(utf8), damagedBytes), (bytes) =>
      mustLoadOrRefuse(() => Tokenizer.from({ "vocab.json": VOCAB_JSON[0], "merges.txt": bytes }), files),
    ));
});

describe("binary files", () => {
  test("a .model in a folder of a class", () => {
    const config = fc.constantFrom({}, { tokenizer_class: "LlamaTokenizer" }, { tokenizer_class: "T5Tokenizer" });
    return check(30, 300, fc.tuple(damaged(MODELS, damagedBytes), config), ([bytes, settings]) =>
      mustLoadOrRefuse(
        () => Tokenizer.from({ "spiece.model": bytes, "tokenizer_config.json": settings }),
        // What T5 cannot be made of has no name yet: see detect.test.ts.
        ["spiece.model", "the sentencepiece model"],
      ),
    );
  });

  test("tokenizer.bin", () =>
    check(31, 300, damaged([stories.llama2c()], damagedBytes), (bytes) =>
      mustLoadOrRefuse(() => Tokenizer.from({ "tokenizer.bin": bytes }), ["tokenizer.bin"]),
    ));

  test("any bytes and any text under any name", () => {
    const content = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.string({ unit: "binary", maxLength: 200 }));
    const run = ([name, bytes]: [string, Uint8Array | string]): Promise<void> =>
      mustLoadOrRefuse(() => Tokenizer.from({ [name]: bytes, "merges.txt": "a b\n" }), [name, "merges.txt"]);
    return check(32, 500, fc.tuple(fc.constantFrom(...TOKENIZER_FILES), content), run, "loads");
  });
});

describe("GGUF metadata", () => {
  test.each(GGUF.map((metadata, index) => [String(metadata["tokenizer.ggml.model"]), index] as const))(
    "%s",
    (_, index) => {
      const good = GGUF[index];
      const keys = [...GGUF_KEYS, ...Object.keys(good)];
      const values = GGUF.flatMap((metadata) => Object.values(metadata));
      const value = fc.oneof(badValue, fc.constantFrom(...values), fc.constantFrom(...preTypeNames()));
      const edit = fc.tuple(fc.constantFrom(...keys), value, fc.nat(), fc.boolean());
      return check(33 + index, 300, fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
        const metadata: Record<string, unknown> = { ...good };
        for (const [key, bad, at, inside] of edits) {
          const list = metadata[key];
          const isList = Array.isArray(list) && list.length > 0;
          metadata[key] = inside && isList ? Object.assign([...list], { [at % list.length]: bad }) : bad;
        }
        if (metadata["tokenizer.ggml.model"] === undefined) metadata["tokenizer.ggml.model"] = "llama";
        return mustLoadOrRefuse(() => Tokenizer.from(metadata, { file: "m.gguf" }), ["m.gguf"]);
      });
    },
  );
});

describe("the files beside one", () => {
  const token = { content: "<|x|>", lstrip: false, rstrip: true, single_word: false, normalized: false, special: true };
  const special = {
    ...{ bos_token: "<s>", eos_token: { content: "</s>" }, unk_token: "<unk>", pad_token: token, mask_token: "[MASK]" },
    ...{ cls_token: "[CLS]", sep_token: "[SEP]", additional_special_tokens: ["<a>", token], image_token: "<i>" },
  };
  const config = {
    ...{ ...special, tokenizer_class: "LlamaTokenizer", add_bos_token: true, add_eos_token: true, extra_ids: 10 },
    ...{ add_prefix_space: true, do_lower_case: false, strip_accents: true, tokenize_chinese_chars: false },
    ...{ clean_up_tokenization_spaces: true, legacy: false, model_max_length: 512, padding_side: "left" },
    ...{
      truncation_side: "left",
      added_tokens_decoder: { 900: token, 901: { ...token, content: "word", special: false } },
    },
  };
  const older = { ...config, added_tokens_decoder: undefined, tokenizer_class: undefined };
  const added = { "<|x|>": 900, word: 901, "<a>": 902 };
  const BASES: readonly Files[] = [
    ...[0, 7, 10].map((index) => ({ "tokenizer.json": DOCUMENTS[index] })),
    { "vocab.txt": VOCAB_TXT[0] },
    { "vocab.json": VOCAB_JSON[1], "merges.txt": MERGES_TXT[1] },
    { "spiece.model": MODELS[0] },
    { "spiece.model": MODELS[4] },
  ];
  const BESIDE = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json"];
  const run = (base: Files, beside: Files): Promise<void> =>
    mustLoadOrRefuse(
      () => Tokenizer.from({ ...base, ...beside }),
      [...Object.keys(base), ...BESIDE, "the sentencepiece model"],
    );
  const base = fc.constantFrom(...BASES);

  test("tokenizer_config.json", () =>
    check(41, 400, fc.tuple(base, damagedDocument([config, older, special])), ([files, document]) =>
      run(files, { "tokenizer_config.json": document, "added_tokens.json": added }),
    ));

  test("special_tokens_map.json", () =>
    check(42, 300, fc.tuple(base, damagedDocument([special, { bos_token: token }])), ([files, document]) =>
      run(files, { "tokenizer_config.json": older, "special_tokens_map.json": document }),
    ));

  test("added_tokens.json", () => {
    const key = fc.oneof(shortText, fc.constantFrom("[PAD]", "<s>", "a", "__proto__", "constructor", "x".repeat(300)));
    const id = fc.oneof(fc.integer({ min: -1, max: 1000 }), fc.constantFrom(2 ** 22 - 1, 2 ** 22, 0.5, "5", null));
    return check(43, 200, fc.tuple(base, fc.dictionary(key, id, { maxKeys: 5 })), ([files, document]) =>
      run(files, { "added_tokens.json": document }),
    );
  });

  test("as damaged texts", () => {
    const texts = [config, special, added].map((document) => JSON.stringify(document));
    const one = fc.tuple(base, fc.constantFrom(...BESIDE), damaged(texts, damagedText));
    return check(44, 300, one, ([files, name, text]) => run(files, { [name]: text }));
  });
});

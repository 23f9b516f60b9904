/** Tokenizer.from: every kind of source, what is preferred, what the files beside one add, and what is refused. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fixtureBytes, fixtureText } from "../../../../tests/support/tokenizer-fixtures";
import { stories } from "../../fixtures/load";
import { TokenizerFileError, UnsupportedTokenizerError } from "../errors";
import { Tokenizer } from "../tokenizer";
import { TOKENIZER_FILES } from "./detect";

// ---- A file of each kind, small

const BPE_MODEL = fixtureBytes("spm", "bpe_byte_fallback.model");
const UNIGRAM_MODEL = fixtureBytes("spm", "unigram_rules.model");
const TOKENIZER_BIN = stories.llama2c();
const TOKENIZER_JSON = fixtureText("json", "bpe_llama2.json");
const VOCAB_TXT = "hello\n[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nworld\n##s\nHello\ncafe\n日\n本\n日本\n.\n'\nn\nt\n";
const VOCAB = {
  ...{ l: 0, o: 1, w: 2, lo: 3, low: 4, "\u0120": 5, "\u0120low": 6, "<|endoftext|>": 7 },
  ...{ "<s>": 8, "<pad>": 9, "</s>": 10, "<unk>": 11, "<mask>": 12 },
};
const VOCAB_JSON = JSON.stringify(VOCAB);
const MERGES_TXT = "#version: 0.2\nl o\nlo w\n\u0120 low\n";

interface Kind {
  readonly kind: string;
  readonly vocabSize: number;
  readonly text: string;
  readonly tokens: readonly string[];
}

const KINDS: Readonly<Record<string, Kind>> = {
  json: { kind: "tokenizer.json", vocabSize: 620, text: "", tokens: ["<s>"] },
  bpe: { kind: "sentencepiece", vocabSize: 700, text: "lo", tokens: ["\u2581lo"] },
  bert: { kind: "vocab.txt", vocabSize: 17, text: "Hello worlds", tokens: ["[CLS]", "hello", "world", "##s", "[SEP]"] },
  gpt2: { kind: "vocab.json", vocabSize: 13, text: "low low", tokens: ["low", "\u0120low"] },
  bin: { kind: "llama2.c", vocabSize: 512, text: "Once", tokens: ["\n<s>\n", " Once"] },
};

/** Files, which of the kinds above they are, and the files that are taken. */
const FILES: readonly (readonly [name: string, files: Record<string, string | Uint8Array>, kind: string])[] = [
  ["tokenizer.json", { "tokenizer.json": TOKENIZER_JSON }, "json"],
  ["spiece.model", { "spiece.model": BPE_MODEL }, "bpe"],
  ["tokenizer.model", { "tokenizer.model": BPE_MODEL }, "bpe"],
  ["sentencepiece.bpe.model", { "sentencepiece.bpe.model": BPE_MODEL }, "bpe"],
  ["sentencepiece.model", { "sentencepiece.model": BPE_MODEL }, "bpe"],
  ["vocab.txt", { "vocab.txt": VOCAB_TXT }, "bert"],
  ["vocab.json", { "vocab.json": VOCAB_JSON, "merges.txt": MERGES_TXT }, "gpt2"],
  ["encoder.json", { "encoder.json": VOCAB_JSON, "vocab.bpe": MERGES_TXT }, "gpt2"],
  ["tokenizer.bin", { "tokenizer.bin": TOKENIZER_BIN }, "bin"],
];

function check(tokenizer: Tokenizer, kind: string, files: readonly string[]): void {
  const { text, ...expected } = KINDS[kind];
  const { vocabSize, kind: found } = tokenizer;
  const tokens = tokenizer.encode(text).tokens;
  expect({ kind: found, vocabSize, tokens, files: tokenizer.files }).toEqual({ ...expected, files });
}

async function failure(made: Promise<unknown>): Promise<Error> {
  const error: unknown = await made.then(
    () => new Error("no error"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Error)) throw new Error("no Error was thrown");
  return error;
}

async function fileError(made: Promise<unknown>): Promise<string> {
  const error = await failure(made);
  if (!(error instanceof TokenizerFileError)) throw error;
  return error.message;
}

async function unsupported(made: Promise<unknown>): Promise<string> {
  const error = await failure(made);
  if (!(error instanceof UnsupportedTokenizerError)) throw error;
  return error.message;
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const bytesOf = (content: string | Uint8Array): Uint8Array => (typeof content === "string" ? utf8(content) : content);

// ---- Where files are

describe("a folder on disk and on a server", () => {
  const root = mkdtempSync(join(tmpdir(), "qkv-detect-"));
  let server: Server;
  let address: string;
  /** Paths that were asked for. */
  let asked: string[] = [];
  const served = new Map<string, Uint8Array>();

  beforeAll(async () => {
    for (const [folder, files] of FILES) {
      mkdirSync(join(root, folder));
      for (const [name, content] of Object.entries(files)) {
        writeFileSync(join(root, folder, name), content);
        served.set(`/${folder}/${name}`, bytesOf(content));
      }
    }
    mkdirSync(join(root, "empty"));
    mkdirSync(join(root, "a folder", "tokenizer.json"), { recursive: true });
    writeFileSync(join(root, "alone.bpe"), MERGES_TXT);
    writeFileSync(join(root, "model.gguf"), "GGUF\x03\0\0\0");
    served.set("/alone/merges.txt", utf8(MERGES_TXT));
    server = createServer((request, response) => {
      const { pathname, search } = new URL(request.url ?? "/", "http://localhost");
      asked.push(pathname + search);
      const content = served.get(decodeURIComponent(pathname));
      if (pathname.startsWith("/broken/")) response.writeHead(500).end("out of order");
      else if (pathname.startsWith("/forbidden/") && content === undefined) response.writeHead(403).end();
      else if (pathname.startsWith("/silent/")) return;
      else if (content === undefined) response.writeHead(404).end("no such file");
      else response.writeHead(200).end(content);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterAll(async () => {
    rmSync(root, { recursive: true, force: true });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test.each(FILES)("with %s", async (name, files, kind) => {
    const folder = join(root, name);
    const taken = Object.keys(files);
    check(await Tokenizer.from(folder), kind, taken);
    check(await Tokenizer.from(`${folder}/`), kind, taken);
    check(await Tokenizer.from(join(folder, name)), kind, taken);
    check(await Tokenizer.from(pathToFileURL(folder)), kind, taken);
    check(await Tokenizer.from(pathToFileURL(join(folder, name)).href), kind, taken);
    check(await Tokenizer.from(`${address}/${name}/`), kind, taken);
    check(await Tokenizer.from(`${address}/${name}/${name}`), kind, taken);
    check(await Tokenizer.from(new URL(`${address}/${name}/${name}`)), kind, taken);
  });

  test("an address without a slash at its end is a folder's, and what follows the question mark stays", async () => {
    served.set("/models/bert/vocab.txt", utf8(VOCAB_TXT));
    asked = [];
    check(await Tokenizer.from(`${address}/models/bert?token=1`), "bert", ["vocab.txt"]);
    expect(asked).toContain("/models/bert/tokenizer.json?token=1");
    expect(asked).toContain("/models/bert/vocab.txt?token=1");
    expect(new Set(asked.map((path) => path.slice(-8)))).toEqual(new Set(["?token=1"]));
  });

  test("a file's own address asks for nothing else", async () => {
    asked = [];
    check(await Tokenizer.from(`${address}/vocab.txt/vocab.txt`), "bert", ["vocab.txt"]);
    expect(asked).toEqual(["/vocab.txt/vocab.txt"]);
  });

  test("403 counts as no file, as in a bucket that cannot be listed", async () => {
    served.set("/forbidden/vocab.txt", utf8(VOCAB_TXT));
    check(await Tokenizer.from(`${address}/forbidden/`), "bert", ["vocab.txt"]);
    expect(await fileError(Tokenizer.from(`${address}/forbidden/spiece.model`))).toBe(
      "spiece.model: the file: expected a file, got none",
    );
  });

  test("a server that fails is named, with its status", async () => {
    const message = await fileError(Tokenizer.from(`${address}/broken/`));
    expect(message).toBe(`${address}/broken/tokenizer.json: the address: expected a file, got status 500`);
    expect(await fileError(Tokenizer.from(`${address}/broken/vocab.txt`))).toMatch(/broken\/vocab.txt: .*status 500/);
  });

  test("nothing there", async () => {
    const none = `the folder: its files: expected ${TOKENIZER_FILES.join(", ")}, one of them`.slice(0, 180);
    expect(await fileError(Tokenizer.from(join(root, "empty")))).toContain(none);
    expect(await fileError(Tokenizer.from(`${address}/nowhere/`))).toContain(none);
    expect(await fileError(Tokenizer.from({}))).toContain(none);
    expect(await fileError(Tokenizer.from(`${address}/nowhere/tokenizer.json`))).toMatch(
      /^tokenizer.json: .*got none$/,
    );
    const missing = join(root, "missing");
    expect(await fileError(Tokenizer.from(missing))).toBe(`${missing}: the path: expected a folder or file, got none`);
    expect(await fileError(Tokenizer.from(pathToFileURL(missing)))).toContain("a folder or file, got none");
    expect(await fileError(Tokenizer.from(join(root, "vocab.txt", "vocab.txt", "deeper")))).toContain("got none");
    expect(await fileError(Tokenizer.from(""))).toContain("a folder or file, got none");
  });

  test("merges alone, and a GGUF file", async () => {
    expect(await fileError(Tokenizer.from(join(root, "alone.bpe")))).toBe(
      "alone.bpe: the file: expected the folder, or vocab.json, got merges alone",
    );
    expect(await fileError(Tokenizer.from(`${address}/alone/merges.txt`))).toMatch(/^merges.txt: .*merges alone$/);
    expect(await unsupported(Tokenizer.from(join(root, "model.gguf")))).toMatch(
      /^model.gguf: a GGUF file "as bytes" is not supported; supported: its metadata/,
    );
  });

  test("vocab.json without its merges", async () => {
    expect(await fileError(Tokenizer.from({ "vocab.json": VOCAB_JSON }))).toBe(
      "vocab.json: the folder: expected merges.txt or vocab.bpe beside it, got neither",
    );
  });

  test("is called off before and while it reads", async () => {
    const reason = new Error("changed my mind");
    const signal = AbortSignal.abort(reason);
    for (const source of [root, `${address}/vocab.txt/`, { "vocab.txt": VOCAB_TXT }, TOKENIZER_JSON]) {
      expect(await failure(Tokenizer.from(source, { signal }))).toBe(reason);
    }
    const caller = new AbortController();
    server.once("request", () => caller.abort(reason));
    expect(await failure(Tokenizer.from(`${address}/silent/`, { signal: caller.signal }))).toBe(reason);
  });
});

// ---- What the user holds

describe("in memory", () => {
  const gguf = stories.gguf();

  test.each(FILES)("files by name: %s", async (_, files, kind) => {
    const taken = Object.keys(files);
    const asBytes = Object.entries(files).map(([name, content]) => [name, bytesOf(content)] as const);
    check(await Tokenizer.from(files), kind, taken);
    check(await Tokenizer.from(new Map(Object.entries(files))), kind, taken);
    check(await Tokenizer.from(Object.fromEntries(asBytes)), kind, taken);
    const read = (name: string): string | Uint8Array | undefined => files[name];
    check(await Tokenizer.from({ read }), kind, taken);
    check(await Tokenizer.from({ read: async (name) => new Map(asBytes).get(name) ?? null }), kind, taken);
  });

  test("a reader keeps its `this`", async () => {
    class Folder {
      readonly files = { "vocab.txt": VOCAB_TXT } as Record<string, string>;
      read(name: string): string | null {
        return this.files[name] ?? null;
      }
    }
    check(await Tokenizer.from(new Folder()), "bert", ["vocab.txt"]);
  });

  test("what a reader throws comes out as it is", async () => {
    const error = new Error("the disk is full of holes");
    const read = (): never => {
      throw error;
    };
    expect(await failure(Tokenizer.from({ read }))).toBe(error);
    expect(await failure(Tokenizer.from({ read: () => Promise.reject(error) }))).toBe(error);
  });

  test.each<[string, string | Uint8Array, string]>([
    ["tokenizer.json", TOKENIZER_JSON, "json"],
    ["a .model", BPE_MODEL, "bpe"],
    ["vocab.txt", VOCAB_TXT, "bert"],
    ["tokenizer.bin", TOKENIZER_BIN, "bin"],
  ])("bytes, Blob and File of %s", async (_, content, kind) => {
    const bytes = bytesOf(content);
    const inside = new Uint8Array(bytes.length + 2);
    inside.set(bytes, 1);
    check(await Tokenizer.from(bytes), kind, ["the bytes"]);
    check(await Tokenizer.from(Buffer.from(bytes)), kind, ["the bytes"]);
    check(await Tokenizer.from(inside.subarray(1, -1)), kind, ["the bytes"]);
    check(await Tokenizer.from(new Blob([bytes.slice()])), kind, ["the blob"]);
    check(await Tokenizer.from(new File([bytes.slice()], "my.file")), kind, ["my.file"]);
    check(await Tokenizer.from(bytes, { file: "its name" }), kind, ["its name"]);
    check(await Tokenizer.from(new File([bytes.slice()], "my.file"), { file: "its name" }), kind, ["its name"]);
  });

  test("tokenizer.json as text and parsed", async () => {
    check(await Tokenizer.from(TOKENIZER_JSON), "json", ["tokenizer.json"]);
    check(await Tokenizer.from(` \n${TOKENIZER_JSON}`, { file: "a text" }), "json", ["a text"]);
    check(await Tokenizer.from(JSON.parse(TOKENIZER_JSON) as object), "json", ["tokenizer.json"]);
    const files = { "tokenizer.json": JSON.parse(TOKENIZER_JSON) as object };
    check(await Tokenizer.from(files), "json", ["tokenizer.json"]);
    check(await Tokenizer.from({ "vocab.json": VOCAB, "merges.txt": MERGES_TXT }), "gpt2", [
      "vocab.json",
      "merges.txt",
    ]);
  });

  test("GGUF metadata as a Map and as an object", async () => {
    for (const metadata of [gguf, Object.fromEntries(gguf)]) {
      const tokenizer = await Tokenizer.from(metadata);
      const { kind, files, vocabSize } = tokenizer;
      expect({ kind, files, vocabSize }).toEqual({ kind: "gguf", files: ["GGUF metadata"], vocabSize: 512 });
      expect(tokenizer.encode("Once").ids).toEqual([1, 403]);
      expect((await Tokenizer.from(metadata, { file: "m.gguf" })).files).toEqual(["m.gguf"]);
    }
  });

  test("what is nothing of all this", async () => {
    for (const source of [null, undefined, 5, true, Symbol("x")]) {
      expect(await failure(Tokenizer.from(source as never))).toBeInstanceOf(TypeError);
    }
    const message = /"vocab.txt" must be text, bytes or parsed JSON, got 5/;
    await expect(Tokenizer.from({ "vocab.txt": 5 } as never)).rejects.toThrow(message);
    await expect(Tokenizer.from(VOCAB_TXT.slice(0, 5))).rejects.toThrow(TokenizerFileError);
    await expect(Tokenizer.from({}, { folder: "x" } as never)).rejects.toThrow(/unknown option "folder"/);
    await expect(Tokenizer.from({}, { file: 1 } as never)).rejects.toThrow(TypeError);
    expect(await fileError(Tokenizer.from(new Uint8Array(0)))).toMatch(/^the bytes: /);
    expect(await fileError(Tokenizer.from(new Map()))).toMatch(/^the folder: /);
    expect(await unsupported(Tokenizer.from(utf8("GGUF\x03\0\0\0")))).toMatch(/^the bytes: a GGUF file "as bytes"/);
  });

  test("names of Object.prototype are no files", async () => {
    const files = Object.create({ "vocab.txt": VOCAB_TXT }) as Record<string, string>;
    expect(await fileError(Tokenizer.from(files))).toMatch(/^the folder: /);
  });

  test("vocab.txt that begins with [PAD], as BERT's does", async () => {
    const text = fixtureText("vocab", "bert_base_uncased_vocab.txt");
    for (const source of [{ "vocab.txt": text }, { "vocab.txt": utf8(text) }, new File([text], "vocab.txt")]) {
      const tokenizer = await Tokenizer.from(source);
      expect(tokenizer.encode("Hello").ids).toEqual([101, 7592, 102]);
    }
  });

  test("vocab.json with the words model and version, as GPT-2's has", async () => {
    const [vocab, merges] = ["gpt2_bpe_encoder.json", "gpt2_bpe_vocab.bpe"].map((name) => fixtureText("vocab", name));
    for (const files of [
      { "vocab.json": vocab, "merges.txt": merges },
      { "encoder.json": vocab, "vocab.bpe": merges },
    ]) {
      expect((await Tokenizer.from(files)).encode("Hello world").ids).toEqual([15496, 995]);
    }
  });
});

// ---- A folder with several files

describe("in a folder", () => {
  test("the first of TOKENIZER_FILES that is there is taken", async () => {
    let files = Object.assign({}, ...FILES.map(([, some]) => some)) as Record<string, unknown>;
    for (const name of TOKENIZER_FILES) {
      expect((await Tokenizer.from(files)).files[0]).toBe(name);
      files = Object.fromEntries(Object.entries(files).filter(([other]) => other !== name));
    }
  });

  test("merges.txt goes before vocab.bpe", async () => {
    const files = { "vocab.json": VOCAB_JSON, "vocab.bpe": "l o\n", "merges.txt": MERGES_TXT };
    check(await Tokenizer.from(files), "gpt2", ["vocab.json", "merges.txt"]);
  });

  test("`files` has what was read, config.json only where there is no tokenizer.json", async () => {
    const beside = {
      "config.json": "{}",
      "tokenizer_config.json": "{}",
      "special_tokens_map.json": "{}",
      "added_tokens.json": "{}",
      "generation_config.json": "{}",
    };
    const companions = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];
    check(await Tokenizer.from({ "tokenizer.json": TOKENIZER_JSON, ...beside }), "json", [
      "tokenizer.json",
      ...companions,
    ]);
    check(await Tokenizer.from({ "vocab.txt": VOCAB_TXT, ...beside }), "bert", [
      "vocab.txt",
      ...companions,
      "config.json",
    ]);
  });

  test("companions as text, bytes and parsed JSON", async () => {
    const config = { model_max_length: 77 };
    for (const content of [config, JSON.stringify(config), utf8(`\ufeff${JSON.stringify(config)}`)]) {
      const tokenizer = await Tokenizer.from({ "vocab.txt": VOCAB_TXT, "tokenizer_config.json": content });
      expect(tokenizer.modelMaxLength).toBe(77);
    }
  });

  test.each(["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json"])(
    "a broken %s is named",
    async (name) => {
      for (const bad of ["", "{", "[1]", '"x"', utf8("\0"), new Uint8Array([0xff])]) {
        const message = await fileError(Tokenizer.from({ "vocab.txt": VOCAB_TXT, [name]: bad }));
        expect(message).toMatch(new RegExp(`^${name}: `));
      }
    },
  );
});

// ---- tokenizer_config.json and its companions

describe("tokenizer_config.json", () => {
  const bert = (config: object, more: Record<string, unknown> = {}): Promise<Tokenizer> =>
    Tokenizer.from({ "vocab.txt": VOCAB_TXT, "tokenizer_config.json": config, ...more });
  const json = (config: object, more: Record<string, unknown> = {}): Promise<Tokenizer> =>
    Tokenizer.from({ "tokenizer.json": TOKENIZER_JSON, "tokenizer_config.json": config, ...more });

  test("names the special tokens of a tokenizer.json, which says nothing of them", async () => {
    const alone = await Tokenizer.from(TOKENIZER_JSON);
    expect([alone.bosId, alone.eosId, alone.padId, alone.modelMaxLength]).toEqual([null, null, null, null]);
    const names = { bos_token: "<s>", eos_token: { content: "</s>" }, unk_token: "<unk>", pad_token: "</s>" };
    for (const files of [{ "tokenizer_config.json": names }, { "special_tokens_map.json": names }]) {
      const tokenizer = await Tokenizer.from({ "tokenizer.json": TOKENIZER_JSON, ...files });
      const ids = [tokenizer.bosId, tokenizer.eosId, tokenizer.unkId, tokenizer.padId];
      expect(ids).toEqual([1, 2, 0, 2]);
      expect(ids.map((id) => tokenizer.isSpecial(id as number))).toEqual([true, true, true, true]);
      expect(tokenizer.vocabSize).toBe(alone.vocabSize);
      expect(tokenizer.encode("").ids).toEqual(alone.encode("").ids);
    }
  });

  test("added_tokens_decoder adds a token, found as it stands", async () => {
    const { vocabSize } = await json({});
    const added = {
      [vocabSize]: { content: "<|x|>", special: true },
      [vocabSize + 3]: { content: "yo", special: false },
    };
    const tokenizer = await json({ added_tokens_decoder: added });
    expect(tokenizer.vocabSize).toBe(vocabSize + 4);
    expect(tokenizer.encode("<|x|>yo", { addSpecialTokens: false }).ids).toEqual([vocabSize, vocabSize + 3]);
    expect([tokenizer.isSpecial(vocabSize), tokenizer.isSpecial(vocabSize + 3)]).toEqual([true, false]);
    expect(tokenizer.idToToken(vocabSize + 1)).toBeNull();
    expect(tokenizer.decode([vocabSize, vocabSize + 3])).toBe("yo");
  });

  test("a special token that the vocabulary lacks comes behind it, as transformers adds it", async () => {
    const tokenizer = await bert({ pad_token: "<p>", additional_special_tokens: ["<a>"] });
    expect([tokenizer.tokenToId("<p>"), tokenizer.tokenToId("<a>"), tokenizer.vocabSize]).toEqual([17, 18, 19]);
    expect(tokenizer.padId).toBe(17);
    expect(tokenizer.encode("hello <a>").ids).toEqual([3, 0, 18, 4]);
  });

  test("added_tokens.json adds tokens; one of the vocabulary keeps its id or is refused", async () => {
    const tokenizer = await bert({}, { "added_tokens.json": { foo: 17, hello: 0 } });
    expect(tokenizer.encode("foo hello").ids).toEqual([3, 17, 0, 4]);
    expect(tokenizer.isSpecial(17)).toBe(false);
    const config = { added_tokens_decoder: { 5: { content: "hello" } } };
    expect(await fileError(bert(config))).toBe(
      'tokenizer_config.json: token "hello": expected its id 0 of vocab.txt, got 5',
    );
  });

  test("clean_up_tokenization_spaces", async () => {
    const files = { "vocab.json": VOCAB_JSON, "merges.txt": MERGES_TXT };
    const model = { "spiece.model": UNIGRAM_MODEL };
    for (const some of [files, model] as Record<string, unknown>[]) {
      const plain = await Tokenizer.from(some);
      const clean = await Tokenizer.from({ ...some, "tokenizer_config.json": { clean_up_tokenization_spaces: true } });
      const text = "low low";
      expect(clean.decode(plain.encode(text).ids)).toBe(plain.decode(plain.encode(text).ids));
    }
    const spaced = "a . b ? c ! d , e ' f do n't I 'm it 's we 've you 're";
    const decoded = async (config: object): Promise<string> => {
      const tokenizer = await json({ clean_up_tokenization_spaces: false, ...config });
      return tokenizer.decode(tokenizer.encode(spaced).ids);
    };
    expect(await decoded({})).toBe(spaced);
    expect(await decoded({ clean_up_tokenization_spaces: true })).toBe("a. b? c! d, e'f don't I'm it's we've you're");
  });

  test("padding and truncation side", async () => {
    const left = await bert({ padding_side: "left", truncation_side: "left" });
    const padding = { length: 4 } as const;
    expect(left.encode("hello", { padding }).ids).toEqual([1, 3, 0, 4]);
    expect(left.encode("hello world", { truncation: { maxLength: 3 } }).ids).toEqual([3, 6, 4]);
    const right = await bert({ padding_side: "right" });
    expect(right.encode("hello", { padding }).ids).toEqual([3, 0, 4, 1]);
    expect(right.encode("hello world", { truncation: { maxLength: 3 } }).ids).toEqual([3, 0, 4]);
    // What the caller says goes before what the file says.
    expect(left.encode("hello", { padding: { ...padding, direction: "right" } }).ids).toEqual([3, 0, 4, 1]);
  });

  test("model_max_length is told and not done; the huge number means none", async () => {
    const tokenizer = await bert({ model_max_length: 3 });
    expect(tokenizer.modelMaxLength).toBe(3);
    expect(tokenizer.encode("hello world").length).toBe(4);
    expect((await bert({ model_max_length: 1e30 })).modelMaxLength).toBeNull();
    expect((await bert({})).modelMaxLength).toBeNull();
  });

  test("vocab.txt: case, accents, Chinese characters", async () => {
    const tokens = async (config: object, text: string): Promise<readonly string[]> =>
      (await bert(config)).encode(text, { addSpecialTokens: false }).tokens;
    expect(await tokens({}, "Hello Café")).toEqual(["hello", "cafe"]);
    expect(await tokens({ do_lower_case: false }, "Hello Café")).toEqual(["Hello", "[UNK]"]);
    expect(await tokens({ do_lower_case: false, strip_accents: true }, "Hello café")).toEqual(["Hello", "cafe"]);
    expect(await tokens({ strip_accents: false }, "café")).toEqual(["[UNK]"]);
    expect(await tokens({}, "日本")).toEqual(["日", "本"]);
    expect(await tokens({ tokenize_chinese_chars: false }, "日本")).toEqual(["日本"]);
  });

  test("vocab.txt: other names for the mask and the padding", async () => {
    const tokenizer = await bert({ mask_token: "world", pad_token: "n" });
    expect([tokenizer.padId, tokenizer.isSpecial(6)]).toEqual([15, true]);
  });

  // A bug: detectFile looks for [UNK], [CLS] and [SEP] before the config is read.
  test("vocab.txt: all special tokens have other names, and [CLS] is none", async () => {
    const names = { unk_token: "<unk>", cls_token: "<cls>", sep_token: "<sep>", pad_token: "<pad>" };
    const tokenizer = await Tokenizer.from({
      "vocab.txt": "<pad>\n<unk>\n<cls>\n<sep>\nhello\n",
      "tokenizer_config.json": names,
    });
    expect(tokenizer.encode("hello you").ids).toEqual([2, 4, 1, 3]);
  });
});

describe("a .model in a folder", () => {
  const llama = (config: object | null, more: Record<string, unknown> = {}): Promise<Tokenizer> =>
    Tokenizer.from({
      "tokenizer.model": BPE_MODEL,
      ...(config === null ? {} : { "tokenizer_config.json": { tokenizer_class: "LlamaTokenizer", ...config } }),
      ...more,
    });
  const ids = (tokenizer: Tokenizer): readonly number[] => tokenizer.encode("lo").ids;

  test("Llama: <s> in front unless add_bos_token is false, </s> behind if add_eos_token", async () => {
    const bare = ids(await llama(null));
    expect(ids(await llama({}))).toEqual([1, ...bare]);
    expect(ids(await llama({ tokenizer_class: "LlamaTokenizerFast" }))).toEqual([1, ...bare]);
    expect(ids(await llama({ add_bos_token: false }))).toEqual(bare);
    expect(ids(await llama({ add_eos_token: true }))).toEqual([1, ...bare, 2]);
    expect(ids(await llama({ add_bos_token: false, add_eos_token: true }))).toEqual([...bare, 2]);
    expect(ids(await llama(null, { "config.json": { model_type: "llama" } }))).toEqual([1, ...bare]);
    const pair = (await llama({})).encode("lo", "lo").ids;
    expect(pair).toEqual([1, ...bare, 1, ...bare]);
  });

  test("Llama: special tokens of the config are found in the text", async () => {
    const tokenizer = await llama({ bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" });
    expect([tokenizer.bosId, tokenizer.eosId]).toEqual([1, 2]);
    expect(tokenizer.encode("lo</s>").ids.at(-1)).toBe(2);
  });

  test.each([
    ["tokenizer_config.json", { "tokenizer_config.json": { tokenizer_class: "T5Tokenizer" } }],
    ["its fast class", { "tokenizer_config.json": { tokenizer_class: "T5TokenizerFast", extra_ids: 100 } }],
    ["config.json", { "config.json": { model_type: "t5" } }],
    ["config.json of mT5", { "config.json": { model_type: "mt5" } }],
  ])("T5 by %s: 100 sentinels and </s>", async (_, more: Record<string, object>) => {
    const t5 = await Tokenizer.from({ "spiece.model": fixtureBytes("vocab", "t5.spiece.model"), ...more });
    expect([t5.vocabSize, t5.tokenToId("<extra_id_0>"), t5.tokenToId("<extra_id_99>")]).toEqual([32100, 32099, 32000]);
    expect(t5.encode("Hello <extra_id_0>").ids).toEqual([8774, 32099, 1]);
    expect([t5.bosId, t5.eosId, t5.unkId, t5.padId]).toEqual([null, 1, 2, 0]);
    expect(t5.files).toEqual(["spiece.model", ...Object.keys(more)]);
  });

  test("T5 with another number of sentinels", async () => {
    const of = (extra_ids: number): Promise<Tokenizer> =>
      Tokenizer.from({
        "spiece.model": fixtureBytes("vocab", "t5.spiece.model"),
        "tokenizer_config.json": { tokenizer_class: "T5Tokenizer", extra_ids },
      });
    expect([(await of(0)).vocabSize, (await of(3)).vocabSize]).toEqual([32_000, 32_003]);
  });

  test("without any config it is sentencepiece's own", async () => {
    const tokenizer = await Tokenizer.from({ "spiece.model": fixtureBytes("vocab", "t5.spiece.model") });
    expect([tokenizer.vocabSize, tokenizer.encode("Hello").ids]).toEqual([32_000, [8774]]);
  });

  test("a class that is not known is refused by its name", async () => {
    expect(await unsupported(llama({ tokenizer_class: "XLMRobertaTokenizer" }))).toMatch(
      /^tokenizer.model: tokenizer_config.json: tokenizer_class "XLMRobertaTokenizer" is not supported; supported: T5Tok/,
    );
    expect(await unsupported(llama(null, { "config.json": { model_type: "albert" } }))).toMatch(
      /^tokenizer.model: config.json: model_type "albert" is not supported/,
    );
    for (const tokenizer_class of ["constructor", "T5TokenizerX", "", "LlamaTokenizerFastFast"]) {
      expect(await unsupported(llama({ tokenizer_class }))).toMatch(/tokenizer_class ".*" is not supported/);
    }
  });
});

describe("vocab.json in a folder", () => {
  const gpt2 = (config: object, more: Record<string, unknown> = {}): Promise<Tokenizer> =>
    Tokenizer.from({
      "vocab.json": VOCAB_JSON,
      "merges.txt": MERGES_TXT,
      "tokenizer_config.json": config,
      ...more,
    });

  test.each([
    ["RobertaTokenizer", { tokenizer_class: "RobertaTokenizer" }, {}],
    ["BartTokenizerFast", { tokenizer_class: "BartTokenizerFast" }, {}],
    ["model_type roberta", {}, { "config.json": { model_type: "roberta" } }],
    ["model_type bart", {}, { "config.json": '{ "model_type": "bart" }' }],
  ])("%s: <s> text </s>", async (_, config, more: Record<string, unknown>) => {
    const tokenizer = await gpt2(config, more);
    expect(tokenizer.encode("low").tokens).toEqual(["<s>", "low", "</s>"]);
    expect(tokenizer.encode("low", "low").tokens).toEqual(["<s>", "low", "</s>", "</s>", "low", "</s>"]);
    expect([tokenizer.bosId, tokenizer.eosId, tokenizer.unkId, tokenizer.padId]).toEqual([8, 10, 11, 9]);
    expect(tokenizer.encode("low <mask>").ids).toEqual([8, 4, 12, 10]);
  });

  test("GPT-2: nothing around the text", async () => {
    for (const tokenizer_class of ["GPT2Tokenizer", "GPT2TokenizerFast"]) {
      expect((await gpt2({ tokenizer_class })).encode("low").tokens).toEqual(["low"]);
    }
    expect((await gpt2({}, { "config.json": { model_type: "gpt2" } })).encode("low").tokens).toEqual(["low"]);
  });

  test("add_prefix_space", async () => {
    expect((await gpt2({ add_prefix_space: true })).encode("low").tokens).toEqual(["\u0120low"]);
    const roberta = { tokenizer_class: "RobertaTokenizer", add_prefix_space: true };
    expect((await gpt2(roberta)).encode("low").tokens).toEqual(["<s>", "\u0120low", "</s>"]);
  });

  test("RoBERTa's tokens are missing", async () => {
    const files = {
      "vocab.json": { l: 0 },
      "merges.txt": "",
      "tokenizer_config.json": { tokenizer_class: "BartTokenizer" },
    };
    expect(await fileError(Tokenizer.from(files))).toBe('vocab.json: the tokens: expected "<s>", got none');
  });

  test("a class that is not known is refused by its name", async () => {
    for (const tokenizer_class of ["CLIPTokenizer", "Qwen2Tokenizer", "WhisperTokenizer", "toString"]) {
      expect(await unsupported(gpt2({ tokenizer_class }))).toMatch(
        new RegExp(`^vocab.json: tokenizer_config.json: tokenizer_class "${tokenizer_class}" is not supported`),
      );
    }
  });
});

describe("errors name the file that is wrong", () => {
  // A bug: addT5Sentinels does not know the file's name.
  test("a .model that is no T5's", async () => {
    const files = { "spiece.model": BPE_MODEL, "config.json": { model_type: "t5" } };
    expect(await unsupported(Tokenizer.from(files))).toMatch(/^spiece.model: /);
  });

  // A bug: withAddedTokens calls the file tokenizer_config.json wherever the token comes from.
  test("a token of added_tokens.json with another id", async () => {
    const files = { "vocab.txt": VOCAB_TXT, "added_tokens.json": { hello: 5 } };
    expect(await fileError(Tokenizer.from(files))).toMatch(/^added_tokens.json: /);
  });

  // A bug: It is taken: idToToken(6) stays "world", tokenToId("new") is 6.
  test("an added token at the id of another token", async () => {
    const config = { added_tokens_decoder: { 6: { content: "new" } } };
    const files = { "vocab.txt": VOCAB_TXT, "tokenizer_config.json": config };
    expect(await fileError(Tokenizer.from(files))).toMatch(/^tokenizer_config.json: .*6/);
  });

  // A bug: the class of a vocab.txt is not looked at, so that these are read as if they were BERT's.
  test.each(["PhobertTokenizer", "BertJapaneseTokenizer", "CTRLTokenizer"])("%s with a vocab.txt", async (name) => {
    const files = { "vocab.txt": VOCAB_TXT, "tokenizer_config.json": { tokenizer_class: name } };
    expect(await unsupported(Tokenizer.from(files))).toContain(name);
  });

  // A bug: only its beginning tells whether a file is JSON, whatever its name.
  test.each(["{\n", "a\x1bb\n"])("a vocab.txt that begins with %j", async (line) => {
    const tokenizer = await Tokenizer.from({ "vocab.txt": utf8(line + VOCAB_TXT) });
    expect(tokenizer.vocabSize).toBe(18);
  });

  // What people have: empty files and pointers of Git LFS.
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";

  // Not wrong, but misleading: whatever does not begin with a bracket is read as vocab.txt.
  test.each(["", pointer])("a tokenizer.json that is no JSON: %j", async (content) => {
    expect(await fileError(Tokenizer.from({ "tokenizer.json": content }))).toMatch(/^tokenizer.json: .*JSON/);
  });

  // The same: read as vocab.txt, or as llama2.c's file, as its first byte is not 10.
  test.each(["", "\0\0"])("a .model that is none: %j", async (content) => {
    const { message } = await failure(Tokenizer.from({ "spiece.model": utf8(content) }));
    expect(message).not.toMatch(/\[UNK\]|a token a line|vocabSize/);
  });
});

/** Broken and hostile files: a Tokenizer or one of this package's errors, never a hang, a crash or another error. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fixtureText } from "../../../tests/support/tokenizer-fixtures";
import { stories } from "../fixtures/load";
import { TokenizerFileError, UnsupportedTokenizerError } from "./errors";
import { parseJson } from "./json";
import { Tokenizer } from "./tokenizer";

const FUZZ = { seed: 8, numRuns: 300 };

/** Loads, and if that works uses what it got; any error but the two of this package fails the test. */
function mustLoadOrRefuse(load: () => Tokenizer): void {
  let tokenizer: Tokenizer;
  try {
    tokenizer = load();
  } catch (error) {
    if (error instanceof TokenizerFileError || error instanceof UnsupportedTokenizerError) return;
    throw error;
  }
  const { ids } = tokenizer.encode("Once upon a time, <s> é😀\n  ");
  tokenizer.decode(ids);
}

function fileError(load: () => unknown): TokenizerFileError {
  try {
    load();
  } catch (error) {
    if (error instanceof TokenizerFileError) return error;
    throw error;
  }
  throw new Error("no error");
}

describe("tokenizer.bin", () => {
  const good = stories.llama2c();
  const load = (bytes: Uint8Array, vocabSize = 512): Tokenizer =>
    Tokenizer.fromLlama2c(bytes, { vocabSize, file: "t.bin" });
  const patched = (edit: (view: DataView) => void): Uint8Array => {
    const bytes = good.slice();
    edit(new DataView(bytes.buffer));
    return bytes;
  };

  test.each<[string, Uint8Array, number, RegExp]>([
    ["empty", new Uint8Array(0), 512, /t.bin: the file: expected at least \d+ bytes for 512 tokens, got 0/],
    ["cut short", good.slice(0, -1), 512, /token 511 at byte \d+: expected \d bytes, got \d/],
    ["trailing bytes", new Uint8Array([...good, 0]), 512, /expected the end after 512 tokens, got more bytes/],
    ["fewer tokens asked for", good, 511, /expected the end after 511 tokens/],
    ["more tokens asked for", good, 513, /token 512 at byte \d+: expected a score and a length/],
    ["a billion tokens asked for", good, 1e9, /vocabSize: expected 259/],
    ["too few for the bytes", good, 100, /vocabSize/],
    ["longest token negative", patched((view) => view.setInt32(0, -1, true)), 512, /max_token_length/],
    ["longest token huge", patched((view) => view.setInt32(0, 2 ** 31 - 1, true)), 512, /max_token_length/],
    ["NaN score", patched((view) => view.setFloat32(4, Number.NaN, true)), 512, /token 0 at byte 4: .*NaN/],
    ["negative length", patched((view) => view.setInt32(8, -5, true)), 512, /token 0 at byte 4: .*length .*-5/],
    ["zero length", patched((view) => view.setInt32(8, 0, true)), 512, /got 0/],
    ["huge length", patched((view) => view.setInt32(8, 2 ** 31 - 1, true)), 512, /got 2147483647/],
    ["no UTF-8", patched((view) => view.setUint8(12, 0xff)), 512, /token 0 at byte 4: expected UTF-8/],
    ["a byte token of another byte", patched((view) => view.setUint8(55, 0x39)), 512, /expected <0x00>, got/],
  ])("%s", (_, bytes, vocabSize, message) => {
    expect(fileError(() => load(bytes, vocabSize)).message).toMatch(message);
  });

  test("arguments", () => {
    expect(() => Tokenizer.fromLlama2c([] as never, { vocabSize: 512 })).toThrow(TypeError);
    expect(() => Tokenizer.fromLlama2c(good, { vocabSize: 0 })).toThrow(RangeError);
    expect(Tokenizer.fromLlama2c(good).vocabSize).toBe(512);
    expect(() => Tokenizer.fromLlama2c(good, { vocabSize: 512, vocab: 1 } as never)).toThrow(/unknown option "vocab"/);
  });

  test("mutated bytes", () => {
    const edit = fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 6 }), fc.nat({ max: good.length }), (edits, cut) => {
        const bytes = good.slice();
        for (const [at, byte] of edits) bytes[at] = byte;
        mustLoadOrRefuse(() => load(bytes));
        mustLoadOrRefuse(() => load(bytes.subarray(0, cut)));
      }),
      FUZZ,
    );
  });
});

describe("tokenizer.json", () => {
  const good = stories.json();
  const parse = (): Record<string, never> => JSON.parse(good) as Record<string, never>;
  const at = (path: string, value: unknown): unknown => {
    const json: unknown = parse();
    const keys = path.split(".");
    const last = keys.pop() as string;
    let target = json as Record<string, unknown>;
    for (const key of keys) target = target[key] as Record<string, unknown>;
    target[last] = value;
    return json;
  };

  /** 66 steps, never more than 33 in one Sequence. */
  const nested = (key: string): unknown => ({
    type: "Sequence",
    [key]: [
      ...new Array(32).fill({ type: "Sequence", [key]: [] }),
      { type: "Sequence", [key]: new Array(33).fill({ type: "Sequence", [key]: [] }) },
    ],
  });
  const template = (times: number, ids: number): unknown => ({
    type: "TemplateProcessing",
    single: [{ Sequence: { id: "A" } }, ...new Array(times).fill({ SpecialToken: { id: "x" } })],
    special_tokens: { x: { ids: new Array(ids).fill(0), tokens: new Array(ids).fill("x") } },
  });

  test.each<[string, unknown, RegExp]>([
    ["no JSON", "{", /the text: expected JSON/],
    ["a million levels", "[".repeat(1e6), /expected at most 64 nested levels/],
    ["a million levels, closed", "[".repeat(1e6) + "]".repeat(1e6), /nested levels/],
    ["no object", "[]", /the document: expected an object, got an array of 0/],
    ["null", null, /expected an object, got null/],
    ["no model", at("model", undefined), /model: expected an object, got nothing/],
    ["vocab is a list", at("model.vocab", []), /model.vocab: expected an object/],
    ["negative id", at("model.vocab.a", -1), /model.vocab.a: expected an integer from 0 to 4194303, got -1/],
    ["id of a billion", at("model.vocab.a", 1e9), /got 1000000000/],
    ["fractional id", at("model.vocab.a", 1.5), /got 1.5/],
    ["id as text", at("model.vocab.a", "1"), /got "1"/],
    ["the same id twice", at("model.vocab.zzz", 13), /model.vocab.zzz: expected an id of its own \(13 is "<0x0A>"\)/],
    ["lone surrogate", at("model.vocab.\ud800", 600), /without lone surrogates/],
    ["unknown token in a merge", at("model.merges.5", ["a", "nope"]), /model.merges\[5\]: expected tokens .* "nope"/],
    ["unknown result of a merge", at("model.merges.5", "a a"), /merges\[5\]: .*"aa"/],
    ["three parts in a merge", at("model.merges.5", "a b c"), /merges\[5\]: expected "left right"/],
    ["number as a merge", at("model.merges.5", 7), /merges\[5\]: expected "left right" .* got 7/],
    ["merges missing", at("model.merges", null), /model.merges: expected an array/],
    ["unk_token of another type", at("model.unk_token", 3), /unk_token: expected a string/],
    ["flag as text", at("model.byte_fallback", "yes"), /byte_fallback: expected true or false/],
    [
      "added token at a taken id",
      at("added_tokens.0", { id: 5, content: "new" }),
      /added_tokens\[0\].id: expected a free id/,
    ],
    ["added token with another id", at("added_tokens.0", { id: 5, content: "<s>" }), /expected 1, the id of "<s>"/],
    ["added token of a billion", at("added_tokens.0", { id: 1e9, content: "new" }), /got 1000000000/],
    [
      "endless added token",
      at("added_tokens.0", { id: 600, content: "x".repeat(1e6) }),
      /at most 256 characters, got 1000000/,
    ],
    ["template id outside", at("post_processor.special_tokens.<s>.ids", [512]), /an id of the vocabulary, got 512/],
    ["template without its token", at("post_processor.special_tokens", {}), /special_tokens.<s>: expected an object/],
    ["template with the text twice", at("post_processor.single.0", { Sequence: { id: "A" } }), /the text exactly once/],
    [
      "template with a pair's text",
      at("post_processor.single.0", { Sequence: { id: "B" } }),
      /expected "A", .*got "B"/,
    ],
    [
      "pattern of two kinds",
      at("normalizer", { type: "Replace", pattern: { String: "", Regex: "" } }),
      /one of String/,
    ],
    ["replacement of two characters", at("pre_tokenizer", { type: "Metaspace", replacement: "ab" }), /one character/],
    ["negative strip", at("decoder", { type: "Strip", content: " ", start: -1, stop: 0 }), /decoder.start/],
    [
      "endless sequence",
      at("decoder", { type: "Sequence", decoders: new Array(1e5).fill({ type: "Fuse" }) }),
      /64 steps/,
    ],
    [
      "a text that doubles at each step",
      at("normalizer", {
        type: "Sequence",
        normalizers: new Array(60).fill({ type: "Replace", pattern: { String: "a" }, content: "aa" }),
      }),
      /lengthen a text at most 64 times/,
    ],
    [
      "prefixes before prefixes",
      at("normalizer", {
        type: "Sequence",
        normalizers: new Array(2).fill({ type: "Prepend", prepend: "a".repeat(32) }),
      }),
      /normalizer: expected prefixes and replacements that lengthen a text at most 64 times/,
    ],
    [
      "prefixes that are cut and prefixed again",
      at("pre_tokenizer", {
        type: "Sequence",
        pretokenizers: Array.from({ length: 7 }, (_, i) => ({ type: "Metaspace", replacement: "xy"[i % 2] })),
      }),
      /pre_tokenizer: expected .*at most 64 times/,
    ],
    ["a normalizer of nested sequences", at("normalizer", nested("normalizers")), /64 steps in all, got 66/],
    ["a pre-tokenizer of nested sequences", at("pre_tokenizer", nested("pretokenizers")), /64 steps in all, got 66/],
    ["a decoder of nested sequences", at("decoder", nested("decoders")), /64 steps in all, got 66/],
    ["a post-processor of nested sequences", at("post_processor", nested("processors")), /64 steps in all, got 66/],
    ["a template of 33 times 32 ids", at("post_processor", template(33, 32)), /at most 1024 ids in all templates/],
    ["a template of 1025 times no ids", at("post_processor", template(1025, 0)), /at most 1024 ids in all templates/],
    [
      "normalized added tokens that grow",
      {
        ...parse(),
        normalizer: { type: "Replace", pattern: { String: "a" }, content: "b".repeat(64) },
        added_tokens: [{ id: 600, content: "a".repeat(256), normalized: true }],
      },
      /added token 600: expected at most 256 characters in its normalized form, got 16384/,
    ],
    ["a merge of spaces", at("model.merges.5", " ".repeat(1000)), /merges\[5\]: expected "left right"/],
    ["a merge without a space", at("model.merges.5", "ab"), /merges\[5\]: expected "left right"/],
    [
      "an endless merge",
      at("model.merges.5", `a ${"b".repeat(1000)}`),
      /merges\[5\]: expected at most \d+ char.* 1001/,
    ],
    ["an endless merge as a pair", at("model.merges.5", ["a", "b".repeat(1000)]), /at most \d+ characters.* 1001/],
    [
      "an endless character",
      at("pre_tokenizer", { type: "Metaspace", replacement: "a".repeat(1e6) }),
      /expected one character/,
    ],
  ])("%s", (_, json, message) => {
    expect(fileError(() => Tokenizer.fromTokenizerJson(json)).message).toMatch(message);
  });

  test("a document that contains itself", () => {
    const loop: Record<string, unknown> = { type: "Sequence" };
    loop.normalizers = [loop];
    expect(fileError(() => Tokenizer.fromTokenizerJson(at("normalizer", loop))).message).toMatch(/nested levels/);
  });

  test("the limits leave room", () => {
    expect(Tokenizer.fromTokenizerJson(at("post_processor", template(32, 32))).encode("").ids.length).toBe(1024);
  });

  test("JSON is limited in its number of values; a byte order mark is skipped", () => {
    expect(parseJson('\ufeff{"a": [1, ",,,,"]}', "f", 4)).toEqual({ a: [1, ",,,,"] });
    expect(() => parseJson("[1,2,3,4]", "f", 4)).toThrow("f: character 6: expected at most 4 values, got more");
    expect(() => parseJson("[[],[],[]]", "f", 4)).toThrow(/at most 4 values/);
    expect(Tokenizer.fromTokenizerJson(`\ufeff${good}`).vocabSize).toBe(512);
  });

  test.each<[string, (text: string) => unknown]>([
    ["JSON", (text) => `{"a": ${text}`],
    ["a token", (text) => at("model.vocab", { [text]: -1 })],
    ["a value", (text) => at("model.byte_fallback", text)],
    ["a type", (text) => at("normalizer", { type: text })],
    ["an option", (text) => at("decoder", { type: "Fuse", [text]: 1 })],
    [
      "a special token",
      (text) => at("post_processor", { type: "TemplateProcessing", single: [{ SpecialToken: { id: text } }] }),
    ],
  ])("messages are short and safe to print: %s", (_, make) => {
    const raw = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u;
    for (const bad of ["\x1b[31m\x9b\u202e\u2066\u200b\u2028\0", "\u202e".repeat(5000), "x".repeat(5000)]) {
      let error: unknown;
      try {
        Tokenizer.fromTokenizerJson(make(bad), { file: bad });
      } catch (thrown) {
        error = thrown;
      }
      const isOurs = error instanceof TokenizerFileError || error instanceof UnsupportedTokenizerError;
      expect(isOurs).toBe(true);
      const { message, file } = error as TokenizerFileError;
      expect(message).not.toMatch(raw);
      expect(message.length).toBeLessThan(1000);
      expect(file).toBe(bad);
    }
  });

  test("names the file", () => {
    const error = fileError(() => Tokenizer.fromTokenizerJson("", { file: "my/file.json" }));
    expect([error.file, error.at, error.name]).toEqual(["my/file.json", "the text", "TokenizerFileError"]);
    expect(() => Tokenizer.fromTokenizerJson(good, { path: "x" } as never)).toThrow(/unknown option "path"/);
  });

  test("mutated text", () => {
    const sources = [good, fixtureText("json", "added_metaspace.json")];
    const piece = fc.oneof(fc.constantFrom("{", "]", '"', ",", "null", "-1", "1e9", "\\ud800", "\u2581"), fc.string());
    const edit = fc.tuple(fc.nat(), fc.nat({ max: 30 }), piece);
    fc.assert(
      fc.property(fc.constantFrom(...sources), fc.array(edit, { minLength: 1, maxLength: 3 }), (source, edits) => {
        let text = source;
        for (const [where, length, replacement] of edits) {
          const start = where % text.length;
          text = text.slice(0, start) + replacement + text.slice(start + length);
        }
        mustLoadOrRefuse(() => Tokenizer.fromTokenizerJson(text));
      }),
      FUZZ,
    );
  });

  test("mutated values", () => {
    const paths = [
      ...["version", "added_tokens", "added_tokens.1", "added_tokens.1.id", "added_tokens.1.content", "normalizer"],
      ...["normalizer.type", "normalizer.normalizers", "normalizer.normalizers.0.prepend", "pre_tokenizer", "model"],
      ...["model.vocab", "model.vocab.a", "model.merges", "model.merges.3", "model.unk_token", "model.dropout"],
      ...["post_processor", "post_processor.single", "post_processor.special_tokens.<s>.ids.0", "decoder"],
      ...["decoder.decoders", "decoder.decoders.0", "decoder.decoders.3.start", "decoder.decoders.0.pattern"],
    ];
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.anything({ withBigInt: true, withTypedArray: true }), (path, value) => {
        mustLoadOrRefuse(() => Tokenizer.fromTokenizerJson(at(path, value)));
      }),
      { ...FUZZ, numRuns: 1000 },
    );
    fc.assert(
      fc.property(fc.anything(), (value) => {
        if (typeof value !== "string") mustLoadOrRefuse(() => Tokenizer.fromTokenizerJson(value));
      }),
      FUZZ,
    );
  });
});

describe("GGUF metadata", () => {
  const good = stories.gguf();
  const tokens = good.get("tokenizer.ggml.tokens") as string[];
  const load = (name: string, value: unknown): Tokenizer =>
    Tokenizer.fromGguf(new Map(good).set(`tokenizer.ggml.${name}`, value), { file: "m.gguf" });

  test.each<[string, unknown, RegExp]>([
    ["model", undefined, /m.gguf: tokenizer.ggml.model: expected a string, got nothing/],
    ["tokens", undefined, /tokenizer.ggml.tokens: expected an array of strings, got nothing/],
    ["tokens", [], /1 to 4194304 tokens, got 0/],
    ["tokens", tokens.slice(1), /scores: expected 511 values/],
    ["tokens", [...tokens.slice(1), 5], /tokens\[511\]: expected a well-formed string, got 5/],
    ["tokens", [...tokens.slice(1), "\udc00"], /tokens\[511\]/],
    ["scores", undefined, /scores: expected an array of numbers/],
    ["scores", new Float32Array(3), /expected 512 values, one for each token, got 3/],
    ["scores", new Float32Array(512).fill(Number.NaN), /scores\[0\]: expected a number, got NaN/],
    ["scores", new BigInt64Array(512), /scores\[0\]: expected a number, got a bigint/],
    ["token_type", [1, 2], /token_type: expected 512 values/],
    ["token_type", "normal", /token_type: expected an array of numbers/],
    ["bos_token_id", 512, /bos_token_id: expected an id from 0 to 511, got 512/],
    ["eos_token_id", -1, /eos_token_id/],
    ["unknown_token_id", 0.5, /unknown_token_id/],
    ["add_bos_token", 1, /add_bos_token: expected true or false, got 1/],
  ])("%s", (name, value, message) => {
    expect(fileError(() => load(name, value)).message).toMatch(message);
  });

  test("arguments", () => {
    expect(() => Tokenizer.fromGguf(null as never)).toThrow(TypeError);
    expect(() => Tokenizer.fromGguf(good, { name: "x" } as never)).toThrow(/unknown option "name"/);
  });

  test("mutated values", () => {
    const names = [...good.keys()].filter((key) => key.startsWith("tokenizer.")).map((key) => key.slice(15));
    const value = fc.anything({ withTypedArray: true });
    const one = fc.oneof(value, fc.string(), fc.double(), fc.integer({ min: -2, max: 600 }));
    fc.assert(
      fc.property(
        fc.constantFrom(...names, "add_eos_token", "add_space_prefix"),
        one,
        fc.nat(511),
        (name, bad, index) => {
          mustLoadOrRefuse(() => load(name, bad));
          const values = good.get(`tokenizer.ggml.${name}`);
          if (Array.isArray(values)) mustLoadOrRefuse(() => load(name, Object.assign([...values], { [index]: bad })));
        },
      ),
      { ...FUZZ, numRuns: 500 },
    );
  });
});

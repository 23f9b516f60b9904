/** What each source reads beyond the real files: options, defaults, and what is refused by name. */

import { describe, expect, test } from "vitest";
import { fixtureJson } from "../../../tests/support/tokenizer-fixtures";
import { stories } from "../fixtures/load";
import { UnsupportedTokenizerError } from "./errors";
import { Tokenizer } from "./tokenizer";
import { tokenOfByte } from "./utf8";

const BYTES = Array.from({ length: 256 }, (_, byte) => tokenOfByte(byte));

/** A GGUF vocabulary: 3 control tokens, 256 bytes, then what is given as [token, score, type]. */
function gguf(entries: [string, number, number?][], more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>", ...BYTES, ...entries.map(([token]) => token)],
    "tokenizer.ggml.scores": Float32Array.from([...new Array(259).fill(0), ...entries.map(([, score]) => score)]),
    "tokenizer.ggml.token_type": [2, 3, 3, ...new Array(256).fill(6), ...entries.map(([, , type]) => type ?? 1)],
    ...more,
  };
}

describe("GGUF", () => {
  const spaced: [string, number][] = [
    ["\u2581", -9],
    ["a", -9],
    ["b", -9],
    ["\u2581a", -1],
    ["ab", -2],
  ];

  test("defaults are llama.cpp's: BOS in front, no EOS, a space prefix; all can be set", () => {
    expect(Tokenizer.fromGguf(gguf(spaced)).encode("ab").ids).toEqual([1, 262, 261]);
    const set = {
      "tokenizer.ggml.add_bos_token": false,
      "tokenizer.ggml.add_eos_token": true,
      "tokenizer.ggml.eos_token_id": 260,
      "tokenizer.ggml.add_space_prefix": false,
    };
    const tokenizer = Tokenizer.fromGguf(new Map(Object.entries(gguf(spaced, set))));
    expect([tokenizer.bosId, tokenizer.eosId]).toEqual([1, 260]);
    expect(tokenizer.encode("ab").ids).toEqual([263, 260]);
    expect(tokenizer.decode([259, 261])).toBe(" b");
  });

  test("without token types, the control tokens are BOS, EOS and unknown", () => {
    const tokenizer = Tokenizer.fromGguf(gguf(spaced, { "tokenizer.ggml.token_type": undefined }));
    expect([0, 1, 2, 3].map((id) => tokenizer.isSpecial(id))).toEqual([true, true, true, false]);
    expect(tokenizer.encode("aé").ids).toEqual([1, 262, 0xc3 + 3, 0xa9 + 3]);
  });

  test("a control token never comes from letters; a user-defined one is found as it stands", () => {
    const tokenizer = Tokenizer.fromGguf(
      gguf([...spaced, ["aba", 5, 3], ["[u]", 0, 4], ["[", -9], ["u", -9], ["]", -9], ["[u", 9], ["u]", 9]]),
    );
    expect(tokenizer.encode("aba").ids).not.toContain(264);
    expect(tokenizer.encode("a[u]a").ids).toEqual([1, 262, 265, 260]);
    expect(tokenizer.isSpecial(264)).toBe(true);
    expect(tokenizer.isSpecial(265)).toBe(false);
  });

  test("a character without a token of its own may still merge into one, else it becomes bytes", () => {
    const tokenizer = Tokenizer.fromGguf(gguf([...spaced, ["日本", -3], ["😀a", -3]]));
    expect(tokenizer.encode("日本", { addSpecialTokens: false }).ids).toEqual([259, 264]);
    expect(tokenizer.encode("日a", { addSpecialTokens: false }).ids).toEqual([259, 0xe6 + 3, 0x97 + 3, 0xa5 + 3, 260]);
    expect(tokenizer.encode("😀a", { addSpecialTokens: false }).ids).toEqual([259, 265]);
    expect(tokenizer.encode("日😀").tokens.slice(2)).toEqual([
      "<0xE6>",
      "<0x97>",
      "<0xA5>",
      "<0xF0>",
      "<0x9F>",
      "<0x98>",
      "<0x80>",
    ]);
  });

  test("of equal scores the leftmost pair merges first, and of equal tokens the last counts", () => {
    const tokenizer = Tokenizer.fromGguf(
      gguf(
        [
          ["a", 0],
          ["aa", -1],
          ["aa", -1],
        ],
        { "tokenizer.ggml.add_space_prefix": false },
      ),
    );
    expect(tokenizer.encode("aaa", { addSpecialTokens: false }).ids).toEqual([261, 259]);
  });

  test("another kind of vocabulary is refused by name", () => {
    const refused = (): Tokenizer => Tokenizer.fromGguf({ "tokenizer.ggml.model": "rwkv" }, { file: "m.gguf" });
    expect(refused).toThrow(UnsupportedTokenizerError);
    expect(refused).toThrow('m.gguf: tokenizer.ggml.model "rwkv" is not supported; supported: llama, gpt2, bert, t5');
  });
});

describe("tokenizer.json", () => {
  interface Document extends Record<string, unknown> {
    model: Record<string, unknown>;
  }
  const change = (edit: (json: Document) => void): Document => {
    const json = JSON.parse(stories.json()) as Document;
    edit(json);
    return json;
  };

  test.each<[string, (json: Document) => void, RegExp]>([
    [
      "version",
      (json) => {
        json.version = "2.0";
      },
      /version "2.0"/,
    ],
    [
      "model",
      (json) => {
        json.model = { type: "CharLevel" };
      },
      /model.type "CharLevel" .*supported: BPE, WordPiece, WordLevel, Unigram/,
    ],
    [
      "dropout",
      (json) => {
        json.model.dropout = 0.1;
      },
      /model.dropout 0.1/,
    ],
    [
      "option",
      (json) => {
        json.model.shiny = true;
      },
      /model.shiny true/,
    ],
    [
      "normalizer",
      (json) => {
        json.normalizer = { type: "NFE" };
      },
      /normalizer.type "NFE" .*NFC, NFD/,
    ],
    [
      "regex",
      (json) => {
        json.normalizer = { type: "Replace", pattern: { Regex: "(a)\\1" }, content: "" };
      },
      /pattern.Regex/,
    ],
    [
      "pre-tokenizer",
      (json) => {
        json.pre_tokenizer = { type: "Sequence", pretokenizers: [{ type: "ByteLevels" }] };
      },
      /pretokenizers\[0\].type "ByteLevels"/,
    ],
    [
      "scheme",
      (json) => {
        json.pre_tokenizer = { type: "Metaspace", replacement: "_", prepend_scheme: "last" };
      },
      /prepend_scheme "last"/,
    ],
    [
      "post-processor",
      (json) => {
        json.post_processor = { type: "T5Processing" };
      },
      /post_processor.type "T5Processing"/,
    ],
    [
      "second template",
      (json) => {
        const template = { type: "TemplateProcessing", single: [{ Sequence: { id: "A" } }], special_tokens: {} };
        json.post_processor = { type: "Sequence", processors: [template, template] };
      },
      /supported: one TemplateProcessing/,
    ],
    [
      "decoder",
      (json) => {
        json.decoder = { type: "Morse" };
      },
      /decoder.type "Morse"/,
    ],
  ])("refuses an unknown %s by name", (_, edit, message) => {
    expect(() => Tokenizer.fromTokenizerJson(change(edit))).toThrow(UnsupportedTokenizerError);
    expect(() => Tokenizer.fromTokenizerJson(change(edit))).toThrow(message);
  });

  test("parsed and text give the same, with or without null components", () => {
    const text = Tokenizer.fromTokenizerJson(stories.json());
    const parsed = Tokenizer.fromTokenizerJson(JSON.parse(stories.json()));
    expect(parsed.encode("Once upon a time")).toEqual(text.encode("Once upon a time"));
    const bare = Tokenizer.fromTokenizerJson(
      change((json) => {
        for (const key of ["normalizer", "pre_tokenizer", "post_processor", "decoder", "added_tokens", "version"])
          delete json[key];
        delete json.model.type;
      }),
    );
    expect(bare.encode("time").tokens).toEqual(["t", "ime"]);
    expect(bare.decode(bare.encode("time").ids)).toBe("t ime");
    expect(bare.isSpecial(1)).toBe(false);
  });

  test("older Metaspace files say add_prefix_space", () => {
    const of = (add_prefix_space: boolean): string[] =>
      Tokenizer.fromTokenizerJson(
        change((json) => {
          json.normalizer = null;
          json.pre_tokenizer = { type: "Metaspace", replacement: "\u2581", str_rep: "\u2581", add_prefix_space };
        }),
      ).encode("a a", { addSpecialTokens: false }).tokens;
    expect(of(true)).toEqual(["\u2581a", "\u2581a"]);
    expect(of(false)).toEqual(["a", "\u2581a"]);
  });

  test("added tokens extend the vocabulary, and unused ids between give no token", () => {
    const json = fixtureJson("json", "bpe_llama2.json") as { added_tokens: unknown[] };
    json.added_tokens.push({ id: 700, content: "<|x|>", special: true }, { id: 701, content: "" });
    const tokenizer = Tokenizer.fromTokenizerJson(json);
    expect(tokenizer.vocabSize).toBe(701);
    expect(tokenizer.tokenToId("<|x|>")).toBe(700);
    expect(tokenizer.idToToken(650)).toBeNull();
    expect(tokenizer.decode([650, 700])).toBe("");
    expect(tokenizer.encode("<|x|>", { addSpecialTokens: false }).ids).toEqual([700]);
  });
});

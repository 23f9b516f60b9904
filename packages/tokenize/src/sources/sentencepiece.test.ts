import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { awkwardTexts, fixtureBytes, fixtureJson } from "../../../../tests/support/tokenizer-fixtures";
import { TextSink } from "../decoders/sink";
import { byteFallbackStage } from "../decoders/stages";
import { TokenizerFileError, UnsupportedTokenizerError } from "../errors";
import { SentencePieceBpe, type SentencePieceBpeConfig } from "../models/sentence-piece-bpe";
import { Tokens } from "../models/tokens";
import { Unigram, type UnigramConfig } from "../models/unigram";
import { normalizeSentencePiece, type SentencePieceNormalizer } from "../normalizers/sentence-piece";
import { alignedText, originalEnd, originalStart } from "../text/aligned-text";
import type { TokenizerParts } from "./parts";
import { type SentencePieceDecoder, sentencePieceStage } from "./sentence-piece-decoder";
import { addT5Sentinels, partsOfSentencePiece } from "./sentencepiece";
import { toTokenizerJsonPipeline } from "./sentencepiece-hf";

interface Result {
  ids: number[];
  pieces: string[];
  /** In code points. */
  offsets: [number, number][];
  decode: string;
}

/** What the parts give without the Tokenizer around them. */
function encoder(parts: TokenizerParts): (text: string) => Result {
  const config = parts.model as UnigramConfig | SentencePieceBpeConfig;
  const model = config.type === "Unigram" ? new Unigram(config) : new SentencePieceBpe(config);
  return (text) => {
    const source = normalizeSentencePiece(parts.normalizer as SentencePieceNormalizer, alignedText(text));
    const out = new Tokens();
    if (source.text !== "") model.encode(source.text, 0, source.text.length, out);
    const ids = [...out.ids.subarray(0, out.length)];
    const codePoints = (unit: number): number => [...text.slice(0, unit)].length;
    const offsets = ids.map((_, i): [number, number] => {
      const start = originalStart(source, out.starts[i]);
      const end = out.starts[i] === out.ends[i] ? start : originalEnd(source, out.ends[i] - 1);
      return [codePoints(start), codePoints(end)];
    });
    return {
      ids,
      pieces: ids.map((id, i) => out.texts.get(i) ?? (parts.vocabulary.tokenOf(id) as string)),
      offsets,
      decode: decode(parts, ids),
    };
  };
}

function decode(parts: TokenizerParts, ids: readonly number[]): string {
  const sink = new TextSink();
  const decoder = parts.decoder as unknown as
    | SentencePieceDecoder
    | { type: "Sequence"; decoders: [SentencePieceDecoder] };
  const chain =
    decoder.type === "Sequence"
      ? sentencePieceStage(decoder.decoders[0], byteFallbackStage("each", sink))
      : sentencePieceStage(decoder, sink);
  for (const id of ids) if (!parts.specialIds.has(id)) chain.push(parts.vocabulary.tokenOf(id) as string, true);
  chain.finish();
  return sink.take();
}

/** As a folder of T5's has it. */
const addT5 = (parts: TokenizerParts, count = 100): TokenizerParts => addT5Sentinels(parts, count, "t5.model");

describe("partsOfSentencePiece", () => {
  const { texts } = awkwardTexts();
  const small = ["bpe_byte_fallback", "bpe_suffix", "unigram_byte_fallback", "unigram_nfkc_cf", "unigram_no_prefix"];
  it.each([
    ...[...small, "unigram_rules"].map((name) => ["spm", `${name}.model`, "spm", `${name}.json`] as const),
    ["vocab", "t5.spiece.model", "real", "t5_spm.json"] as const,
    ["vocab", "spm_example.model", "real", "spm_example.json"] as const,
    ["vocab", "en.wiki.bpe.vs10000.model", "real", "en_wiki_bpe.json"] as const,
  ])("gives what sentencepiece gives: %s/%s", (archive, file, goldens, golden) => {
    const run = encoder(partsOfSentencePiece(fixtureBytes(archive, file), file));
    const { encodings } = fixtureJson<{ encodings: (Result & { text: string })[] }>(goldens, golden);
    expect(encodings).toHaveLength(155);
    for (const { text: name, ...expected } of encodings)
      expect({ name, ...run(texts[name]) }).toEqual({ name, ...expected });
  });

  it("names what the file names", () => {
    const parts = partsOfSentencePiece(fixtureBytes("vocab", "t5.spiece.model"), "t5");
    const { kind, bosId, eosId, unkId, padId, specialIds, vocabulary } = parts;
    expect({ kind, bosId, eosId, unkId, padId }).toEqual({
      kind: "sentencepiece",
      bosId: null,
      eosId: 1,
      unkId: 2,
      padId: 0,
    });
    expect([...specialIds]).toEqual([0, 1]);
    expect(vocabulary.size).toBe(32_000);
    expect(vocabulary.idOf("\u2581Hello")).toBe(8774);
  });
});

describe("addT5Sentinels", () => {
  const t5 = partsOfSentencePiece(fixtureBytes("vocab", "t5.spiece.model"), "t5");

  it("adds the sentinels behind the pieces, the highest number first", () => {
    const parts = addT5(t5);
    expect(parts.vocabulary.size).toBe(32_100);
    expect(parts.vocabulary.idOf("<extra_id_99>")).toBe(32_000);
    expect(parts.vocabulary.idOf("<extra_id_0>")).toBe(32_099);
    expect(parts.addedTokens).toHaveLength(103);
    expect(parts.specialIds.size).toBe(103);
    expect(parts.normalizer?.type).toBe("Precompiled");
    expect((parts.model as UnigramConfig).roles).toBeNull();
  });

  it("refuses a model that T5 cannot have", () => {
    const bpe = partsOfSentencePiece(fixtureBytes("spm", "bpe_suffix.model"), "bpe");
    expect(() => addT5(bpe)).toThrow(UnsupportedTokenizerError);
  });
});

// ---- Models made by hand

const utf8 = new TextEncoder();

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))];
}

const number = (field: number, value: number): number[] => [...varint(field * 8), ...varint(value)];
const bytes = (field: number, value: ArrayLike<number>): number[] => [
  ...varint(field * 8 + 2),
  ...varint(value.length),
  ...Array.from(value),
];
const float = (field: number, value: number): number[] => [
  ...varint(field * 8 + 5),
  ...new Uint8Array(new Float32Array([value]).buffer),
];
const piece = (text: string, score: number, type: number): number[] =>
  bytes(1, [...bytes(1, utf8.encode(text)), ...float(2, score), ...number(3, type)]);

const UNKNOWN = piece("<unk>", 0, 2);
/** No charsmap, no changes of white space. */
const PLAIN = bytes(3, [...number(3, 0), ...number(4, 0)]);
const trainer = (...fields: number[][]): number[] => bytes(2, fields.flat());
const model = (...fields: number[][]): Uint8Array => Uint8Array.from(fields.flat());

describe("a model made by hand", () => {
  const run = (file: Uint8Array, text: string): string =>
    encoder(partsOfSentencePiece(file, "hand.model"))(text).pieces.join("|");
  const letters = ["a", "b", "c"].map((letter) => piece(letter, -9, 1));

  it("keeps user-defined symbols whole in BPE", () => {
    const file = model(
      UNKNOWN,
      ...letters,
      piece("ab", -1, 1),
      piece("bc", 0, 4),
      piece("abc", -2, 1),
      trainer(number(3, 2)),
      PLAIN,
    );
    expect(run(file, "abcab")).toBe("a|bc|ab");
  });

  it("takes unused pieces apart in BPE as they were merged", () => {
    const unused = [piece("ab", -1, 5), piece("abc", -2, 5), piece("c", -9, 5)];
    const file = model(UNKNOWN, letters[0], letters[1], ...unused, trainer(number(3, 2)), PLAIN);
    expect(run(file, "abcabb")).toBe("a|b|c|a|b|b");
    expect(encoder(partsOfSentencePiece(file, "hand.model"))("abcab").ids).toEqual([1, 2, 0, 1, 2]);
  });

  it("merges characters that are no pieces", () => {
    expect(run(model(UNKNOWN, piece("xy", -1, 1), trainer(number(3, 2)), PLAIN), "xyxxy")).toBe("xy|x|xy");
  });

  it("decodes the unknown piece as its surface and hides control pieces", () => {
    const control = piece("<s>", 0, 3);
    const parts = partsOfSentencePiece(
      model(UNKNOWN, control, ...letters, trainer(bytes(44, utf8.encode("?!"))), PLAIN),
      "hand.model",
    );
    expect(decode(parts, [2, 1, 0, 3])).toBe("a?!b");
    expect(decode(partsOfSentencePiece(model(UNKNOWN, control, ...letters), "hand.model"), [0, 2])).toBe(" \u2047 a");
  });

  it("reads what repeats as one, and skips what it does not know", () => {
    const file = model(
      trainer(number(3, 2)),
      [...varint(90 * 8 + 1), 0, 0, 0, 0, 0, 0, 0, 0],
      UNKNOWN,
      ...letters,
      PLAIN,
      trainer(number(24, 1)),
    );
    const parts = partsOfSentencePiece(file, "hand.model");
    expect((parts.normalizer as SentencePieceNormalizer).whitespaceAsSuffix).toBe(true);
    expect(parts.model.type).toBe("SentencePieceBpe");
  });

  it.each<[string, Uint8Array, string]>([
    ["no unknown piece", model(...letters), "an unknown piece"],
    ["two unknown pieces", model(UNKNOWN, piece("<u>", 0, 2)), "one unknown piece"],
    ["an empty piece", model(UNKNOWN, piece("", 0, 1)), "a piece with a text"],
    ["a piece twice", model(UNKNOWN, letters[0], letters[0]), "a piece of its own"],
    ["a type that is none", model(UNKNOWN, piece("a", 0, 7)), "a type from 1 to 6"],
    ["a score that is none", model(UNKNOWN, piece("a", Number.NaN, 1)), "a finite score"],
    ["a byte without byte_fallback", model(UNKNOWN, piece("<0x00>", 0, 6)), "byte_fallback"],
    ["too few bytes", model(UNKNOWN, piece("<0x00>", 0, 6), trainer(number(35, 1))), "256 byte pieces"],
    ["a byte that is none", model(UNKNOWN, piece("<0x0G>", 0, 6), trainer(number(35, 1))), "<0x00> to <0xFF>"],
    ["a piece of any length", model(UNKNOWN, piece("a".repeat(2000), 0, 1)), "at most 1024"],
    ["a piece that is no UTF-8", model(UNKNOWN, bytes(1, bytes(1, [255]))), "UTF-8"],
    ["a broken charsmap", model(UNKNOWN, bytes(3, bytes(2, [1, 2, 3]))), "the size of a double array"],
    ["a field of another type", model(UNKNOWN, number(1, 5)), "a message"],
    ["a group", model(UNKNOWN, [...varint(9 * 8 + 3)]), "a wire type"],
    ["a length beyond the end", model(UNKNOWN, [...varint(9 * 8 + 2), ...varint(2 ** 40)]), "1099511627776 bytes"],
    ["a number without end", model(UNKNOWN, [...varint(9 * 8), ...new Array(12).fill(255)]), "at most ten bytes"],
    ["field 0", model(UNKNOWN, [0, 0]), "a field's number"],
    ["nothing", model(), "an unknown piece"],
  ])("refuses %s", (_, file, expected) => {
    const load = (): unknown => partsOfSentencePiece(file, "hand.model");
    expect(load).toThrow(TokenizerFileError);
    expect(load).toThrow(expected);
    expect(load).toThrow("hand.model");
  });

  it.each([
    ["a word model", model(UNKNOWN, trainer(number(3, 3))), '"word"'],
    ["a character model", model(UNKNOWN, trainer(number(3, 4))), '"char"'],
    ["a denormalizer", model(UNKNOWN, bytes(5, bytes(2, [1]))), "denormalizer_spec"],
  ])("does not build %s", (_, file, expected) => {
    expect(() => partsOfSentencePiece(file, "hand.model")).toThrow(UnsupportedTokenizerError);
    expect(() => partsOfSentencePiece(file, "hand.model")).toThrow(expected);
  });
});

describe("a changed file", () => {
  const files = ["bpe_byte_fallback", "bpe_suffix", "unigram_byte_fallback", "unigram_rules"].map((name) =>
    fixtureBytes("spm", `${name}.model`),
  );
  const { texts } = awkwardTexts();
  const some = Object.values(texts).filter((_, i) => i % 12 === 0);

  /** One error of this package, or tokens that cover texts. */
  function loadOrRefuse(file: Uint8Array): void {
    let parts: TokenizerParts;
    try {
      parts = partsOfSentencePiece(file, "changed.model");
    } catch (error) {
      if (error instanceof TokenizerFileError || error instanceof UnsupportedTokenizerError) return;
      throw error;
    }
    const run = encoder(parts);
    for (const text of some) expect(run(text).ids.length).toBeGreaterThanOrEqual(0);
  }

  it("is refused where it is cut off, or works", () => {
    const cut = fc.tuple(fc.constantFrom(...files), fc.double({ min: 0, max: 1, noNaN: true }));
    fc.assert(
      fc.property(cut, ([file, part]) => loadOrRefuse(file.subarray(0, Math.floor(file.length * part)))),
      { seed: 11, numRuns: 150 },
    );
  });

  it("is refused where bytes are others, or works", () => {
    const changes = fc.array(fc.tuple(fc.double({ min: 0, max: 0.9999, noNaN: true }), fc.nat(255)), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(fc.constantFrom(...files), changes, (file, list) => {
        const changed = file.slice();
        for (const [part, byte] of list) changed[Math.floor(file.length * part)] = byte;
        loadOrRefuse(changed);
      }),
      { seed: 12, numRuns: 300 },
    );
  });

  it("is refused where it is anything, or works", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), loadOrRefuse), { seed: 13, numRuns: 500 });
  });
});

describe("toTokenizerJsonPipeline", () => {
  it("leaves what is no sentencepiece tokenizer as it is", () => {
    const t5 = addT5(partsOfSentencePiece(fixtureBytes("vocab", "t5.spiece.model"), "t5"));
    expect(toTokenizerJsonPipeline(t5)).toBe(t5);
  });

  it("makes Hugging Face's components", () => {
    const parts = toTokenizerJsonPipeline(partsOfSentencePiece(fixtureBytes("spm", "bpe_byte_fallback.model"), "bpe"));
    expect(parts.normalizer).toEqual({
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "\u2581" },
        { type: "Replace", pattern: { type: "String", string: " " }, content: "\u2581" },
      ],
    });
    expect(parts.preTokenizer).toBeNull();
    expect(parts.model.type).toBe("BPE");
    expect(parts.addedTokens.map(({ content }) => content)).toEqual(["<s>", "</s>"]);
  });

  it("makes merges in the order of the scores", () => {
    const letters = ["a", "b", "c"].map((letter) => piece(letter, -9, 1));
    const pieces = [piece("abc", -2, 1), piece("ab", -3, 1), piece("bc", -1, 1)];
    const parts = toTokenizerJsonPipeline(
      partsOfSentencePiece(model(UNKNOWN, ...letters, ...pieces, trainer(number(3, 2))), "hand.model"),
    );
    if (parts.model.type !== "BPE") throw new Error(parts.model.type);
    const names = parts.model.merges?.list()?.map((pair) => pair.map((id) => parts.vocabulary.tokenOf(id)).join("+"));
    expect(names).toEqual(["b+c", "a+bc", "ab+c", "a+b"]);
  });

  it("turns user-defined symbols into added tokens, which get no prefix of their own", () => {
    const parts = toTokenizerJsonPipeline(partsOfSentencePiece(fixtureBytes("spm", "unigram_nfkc_cf.model"), "cf"));
    expect(parts.addedTokens.filter(({ special }) => !special).map(({ content }) => content)).toEqual([
      "<sep>",
      "New York",
    ]);
    expect(parts.preTokenizer).toMatchObject({ type: "Metaspace", prependScheme: "first" });
  });

  it("refuses a space behind the text", () => {
    const suffix = partsOfSentencePiece(fixtureBytes("spm", "bpe_suffix.model"), "suffix");
    expect(() => toTokenizerJsonPipeline(suffix)).toThrow(UnsupportedTokenizerError);
  });
});

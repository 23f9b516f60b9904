import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TokenizerFileError, UnencodableTextError, UnsupportedTokenizerError } from "../errors";
import { JsonCursor } from "../json";
import { byteTokenIds } from "./bpe";
import { Tokens } from "./tokens";
import {
  formatUnigram,
  NORMAL_PIECE,
  parseUnigram,
  RESERVED_PIECE,
  Unigram,
  type UnigramConfig,
  USER_DEFINED_PIECE,
} from "./unigram";

type Vocab = readonly (readonly [piece: string, score: number])[];

function config(vocab: Vocab, rest: Partial<UnigramConfig> = {}): UnigramConfig {
  return {
    type: "Unigram",
    pieces: vocab.map(([piece]) => piece),
    scores: Float64Array.from(vocab, ([, score]) => score),
    unkId: 0,
    byteIds: null,
    roles: null,
    ...rest,
  };
}

/** Tokens as `text[start,end)`, or `id:text` where they read otherwise than their piece. */
function cut(options: UnigramConfig, text: string, start = 0, end = text.length): string[] {
  const out = new Tokens();
  new Unigram(options).encode(text, start, end, out);
  return Array.from({ length: out.length }, (_, i) => {
    const range = `[${out.starts[i]},${out.ends[i]})`;
    const own = out.texts.get(i);
    return own === undefined ? `${options.pieces[out.ids[i]]}${range}` : `${out.ids[i]}:${own}${range}`;
  });
}

const LETTERS: Vocab = [
  ...([["<unk>", 0]] as const),
  ...([
    ["a", 0],
    ["b", 0],
    ["c", 0],
    ["d", 0],
  ] as const),
  ...([
    ["cd", 1],
    ["ab", 2],
    ["abc", 5],
    ["abcd", 10],
  ] as const),
];

describe("Unigram as in tokenizers", () => {
  it("takes the cut with the highest sum, and one unknown token for a run", () => {
    expect(cut(config(LETTERS), "abcdacdxx")).toEqual(["abcd[0,4)", "a[4,5)", "cd[5,7)", "0:xx[7,9)"]);
  });

  it("works on a part of a text", () => {
    expect(cut(config(LETTERS), "cdabcdcd", 1, 6)).toEqual(["d[1,2)", "abcd[2,6)"]);
    expect(cut(config(LETTERS), "abc", 1, 1)).toEqual([]);
  });

  it("keeps characters of two units whole", () => {
    const vocab: Vocab = [
      ["<unk>", 0],
      ["\u{1F600}", -1],
      ["\u{1F600}a", -1],
      ["a", -3],
    ];
    expect(cut(config(vocab), "\u{1F600}a\u{1F601}\u{1F600}")).toEqual([
      "\u{1F600}a[0,3)",
      "0:\u{1F601}[3,5)",
      "\u{1F600}[5,7)",
    ]);
  });

  it("finds the sum that trying all cuts finds", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "c", "x"), minLength: 1, maxLength: 7 });
    const vocab = fc.uniqueArray(fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 4 }));
    fc.assert(
      fc.property(letters, vocab, fc.integer(), (text, pieces, seed) => {
        const entries = pieces.map((piece, i) => [piece, -(((seed + i * 2654435761) >>> 0) % 64) / 4] as const);
        const scores = new Map(entries);
        const lowest = Math.min(0, ...scores.values());
        const best = (from: number): number => {
          if (from === text.length) return 0;
          let sum = Number.NEGATIVE_INFINITY;
          for (let to = from + 1; to <= text.length; to++) {
            const own = scores.get(text.slice(from, to)) ?? (to === from + 1 ? lowest - 10 : undefined);
            if (own !== undefined) sum = Math.max(sum, own + best(to));
          }
          return sum;
        };
        const options = config([["<unk>", 0], ...entries]);
        const out = new Tokens();
        new Unigram(options).encode(text, 0, text.length, out);
        let sum = 0;
        let covered = 0;
        for (let i = 0; i < out.length; i++) {
          expect(out.starts[i]).toBe(covered);
          covered = out.ends[i];
          sum += out.texts.has(i) ? (lowest - 10) * (out.ends[i] - out.starts[i]) : options.scores[out.ids[i]];
        }
        expect(covered).toBe(text.length);
        expect(sum).toBe(best(0));
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it("looks an unknown run up once more, as a piece", () => {
    // Two unknown characters score 2 * (30 - 10), the piece 30.
    expect(
      cut(
        config([
          ["<unk>", 90],
          ["xy", 30],
        ]),
        "xy",
      ),
    ).toEqual(["xy[0,2)"]);
    expect(
      cut(
        config([
          ["<unk>", 0],
          ["a", -1],
        ]),
        "a<unk>",
      ),
    ).toEqual(["a[0,1)", "<unk>[1,6)"]);
  });

  it("falls back to bytes for a whole run, or not at all", () => {
    const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
    const vocab: Vocab = [["<unk>", 0], ["a", -1], ...bytes.map((piece) => [piece, -5] as const)];
    const ids = new Map(vocab.map(([piece], id) => [piece, id]));
    const byteIds = byteTokenIds((token) => ids.get(token));
    expect(cut(config(vocab, { byteIds }), "a\u00E9xa")).toEqual([
      ...["a[0,1)", "<0xC3>[1,3)", "<0xA9>[1,3)", "<0x78>[1,3)", "a[3,4)"],
    ]);
    byteIds[0x78] = -1;
    expect(cut(config(vocab, { byteIds }), "a\u00E9xa")).toEqual(["a[0,1)", "0:\u00E9x[1,3)", "a[3,4)"]);
  });

  it("needs an unknown token for what is no piece", () => {
    const options = config([["a", -1]], { unkId: null });
    expect(cut(options, "aa")).toEqual(["a[0,1)", "a[1,2)"]);
    expect(() => cut(options, "ab")).toThrow(UnencodableTextError);
    expect(() => cut(options, "ab")).toThrow('"b" is no piece of the vocabulary');
  });

  it("gives the same for a word that it has seen, wherever it stands", () => {
    const unigram = new Unigram(config(LETTERS));
    const out = new Tokens();
    for (const start of [0, 5, 10]) unigram.encode("abcd_abcd_abcd", start, start + 4, out);
    expect([...out.starts.subarray(0, out.length)]).toEqual([0, 5, 10]);
    expect([...out.ids.subarray(0, out.length)]).toEqual([8, 8, 8]);
    for (let i = 0; i < 3; i++) unigram.encode("xab", 0, 3, out);
    expect([...out.texts]).toEqual([
      [3, "x"],
      [5, "x"],
      [7, "x"],
    ]);
  });

  it("takes a long text in a row", () => {
    const out = new Tokens();
    new Unigram(config(LETTERS)).encode("abcd".repeat(100_000), 0, 400_000, out);
    expect(out.length).toBe(100_000);
  });
});

describe("Unigram as in sentencepiece", () => {
  const roles = (...list: number[]) => Uint8Array.from(list);

  it("never finds a reserved piece, and mostly a user-defined one", () => {
    const vocab: Vocab = [
      ["<unk>", 0],
      ["<s>", 5],
      ["ab", 0],
      ["a", -1],
      ["b", -1],
      ["abc", -1],
      ["c", -2],
    ];
    const options = config(vocab, {
      roles: roles(
        RESERVED_PIECE,
        RESERVED_PIECE,
        USER_DEFINED_PIECE,
        NORMAL_PIECE,
        NORMAL_PIECE,
        NORMAL_PIECE,
        NORMAL_PIECE,
      ),
    });
    // 0.1 for the symbol of two bytes, and -2, against -1.
    expect(cut(options, "abc")).toEqual(["abc[0,3)"]);
    expect(cut(options, "abab")).toEqual(["ab[0,2)", "ab[2,4)"]);
    expect(cut(options, "<s>a")).toEqual(["0:<s>[0,3)", "a[3,4)"]);
  });

  it("keeps sums as floats, in which a difference may vanish", () => {
    const vocab: Vocab = [
      ["<unk>", 0],
      ["x", -(2 ** 24)],
      ["a", -1],
      ["b", -1],
      ["ab", -1.5],
    ];
    const all = roles(RESERVED_PIECE, NORMAL_PIECE, NORMAL_PIECE, NORMAL_PIECE, NORMAL_PIECE);
    const [asFloats, asDoubles] = [all, null].map((given) => cut(config(vocab, { roles: given }), "xab"));
    expect(asDoubles).toEqual(["x[0,1)", "ab[1,3)"]);
    expect(asFloats).toEqual(["x[0,1)", "a[1,2)", "b[2,3)"]);
  });

  it("gives a character to its last byte", () => {
    const byteIds = new Int32Array(256).map((_, byte) => byte + 2);
    const bytes = Array.from({ length: 256 }, (_, i) => [`<${i}>`, 0] as const);
    const options = config([["<unk>", 0], ["a", -1], ...bytes], {
      byteIds,
      roles: Uint8Array.from({ length: 258 }, (_, id) => (id === 1 ? NORMAL_PIECE : RESERVED_PIECE)),
    });
    expect(cut(options, "\u00E9a\u00E9")).toEqual([
      ...["<195>[0,0)", "<169>[0,1)", "a[1,2)", "<195>[2,2)", "<169>[2,3)"],
    ]);
  });
});

describe("parseUnigram", () => {
  const parse = (model: unknown) => parseUnigram(new JsonCursor(model, "tokenizer.json", "model"));
  const good = {
    type: "Unigram",
    unk_id: 0,
    vocab: [
      ["<unk>", 0],
      ["a", -1.5],
    ],
    byte_fallback: false,
  };

  it("reads what formatUnigram writes", () => {
    expect(formatUnigram(parse(good))).toEqual(good);
    expect(formatUnigram(parse({ type: "Unigram", unk_id: null, vocab: [] }))).toMatchObject({
      unk_id: null,
      vocab: [],
    });
  });

  it.each([
    ["an entry without score", { vocab: [["a"]] }, "model.vocab[0]"],
    ["a score that is no number", { vocab: [["a", "1"]] }, "model.vocab[0]"],
    ["a score beyond all numbers", { vocab: [["a", Number.POSITIVE_INFINITY]] }, "model.vocab[0]"],
    ["a piece that is no string", { vocab: [[1, 1]] }, "model.vocab[0]"],
    ["a lone surrogate", { vocab: [["\uD800", 1]] }, "model.vocab[0]"],
    ["a piece of any length", { vocab: [["a".repeat(2000), 1]] }, "model.vocab[0]"],
    ["an unk_id outside of the vocabulary", { unk_id: 2 }, "model.unk_id"],
    ["byte_fallback that is no boolean", { byte_fallback: 1 }, "model.byte_fallback"],
  ])("refuses %s", (_, change, at) => {
    const error = catchError(() => parse({ ...good, ...change }));
    expect(error).toBeInstanceOf(TokenizerFileError);
    expect((error as TokenizerFileError).at).toBe(at);
  });

  it("refuses an option that it does not know", () => {
    expect(catchError(() => parse({ ...good, alpha: 0.1 }))).toBeInstanceOf(UnsupportedTokenizerError);
  });
});

function catchError(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** The heap against its slow twins: merge the best pair of all, again and again, as run.c does it. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Bpe, type BpeConfig } from "./bpe";
import { MergeTable } from "./merge-table";
import { Tokens } from "./tokens";

const letters = ["a", "b", "c"];
const word = fc.array(fc.constantFrom(...letters), { minLength: 2, maxLength: 6 }).map((parts) => parts.join(""));
const vocabulary = fc.uniqueArray(word, { maxLength: 30 }).map((words) => [...letters, ...words]);
const text = fc.array(fc.constantFrom(...letters), { maxLength: 60 }).map((parts) => parts.join(""));

function config(tokens: readonly string[], merges: MergeTable, more: Partial<BpeConfig> = {}): BpeConfig {
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const off = { looseCharacters: [], byteIds: null, unkToken: null, fuseUnk: false, ignoreMerges: false };
  const plain = { continuingSubwordPrefix: "", endOfWordSuffix: "" };
  return { type: "BPE", ids, merges, vocabSize: tokens.length, ...off, ...plain, ...more };
}

function encode(bpe: Bpe, input: string): number[] {
  const out = new Tokens();
  // The second time the word comes out of the cache.
  bpe.encode(`<${input}>`, 1, 1 + input.length, out);
  const first = [...out.ids.subarray(0, out.length)];
  bpe.encode(`<${input}>`, 1, 1 + input.length, out);
  expect([...out.ids.subarray(0, out.length)]).toEqual([...first, ...first]);
  if (first.length > 0) expect(out.starts[0]).toBe(1);
  return first;
}

/** Every step looks at every pair and merges the one of lowest order; ties go to the left. */
function slowMerge(
  symbols: number[],
  find: (left: number, right: number) => { order: number; merged: number } | null,
): number[] {
  for (;;) {
    let best: { order: number; merged: number; at: number } | null = null;
    for (let at = 0; at + 1 < symbols.length; at++) {
      const pair = find(symbols[at], symbols[at + 1]);
      if (pair !== null && (best === null || pair.order < best.order)) best = { ...pair, at };
    }
    if (best === null) return symbols;
    symbols.splice(best.at, 2, best.merged);
  }
}

describe("BPE", () => {
  test("merging by score equals the quadratic rule, ties and scores of -Infinity included", () => {
    const score = fc.constantFrom(0, -0, -1, -2, -3, 5, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
    const scored = vocabulary.chain((tokens) =>
      fc.tuple(fc.constant(tokens), fc.array(score, { minLength: tokens.length, maxLength: tokens.length })),
    );
    fc.assert(
      fc.property(scored, fc.array(text, { maxLength: 3 }), ([tokens, scores], inputs) => {
        const ids = new Map(tokens.map((token, id) => [token, id]));
        const bpe = new Bpe(config(tokens, MergeTable.fromScores({ texts: tokens, ids, scores })));
        for (const input of inputs) {
          const symbols = [...input].map((letter) => ids.get(letter) as number);
          const expected = slowMerge(symbols, (left, right) => {
            const merged = ids.get(tokens[left] + tokens[right]);
            if (merged === undefined || scores[merged] === Number.NEGATIVE_INFINITY) return null;
            return { order: -scores[merged], merged };
          });
          expect(encode(bpe, input)).toEqual(expected);
        }
      }),
      { seed: 5, numRuns: 500 },
    );
  });

  test("merging by a list equals the quadratic rule; of a pair that comes twice the later rank counts", () => {
    const listed = vocabulary.chain((tokens) => {
      const splits = tokens.flatMap((token, merged) =>
        Array.from({ length: token.length - 1 }, (_, cut) => {
          const left = tokens.indexOf(token.slice(0, cut + 1));
          return [left, tokens.indexOf(token.slice(cut + 1)), merged];
        }),
      );
      const possible = splits.filter(([left, right]) => left >= 0 && right >= 0);
      const list = possible.length === 0 ? fc.constant([]) : fc.array(fc.constantFrom(...possible), { maxLength: 40 });
      return fc.tuple(fc.constant(tokens), list);
    });
    fc.assert(
      fc.property(listed, text, ([tokens, list], input) => {
        const ranks = new Map(list.map(([left, right, merged], order) => [`${left} ${right}`, { order, merged }]));
        const bpe = new Bpe(config(tokens, MergeTable.fromList(Int32Array.from(list.flat()))));
        const symbols = [...input].map((letter) => letters.indexOf(letter));
        expect(encode(bpe, input)).toEqual(slowMerge(symbols, (l, r) => ranks.get(`${l} ${r}`) ?? null));
      }),
      { seed: 6, numRuns: 500 },
    );
  });

  test("a table that grows past its first size keeps every pair", () => {
    const triples = new Int32Array(30_000);
    for (let i = 0; i < 10_000; i++) triples.set([i % 100, Math.floor(i / 100), i], i * 3);
    const table = MergeTable.fromList(triples);
    const scored = MergeTable.fromScores({
      texts: ["", ...Array.from({ length: 300 }, (_, i) => String.fromCharCode(0x4e00 + i))],
      ids: new Map(),
      scores: new Float64Array(301),
    });
    for (let i = 0; i < 10_000; i++) {
      const cell = table.find(i % 100, Math.floor(i / 100));
      expect([table.rankAt(cell), table.mergedAt(cell)]).toEqual([i, i]);
      expect(scored.find(1 + (i % 300), 1 + Math.floor(i / 100))).toBe(-1);
    }
    expect(table.find(100, 100)).toBe(-1);
  });

  describe("unknown characters", () => {
    const tokens = ["?", "a", "<0xC3>", "<0xA9>", "ab"];
    const none = MergeTable.fromList(new Int32Array(0));
    const bytes = new Int32Array(256).fill(-1);
    bytes[0xc3] = 2;
    bytes[0xa9] = 3;

    test("become bytes if all of their bytes have tokens", () => {
      expect(encode(new Bpe(config(tokens, none, { byteIds: bytes, unkToken: "?" })), "aéè")).toEqual([1, 2, 3, 0]);
    });

    test("become one unknown token each, or one for a run of them, or nothing", () => {
      expect(encode(new Bpe(config(tokens, none, { unkToken: "?" })), "xya😀")).toEqual([0, 0, 1, 0]);
      expect(encode(new Bpe(config(tokens, none, { unkToken: "?", fuseUnk: true })), "xya😀")).toEqual([0, 1, 0]);
      expect(encode(new Bpe(config(tokens, none)), "xya😀")).toEqual([1]);
    });

    test("stand behind the bytes that follow them, as in tokenizers", () => {
      expect(encode(new Bpe(config(tokens, none, { byteIds: bytes, unkToken: "?" })), "xéa")).toEqual([2, 3, 0, 1]);
    });
  });

  test("ignoreMerges takes a word that is a token as a whole", () => {
    const bpe = (ignoreMerges: boolean): Bpe =>
      new Bpe(config(["a", "b", "ab"], MergeTable.fromList(new Int32Array(0)), { ignoreMerges }));
    expect(encode(bpe(true), "ab")).toEqual([2]);
    expect(encode(bpe(true), "aba")).toEqual([0, 1, 0]);
    expect(encode(bpe(false), "ab")).toEqual([0, 1]);
  });
});

/** Beam search against Hugging Face transformers over a toy model, and the properties that no case shows. */

import { readFileSync } from "node:fs";
import { exp } from "@qkv/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BeamSearch, type BeamSearchOptions } from "./beam-search";
import { argmax, forbidRepeatedNgrams } from "./sampling";
import type { Branch, LogitsProcessor } from "./search";

/** What the toy model is drawn from, as in tests/fixtures/beams/make.py. */
interface Toy {
  readonly seed: number;
  readonly vocab: number;
  readonly scale: number;
  readonly endIds: readonly number[];
  readonly endBias: number;
}

interface Case extends Toy, Omit<BeamSearchOptions, "endIds" | "processors" | "scores"> {
  readonly noRepeatNgramSize: number;
  readonly minNewTokens: number;
  readonly forcedEnd: boolean;
  readonly forcedFirst: number | null;
  readonly found: readonly { ids: number[]; score: number; tokenScores?: number[] }[];
}

function fixture(name: string): { cases: Case[] } {
  return JSON.parse(readFileSync(new URL(`../../../../tests/fixtures/beams/${name}.json`, import.meta.url), "utf8"));
}

function mix(start: number): number {
  let h = start ^ (start >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Logits after a path: a hash of its last two ids. Token 0 is never possible. */
function toyLogits(toy: Toy, path: readonly number[]): Float32Array {
  const [a, b] = path.slice(-2);
  const base = mix((mix(toy.seed) + a * 40503 + b) >>> 0);
  const row = Float64Array.from({ length: toy.vocab }, (_, i) => (mix((base + i) >>> 0) / 2 ** 32) * toy.scale);
  for (const id of toy.endIds) row[id] += toy.endBias;
  row[0] = Number.NEGATIVE_INFINITY;
  return Float32Array.from(row);
}

/** Runs a search over a model that gives the logits after a path. Also the number of passes. */
function run(options: BeamSearchOptions, logits: (path: readonly number[]) => Float32Array) {
  const search = new BeamSearch(options);
  let paths: (readonly number[])[] = [options.prompt];
  let rows: readonly Branch[] = [];
  let passes = 0;
  do {
    rows = search.advance((row) => logits(paths[row]));
    expect(rows.length).toBeLessThanOrEqual(search.width);
    paths = rows.map(({ parent, id }) => [...paths[parent], id]);
    passes++;
  } while (rows.length > 0);
  return { found: search.found(), passes };
}

function processorsOf(c: Case): LogitsProcessor[] {
  const processors: LogitsProcessor[] = [];
  const allBut = (scores: Float32Array, id: number) => scores.fill(Number.NEGATIVE_INFINITY).fill(0, id, id + 1);
  if (c.noRepeatNgramSize > 0) processors.push((scores, ids) => forbidRepeatedNgrams(scores, ids, c.noRepeatNgramSize));
  processors.push((scores, ids) => {
    const length = ids.length - c.prompt.length;
    if (length < c.minNewTokens) for (const id of c.endIds) scores[id] = Number.NEGATIVE_INFINITY;
    if (c.forcedEnd && length === c.maxNewTokens - 1) allBut(scores, c.endIds[0]);
    if (c.forcedFirst !== null && length === 0) allBut(scores, c.forcedFirst);
  });
  return processors;
}

function optionsOf(c: Case): BeamSearchOptions {
  const { numBeams, numReturnSequences, lengthPenalty, earlyStopping, maxNewTokens, prompt } = c;
  const { numBeamGroups, diversityPenalty } = c;
  return {
    ...{ numBeams, numReturnSequences, lengthPenalty, earlyStopping, maxNewTokens, prompt },
    ...{ numBeamGroups, diversityPenalty, scores: true, endIds: new Set(c.endIds), processors: processorsOf(c) },
  };
}

describe.each(["beams", "groups"])("transformers' %s over a toy model", (name) => {
  test.each(fixture(name).cases.map((c, i) => [i, c] as const))("case %i: ids, and scores within 2e-5", (_, c) => {
    const { found } = run(optionsOf(c), (path) => toyLogits(c, path));
    // With groups, transformers writes the first end token whichever came.
    const shown = (id: number) => (c.numBeamGroups > 1 && c.endIds.includes(id) ? c.endIds[0] : id);
    expect(found.map(({ ids }) => ids.map(shown))).toEqual(c.found.map(({ ids }) => ids));
    found.forEach(({ score, tokenScores, finishReason, ids }, i) => {
      const expected = c.found[i];
      expect(Math.abs(score! - expected.score)).toBeLessThan(2e-5 * Math.max(1, Math.abs(expected.score)));
      expected.tokenScores?.forEach((value, at) => {
        expect(Math.abs(tokenScores![at] - value)).toBeLessThan(2e-5);
      });
      expect(finishReason).toBe(c.endIds.includes(ids[ids.length - 1]) ? "stop" : "length");
    });
  });
});

const INFINITE = Number.NEGATIVE_INFINITY;

const PLAIN: BeamSearchOptions = {
  numBeams: 3,
  numReturnSequences: 3,
  lengthPenalty: 1,
  earlyStopping: false,
  endIds: new Set([1]),
  maxNewTokens: 6,
  prompt: [5, 6],
  processors: [],
  scores: true,
  numBeamGroups: 1,
  diversityPenalty: 0,
};

const toys = fc.record({
  seed: fc.integer({ min: 0, max: 2 ** 31 }),
  vocab: fc.integer({ min: 8, max: 40 }),
  scale: fc.constantFrom(1, 4, 9),
  endIds: fc.constantFrom([], [1], [1, 2, 3]),
  endBias: fc.constantFrom(-1, 0, 2),
});

describe("for any toy model", () => {
  test("one beam is greedy decoding", () => {
    fc.assert(
      fc.property(toys, fc.boolean(), (toy, earlyStopping) => {
        const endIds = new Set<number>(toy.endIds);
        const options = { ...PLAIN, numBeams: 1, numReturnSequences: 1, earlyStopping, endIds };
        const ids: number[] = [];
        while (ids.length < options.maxNewTokens && !endIds.has(ids[ids.length - 1])) {
          ids.push(argmax(toyLogits(toy, [...options.prompt, ...ids])));
        }
        const { found, passes } = run(options, (path) => toyLogits(toy, path));
        expect(found.map((sequence) => sequence.ids)).toEqual([ids]);
        expect(passes).toBe(ids.length);
      }),
    );
  });

  test("scores are sorted, and are the tokens' sum over length ^ lengthPenalty", () => {
    const penalties = fc.constantFrom(-1, 0, 0.6, 1, 2);
    fc.assert(
      fc.property(toys, penalties, fc.integer({ min: 1, max: 3 }), (toy, lengthPenalty, numBeamGroups) => {
        const diversityPenalty = numBeamGroups > 1 ? 0.5 : 0;
        const groups = { numBeams: 6, numReturnSequences: 6, numBeamGroups, diversityPenalty };
        const options = { ...PLAIN, ...groups, lengthPenalty, endIds: new Set(toy.endIds) };
        const { found } = run(options, (path) => toyLogits(toy, path));
        const scores = found.map(({ score }) => score!);
        expect(scores).toEqual([...scores].sort((a, b) => b - a));
        for (const { ids, score, tokenScores } of found) {
          expect(tokenScores).toHaveLength(ids.length);
          const sum = tokenScores!.reduce((a, b) => a + b, 0);
          expect(score! * exp(lengthPenalty * Math.log(ids.length))).toBeCloseTo(sum, 9);
        }
      }),
    );
  });

  test("as many beams as there are paths find the best one", () => {
    fc.assert(
      fc.property(toys, (drawn) => {
        const toy = { ...drawn, vocab: 6, endIds: [1] };
        const wide = { numBeams: 216, numReturnSequences: 216, maxNewTokens: 3, lengthPenalty: 0 };
        const { found } = run({ ...PLAIN, ...wide, earlyStopping: "never" }, (path) => toyLogits(toy, path));
        const whole: number[] = [];
        const follow = (ids: readonly number[], score: number): void => {
          if (ids.length === 3 || ids[ids.length - 1] === 1) return void whole.push(score);
          const logits = toyLogits(toy, [...PLAIN.prompt, ...ids]);
          const logSum = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
          for (let id = 1; id < 6; id++) follow([...ids, id], score + logits[id] - logSum);
        };
        follow([], 0);
        expect(found[0].score).toBeCloseTo(Math.max(...whole), 5);
        expect(found).toHaveLength(whole.length);
      }),
      { numRuns: 30 },
    );
  });

  test("processors see the ids of the row's own path, the prompt first", () => {
    fc.assert(
      fc.property(toys, fc.integer({ min: 1, max: 2 }), (toy, numBeamGroups) => {
        const rows: (readonly number[])[] = [];
        const seen: number[][] = [];
        const groups = { numBeams: 4, numBeamGroups, diversityPenalty: numBeamGroups - 1 };
        const processors: LogitsProcessor[] = [(_, ids) => seen.push([...ids])];
        run({ ...PLAIN, ...groups, endIds: new Set(toy.endIds), processors }, (path) => {
          rows.push(path);
          return toyLogits(toy, path);
        });
        expect(seen.slice(numBeamGroups)).toEqual(rows.slice(1)); // every group reads the prompt's one row
      }),
    );
  });
});

/** Logits that depend on the number of new tokens alone. */
const table =
  (...rows: number[][]) =>
  (path: readonly number[]) =>
    Float32Array.from(rows[Math.min(path.length - PLAIN.prompt.length, rows.length - 1)]);

describe("where few tokens are left", () => {
  test("one forced token leaves one row, and the next step forks it", () => {
    const search = new BeamSearch(PLAIN);
    expect(search.advance(() => Float32Array.of(INFINITE, INFINITE, 0))).toEqual([{ parent: 0, id: 2 }]);
    const rows = search.advance(() => Float32Array.of(1, 9, 3, 2));
    expect(rows).toEqual([2, 3, 0].map((id) => ({ parent: 0, id })));
  });

  test("a closed set of two texts gives two sequences, whatever was asked for", () => {
    const allowed = [[2, 3, 1].join(), [4, 1].join()];
    const onlyAllowed: LogitsProcessor = (scores, ids) => {
      const path = ids.slice(PLAIN.prompt.length);
      for (let id = 0; id < scores.length; id++) {
        if (!allowed.some((text) => text.startsWith([...path, id].join()))) scores[id] = INFINITE;
      }
    };
    for (const earlyStopping of [true, false, "never"] as const) {
      const { found } = run({ ...PLAIN, earlyStopping, processors: [onlyAllowed] }, table([0, 0, 0, 0, 0]));
      expect(found.map(({ ids }) => ids.join()).sort()).toEqual(allowed);
      expect(found.every(({ finishReason }) => finishReason === "stop")).toBe(true);
    }
  });

  test("a search that no token can follow fails, unless a sequence is finished", () => {
    expect(() => run(PLAIN, table([0, INFINITE, 0], [INFINITE, INFINITE, INFINITE]))).toThrow(
      new RangeError(
        "no sequence can be completed: after 1 new tokens every token has the score -Infinity, for every beam; " +
          "logits processors or the allowed tokens leave none",
      ),
    );
    const { found } = run(PLAIN, table([0, 0, 0], [INFINITE, INFINITE, INFINITE]));
    expect(found.map(({ ids }) => ids)).toEqual([[1]]);
  });

  test("a done group takes no token from later groups", () => {
    // transformers pads the first group with token 0 in the third step, which costs the second group 9 nats there.
    const groups = { numBeams: 2, numReturnSequences: 2, numBeamGroups: 2, diversityPenalty: 9 };
    const after = (path: readonly number[]) => {
      const last = path[path.length - 1];
      return Float32Array.from(last === 6 ? [0, 0, 20, 19] : last === 2 ? [0, 20, 0, 1] : [9, 0, 0, 1]);
    };
    const { found } = run({ ...PLAIN, ...groups, maxNewTokens: 3, lengthPenalty: 0 }, after);
    expect(found.map(({ ids }) => ids)).toEqual([
      [2, 1],
      [3, 0, 0],
    ]);
    expect(found[1].tokenScores![2]).toBeCloseTo(-0.00058, 4);
  });
});

test("of equal scores the lower beam goes first, then the lower id", () => {
  const search = new BeamSearch({ ...PLAIN, numBeams: 4, endIds: new Set() });
  expect(search.advance(() => Float32Array.of(0, 1, 1, 0, 0)).map(({ id }) => id)).toEqual([1, 2, 0, 3]);
  expect(search.advance(() => Float32Array.of(INFINITE, 2, 2))).toEqual([
    { parent: 0, id: 1 },
    { parent: 0, id: 2 },
    { parent: 1, id: 1 },
    { parent: 1, id: 2 },
  ]);
});

test("without scores there are none; found waits for the end, and the end is final", () => {
  const search = new BeamSearch({ ...PLAIN, maxNewTokens: 2, scores: false });
  const row = () => Float32Array.of(2, 0, 1);
  search.advance(row);
  expect(() => search.found()).toThrow("not over");
  expect(search.advance(row)).toEqual([]);
  expect(search.found()[0]).toEqual({ ids: [0, 0], finishReason: "length", score: null, tokenScores: null });
  expect(() => search.advance(row)).toThrow("is over");
});

test("NaN is named, from the model or from a processor", () => {
  const nan = () => Float32Array.of(1, 2, Number.NaN, 4);
  expect(() => new BeamSearch(PLAIN).advance(nan)).toThrow(
    new RangeError("no token can be chosen: the logit of id 2 is NaN"),
  );
  const processors: LogitsProcessor[] = [(scores) => scores.fill(Number.NaN, 3)];
  expect(() => new BeamSearch({ ...PLAIN, processors }).advance(() => Float32Array.of(9, 8, 7, 1))).toThrow(
    new RangeError("no token can be chosen: the score of id 3 is NaN"),
  );
});

test.each<[string, object]>([
  ["numBeams", { numBeams: 0 }],
  ["numReturnSequences", { numReturnSequences: 4 }],
  ["maxNewTokens", { maxNewTokens: 0 }],
  ["lengthPenalty", { lengthPenalty: Number.NaN }],
  ["lengthPenalty", { lengthPenalty: 1e6 }],
  ["earlyStopping", { earlyStopping: "always" }],
  ["scores", { scores: undefined }],
  ["endIds", { endIds: [1] }],
  ["prompt", { prompt: 5 }],
  ["processors", { processors: [1] }],
  ["numBeamGroups", { numBeamGroups: 2 }],
  ["diversityPenalty", { diversityPenalty: 1 }],
  ["diversityPenalty", { numBeamGroups: 3, diversityPenalty: -1 }],
  ["padId", { padId: 0 }],
])("a wrong %s throws", (name, wrong) => {
  expect(() => new BeamSearch({ ...PLAIN, ...wrong })).toThrow(name);
});

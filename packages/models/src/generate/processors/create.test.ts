/** Which processors a plan makes, their order, and those that no golden shows. */

import { describe, expect, test, vi } from "vitest";
import { NO_DEFAULTS } from "../generation-config";
import { type GenerateOptions, planGeneration } from "../options";
import { prefixConstraint } from "./constraint";
import { createProcessors, type ProcessorContext } from "./create";
import { applyGuidance } from "./guidance";
import { exponentialDecayLengthPenalty } from "./lengths";
import { penalizeChosen, repetitionPenalty } from "./repetition";
import { normalizeLogits } from "./softmax";
import { keepEta, keepMinP, keepTopK, keepTopP, keepTypical } from "./warpers";
import { watermark } from "./watermark";

const NONE = Number.NEGATIVE_INFINITY;
const CONTEXT = { index: 3, encoderIds: [5, 6], promptLength: 1, maxLength: 6, endIds: [1] };

function process(options: GenerateOptions, scores: number[], ids: number[], context: Partial<ProcessorContext> = {}) {
  const plan = planGeneration(options, { kind: "seq2seq", endIds: [1], vocabSize: 8, defaults: NO_DEFAULTS });
  const row = Float32Array.from(scores);
  for (const each of createProcessors(plan, { ...CONTEXT, ...context })) each(row, ids);
  return [...row];
}

describe("a plan's processors", () => {
  test("none where nothing is asked for", () => {
    const plan = planGeneration({}, { kind: "decoder", endIds: [1], vocabSize: 8, defaults: NO_DEFAULTS });
    expect(createProcessors(plan, { ...CONTEXT, encoderIds: null })).toEqual([]);
  });

  test("the caller's own run after what steers and before what samples", () => {
    const seen: number[][] = [];
    const spy = (scores: Float32Array, ids: readonly number[]) => {
      seen.push([...scores], [...ids]);
      scores[2] = 9;
    };
    const options = { suppressTokens: [0], processors: [spy], temperature: 0.5, topK: 2, renormalizeLogits: true };
    const [logs] = [process(options, [7, 1, 2, 3], [4, 4])];
    expect(seen).toEqual([
      [NONE, 1, 2, 3],
      [4, 4],
    ]);
    // 9 and 3 are left, at half the temperature 12 apart.
    const rest = Math.log1p(Math.exp(-12));
    expect(logs[2]).toBeCloseTo(-rest, 6);
    expect(logs[3]).toBeCloseTo(-12 - rest, 5);
    expect(logs.slice(0, 2)).toEqual([NONE, NONE]);
  });

  test("the first token of a text that has a forced one is the second", () => {
    const begin = { beginSuppressTokens: [2] };
    const row = [0, 1, 2, 3];
    expect(process(begin, row, [0])).toEqual([0, 1, NONE, 3]);
    expect(process(begin, row, [0, 3])).toEqual(row);
    expect(process({ ...begin, forcedBosTokenId: 3 }, row, [0])).toEqual([NONE, NONE, NONE, 0]);
    expect(process({ ...begin, forcedBosTokenId: 3 }, row, [0, 3])).toEqual([0, 1, NONE, 3]);
    expect(process({ ...begin, forcedBosTokenId: 3 }, row, [0, 3], { promptLength: 2 })).toEqual([0, 1, NONE, 3]);
  });

  test("an end is forced at the last place, one of several where several are named", () => {
    const row = [0, 1, 2, 3];
    expect(process({ forcedEosTokenId: [1, 2] }, row, [0, 0, 0, 0, 0])).toEqual([NONE, 0, 0, NONE]);
    expect(process({ forcedEosTokenId: 1 }, row, [0, 0, 0, 0])).toEqual(row);
  });

  test("lengths count the start token, new tokens do not", () => {
    const row = [0, 1, 2, 3];
    expect(process({ minLength: 3 }, row, [0, 0])).toEqual([0, NONE, 2, 3]);
    expect(process({ minLength: 3 }, row, [0, 0, 0])).toEqual(row);
    expect(process({ minNewTokens: 3 }, row, [0, 0, 0])).toEqual([0, NONE, 2, 3]);
    expect(process({ minNewTokens: 3 }, row, [0, 0, 0, 0])).toEqual(row);
  });

  test("nothing to choose from is an error where tokens are drawn", () => {
    expect(() => process({ topK: 2, suppressTokens: [0, 1] }, [1, 2], [0])).toThrow(/every logit is -Infinity/);
  });
});

describe("prefixAllowedTokens", () => {
  test("is asked with all ids and the prompt's index", () => {
    const allowed = vi.fn(() => [2, 0, 2]);
    expect(process({ prefixAllowedTokens: allowed }, [5, 1, 2, 3], [4, 4])).toEqual([5, NONE, 2, NONE]);
    expect(allowed).toHaveBeenCalledExactlyOnceWith([4, 4], 3);
  });

  test("where nothing allowed is possible, all of it is, for one text; a beam ends", () => {
    const options = { prefixAllowedTokens: () => [1], minLength: 5 };
    expect(process(options, [5, 1, 2], [0])).toEqual([NONE, 0, NONE]);
    expect(process({ ...options, numBeams: 2 }, [5, 1, 2], [0])).toEqual([NONE, NONE, NONE]);
  });

  test.each([
    [[], RangeError, /at least one id after \[7\] \(prompt 0\)/],
    [[8], RangeError, /prefixAllowedTokens\(\)\[0\]: expected an integer from 0 to 3, got 8/],
    ["1", TypeError, /expected an array of ids, got 1/],
  ] as const)("gives %o", (ids, error, message) => {
    const call = () => prefixConstraint(() => ids as unknown as number[], 0, true)(new Float32Array(4), [7]);
    expect(call).toThrow(message);
    expect(call).toThrow(error);
  });
});

// HammingDiversityLogitsProcessor of transformers 4.57 with 6 beams in 3 groups and a penalty of 0.5, on tokens 4 1 1 4
test("groups of beams are kept apart", () => {
  const row = [-0.487, -0.604, -0.558, 0.668, -0.197, 1.943];
  for (const [chosen, expected] of [
    [
      [4, 1, 1, 4],
      [-0.487, -1.604, -0.558, 0.668, -1.197, 1.943],
    ],
    [
      [4, 1],
      [-0.487, -1.104, -0.558, 0.668, -0.697, 1.943],
    ],
    [[], row],
  ]) {
    const scores = Float32Array.from(row);
    penalizeChosen(scores, chosen, 0.5);
    expected.forEach((value, id) => {
      expect(scores[id]).toBeCloseTo(value, 6);
    });
  }
});

describe("edges", () => {
  test("ids that no score belongs to are passed over", () => {
    const scores = Float32Array.from([1, -1]);
    repetitionPenalty(2)(scores, [0, 7, 1, 0]);
    expect([...scores]).toEqual([0.5, -2]);
  });

  test("a decay that overflows is Infinity, and leaves 0 and -Infinity alone", () => {
    const scores = Float32Array.from([0, -3, NONE]);
    exponentialDecayLengthPenalty([0, 10], 1, [0, 1, 2])(scores, new Array(1000).fill(0));
    expect([...scores]).toEqual([0, Number.POSITIVE_INFINITY, NONE]);
  });

  test("a row without hope stays as it is", () => {
    const scores = Float32Array.from([NONE, NONE]);
    normalizeLogits(scores);
    expect([...scores]).toEqual([NONE, NONE]);
  });

  test("an infinite score takes all", () => {
    const infinite = () => Float32Array.from([1, Number.POSITIVE_INFINITY, 2]);
    for (const keep of [keepTopP, keepMinP, keepTypical, keepEta]) {
      const scores = infinite();
      keep(scores, 0.5);
      expect([...scores]).toEqual([NONE, Number.POSITIVE_INFINITY, NONE]);
    }
    const scores = infinite();
    normalizeLogits(scores);
    expect([...scores]).toEqual([NONE, 0, NONE]);
  });

  test("NaN is never hidden by a filter", () => {
    const scores = Float32Array.from([1, Number.NaN, 2]);
    keepTopK(scores, 1);
    expect(scores[1]).toBeNaN();
  });

  test("rows of guidance are of one length", () => {
    expect(() => applyGuidance(new Float32Array(3), new Float32Array(2), 2)).toThrow(/expected 3 scores, got 2/);
  });

  test("a watermark waits for the tokens that it looks at", () => {
    const mark = { greenlistRatio: 0.5, bias: 2, hashingKey: 7, seedingScheme: "lefthash", contextWidth: 2 } as const;
    const scores = new Float32Array(8);
    watermark(mark)(scores, [3]);
    expect(scores.every((score) => score === 0)).toBe(true);
    watermark(mark)(scores, [3, 4]);
    expect(scores.filter((score) => score === 2)).toHaveLength(4);
  });
});

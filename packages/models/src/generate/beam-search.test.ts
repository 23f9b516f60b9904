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
  const allBut = (scores: Float32Array, id: number, score = 0) =>
    scores.fill(Number.NEGATIVE_INFINITY).fill(score, id, id + 1);
  if (c.noRepeatNgramSize > 0)
    processors.push((scores, ids) => forbidRepeatedNgrams(scores, ids, c.noRepeatNgramSize));
  processors.push((scores, ids) => {
    const length = ids.length - c.prompt.length;
    if (length < c.minNewTokens) for (const id of c.endIds) scores[id] = Number.NEGATIVE_INFINITY;
    if (c.forcedEnd && length === c.maxNewTokens - 1) allBut(scores, c.endIds[0]);
    if (c.forcedFirst !== null && length === 0) allBut(scores, c.forcedFirst, scores[c.forcedFirst]);
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

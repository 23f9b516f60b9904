/** Bit for bit: a prompt at once, token by token, and cut anywhere; alone and in a batch. */

import type { Decoder } from "@qkv/models";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fixture, repository } from "../support/fixtures";
import { load } from "../support/load";

const MODELS = {
  "GQA, 5 layers": repository("packages/cli/models/stories260K"),
  MQA: fixture("goldens/tiny/llama-mqa"),
  "biases, tied": fixture("goldens/tiny/llama-bias"),
  "llama3 rope": fixture("goldens/tiny/llama-llama3"),
  "yarn rope": fixture("goldens/tiny/llama-yarn"),
};

/** Longer than two chunks of the model's own, so that those are cut across too. */
const LENGTH = 150;

describe.each(Object.entries(MODELS))("%s", (_, path) => {
  let model: Decoder;
  let ids: number[];
  beforeAll(async () => {
    model = await load(path);
    ids = Array.from({ length: LENGTH }, (_, i) => 3 + ((i * i * 7 + i) % (model.vocabSize - 3)));
  });
  afterAll(() => model.dispose());

  /** Logits of every position, passed in pieces of these lengths. */
  function inPieces(lengths: readonly number[]): Float32Array {
    const cache = model.createCache();
    const out = new Float32Array(LENGTH * model.vocabSize);
    let at = 0;
    for (const length of lengths) {
      out.set(model.run(ids.slice(at, at + length), { cache }).logits.data, at * model.vocabSize);
      at += length;
    }
    expect(at).toBe(LENGTH);
    expect(cache.length).toBe(LENGTH);
    model.releaseCache(cache);
    return out;
  }

  test("prefill(n) = n steps", () => {
    const whole = model.run(ids).logits.data;
    expect(inPieces(ids.map(() => 1))).toEqual(whole);
  });

  test("prefill(n) = any chunks", () => {
    const whole = model.run(ids).logits.data;
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: LENGTH - 1 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(cuts, (positions) => {
        const ends = [...positions.sort((a, b) => a - b), LENGTH];
        expect(inPieces(ends.map((end, i) => end - (i === 0 ? 0 : ends[i - 1])))).toEqual(whole);
      }),
      { seed: 7, numRuns: 8 },
    );
  });

  test("a batch of unequal lengths = each alone, at every tap", () => {
    const lengths = [1, 70, 3, 130, 64];
    const sequences = lengths.map((length, b) => ids.slice(b, b + length));
    const batch = model.runBatch(sequences, { capture: ["*"] });
    for (const [b, sequence] of sequences.entries()) {
      const alone = model.run(sequence, { capture: ["*"] });
      expect(batch[b].logits.shape).toEqual([sequence.length, model.vocabSize]);
      expect(batch[b].logits.data).toEqual(alone.logits.data);
      expect(Object.keys(batch[b].captured)).toEqual([...model.taps]);
      for (const tap of model.taps) expect(batch[b].captured[tap]).toEqual(alone.captured[tap]);
    }
  });

  test("what is captured does not depend on the cut, and capturing changes nothing", () => {
    const plain = model.run(ids).logits.data;
    const { logits, captured } = model.run(ids, { capture: ["layers.*.output", "logits"], logitsToKeep: 2 });
    expect(captured.logits.data).toEqual(plain);
    expect(logits.shape).toEqual([2, model.vocabSize]);
    expect(logits.data).toEqual(plain.subarray(plain.length - 2 * model.vocabSize));
    const cache = model.createCache();
    model.run(ids.slice(0, 100), { cache });
    const rest = model.run(ids.slice(100), { cache, capture: ["layers.1.output", "layers.1.attention.probs"] });
    model.releaseCache(cache);
    const width = captured["layers.1.output"].shape[1];
    expect(rest.captured["layers.1.output"].data).toEqual(captured["layers.1.output"].data.subarray(100 * width));
    const [heads, queries, keys] = rest.captured["layers.1.attention.probs"].shape;
    expect([queries, keys]).toEqual([50, LENGTH]);
    for (let row = 0; row < heads * queries; row++) {
      const weights = rest.captured["layers.1.attention.probs"].data.subarray(row * keys, (row + 1) * keys);
      expect(weights.reduce((sum, w) => sum + w, 0)).toBeCloseTo(1, 5);
      expect(weights.subarray(101 + (row % queries)).every((w) => w === 0)).toBe(true);
    }
  });
});

test("dynamic scaling is the documented exception: beyond its length, a pass in chunks is another computation", async () => {
  await using model = await load(fixture("goldens/tiny/llama-dynamic"));
  const ids = Array.from({ length: 100 }, (_, i) => 5 + (i % 90));
  const cache = model.createCache();
  model.run(ids.slice(0, 50), { cache });
  const second = model.run(ids.slice(50), { cache, logitsToKeep: 1 });
  expect(second.logits.data).not.toEqual(model.run(ids, { logitsToKeep: 1 }).logits.data);
  model.releaseCache(cache);
  // Within the trained length (64) the table is one and the same.
  const short = model.createCache();
  model.run(ids.slice(0, 30), { cache: short });
  const rest = model.run(ids.slice(30, 60), { cache: short, logitsToKeep: 1 });
  expect(rest.logits.data).toEqual(model.run(ids.slice(0, 60), { logitsToKeep: 1 }).logits.data);
});

/** Who may use what for how long: encoded sources, caches and rows of logits, while something else goes on. */

import type { EncodedSource, Generation, LogitsProcessor, Seq2Seq } from "@qkv/models";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fixture } from "../support/fixtures";
import { load, loadSeq2Seq } from "../support/load";

const GREEDY = { maxNewTokens: 12, stopIds: [] } as const;
const SOURCE = [8, 25, 26, 22, 34];
const OTHER = [9, 3, 31, 7, 7, 12, 30];

/** The first tokens of a generation that goes on. */
async function begin(generation: Generation, tokens: number) {
  const iterator = generation[Symbol.asyncIterator]();
  const ids: number[] = [];
  for (let i = 0; i < tokens; i++) ids.push((await iterator.next()).value?.id as number);
  return { ids, iterator };
}

async function rest(started: Awaited<ReturnType<typeof begin>>): Promise<number[]> {
  const ids = [...started.ids];
  for await (const { id } of { [Symbol.asyncIterator]: () => started.iterator }) ids.push(id);
  return ids;
}

describe("encoder-decoders", () => {
  let model: Seq2Seq;
  beforeEach(async () => {
    model = await loadSeq2Seq(fixture("goldens/seq2seq/t5-beams"));
  });
  afterEach(() => model.dispose());

  test("a source may be disposed as soon as a generation has begun", async () => {
    const expected = await model.generate(SOURCE, GREEDY).result();
    const encoded = await model.encode(SOURCE);
    const result = model.generate(encoded, GREEDY).result();
    encoded.dispose();
    expect(await result).toEqual(expected);
    expect(() => model.generate(encoded, GREEDY)).toThrow("this encoded source was disposed");
  });

  test("so may those of a batch, of which some wait for their turn; and all memory comes back", async () => {
    const sources = Array.from({ length: 40 }, (_, i) => [...SOURCE, i]);
    const expected = await model.generateBatch(sources, GREEDY);
    const round = async () => {
      const encoded = await model.encodeBatch(sources);
      const results = model.generateBatch(encoded, GREEDY);
      for (const each of encoded) each.dispose();
      expect((await results).map(({ ids }) => ids)).toEqual(expected.map(({ ids }) => ids));
    };
    await round();
    const before = model.memory();
    for (let i = 0; i < 4; i++) await round();
    expect(model.memory()).toEqual(before);
  });

  test("what run gives of an encoded source is a copy", async () => {
    const encoded: EncodedSource = await model.encode(SOURCE);
    const { encoderHidden } = model.run(encoded, [0]);
    encoderHidden.data.fill(0);
    expect(encoded.hidden.data.some((x) => x !== 0)).toBe(true);
    expect(model.run(encoded, [0]).encoderHidden.data).toEqual(encoded.hidden.data);
    encoded.dispose();
  });

  test("a batch of run is encoded in parts: buffers are those of a few texts", () => {
    const inputs = (count: number) =>
      Array.from({ length: count }, () => ({ source: Array<number>(500).fill(5), decoderIds: [0] }));
    model.runBatch(inputs(2));
    const few = model.memory().scratch;
    model.runBatch(inputs(30));
    expect(model.memory().scratch).toBe(few);
  });

  test("a processor may run the model: its scores stay its own", async () => {
    const expected = await model.generate(SOURCE, GREEDY).result();
    const calls: number[] = [];
    const processor: LogitsProcessor = (scores, ids) => {
      model.run(Array<number>(400 * ids.length).fill(5), [0]); // the memory grows
      calls.push(scores.length);
    };
    const got = await model.generate(SOURCE, { ...GREEDY, maxNewTokens: 6, processors: [processor] }).result();
    expect(got.ids).toEqual(expected.ids.slice(0, 6));
    expect(new Set(calls)).toEqual(new Set([model.vocabSize]));
  });

  test("a model that is disposed under a generation says so", async () => {
    const started = await begin(model.generate(SOURCE, { maxNewTokens: 400, stopIds: [] }), 2);
    model.dispose();
    await expect(rest(started)).rejects.toThrow(/disposed/);
  });

  test("holes in a batch are no sources", async () => {
    // biome-ignore lint/suspicious/noSparseArray: what a caller may do
    const sparse = [, SOURCE] as unknown as number[][];
    await expect(model.generateBatch(sparse)).rejects.toThrow("sources[0]: expected a text, an array of token ids");
    await expect(model.encodeBatch(sparse)).rejects.toThrow("sources[0]: expected a text, an array of token ids");
    await expect(model.encode(SOURCE, { signal: 5 as unknown as AbortSignal })).rejects.toThrow(
      "signal: expected an AbortSignal",
    );
  });

  test("the last seed is one of its own, and the one after it the first", async () => {
    const drawn = { ...GREEDY, temperature: 4 };
    const last = await model.generate(SOURCE, { ...drawn, seed: 2 ** 53 - 1, numReturnSequences: 2 }).result();
    const first = await model.generate(SOURCE, { ...drawn, seed: 0 }).result();
    expect(last.sequences[0].ids).not.toEqual(first.ids);
    expect(last.sequences[1].ids).toEqual(first.ids);
  });

  test("several sequences of no tokens are several", async () => {
    const { sequences } = await model.generate(SOURCE, { seed: 1, numReturnSequences: 3, maxNewTokens: 0 }).result();
    expect(sequences).toHaveLength(3);
  });
});

test.each(["llama-gqa"])("a cache that was given back is the model's: %s", async (name) => {
  await using model = await load(fixture(`goldens/tiny/${name}`));
  const expected = await model.generate(OTHER, GREEDY).result();
  const cache = model.createCache();
  model.releaseCache(cache);
  const started = await begin(model.generate(OTHER, GREEDY), 3); // which may have the same
  expect(() => model.run([9, 9], { cache })).toThrow("cache: expected one from this model's createCache");
  expect(() => model.releaseCache(cache)).toThrow(TypeError);
  expect(await rest(started)).toEqual(expected.ids);
});

describe("a vector for each position, and no more", () => {
  test("as many new tokens as there are positions; the caller may not ask for more, files may", async () => {
    await using model = await loadSeq2Seq(fixture("goldens/seq2seq/mbart-plain"));
    const end = model.contextLength;
    const { ids, finishReason } = await model
      .generate([3, 4, 5], { maxNewTokens: end, stopIds: [], forcedEosTokenId: null, decoderStartTokenId: 2 })
      .result();
    expect([ids.length, finishReason]).toEqual([end, "length"]);
    const more = { stopIds: [], decoderStartTokenId: 2 };
    expect(() => model.generate([3, 4, 5], { ...more, maxNewTokens: end + 1 })).toThrow(
      /^maxNewTokens: expected an integer/,
    );
    expect(() => model.generate([3, 4, 5], { ...more, maxLength: end + 2 })).toThrow(/^maxLength: expected an integer/);
  });
});

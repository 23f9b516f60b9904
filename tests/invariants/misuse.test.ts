/** Misuse and failures in the middle of things: they throw, and what comes after is as if they had not been. */

import { KvCache, OutOfMemoryError } from "@qkv/core";
import type { Decoder, FileSource } from "@qkv/models";
import { Tokenizer } from "@qkv/tokenize";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { repository } from "../support/fixtures";
import { load } from "../support/load";
import { json, parsed, readFolder, sourceOf } from "../support/sources";

const PATH = repository("packages/cli/models/stories260K");
const FILES = readFolder(PATH);
const IDS = [1, 403, 407, 261, 378];

let model: Decoder;
let logits: Float32Array;
beforeAll(async () => {
  model = await load(PATH);
  logits = model.run(IDS).logits.data;
});
afterAll(() => model.dispose());

describe("caches", () => {
  test("only this model's own, and only between createCache and releaseCache", async () => {
    const foreign = new KvCache({ layers: 5, kvHeads: 4, headDim: 8, capacity: 64 });
    await using other = await load(PATH);
    const released = model.createCache();
    model.releaseCache(released);
    for (const cache of [foreign, other.createCache(), released, null, {}]) {
      expect(() => model.run(IDS, { cache: cache as KvCache })).toThrow(/^cache: expected one from this model/);
      expect(() => model.releaseCache(cache as KvCache)).toThrow(TypeError);
    }
    expect(model.run(IDS).logits.data).toEqual(logits);
  });

  test("a pass that fails leaves the cache as it was", () => {
    const cache = model.createCache();
    model.run([1, 403], { cache });
    const long = Array.from({ length: 200 }, (_, i) => 3 + i);
    expect(() => model.run([...long, 512], { cache })).toThrow(/ids\[200\]/);
    expect(() => model.run(long, { cache, capture: ["nothing"] })).toThrow(/nothing is called/);
    // In the second chunk of four: the first has been counted by then.
    const advance = cache.advance.bind(cache);
    let chunks = 0;
    cache.advance = (rows) => {
      if (++chunks === 2) throw new Error("in the middle");
      advance(rows);
    };
    expect(() => model.run(long, { cache })).toThrow("in the middle");
    cache.advance = advance;
    expect(cache.length).toBe(2);
    expect(model.run([407, 261, 378], { cache }).logits.data).toEqual(logits.slice(2 * model.vocabSize));
    model.releaseCache(cache);
  });

  test("a batch takes what its texts need, and out of memory is not for ever", async () => {
    await using large = await load(PATH, { contextLength: 1_500_000 });
    const before = large.memory();
    large.runBatch(Array.from({ length: 50 }, () => [1, 2, 3]));
    const position = 5 * 2 * 4 * 8 * 4; // bytes: layers, keys and values, heads, width, float32
    expect(large.memory().cache - before.cache).toBe(49 * 32 * position);
    const first = large.createCache(); // 1.92 GB that are laid out and never touched
    const second = large.createCache();
    const held = large.memory();
    expect(() => large.createCache()).toThrow(OutOfMemoryError);
    expect(large.memory()).toEqual(held);
    expect(large.run(IDS).logits.data).toEqual(logits);
    large.releaseCache(first);
    large.releaseCache(second);
  });

  test("maxNewTokens is a limit, not a reservation", async () => {
    const before = model.memory().cache;
    const { ids } = await model.generate(IDS, { maxNewTokens: 4_000_000, stopIds: [426] }).result();
    expect(ids.at(-1)).toBe(426);
    expect(model.memory().cache).toBe(before);
    expect(() => model.generate(IDS, { maxNewTokens: 5_000_000 })).toThrow(/^maxNewTokens: expected an integer/);
  });

  test("a generation that outgrows its first room goes on as if it had had it all", async () => {
    await using small = await load(PATH, { contextLength: 300 });
    const whole = await small.generate(IDS, { maxNewTokens: 600, stopIds: [] }).result();
    // At once: the same ids, each predicted from those before it.
    await using big = await load(PATH, { contextLength: 700 });
    const { data } = big.run([...IDS, ...whole.ids]).logits;
    const predicted = whole.ids.map((_, i) => {
      const row = data.subarray((IDS.length - 1 + i) * 512, (IDS.length + i) * 512);
      return row.indexOf(Math.max(...row));
    });
    expect(predicted).toEqual(whole.ids);
  });
});

describe("ids", () => {
  test("typed arrays are ids too", async () => {
    expect(model.run(Int32Array.from(IDS)).logits.data).toEqual(logits);
    expect(model.runBatch([Uint16Array.from(IDS)])[0].logits.data).toEqual(logits);
    expect(model.loss(Int32Array.from(IDS)).loss).toBe(model.loss(IDS).loss);
    const one = await model.generate(Int32Array.from(IDS), { maxNewTokens: 5 }).result();
    expect(one).toEqual(await model.generate(IDS, { maxNewTokens: 5 }).result());
  });

  test.each([undefined, null, 5, {}, "abc", [["1"]], [1n], [undefined]] as unknown[])("%o is none", (ids) => {
    expect(() => model.run(ids as number[])).toThrow(/ids/);
    expect(() => model.loss(ids as number[])).toThrow(/ids/);
    if (typeof ids !== "string") expect(() => model.generate(ids as number[])).toThrow(/prompt/);
  });

  test("the caller's array is read once", async () => {
    const ids = [...IDS];
    const stop = ["zzz"];
    const generation = model.generate(ids, { maxNewTokens: 10, stop });
    ids.length = 0;
    stop.length = 0;
    expect((await generation.result()).ids).toEqual((await model.generate(IDS, { maxNewTokens: 10 }).result()).ids);
  });

  test("an embedding with more rows than the vocabulary: those ids have no text, and nothing breaks", async () => {
    const vocabulary = parsed(FILES["tokenizer.json"]) as {
      model: { vocab: Record<string, number>; merges: unknown[] };
    };
    const entries = Object.entries(vocabulary.model.vocab).filter(([, id]) => id < 400);
    vocabulary.model.vocab = Object.fromEntries(entries);
    vocabulary.model.merges = [];
    const tokenizer = Tokenizer.fromTokenizerJson(vocabulary);
    await using padded = await load(PATH, { tokenizer });
    const { ids, text } = await padded.generate(IDS, { maxNewTokens: 12 }).result();
    expect(ids).toEqual((await model.generate(IDS, { maxNewTokens: 12 }).result()).ids);
    const known = [...IDS, ...ids].filter((id) => id < 400);
    const prompt = tokenizer.decode(IDS.filter((id) => id < 400));
    expect(prompt + text).toBe(tokenizer.decode(known));
  });
});

describe("a generation's two faces", () => {
  test("result beside a loop waits for it, and takes nothing from it", async () => {
    const generation = model.generate(IDS, { maxNewTokens: 10 });
    const ids: number[] = [];
    const result = (async () => {
      await Promise.resolve();
      return generation.result();
    })();
    for await (const { id } of generation) ids.push(id);
    expect((await result).ids).toEqual(ids);
    expect(ids.length).toBe(10);
    expect(await generation.result()).toBe(await generation.result());
  });

  test("a second loop is an error, also after result", async () => {
    const generation = model.generate(IDS, { maxNewTokens: 3 });
    await generation.result();
    expect(() => generation[Symbol.asyncIterator]()).toThrow(/once/);
  });

  test("result after an abort gives the reason, every time", async () => {
    const reason = new Error("enough");
    const controller = new AbortController();
    const generation = model.generate(IDS, { signal: controller.signal });
    await expect(async () => {
      for await (const _ of generation) controller.abort(reason);
    }).rejects.toBe(reason);
    await expect(generation.result()).rejects.toBe(reason);
    await expect(generation.result()).rejects.toBe(reason);
  });

  test("the iterator is iterable itself, and ends by return and throw with nothing held", async () => {
    const before = model.memory();
    for (let i = 0; i < 3; i++) {
      const iterator = model.generate(IDS, { maxNewTokens: 50 })[Symbol.asyncIterator]();
      expect(iterator[Symbol.asyncIterator]()).toBe(iterator);
      await iterator.next();
      expect(await iterator.return?.()).toEqual({ done: true, value: undefined });
      const thrown = model.generate(IDS, { maxNewTokens: 50 })[Symbol.asyncIterator]();
      await thrown.next();
      await expect(thrown.throw?.(new Error("mine"))).rejects.toThrow("mine");
    }
    expect(model.memory()).toEqual(before);
  });
});

test("the smallest temperatures are greedy, not noise", async () => {
  const greedy = await model.generate(IDS, { maxNewTokens: 8 }).result();
  for (const temperature of [1e-3, 1e-38, 1e-45]) {
    expect((await model.generate(IDS, { maxNewTokens: 8, temperature, seed: 1 }).result()).ids).toEqual(greedy.ids);
  }
});

describe("loading", () => {
  test("is called off in the middle of a header that never comes", async () => {
    const source = sourceOf(FILES);
    const stuck: FileSource = {
      ...source,
      read: (path, start, end) =>
        path.endsWith(".safetensors") ? new Promise(() => {}) : source.read(path, start, end),
    };
    const controller = new AbortController();
    const loading = load(stuck, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 10);
    await expect(loading).rejects.toThrow("enough");
  });

  test("a source that fails to close has given its model all the same", async () => {
    const source: FileSource = { ...sourceOf(FILES), close: () => Promise.reject(new Error("stuck")) };
    await using loaded = await load(source);
    expect(loaded.run(IDS).logits.data).toEqual(logits);
  });

  test("what ends a text: generation_config.json, config.json, transformers' default; null is none", async () => {
    const { "generation_config.json": _, ...files } = FILES;
    const { eos_token_id: __, ...config } = parsed(FILES["config.json"]);
    const endIds = async (changes: object, generation?: object) => {
      const changed = { ...files, "config.json": json({ ...config, ...changes }) };
      const source = generation === undefined ? changed : { ...changed, "generation_config.json": json(generation) };
      await using loaded = await load(sourceOf(source));
      return loaded.endIds;
    };
    expect(await endIds({})).toEqual([2]);
    expect(await endIds({ eos_token_id: null })).toEqual([]);
    expect(await endIds({ eos_token_id: [5, 6] })).toEqual([5, 6]);
    expect(await endIds({ eos_token_id: 5 }, { eos_token_id: [7, 8] })).toEqual([7, 8]);
    expect(await endIds({ eos_token_id: 5 }, {})).toEqual([5]);
  });

  test("a tied model whose file has another head uses it, as transformers 5 does", async () => {
    const { writeSafetensors } = await import("@qkv/models");
    const { readExpected } = await import("../support/safetensors");
    const tensors = [...readExpected(`${PATH}/model.safetensors`)].map(([name, tensor]) => ({ name, ...tensor }));
    const [embedding] = tensors.filter(({ name }) => name === "model.embed_tokens.weight");
    const head = {
      name: "lm_head.weight",
      shape: [512, 64],
      data: embedding.data.map((x) => 2 * x),
    };
    await using untied = await load(sourceOf({ ...FILES, "model.safetensors": writeSafetensors([...tensors, head]) }));
    // Twice the weights, and powers of two are exact.
    expect(untied.run(IDS).logits.data).toEqual(logits.map((x) => 2 * x));
  });
});

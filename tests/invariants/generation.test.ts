/** What generation promises: seeds, stopping, cancelling, a live event loop, nothing held afterwards. */

import type { Decoder, GenerateOptions } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { repository } from "../support/fixtures";
import { load } from "../support/load";

let model: Decoder;
beforeAll(async () => {
  model = await load(repository("packages/cli/models/stories260K"));
});
afterAll(() => model.dispose());

const PROMPT = "Once upon a time";

describe("sampling", () => {
  test("a seed gives this text on every machine", async () => {
    const options = { maxNewTokens: 40, temperature: 0.9, topP: 0.9, seed: 7 };
    const first = await model.generate(PROMPT, options).result();
    const second = await model.generate(PROMPT, options).result();
    expect(second).toEqual(first);
    expect(first.seed).toBe(7);
    // Committed ids: another machine, engine or version must draw the same.
    expect(first.ids).toEqual(SEED_7_IDS);
  });

  test("without a seed, one is drawn and reported, and repeats the text", async () => {
    const drawn = await model.generate(PROMPT, { maxNewTokens: 30, temperature: 1.2 }).result();
    expect(Number.isSafeInteger(drawn.seed)).toBe(true);
    const again = await model
      .generate(PROMPT, { maxNewTokens: 30, temperature: 1.2, seed: drawn.seed as number })
      .result();
    expect(again.ids).toEqual(drawn.ids);
    const other = await model.generate(PROMPT, { maxNewTokens: 30, temperature: 1.2, seed: 1 }).result();
    expect(other.ids).not.toEqual(drawn.ids);
  });

  test("topK 1 and a tiny topP are greedy", async () => {
    const greedy = await model.generate(PROMPT, { maxNewTokens: 30 }).result();
    expect(greedy.seed).toBeNull();
    expect((await model.generate(PROMPT, { maxNewTokens: 30, topK: 1 }).result()).ids).toEqual(greedy.ids);
    expect((await model.generate(PROMPT, { maxNewTokens: 30, topP: 1e-9 }).result()).ids).toEqual(greedy.ids);
  });
});

describe("ends", () => {
  test("the tokens' texts add up to the result's", async () => {
    const generation = model.generate(PROMPT, { maxNewTokens: 60 });
    let text = "";
    const ids: number[] = [];
    for await (const token of generation) {
      text += token.text;
      ids.push(token.id);
    }
    const result = await generation.result();
    expect(result).toMatchObject({ text, ids, promptTokens: 5, finishReason: "length" });
    expect(text).toBe(
      ", there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.\nLily".slice(
        0,
        text.length,
      ),
    );
  });

  test("a stop string is cut off, however the tokens fall", async () => {
    const { text, finishReason } = await model
      .generate(PROMPT, { maxNewTokens: 60, stop: ["e park. One", "zzz"] })
      .result();
    expect(text).toBe(", there was a little girl named Lily. She loved to play outside in th");
    expect(finishReason).toBe("stop");
  });

  test("a stop id is among the ids, and ends", async () => {
    const { ids } = await model.generate(PROMPT, { maxNewTokens: 20 }).result();
    const stopped = await model.generate(PROMPT, { maxNewTokens: 20, stopIds: [ids[5]] }).result();
    expect(stopped.ids).toEqual(ids.slice(0, ids.indexOf(ids[5]) + 1));
    expect(stopped.finishReason).toBe("stop");
  });

  test("without maxNewTokens the context ends it; with, it may go on", async () => {
    await using small = await load(repository("packages/cli/models/stories260K"), { contextLength: 16 });
    const full = await small.generate(PROMPT).result();
    expect(full.ids.length).toBe(11);
    expect(full.finishReason).toBe("length");
    expect((await small.generate(PROMPT, { maxNewTokens: 30 }).result()).ids.length).toBe(30);
    expect((await small.generate(PROMPT, { maxNewTokens: 0 }).result()).ids).toEqual([]);
  });
});

describe("running side by side", () => {
  test("generations interleave without touching each other, and a run in between", async () => {
    const alone = await Promise.all(
      [1, 2, 3].map((seed) => model.generate(PROMPT, { maxNewTokens: 25, seed }).result()),
    );
    const logits = model.run([1, 403, 407]).logits.data;
    const generations = [1, 2, 3].map((seed) => model.generate(PROMPT, { maxNewTokens: 25, seed }));
    const iterators = generations.map((generation) => generation[Symbol.asyncIterator]());
    for (let i = 0; i < 25; i++) {
      for (const iterator of iterators) await iterator.next();
      expect(model.run([1, 403, 407]).logits.data).toEqual(logits);
    }
    const together = await Promise.all(generations.map((generation) => generation.result()));
    expect(together.map(({ ids }) => ids)).toEqual(alone.map(({ ids }) => ids));
  });

  test("timers run while a long prompt is read and text is generated", async () => {
    const prompt = Array.from({ length: 450 }, (_, i) => 3 + (i % 500));
    // No clock is read: where timers have no turn, nobody calls off a generation that would take very long.
    const caller = new AbortController();
    let ticks = 0;
    const timer = setInterval(() => ++ticks === 5 && caller.abort(), 0);
    const generation = model.generate(prompt, { maxNewTokens: 200_000, stopIds: [], signal: caller.signal });
    await expect(generation.result()).rejects.toThrow(/aborted/);
    clearInterval(timer);
    expect(ticks).toBeGreaterThanOrEqual(5);
  });
});

describe("cancelling", () => {
  test("an aborted signal throws its reason, before, in the prompt, and between tokens", async () => {
    const reason = new Error("enough");
    await expect(model.generate(PROMPT, { signal: AbortSignal.abort(reason) }).result()).rejects.toBe(reason);

    const inPrompt = new AbortController();
    const prompt = Array.from({ length: 500 }, (_, i) => 3 + (i % 500));
    const started = model.generate(prompt, { maxNewTokens: 5, signal: inPrompt.signal }).result();
    setTimeout(() => inPrompt.abort(reason), 5);
    await expect(started).rejects.toBe(reason);

    const inText = new AbortController();
    const ids: number[] = [];
    await expect(async () => {
      for await (const { id } of model.generate(PROMPT, { signal: inText.signal })) {
        if (ids.push(id) === 3) inText.abort(reason);
      }
    }).rejects.toBe(reason);
    expect(ids.length).toBe(3);
  });

  test("whatever way a generation ends, its memory is used again", async () => {
    const before = model.memory();
    for (let i = 0; i < 5; i++) {
      for await (const _ of model.generate(PROMPT, { maxNewTokens: 50 })) break;
      await model
        .generate(PROMPT, { signal: AbortSignal.abort() })
        .result()
        .catch(() => {});
      await model.generate(PROMPT, { maxNewTokens: 3 }).result();
    }
    expect(model.memory()).toEqual(before);
  });

  test("long generations of many lengths share caches", async () => {
    await using small = await load(repository("packages/cli/models/stories260K"), { contextLength: 16 });
    const cacheBytes = 5 * 2 * 4 * 8 * 4; // a position: layers, keys and values, heads, width, float32
    for (let n = 20; n < 60; n++)
      await small.generate(PROMPT, { maxNewTokens: n, signal: AbortSignal.timeout(60_000) }).result();
    // The first cache, of 16 positions, and one each of 32 and 64.
    expect(small.memory().cache).toBe((16 + 32 + 64) * cacheBytes);
  });

  test("a generation that was left early has no result", async () => {
    const generation = model.generate(PROMPT, { maxNewTokens: 50 });
    for await (const _ of generation) break;
    await expect(generation.result()).rejects.toThrow(/ended before/);
  });

  test("after dispose every use throws", async () => {
    const other = await load(repository("packages/cli/models/stories260K"));
    const running = other.generate(PROMPT, { maxNewTokens: 50 })[Symbol.asyncIterator]();
    await running.next();
    other.dispose();
    expect(() => other.run([1])).toThrow(/disposed/);
    expect(() => other.generate(PROMPT)).toThrow(/disposed/);
    await expect(running.next()).rejects.toThrow(/disposed/);
  });
});

describe("wrong arguments throw before any work", () => {
  const wrong: [name: string, options: GenerateOptions | Record<string, unknown>, message: RegExp][] = [
    ["an unknown option", { maxTokens: 3 }, /unknown option "maxTokens"/],
    ["a NaN temperature", { temperature: Number.NaN }, /temperature/],
    ["a negative temperature", { temperature: -1 }, /temperature/],
    ["topK 0", { topK: 0 }, /topK/],
    ["topK 1.5", { topK: 1.5 }, /topK/],
    ["topP 0", { topP: 0 }, /topP/],
    ["topP above 1", { topP: 1.1 }, /topP/],
    ["a negative seed", { seed: -1 }, /seed/],
    ["a seed that greedy decoding would ignore", { temperature: 0, seed: 3 }, /seed does nothing/],
    ["a topK that greedy decoding would ignore", { temperature: 0, topK: 3 }, /topK does nothing/],
    ["maxNewTokens -1", { maxNewTokens: -1 }, /maxNewTokens/],
    ["a stop id outside of the vocabulary", { stopIds: [512] }, /stopIds\[0\]/],
    ["an empty stop string", { stop: [""] }, /stop/],
    ["a stop string alone", { stop: "x" }, /stop/],
    ["no signal", { signal: {} }, /signal/],
    ["n-grams of size 0", { noRepeatNgramSize: 0 }, /noRepeatNgramSize/],
  ];
  test.each(wrong)("%s", (_, options, message) => {
    expect(() => model.generate(PROMPT, options as GenerateOptions)).toThrow(message);
  });

  test.each([
    ["an empty text", "", /prompt/],
    ["no ids", [], /prompt/],
    ["an id outside of the vocabulary", [1, 512], /prompt\[1\]/],
    ["a negative id", [-1], /prompt\[0\]/],
    ["a fractional id", [1.5], /prompt\[0\]/],
    ["more ids than the context", new Array(513).fill(5), /513 tokens do not fit the context of 512/],
  ] as [string, string | number[], RegExp][])("%s as a prompt", (_, prompt, message) => {
    expect(() => model.generate(prompt)).toThrow(message);
    if (typeof prompt !== "string") expect(() => model.run(prompt)).toThrow(RangeError);
  });

  test.each([
    [{ capture: ["layers.9.output"] }, /nothing is called "layers.9.output"; there are embeddings, layers.\{i\}/],
    [{ capture: "logits" }, /capture/],
    [{ logitsToKeep: -1 }, /logitsToKeep/],
    [{ keep: 1 }, /unknown option "keep"/],
  ])("run with %o", (options, message) => {
    expect(() => model.run([1], options as object)).toThrow(message);
  });

  test("a batch of nothing, or with an empty sequence", () => {
    expect(() => model.runBatch([])).toThrow(/at least one/);
    expect(() => model.runBatch([[1], []])).toThrow(/sequences\[1\]/);
  });

  test.each([
    [{ contextLength: 0 }, /contextLength/],
    [{ dtype: "q5" }, /dtype: expected one of auto, f32, q8, q4, got q5/],
    [{ dtypes: "q4" }, /unknown option "dtypes"/],
    [{ threads: 0 }, /threads/],
    [{ threads: "many" }, /threads/],
    [{ turbo: "yes" }, /turbo: expected true or false/],
    [{ kernels: "webgpu" }, /kernels: expected "wasm" or "reference"/],
    [{ activations: "int4" }, /activations: expected "f32" or "int8"/],
    [{ kernels: "reference", turbo: true }, /turbo: the reference kernels/],
    [{ kernels: "reference", threads: 2 }, /threads: the reference kernels/],
    [{ onProgress: 3 }, /onProgress/],
  ])("load with %o", async (options, message) => {
    await expect(load(repository("packages/cli/models/stories260K"), options as object)).rejects.toThrow(message);
  });
});

test("loading reports progress and can be called off", async () => {
  const seen: number[] = [];
  const path = repository("packages/cli/models/stories260K");
  await using _ = await load(path, {
    onProgress: ({ loadedBytes, totalBytes }) => seen.push(loadedBytes / totalBytes),
  });
  expect(seen.at(-1)).toBe(1);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  const controller = new AbortController();
  const loading = load(path, { signal: controller.signal, onProgress: () => controller.abort(new Error("enough")) });
  await expect(loading).rejects.toThrow("enough");
});

const SEED_7_IDS = [
  432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426, 338, 381, 261, 268, 420, 309, 386, 263, 415, 414, 401, 396,
  267, 344, 294, 280, 414, 294, 419, 426, 385, 328, 432, 317, 269, 311, 280, 414, 294,
];

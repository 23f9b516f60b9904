/** What encoder-decoders promise: bits that depend on nothing around them, memory that comes back, errors before work. */

import {
  type EncodedSource,
  type GenerateOptions,
  type LogitsProcessor,
  type Seq2Seq,
  seededRandom,
} from "@qkv/models";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { fixture } from "../support/fixtures";
import { load, loadSeq2Seq, TEST_KERNELS } from "../support/load";

const path = (name: string) => fixture(`goldens/seq2seq/${name}`);

/** One of each way in which positions, norms and heads enter. */
const MODELS = ["t5-beams", "bart-beams", "marian-beams", "umt5-tied", "mbart-plain"];

/** Random numbers, and what tests make of them. */
function randomOf(seed: number) {
  const random = seededRandom(seed);
  const below = (n: number) => Math.floor(random() * n);
  const ids = (length: number, vocabSize: number) => Array.from({ length }, () => below(vocabSize));
  return { below, ids };
}

/** Ways to search; each takes the seed where something is drawn. */
const SEARCHES: Readonly<Record<string, (seed: number) => GenerateOptions>> = {
  greedy: () => ({}),
  "greedy, processed": () => ({ noRepeatNgramSize: 2, encoderNoRepeatNgramSize: 3, repetitionPenalty: 1.3 }),
  sampling: (seed) => ({ seed, temperature: 1.5 }),
  "three samples": (seed) => ({ seed, topK: 12, topP: 0.95, numReturnSequences: 3 }),
  beams: () => ({ numBeams: 3, numReturnSequences: 2 }),
  "beams to the end": () => ({ numBeams: 4, earlyStopping: "never", lengthPenalty: -0.5, noRepeatNgramSize: 3 }),
  groups: () => ({ numBeams: 4, numBeamGroups: 2, diversityPenalty: 0.7, numReturnSequences: 4 }),
};

describe.each(MODELS)("%s", (name) => {
  let model: Seq2Seq;
  let longest: number;
  beforeAll(async () => {
    model = await loadSeq2Seq(path(name));
    longest = Math.min(model.contextLength, 40);
  });
  afterAll(() => model.dispose());

  test("stepwise with a cache = the decoder at once, cut anywhere", async () => {
    const { below, ids } = randomOf(1);
    // T5's positions have no end: past a chunk of the model's own, and past the last bucket
    const most = Math.min(model.contextLength, 150);
    for (let i = 0; i < 12; i++) {
      await using source = await model.encode(ids(1 + below(longest), model.vocabSize));
      const decoderIds = ids(i === 0 ? most : 1 + below(most), model.vocabSize);
      const capture = model.taps.filter((tap) => /^decoder.*(output|final)|logits/.test(tap));
      const whole = model.run(source, decoderIds, { capture });
      const cache = model.createCache();
      for (let at = 0; at < decoderIds.length; ) {
        const end = at + 1 + (i === 1 ? 0 : below(decoderIds.length - at));
        const part = model.run(source, decoderIds.slice(at, end), { cache, capture });
        for (const tap of capture) {
          const { shape, data } = whole.captured[tap];
          expect(part.captured[tap].data).toEqual(data.slice(at * shape[1], end * shape[1]));
        }
        at = end;
      }
      expect(cache.length).toBe(decoderIds.length);
      model.releaseCache(cache);
    }
  });

  test("64 random batches of passes = each alone, at every tap; so are batches of encodings", async () => {
    const { below, ids } = randomOf(2);
    for (let batch = 0; batch < 64; batch++) {
      const inputs = Array.from({ length: 1 + below(6) }, () => ({
        source: ids(1 + below(longest), model.vocabSize),
        decoderIds: ids(1 + below(longest), model.vocabSize),
      }));
      const capture = batch % 4 === 0 ? ["*"] : ["logits"];
      const together = model.runBatch(inputs, { capture });
      const encoded = await model.encodeBatch(inputs.map(({ source }) => source));
      for (const [i, { source, decoderIds }] of inputs.entries()) {
        const alone = model.run(source, decoderIds, { capture });
        expect(together[i]).toEqual(alone);
        expect(alone.logits.data.every(Number.isFinite)).toBe(true);
        expect(encoded[i].hidden).toEqual(alone.encoderHidden);
        expect(model.run(encoded[i], decoderIds).logits).toEqual(alone.logits);
      }
      // some encoded, some not
      const mixed = inputs.map((input, i) => (i % 2 === 0 ? input : { ...input, source: encoded[i] }));
      for (const [i, result] of model.runBatch(mixed).entries()) expect(result.logits).toEqual(together[i].logits);
      for (const each of encoded) each.dispose();
    }
  });

  const BATCHES = 10;
  test.each(Object.entries(SEARCHES))(`${BATCHES} random batches of texts = each alone: %s`, async (_, options) => {
    const { below, ids } = randomOf(3);
    for (let batch = 0; batch < BATCHES; batch++) {
      // Now and then more than share passes
      const size = batch === 0 ? 40 : 1 + below(6);
      const sources = Array.from({ length: size }, () => ids(1 + below(longest), model.vocabSize));
      const maxNewTokens = below(Math.min(20, model.contextLength));
      const all = { ...options(batch), maxNewTokens, scores: true };
      const encoded = await model.encode(sources[0]);
      const together = await model.generateBatch([encoded, ...sources.slice(1)], all);
      encoded.dispose();
      expect(together.length).toBe(size);
      for (const [i, source] of sources.entries()) {
        expect(together[i]).toEqual(await model.generate(source, all).result());
      }
    }
  });

  test("one beam = greedy, ids and scores", async () => {
    const { below, ids } = randomOf(4);
    for (let i = 0; i < 20; i++) {
      const source = ids(1 + below(longest), model.vocabSize);
      const options = { maxNewTokens: 11, scores: true };
      expect(await model.generate(source, { ...options, numBeams: 1 }).result()).toEqual(
        await model.generate(source, { ...options, numBeams: null, temperature: 0 }).result(),
      );
    }
  });

  test.each(["greedy", "beams"])("scores of tokens are what loss says of them: %s", async (search) => {
    const { below, ids } = randomOf(5);
    const { decoderStartTokenId: start, settings } = model.generationDefaults;
    const unset = Object.fromEntries(Object.keys(settings).map((option) => [option, null]));
    for (let i = 0; i < 20; i++) {
      await using source = await model.encode(ids(1 + below(longest), model.vocabSize));
      const options = { ...unset, ...SEARCHES[search](i), maxNewTokens: 10, scores: true };
      const { sequences } = await model.generate(source, options).result();
      for (const { ids, score, tokenScores } of sequences) {
        const { tokenLosses } = model.loss(source, ids, { decoderIds: [start as number, ...ids.slice(0, -1)] });
        const far = Array.from(tokenLosses, (loss, t) => Math.abs(loss + (tokenScores?.[t] as number)));
        expect(Math.max(...far)).toBeLessThan(1e-5);
        const mean = tokenLosses.reduce((sum, loss) => sum - loss, 0) / ids.length;
        expect(Math.abs(mean - (score as number))).toBeLessThan(1e-5);
      }
    }
  });

  test.skipIf(TEST_KERNELS.threads !== 2)("one thread and two give the same bits", async () => {
    await using one = await loadSeq2Seq(path(name), { threads: 1 });
    const { below, ids } = randomOf(6);
    for (let i = 0; i < 10; i++) {
      const source = ids(1 + below(longest), model.vocabSize);
      const decoderIds = ids(1 + below(longest), model.vocabSize);
      expect(model.run(source, decoderIds, { capture: ["*"] })).toEqual(
        one.run(source, decoderIds, { capture: ["*"] }),
      );
      for (const options of Object.values(SEARCHES)) {
        const all = { ...options(i), maxNewTokens: 11, scores: true };
        expect(await model.generate(source, all).result()).toEqual(await one.generate(source, all).result());
      }
    }
  });

  test("a source that was encoded once serves generations at once, and passes in between", async () => {
    const { ids } = randomOf(7);
    const source = ids(longest, model.vocabSize);
    const start = [model.generationDefaults.decoderStartTokenId as number, 3, 4];
    const logits = model.run(source, start).logits.data;
    const plans = Object.values(SEARCHES).map((options, i) => ({ ...options(i), maxNewTokens: 11, scores: true }));
    const alone = await Promise.all(plans.map((plan) => model.generate(source, plan).result()));
    await using encoded = await model.encode(source);
    for (const plan of [...plans.keys()]) {
      expect(await model.generate(encoded, plans[plan]).result()).toEqual(alone[plan]);
    }
    const iterators = [0, 2].map((plan) => model.generate(encoded, plans[plan])[Symbol.asyncIterator]());
    const together = Promise.all(plans.map((plan) => model.generate(encoded, plan).result()));
    const streamed: number[][] = [[], []];
    for (let i = 0; i < 11; i++) {
      for (const [k, iterator] of iterators.entries()) {
        const { value } = await iterator.next();
        if (value !== undefined) streamed[k].push(value.id);
      }
      expect(model.run(encoded, start).logits.data).toEqual(logits);
    }
    expect(await together).toEqual(alone);
    expect(streamed).toEqual([alone[0].ids, alone[2].ids]);
  });
});

describe.each(["bart-untied", "mbart-plain"])("%s has a vector for each of so many positions, and no more", (name) => {
  test("a text ends with them, or the wish for a longer one throws: nothing else is read in their place", async () => {
    await using model = await loadSeq2Seq(path(name));
    const { contextLength } = model;
    for (const search of Object.values(SEARCHES)) {
      const options = { ...search(1), stopIds: [], forcedEosTokenId: null };
      const whole = await model.generate([3, 4, 5], { ...options, maxNewTokens: contextLength - 1 }).result();
      for (const wish of [{ maxNewTokens: contextLength }, { maxNewTokens: 100 }, { maxLength: 100 }]) {
        const generate = async () => model.generate([3, 4, 5], { ...options, ...wish }).result();
        const result = await generate().catch((error) => error);
        if (result instanceof RangeError) continue;
        expect(result.ids.length).toBeLessThanOrEqual(contextLength);
        if (!("numBeams" in options)) expect(result.ids.slice(0, contextLength - 1)).toEqual(whole.ids);
      }
    }
  });

  test("no cache takes more, whatever was generated before", async () => {
    await using model = await loadSeq2Seq(path(name));
    const { contextLength } = model;
    const options = { maxNewTokens: contextLength - 1, numBeams: 4, stopIds: [], forcedEosTokenId: null };
    await model.generateBatch(new Array(8).fill([3, 4, 5]), options); // takes a larger cache, which stays
    const caches = Array.from({ length: 3 }, () => model.createCache());
    for (const cache of caches) {
      model.run([3, 4], new Array(contextLength).fill(3), { cache, logitsToKeep: 0 });
      expect(() => model.run([3, 4], [3], { cache })).toThrow(RangeError);
    }
    for (const cache of caches) model.releaseCache(cache);
  });
});

describe("calling off", () => {
  let model: Seq2Seq;
  let source: number[];
  beforeAll(async () => {
    model = await loadSeq2Seq(path("t5-beams"));
    source = randomOf(8).ids(30, model.vocabSize);
  });
  afterAll(() => model.dispose());
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const REASON = new Error("enough");
  /** Of both kinds: with and without branches of one prompt. */
  const PLANS: Readonly<Record<string, GenerateOptions>> = {
    greedy: { maxNewTokens: 20, stopIds: [] },
    beams: { maxNewTokens: 20, stopIds: [], numBeams: 4 },
    samples: { maxNewTokens: 20, stopIds: [], seed: 5, numReturnSequences: 3 },
  };

  /**
   * A clock by which every layer takes longer than others may wait: work rests, and looks at the signal, after each. Ahead
   * by no more than a second in one turn of the event loop: who waits for a thread asks it often, and would give up.
   */
  function slowClock(): void {
    const real = performance.now.bind(performance);
    let ahead = 0;
    let calls = 0;
    vi.spyOn(performance, "now").mockImplementation(() => {
      if (calls === 0) {
        setImmediate(() => {
          calls = 0;
        });
      }
      calls++;
      if (calls <= 100) ahead += 10;
      return real() + ahead;
    });
  }

  /** Aborts when it is called for the n-th time. */
  function abortingAt(n: number, abort: () => void): LogitsProcessor {
    let calls = 0;
    return () => {
      if (calls++ === n) abort();
    };
  }

  test.each(Object.entries(PLANS))("at every step, 200 times: memory comes back, %s", async (_, plan) => {
    const expected = await model.generate(source, plan).result();
    const before = model.memory();
    for (let i = 0; i < 200; i++) {
      const controller = new AbortController();
      const abort = abortingAt(i % 19, () => controller.abort(REASON));
      const options = { ...plan, processors: [abort], signal: controller.signal };
      const running = i % 2 === 0 ? model.generate(source, options).result() : model.generateBatch([source], options);
      await expect(running).rejects.toBe(REASON);
      expect(model.memory()).toEqual(before);
    }
    expect(await model.generate(source, plan).result()).toEqual(expected);
  });

  test.each(Object.entries(PLANS))("between any two layers: memory comes back, %s", async (_, plan) => {
    slowClock();
    const looks = (left: number) => {
      const throwIfAborted = () => {
        left--;
        if (left < 0) throw REASON;
      };
      return { signal: { throwIfAborted } as unknown as AbortSignal, left: () => left };
    };
    const patient = looks(1_000_000);
    const expected = await model.generate(source, { ...plan, signal: patient.signal }).result();
    const all = 1_000_000 - patient.left();
    expect(all).toBeGreaterThan(2 * 20); // layers of the encoder; for each of 20 tokens, a layer and its end
    const before = model.memory();
    for (let n = 0; n < all; n++) {
      await expect(model.generate(source, { ...plan, signal: looks(n).signal }).result()).rejects.toBe(REASON);
      expect(model.memory()).toEqual(before);
    }
    expect(await model.generate(source, plan).result()).toEqual(expected);
    vi.restoreAllMocks();
    expect(await model.generate(source, plan).result()).toEqual(expected);
  });

  test("generations, batches and encodings that rest after every layer do not touch each other", async () => {
    const { below, ids } = randomOf(11);
    const sources = Array.from({ length: 12 }, () => ids(1 + below(40), model.vocabSize));
    const plans = sources.map((_, i) => ({ ...Object.values(SEARCHES)[i % 7](i), maxNewTokens: 15, scores: true }));
    // Past the distances that were laid out with the weights, while others are under way
    const long = { maxNewTokens: 530, stopIds: [] };
    const works = [
      ...sources.map((source, i) => () => model.generate(source, plans[i]).result()),
      ...[3, 4, 5].map((i) => () => model.generateBatch(sources.slice(i), plans[i])),
      async () => {
        const encoded = await model.encodeBatch(sources);
        for (const each of encoded) each.dispose();
        return encoded.map(({ hidden }) => hidden);
      },
    ];
    const alone: unknown[] = [];
    for (const work of works) alone.push(await work());
    slowClock();
    const aborted = sources.map((source, i) => {
      const controller = new AbortController();
      const processors = [abortingAt(i, () => controller.abort(REASON))];
      return model.generate(source, { ...PLANS.beams, processors, signal: controller.signal }).result();
    });
    const longest = model.generate(source, long).result();
    const together = await Promise.all([...works.map((work) => work()), Promise.allSettled(aborted), longest]);
    expect(together.slice(0, works.length)).toEqual(alone);
    for (const each of await Promise.allSettled(aborted)) expect(each).toEqual({ status: "rejected", reason: REASON });
    vi.restoreAllMocks();
    expect(await longest).toEqual(await model.generate(source, long).result());
  });

  test("encoding, between its layers and before it", async () => {
    slowClock();
    await expect(model.encode(source, { signal: AbortSignal.abort(REASON) })).rejects.toBe(REASON);
    const encodeBoth = async (signal?: AbortSignal) => {
      const both = await model.encodeBatch([source, source.slice(3)], signal === undefined ? {} : { signal });
      for (const each of both) each.dispose();
      return both.map(({ hidden }) => hidden);
    };
    const expected = await encodeBoth();
    const before = model.memory();
    for (let i = 0; i < 20; i++) {
      const controller = new AbortController();
      const encoding = encodeBoth(controller.signal);
      controller.abort(REASON); // it rests after its first layer
      await expect(encoding).rejects.toBe(REASON);
    }
    expect(model.memory()).toEqual(before);
    expect(await encodeBoth()).toEqual(expected);
  });

  test("a loop that is left, and a source that fails", async () => {
    const before = model.memory();
    for (let i = 0; i < 30; i++) {
      for await (const _ of model.generate(source, PLANS.greedy)) break;
      expect(() => model.generate([model.vocabSize])).toThrow(RangeError);
      const fails: LogitsProcessor = abortingAt(i % 7, () => {
        throw REASON;
      });
      await expect(model.generate(source, { ...PLANS.greedy, processors: [fails] }).result()).rejects.toBe(REASON);
    }
    expect(model.memory()).toEqual(before);
  });

  test.each([
    ["greedy", {}],
    ["beams", { numBeams: 4, earlyStopping: "never" as const }],
  ])("timers run while text is generated: %s", async (_, plan) => {
    // No clock is read: where timers have no turn, nobody calls off a generation that would take very long.
    const caller = new AbortController();
    let ticks = 0;
    const timer = setInterval(() => ++ticks === 5 && caller.abort(), 0);
    const options = { ...plan, maxNewTokens: 200_000, stopIds: [], signal: caller.signal };
    await expect(model.generate(source, options).result()).rejects.toThrow(/aborted/);
    clearInterval(timer);
    expect(ticks).toBeGreaterThanOrEqual(5);
  });

  test("timers run while a long source is encoded", async () => {
    await using large = await loadSeq2Seq(path("t5-beams"), { contextLength: 4000 });
    const caller = new AbortController();
    const timer = setInterval(() => caller.abort(REASON), 0);
    const long = randomOf(9).ids(4000, large.vocabSize);
    await expect(large.encode(long, { signal: caller.signal })).rejects.toBe(REASON);
    clearInterval(timer);
  });
});

describe("disposing and misuse", () => {
  let model: Seq2Seq;
  let other: Seq2Seq;
  let encoded: EncodedSource;
  const IDS = [5, 6, 7, 8];
  beforeAll(async () => {
    model = await loadSeq2Seq(path("t5-beams"));
    other = await loadSeq2Seq(path("t5-beams"));
    encoded = await model.encode(IDS);
  });
  afterAll(() => {
    model.dispose();
    other.dispose();
  });

  test("a disposed source throws wherever it is used; disposing twice does nothing", async () => {
    const source = await model.encode(IDS);
    const generation = model.generate(source);
    source.dispose();
    source.dispose();
    const disposed = /this encoded source was disposed/;
    expect(() => model.run(source, [0])).toThrow(disposed);
    expect(() => model.runBatch([{ source, decoderIds: [0] }])).toThrow(disposed);
    expect(() => model.loss(source, [3])).toThrow(disposed);
    expect(() => model.generate(source)).toThrow(disposed);
    await expect(model.generateBatch([source])).rejects.toThrow(disposed);
    await expect(generation.result()).rejects.toThrow(disposed);
    expect(source.hidden.data.length).toBe(IDS.length * model.hiddenSize);
  });

  test("a source that is disposed while a generation reads it does not change its text", async () => {
    const options = { maxNewTokens: 30, stopIds: [] };
    const expected = await model.generate(IDS, options).result();
    const source = await model.encode(IDS);
    const generation = model.generate(source, options);
    const ids: number[] = [];
    const others: EncodedSource[] = [];
    const read = async () => {
      for await (const { id } of generation) {
        ids.push(id);
        if (ids.length !== 3) continue;
        source.dispose();
        // Takes the memory that was given back
        for (let i = 0; i < 4; i++) others.push(await model.encode([30 + i, 20, 10, 9, 8, 7]));
      }
    };
    // Either goes on as if nothing had been, or throws; another text must not come.
    await read().catch((error: Error) => expect(error.message).toMatch(/disposed/));
    expect(ids).toEqual(expected.ids.slice(0, ids.length));
    for (const each of others) each.dispose();
  });

  test("sources of another model", async () => {
    await using foreign = await other.encode(IDS);
    const expected = /: this source was encoded by another model$/;
    expect(() => model.run(foreign, [0])).toThrow(expected);
    expect(() => model.runBatch([{ source: foreign, decoderIds: [0] }])).toThrow(/^inputs\[0\]\.source: this source/);
    expect(() => model.loss(foreign, [3])).toThrow(expected);
    expect(() => model.generate(foreign)).toThrow(TypeError);
    await expect(model.generateBatch([IDS, foreign])).rejects.toThrow(/^sources\[1\]: this source was encoded/);
  });

  test("caches of another model, and released ones", () => {
    const foreign = other.createCache();
    const released = model.createCache();
    model.releaseCache(released);
    for (const cache of [foreign, released]) {
      expect(() => model.run(IDS, [0], { cache })).toThrow(/^cache: expected one from this model/);
      expect(() => model.releaseCache(cache)).toThrow(TypeError);
    }
    other.releaseCache(foreign);
  });

  test("a pass that fails leaves the cache as it was", () => {
    const whole = model.run(encoded, [0, 3, 4]).logits.data;
    const cache = model.createCache();
    model.run(encoded, [0], { cache });
    expect(() => model.run(encoded, [3, model.vocabSize], { cache })).toThrow(RangeError);
    expect(() => model.run(encoded, new Array(cache.capacity).fill(3), { cache })).toThrow(/do not fit/);
    expect(cache.length).toBe(1);
    expect(model.run(encoded, [3, 4], { cache }).logits.data).toEqual(whole.slice(model.vocabSize));
    model.releaseCache(cache);
  });

  test.each<[string, () => unknown, RegExp]>([
    ["an unknown option of run", () => model.run(IDS, [0], { keep: 1 } as object), /unknown option "keep"/],
    [
      "of runBatch",
      () => model.runBatch([{ source: IDS, decoderIds: [0] }], { cache: 1 } as object),
      /unknown option "cache"/,
    ],
    ["of an input", () => model.runBatch([{ source: IDS, decoderIds: [0], x: 1 } as never]), /unknown option "x"/],
    ["of loss", () => model.loss(IDS, [3], { smoothing: 0.1 } as object), /unknown option "smoothing"/],
    ["of generate", () => model.generate(IDS, { beams: 3 } as object), /unknown option "beams"/],
    ["no inputs", () => model.runBatch([]), /at least one/],
    ["an empty source", () => model.generate([]), /^source: expected at least one token, got none/],
    ["an empty text", () => model.run(IDS, []), /^decoderIds: expected at least one/],
    ["an id that is none", () => model.generate([1, 2.5]), /^source\[1\]/],
    ["an id outside of the vocabulary", () => model.run([40], [0]), /^source\[0\]/],
    ["of the decoder", () => model.run(IDS, [0, 40]), /^decoderIds\[1\]/],
    [
      "a start outside of the vocabulary",
      () => model.generate(IDS, { decoderStartTokenId: 40 }),
      /^decoderStartTokenId/,
    ],
    [
      "a source longer than the context",
      () => model.generate(new Array(model.contextLength + 1).fill(3)),
      /tokens do not fit/,
    ],
    ["a text without a tokenizer", () => model.generate("text"), /needs a tokenizer/],
    ["the encoder's taps of an encoded source", () => model.run(encoded, [0], { capture: ["encoder.*"] }), /^capture/],
    ["losses of unequal lengths", () => model.loss(IDS, [3, 4], { decoderIds: [0] }), /^decoderIds: expected 2/],
    ["a seed for beams", () => model.generate(IDS, { numBeams: 2, seed: 3 }), /seed|numBeams/],
    ["groups that do not divide", () => model.generate(IDS, { numBeams: 4, numBeamGroups: 3 }), /numBeamGroups/],
    [
      "more sequences than beams",
      () => model.generate(IDS, { numBeams: 2, numReturnSequences: 3 }),
      /numReturnSequences/,
    ],
    ["several greedy sequences", () => model.generate(IDS, { numReturnSequences: 2 }), /numReturnSequences/],
    ["a length penalty without beams", () => model.generate(IDS, { lengthPenalty: 2 }), /lengthPenalty/],
  ])("%s throws before any work", (_, call, message) => {
    expect(call).toThrow(message);
  });

  test("of encode, and of batches", async () => {
    await expect(model.encode(IDS, { capture: [] } as object)).rejects.toThrow(/unknown option "capture"/);
    await expect(model.encodeBatch([IDS, []])).rejects.toThrow(/^sources\[1\]: expected at least one token/);
    await expect(model.encodeBatch(3 as never)).rejects.toThrow(TypeError);
    await expect(model.generateBatch([IDS, [41]])).rejects.toThrow(/^sources\[1\]\[0\]/);
    expect(await model.generateBatch([])).toEqual([]);
    expect(await model.encodeBatch([])).toEqual([]);
  });

  test("beams and several sequences are not iterated over; a generation is, once", async () => {
    for (const options of [{ numBeams: 2 }, { seed: 1, numReturnSequences: 2 }]) {
      const generation = model.generate(IDS, { ...options, maxNewTokens: 5 });
      expect(() => generation[Symbol.asyncIterator]()).toThrow(/have no tokens before their end/);
      expect((await generation.result()).sequences.length).toBeGreaterThan(0);
    }
    const generation = model.generate(IDS, { maxNewTokens: 5 });
    for await (const _ of generation) {
      // to its end
    }
    expect(() => generation[Symbol.asyncIterator]()).toThrow(/once/);
  });

  test("after dispose every use throws", async () => {
    const gone = await loadSeq2Seq(path("t5-beams"));
    const source = await gone.encode(IDS);
    const running = gone.generate(source, { maxNewTokens: 50, stopIds: [] })[Symbol.asyncIterator]();
    await running.next();
    const beams = gone.generate(source, { numBeams: 3 });
    gone.dispose();
    gone.dispose();
    const disposed = /disposed/;
    expect(() => gone.run(IDS, [0])).toThrow(disposed);
    expect(() => gone.loss(IDS, [3])).toThrow(disposed);
    expect(() => gone.generate(source)).toThrow(disposed);
    expect(() => gone.createCache()).toThrow(disposed);
    expect(() => gone.memory()).toThrow(disposed);
    await expect(gone.encode(IDS)).rejects.toThrow(disposed);
    await expect(gone.generateBatch([IDS])).rejects.toThrow(disposed);
    await expect(running.next()).rejects.toThrow(disposed);
    await expect(beams.result()).rejects.toThrow(disposed);
    source.dispose();
  });
});

describe.each(["llama-gqa", "llama-mqa"])("a decoder, %s", (name) => {
  const { encoderNoRepeatNgramSize: _, ...processed } = SEARCHES["greedy, processed"](0);
  const searches: typeof SEARCHES = { ...SEARCHES, "greedy, processed": () => processed };
  test.each(Object.entries(searches))("10 random batches of texts = each alone: %s", async (_, options) => {
    await using model = await load(fixture(`goldens/tiny/${name}`));
    const { below, ids } = randomOf(10);
    for (let batch = 0; batch < 10; batch++) {
      // Prompts of one and of several chunks
      const prompts = Array.from({ length: batch === 0 ? 35 : 1 + below(6) }, () =>
        ids(1 + below(batch % 3 === 1 ? 150 : 20), model.vocabSize),
      );
      const all = { ...options(batch), maxNewTokens: below(16), scores: true };
      const together = await model.generateBatch(prompts, all);
      for (const [i, prompt] of prompts.entries()) {
        expect(together[i]).toEqual(await model.generate(prompt, all).result());
      }
    }
  });
});

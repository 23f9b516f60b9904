import { describe, expect, test } from "vitest";
import { seededRandom } from "../../generate/random";
import { corruptSpans, randomSpansMask } from "./corrupt-spans";
import type { GenerationTaskHost } from "./host";
import { parseSpans, sentinelsOf } from "./sentinels";
import { recordingHost, tinyTokenizer } from "./testing";

const WORDS = "thank you for inviting me to your party last week the quick brown fox jumps over lazy dog".split(" ");

/** The highest number first, as T5 has them. */
function hostWith(sentinels: number): GenerationTaskHost {
  const more = Array.from({ length: sentinels }, (_, i) => `<extra_id_${sentinels - 1 - i}>`);
  return recordingHost(tinyTokenizer({ special: ["</s>", "<unk>"], words: WORDS, more, after: ["</s>"] }));
}

const HOST = hostWith(100);
const END = 0;

describe("randomSpansMask", () => {
  // 0.15 * 10 = 1.5 and 0.15 * 30 = 4.5 round to even, as in Python.
  test.each([
    [2, 0.15, 3, 1, 1],
    [10, 0.15, 3, 2, 1],
    [30, 0.15, 3, 4, 1],
    [100, 0.15, 3, 15, 5],
    [512, 0.15, 3, 77, 26],
    [100, 0.5, 1, 50, 50],
    [100, 0.9, 1, 90, 10], // as many spans as there are tokens between them
    [100, 0.99, 3, 99, 1],
    [512, 0.5, 64, 256, 4],
  ])("%i tokens, density %f, mean length %i: %i go, in %i spans", (length, density, mean, gone, spans) => {
    for (let seed = 0; seed < 20; seed++) {
      const mask = randomSpansMask(length, density, mean, seededRandom(seed));
      expect(mask.length).toBe(length);
      expect(mask.filter((isNoise) => isNoise).length).toBe(gone);
      expect(mask.filter((isNoise, i) => isNoise && !mask[i - 1]).length).toBe(spans);
      expect([mask[0], mask[length - 1]]).toEqual([false, true]);
    }
  });

  test("every division into spans is as likely as any other", () => {
    // 12 tokens, 6 go, in 3 spans: C(5, 2) = 10 ways for those that go, 10 for those that stay.
    const counts = new Map<string, number>();
    const random = seededRandom(3);
    const draws = 20_000;
    for (let i = 0; i < draws; i++) {
      const key = randomSpansMask(12, 0.5, 2, random)
        .map((isNoise) => (isNoise ? "-" : "x"))
        .join("");
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(100);
    // chi squared with 99 degrees of freedom is below 149 in 999 of 1000 samples; this one is fixed by its seed
    const chi = [...counts.values()].reduce((sum, n) => sum + (n - draws / 100) ** 2 / (draws / 100), 0);
    expect(chi).toBeLessThan(149);
  });
});

describe("corruptSpans", () => {
  const text = "thank you for inviting me to your party last week";

  test("sentinels count from 0, and the end token is behind both halves", () => {
    const { inputIds, targetIds, input, target, seed } = corruptSpans(HOST, text, {
      seed: 7,
      density: 0.4,
      meanSpanLength: 2,
    });
    expect(seed).toBe(7);
    expect([inputIds.at(-1), targetIds.at(-1)]).toEqual([END, END]);
    expect(inputIds.length + targetIds.length).toBe(10 + 2 * 2 + 2);
    expect(input.match(/<extra_id_\d>/g)).toEqual(["<extra_id_0>", "<extra_id_1>"]);
    expect(target.match(/<extra_id_\d>/g)).toEqual(["<extra_id_0>", "<extra_id_1>"]);
    expect(target.startsWith("<extra_id_0>")).toBe(true);
  });

  test("input and target together are the text again, for random texts", () => {
    const random = seededRandom(1);
    const { numbers, ids: marks } = sentinelsOf("test", HOST.tokenizer("test"));
    for (let i = 0; i < 300; i++) {
      const length = 2 + Math.floor(random() * 200);
      const ids = Array.from({ length }, () => 2 + Math.floor(2 * random() * WORDS.length));
      const options = { seed: i, density: 0.05 + 0.6 * random(), meanSpanLength: 1 + 4 * random() };
      if (length * options.density > 90) continue; // more gaps than sentinels
      const { inputIds, targetIds } = corruptSpans(HOST, ids, options);
      const spans = parseSpans(targetIds, { ids: marks, numbers }, (id) => id !== END);
      const joined = inputIds.flatMap((id) => (numbers.has(id) ? (spans.get(numbers.get(id) as number) ?? []) : [id]));
      expect(joined).toEqual([...ids, END]);
    }
  });

  test("the same seed gives the same gaps, another one others", () => {
    const of = (seed: number) => corruptSpans(HOST, text, { seed, density: 0.3, meanSpanLength: 1 }).input;
    expect(of(5)).toBe(of(5));
    expect(new Set(Array.from({ length: 20 }, (_, seed) => of(seed))).size).toBeGreaterThan(3);
    const drawn = corruptSpans(HOST, text, {});
    expect(corruptSpans(HOST, text, { seed: drawn.seed })).toEqual(drawn);
  });

  test("ids with the end token and without give the same as their text", () => {
    const ids = HOST.tokenizer("test").encode(text).ids;
    const wanted = corruptSpans(HOST, text, { seed: 2 });
    expect(corruptSpans(HOST, ids, { seed: 2 })).toEqual(wanted);
    expect(corruptSpans(HOST, Uint32Array.from(ids.slice(0, -1)), { seed: 2 })).toEqual(wanted);
  });

  test.each([
    ["thank", {}, "expected 2 to"],
    [[2, END], {}, "expected 2 to"],
    [[2, 999], {}, "ids[1]"],
    ["thank <extra_id_3> you", {}, "text: has <extra_id_3> already"],
    [text, { density: 1 }, "density: expected a number between 0 and 1, got 1"],
    [text, { density: Number.NaN }, "density"],
    [text, { meanSpanLength: 0.5 }, "meanSpanLength: expected a number from 1, got 0.5"],
    [text, { seed: -1 }, "seed"],
  ])("%j, %j throws: %s", (given, options, message) => {
    expect(() => corruptSpans(HOST, given, options)).toThrow(RangeError);
    expect(() => corruptSpans(HOST, given, options)).toThrow(message);
  });

  test("more gaps than sentinels, no sentinels, unknown options", () => {
    const long = Array.from({ length: 40 }, (_, i) => WORDS[i % WORDS.length]).join(" ");
    expect(() => corruptSpans(hostWith(3), long, { density: 0.5, meanSpanLength: 1 })).toThrow(
      "more gaps than the vocabulary's 3",
    );
    expect(() => corruptSpans(hostWith(0), text, {})).toThrow("this model's vocabulary has no <extra_id_0>");
    const unknown = { noise: 1 } as object;
    expect(() => corruptSpans(HOST, text, unknown)).toThrow(TypeError);
  });
});

describe("parseSpans", () => {
  const sentinels = sentinelsOf("test", HOST.tokenizer("test"));
  const [s0, s1, s2] = sentinels.ids;
  const spansOf = (...ids: number[]) => Object.fromEntries(parseSpans(ids, sentinels, (id) => id !== END));

  test("in order, with a last sentinel or without", () => {
    expect(spansOf(s0, 5, 6, s1, 7, END)).toEqual({ 0: [5, 6], 1: [7] });
    expect(spansOf(s0, 5, 6, s1, 7, s2, END)).toEqual({ 0: [5, 6], 1: [7], 2: [] });
  });

  test("words before the first sentinel are dropped", () => {
    expect(spansOf(5, 6, s0, 7)).toEqual({ 0: [7] });
    expect(spansOf(5, 6)).toEqual({});
    expect(spansOf()).toEqual({});
  });

  test("out of order, and one left out", () => {
    expect(spansOf(s2, 5, s0, 6)).toEqual({ 2: [5], 0: [6] });
  });

  test("of one that comes again the first counts", () => {
    expect(spansOf(s0, 5, s0, 6, 7, s1, 8)).toEqual({ 0: [5], 1: [8] });
  });
});

/** Search against sorting all scores, on every kind of kernel. */

import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { search, VectorIndex } from "./search";
import { cosineSimilarity } from "./similarity";

/** A small generator of numbers in [-1, 1), so that a failure can be repeated. */
function numbers(seed: number, count: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

function vectors(seed: number, count: number, width: number): Float32Array[] {
  const all = numbers(seed, count * width);
  return Array.from({ length: count }, (_, i) => all.slice(i * width, (i + 1) * width));
}

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i], 0);

describe.each([
  { kernels: "wasm", threads: 1 },
  { kernels: "wasm", threads: 2 },
  { kernels: "reference", threads: 1 },
] as const)("on $kernels, threads: $threads", (options) => {
  test.each(["cosine", "dot"] as const)("%s: what sorting all scores gives", async (metric) => {
    const corpus = vectors(1, 533, 37);
    const queries = vectors(2, 70, 37);
    await using index = await VectorIndex.create(corpus, { metric, ...options });
    expect(index).toMatchObject({ size: 533, dimensions: 37, metric });
    expect(index.kernels).toMatchObject(options);
    const found = index.search(queries, { topK: 20 });
    expect(found.length).toBe(70);
    queries.forEach((query, q) => {
      const score = (vector: Float32Array) => (metric === "dot" ? dot : cosineSimilarity)(query, vector);
      const expected = corpus.map(score).sort((a, b) => b - a);
      expect(found[q].length).toBe(20);
      found[q].forEach((hit, rank) => {
        expect(Math.abs(hit.score - score(corpus[hit.index]))).toBeLessThan(4e-6);
        expect(Math.abs(hit.score - expected[rank])).toBeLessThan(4e-6);
      });
    });
    // One query alone, or vectors given as one array: the same bits.
    expect(index.search(queries[69], { topK: 20 })).toEqual(found[69]);
    const flat = Float32Array.from(corpus.flatMap((vector) => [...vector]));
    expect(await search(queries, flat, { dimensions: 37, metric, topK: 20, ...options })).toEqual(found);
  });
});

test("more queries than one product takes, of a large corpus: the same bits on two threads", async () => {
  const corpus = numbers(3, 90_000 * 4); // 360 KB of scores a query: 46 queries at once
  const queries = vectors(4, 61, 4);
  const [one, two] = await Promise.all(
    [1, 2].map((threads) => search(queries, corpus, { dimensions: 4, topK: 3, threads })),
  );
  expect(two).toEqual(one);
  for (const q of [0, 45, 46, 60]) {
    const scores = Array.from({ length: 90_000 }, (_, i) =>
      cosineSimilarity(queries[q], corpus.subarray(4 * i, 4 * i + 4)),
    );
    expect(one[q][0].score).toBeCloseTo(
      scores.reduce((a, b) => Math.max(a, b)),
      6,
    );
  }
});

describe("order", () => {
  const query = Float32Array.of(1);
  const index = (scores: readonly number[]) =>
    VectorIndex.create(Float32Array.from(scores), { dimensions: 1, metric: "dot", threads: 1 });

  test("best first, of equals the lower index, NaN last", async () => {
    const score = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(Number.NaN, -0, 1 / 3));
    await fc.assert(
      fc.asyncProperty(fc.array(score, { maxLength: 40 }), fc.integer({ min: 1, max: 45 }), async (scores, topK) => {
        await using made = await index(scores);
        const order = [...scores.keys()].sort((a, b) => {
          const [x, y] = [scores[a], scores[b]];
          if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
          return y - x || a - b;
        });
        expect(made.search(query, { topK }).map((hit) => hit.index)).toEqual(order.slice(0, topK));
      }),
    );
  });

  test("infinities are numbers; cosines of infinite vectors are none", async () => {
    const [infinite, none] = [Number.POSITIVE_INFINITY, Number.NaN];
    const corpus = [none, 1, infinite, -infinite];
    const hits = await search(query, Float32Array.from(corpus), { dimensions: 1, metric: "dot" });
    expect(hits.map((hit) => hit.index)).toEqual([2, 1, 3, 0]);
    expect(hits[3].score).toBeNaN();
    const cosines = await search(query, Float32Array.from(corpus), { dimensions: 1 });
    expect(cosines.map((hit) => hit.index)).toEqual([1, 0, 2, 3]);
  });

  test("zeros score 0; ten hits if nothing is said; no vectors, no hits", async () => {
    expect(await search(Float32Array.of(0), [Float32Array.of(2), Float32Array.of(0)])).toEqual([
      { index: 0, score: 0 },
      { index: 1, score: 0 },
    ]);
    await using eleven = await index(new Array(11).fill(1));
    expect(eleven.search(query).length).toBe(10);
    expect(eleven.search([])).toEqual([]);
    expect(await search([query, query], [], { dimensions: 1 })).toEqual([[], []]);
  });
});

describe("what is wrong throws", () => {
  const made = VectorIndex.create([Float32Array.of(1, 2)], { threads: 1 });
  afterAll(async () => (await made).dispose());

  test("at creation", async () => {
    await expect(VectorIndex.create(new Float32Array(4))).rejects.toThrow("dimensions: must be given for a matrix");
    await expect(VectorIndex.create([])).rejects.toThrow("dimensions: must be given for an empty list");
    await expect(VectorIndex.create(new Float32Array(4), { dimensions: 3 })).rejects.toThrow(
      "matrix: expected rows of 3 numbers, got 4 numbers in all",
    );
    await expect(VectorIndex.create([new Float32Array(2), new Float32Array(3)])).rejects.toThrow(
      "matrix[1]: expected 2 numbers, got 3",
    );
    await expect(VectorIndex.create([new Float32Array(0)])).rejects.toThrow(RangeError);
    await expect(VectorIndex.create([[1, 2] as never])).rejects.toThrow("matrix[0]: expected a Float32Array");
    await expect(VectorIndex.create([new Float32Array(2)], { metric: "euclidean" as never })).rejects.toThrow(
      'metric: expected "cosine" or "dot", got euclidean',
    );
    await expect(VectorIndex.create([new Float32Array(2)], { activations: "f32" } as never)).rejects.toThrow(TypeError);
    await expect(VectorIndex.create([new Float32Array(2)], { threads: 0 })).rejects.toThrow(RangeError);
    await expect(search(new Float32Array(2), [new Float32Array(2)], { top: 3 } as never)).rejects.toThrow(TypeError);
  });

  test("at search", async () => {
    const index = await made;
    expect(() => index.search(new Float32Array(3))).toThrow("query: expected 2 numbers, got 3");
    expect(() => index.search([new Float32Array(2), [1, 2] as never])).toThrow("queries[1]: expected a Float32Array");
    expect(() => index.search(new Float32Array(2), { topK: 0 })).toThrow("topK: expected an integer at least 1, got 0");
    expect(() => index.search(new Float32Array(2), { k: 1 } as never)).toThrow(TypeError);
  });

  test("once disposed", async () => {
    const index = await VectorIndex.create([Float32Array.of(1, 2)], { threads: 1 });
    index.dispose();
    expect(() => index.search(Float32Array.of(1, 2))).toThrow("this index was disposed");
  });
});

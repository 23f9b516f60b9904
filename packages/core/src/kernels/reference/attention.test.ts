/** Attention's invariants, bit for bit: heads, masks, lengths, and a prompt cut into any chunks. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../../../../../tests/ops/random";
import { type AttentionOptions, attention, linearAttention } from "../../functional/attention";
import { applyRope } from "../../functional/rope";
import { KvCache } from "../../nn/kv-cache";
import { alibiBias, relativeBias } from "../../nn/positions";
import { attentionMask, type MaskOptions } from "../mask";
import { type AttentionArrays, attention as kernel } from "./attention";

const K = 8;

/** Rows [count, heads, K] of numbers. */
function rows(seed: number, count: number, heads: number): Float32Array {
  return new Random(seed).normal(count * heads * K);
}

/** Rows from..to of [rows, heads, K]. */
function cut(x: Float32Array, heads: number, from: number, to: number): Float32Array {
  return x.slice(from * heads * K, to * heads * K);
}

/** [rows, G, K] to [rows, H, K]: each key/value head once for each query head that reads it. */
function repeatHeads(x: Float32Array, kvHeads: number, heads: number): Float32Array {
  const count = x.length / (kvHeads * K);
  return Float32Array.from({ length: count * heads * K }, (_, i) => {
    const [row, head, at] = [Math.floor(i / (heads * K)), Math.floor(i / K) % heads, i % K];
    return x[(row * kvHeads + Math.floor((head * kvHeads) / heads)) * K + at];
  });
}

describe("heads", () => {
  test.each([
    [4, 2],
    [6, 3],
    [6, 1],
    [5, 5],
  ])("%d query heads on %d give the bits of MHA with keys and values repeated", (heads, kvHeads) => {
    const [q, k, v] = [rows(1, 7, heads), rows(2, 7, kvHeads), rows(3, 7, kvHeads)];
    const mask = { causal: true };
    const grouped = attention(q, k, v, { heads, kvHeads, headDim: K, mask });
    const repeated = [k, v].map((x) => repeatHeads(x, kvHeads, heads));
    expect(grouped).toEqual(attention(q, repeated[0], repeated[1], { heads, headDim: K, mask }));
    const linear = linearAttention(q, k, v, { heads, kvHeads, headDim: K, causal: true });
    expect(linear).toEqual(linearAttention(q, repeated[0], repeated[1], { heads, headDim: K, causal: true }));
  });

  test("one key/value head (MQA) gives the bits of each query head on its own", () => {
    const heads = 4;
    const [q, k, v] = [rows(1, 5, heads), rows(2, 9, 1), rows(3, 9, 1)];
    const out = attention(q, k, v, { heads, kvHeads: 1, headDim: K });
    for (let h = 0; h < heads; h++) {
      const own = (_: number, i: number) => i % (heads * K) >= h * K && i % (heads * K) < (h + 1) * K;
      expect(out.filter(own)).toEqual(attention(q.filter(own), k, v, { heads: 1, headDim: K }));
    }
  });

  test.each([
    [4, 3],
    [3, 2],
    [2, 4],
    [1, 2],
  ])("%d query heads on %d are refused", (heads, kvHeads) => {
    const message = `expected a multiple of kvHeads, got ${heads} query heads for ${kvHeads} key/value heads`;
    const call = () =>
      attention(rows(1, 1, heads), rows(2, 1, kvHeads), rows(3, 1, kvHeads), { heads, kvHeads, headDim: K });
    expect(call).toThrow(RangeError);
    expect(call).toThrow(message);
  });
});

describe("masks", () => {
  const heads = 2;
  const options = { heads, kvHeads: 1, headDim: K };

  test("a prefix: the source segment sees itself both ways, the target all of the source and itself causally", () => {
    const [source, T] = [4, 9];
    const [q, k, v] = [rows(1, T, heads), rows(2, T, 1), rows(3, T, 1)];
    const out = attention(q, k, v, { ...options, mask: { causal: true, prefix: source } });
    const first = attention(cut(q, heads, 0, source), cut(k, 1, 0, source), cut(v, 1, 0, source), options);
    expect(cut(out, heads, 0, source)).toEqual(first);
    for (let t = source; t < T; t++) {
      const seen = attention(cut(q, heads, t, t + 1), cut(k, 1, 0, t + 1), cut(v, 1, 0, t + 1), options);
      expect(cut(out, heads, t, t + 1)).toEqual(seen);
    }
  });

  test("groups give the bits of each group alone", () => {
    const ends = [3, 4, 9];
    const [q, k, v] = [rows(1, 9, heads), rows(2, 9, 1), rows(3, 9, 1)];
    for (const causal of [false, true]) {
      const out = attention(q, k, v, { ...options, mask: { groups: ends, causal } });
      ends.forEach((end, i) => {
        const from = i === 0 ? 0 : ends[i - 1];
        const [qi, ki, vi] = [cut(q, heads, from, end), cut(k, 1, from, end), cut(v, 1, from, end)];
        expect(cut(out, heads, from, end)).toEqual(attention(qi, ki, vi, { ...options, mask: { causal } }));
      });
    }
  });

  test("key lengths give the bits of shorter arrays, whatever the padding holds", () => {
    const [q, k, v] = [rows(1, 4, heads), rows(2, 9, 1), rows(3, 9, 1)];
    k.fill(Number.NaN, 6 * K);
    v.fill(Number.POSITIVE_INFINITY, 6 * K);
    const out = attention(q, k, v, { ...options, position: 0, mask: { keyLength: 6 } });
    expect(out).toEqual(attention(q, cut(k, 1, 0, 6), cut(v, 1, 0, 6), { ...options, position: 0 }));
  });

  test("padding on the left gives the bits of arrays without it", () => {
    const [q, k, v] = [rows(1, 9, heads), rows(2, 9, 1), rows(3, 9, 1)];
    k.fill(Number.NaN, 0, 3 * K);
    v.fill(Number.NaN, 0, 3 * K);
    const out = attention(q, k, v, { ...options, mask: { causal: true, firstKey: 3 } });
    const [qs, ks, vs] = [cut(q, heads, 3, 9), cut(k, 1, 3, 9), cut(v, 1, 3, 9)];
    expect(cut(out, heads, 3, 9)).toEqual(attention(qs, ks, vs, { ...options, mask: { causal: true } }));
    expect(cut(out, heads, 0, 3).every((x) => x === 0)).toBe(true); // queries that are padding themselves
  });

  test("a sliding window gives the bits of its keys alone", () => {
    const [T, window] = [10, 4];
    const [q, k, v] = [rows(1, T, heads), rows(2, T, 1), rows(3, T, 1)];
    const out = attention(q, k, v, { ...options, mask: { causal: true, window } });
    for (let t = 0; t < T; t++) {
      const from = Math.max(0, t - window + 1);
      const seen = attention(cut(q, heads, t, t + 1), cut(k, 1, from, t + 1), cut(v, 1, from, t + 1), options);
      expect(cut(out, heads, t, t + 1)).toEqual(seen);
    }
  });

  test("queries that see nothing give zeros, and weights of zero", () => {
    const probs = new Float32Array(heads * 3 * 5).fill(7);
    const out = attention(rows(1, 3, heads), rows(2, 5, 1), rows(3, 5, 1), {
      ...options,
      mask: { keyLength: 0 },
      probs,
    });
    expect(out.every((x) => x === 0)).toBe(true);
    expect(probs.every((x) => x === 0)).toBe(true);
    expect(attention(rows(1, 2, heads), new Float32Array(0), new Float32Array(0), options)).toEqual(
      new Float32Array(2 * heads * K),
    );
  });

  test("a mask that is a bias of -Infinity gives the bits of a mask that is a rule", () => {
    const [T, S] = [4, 6];
    const [q, k, v] = [rows(1, T, heads), rows(2, S, 1), rows(3, S, 1)];
    const causal = (i: number) => (i % S > S - T + (Math.floor(i / S) % T) ? Number.NEGATIVE_INFINITY : 0);
    const bias = Float32Array.from({ length: heads * T * S }, (_, i) => causal(i));
    expect(attention(q, k, v, { ...options, bias })).toEqual(
      attention(q, k, v, { ...options, mask: { causal: true } }),
    );
  });

  test("a mask and the options that make it are one", () => {
    const [q, k, v] = [rows(1, 6, heads), rows(2, 6, 1), rows(3, 6, 1)];
    const mask: MaskOptions = { causal: true, window: 3, firstKey: 1 };
    expect(attention(q, k, v, { ...options, mask: attentionMask(mask) })).toEqual(
      attention(q, k, v, { ...options, mask }),
    );
  });
});

describe("weights", () => {
  test("sum to 1 within a rounding each, and the result is their sum of values within 2 ε Σ|w v|", () => {
    const [T, S, heads] = [3, 7, 2];
    const [q, k, v] = [rows(1, T, heads), rows(2, S, 1), rows(3, S, 1)];
    const probs = new Float32Array(heads * T * S);
    const out = attention(q, k, v, { heads, kvHeads: 1, headDim: K, probs });
    for (let h = 0; h < heads; h++) {
      for (let t = 0; t < T; t++) {
        const weights = probs.slice((h * T + t) * S, (h * T + t + 1) * S);
        expect(Math.abs(weights.reduce((a, b) => a + b, 0) - 1)).toBeLessThan(S * 2 ** -24);
        for (let i = 0; i < K; i++) {
          const terms = Array.from(weights, (weight, s) => weight * v[s * K + i]);
          const size = terms.reduce((a, b) => a + Math.abs(b), 0);
          const value = out[(t * heads + h) * K + i];
          expect(Math.abs(terms.reduce((a, b) => a + b, 0) - value)).toBeLessThanOrEqual(2 * 2 ** -24 * size);
        }
      }
    }
  });

  test("a distance outside of the relative bias is an error, not a missing bias", () => {
    const call = (length: number, origin: number) =>
      attention(rows(1, 3, 1), rows(2, 3, 1), rows(3, 3, 1), {
        ...{ heads: 1, headDim: K },
        relativeBias: { data: new Float32Array(length), length, origin },
      });
    expect(() => call(5, 2)).not.toThrow();
    expect(() => call(4, 2)).toThrow("the relative bias covers distances -2 to 1, got 2");
    expect(() => call(5, 1)).toThrow("the relative bias covers distances -1 to 3, got -2");
  });
});

describe("a prompt in one pass, step by step or in any chunks", () => {
  const [T, heads, kvHeads, headDim] = [13, 4, 2, K];
  const q = applyRope(rows(1, T, heads), { headDim, heads });
  const k = applyRope(rows(2, T, kvHeads), { headDim, heads: kvHeads });
  const v = rows(3, T, kvHeads);
  const buckets = { bidirectional: false, numBuckets: 8, maxDistance: 12 };
  const table = new Random(4).normal(8 * heads);

  const variants: Record<string, Partial<AttentionOptions>> = {
    causal: { mask: { causal: true } },
    "a sliding window": { mask: { causal: true, window: 4 } },
    groups: { mask: { causal: true, groups: [5, 7] } },
    "padding on the left": { mask: { causal: true, firstKey: 3 } },
    "soft-capped scores": { mask: { causal: true }, softCap: 2 },
    "T5's bias": {
      mask: { causal: true },
      relativeBias: {
        data: relativeBias(table, { ...buckets, heads, length: 2 * T, origin: T }),
        ...{ length: 2 * T, origin: T },
      },
    },
    ALiBi: {
      mask: { causal: true },
      relativeBias: { data: alibiBias(heads, { length: T, origin: T - 1 }), length: T, origin: T - 1 },
    },
  };

  test.each(Object.entries(variants))("%s: the same bits", (_, options) => {
    const whole = attention(q, k, v, { heads, kvHeads, headDim, ...options });
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: T, maxLength: T }), (sizes) => {
        const cache = new KvCache({ kvHeads, headDim, capacity: T });
        const out = new Float32Array(T * heads * headDim);
        for (const size of sizes) {
          const [from, to] = [cache.length, Math.min(T, cache.length + size)];
          cache.append(cut(k, kvHeads, from, to), cut(v, kvHeads, from, to));
          const chunk = attention(cut(q, heads, from, to), cache.keys(), cache.values(), {
            ...{ heads, kvHeads, headDim, position: from },
            ...options,
          });
          out.set(chunk, from * heads * headDim);
        }
        expect(out).toEqual(whole);
      }),
      {
        seed: 20261121,
        numRuns: 20,
        examples: [[Array.from({ length: T }, () => 1)], [Array.from({ length: T }, () => T)]],
      },
    );
  });
});

describe("beams that share a cache", () => {
  const [heads, kvHeads, headDim, beams, prompt, steps] = [4, 2, K, 3, 5, 9];
  const width = kvHeads * headDim;
  const shared = { keys: rows(1, prompt + beams * steps, kvHeads), values: rows(2, prompt + beams * steps, kvHeads) };
  const relative = { kind: "relative", data: new Random(3).normal(heads * 40), length: 40, origin: 20 } as const;

  /** Attention of one query at the end of its keys, and its weights. */
  function step(q: Float32Array, keyCount: number, where: Pick<AttentionArrays, "keys" | "values" | "keyRows">) {
    const probs = new Float32Array(heads * keyCount);
    const out = new Float32Array(heads * headDim);
    const mask = attentionMask({ causal: true, window: 9 });
    const call = { ...where, q, heads, kvHeads, headDim, position: keyCount - 1, mask, probs };
    kernel(out, { ...call, scale: 1, softCap: null, bias: relative });
    return { out, probs };
  }

  test("and switch by indices give the bits of caches of their own", () => {
    const random = new Random(4);
    let tables = Array.from({ length: beams }, () => Array.from({ length: prompt }, (_, s) => s));
    for (let t = 0; t < steps; t++) {
      // Every beam goes on from any of the beams before; its own key is written to the next free row.
      tables = tables.map((_, beam) => [...tables[random.integer(beams)], prompt + beams * t + beam]);
      tables.forEach((table, beam) => {
        const q = rows(100 * t + beam, 1, heads);
        const copy = (x: Float32Array) => Float32Array.from(table.flatMap((row) => [...cut(x, kvHeads, row, row + 1)]));
        const own = { keys: copy(shared.keys), values: copy(shared.values), keyRows: null };
        expect(own.keys.length).toBe(table.length * width);
        const keyRows = Int32Array.from(table);
        expect(step(q, table.length, { ...shared, keyRows })).toEqual(step(q, table.length, own));
      });
    }
  });

  test("weights and masks go by the key, not by its row", () => {
    const q = rows(5, 1, heads);
    const [first, last] = [Int32Array.of(3, 1, 1, 0), Int32Array.of(3, 1, 1)];
    const call = { ...shared, q, heads, kvHeads, headDim, position: 3, scale: 1, softCap: null, bias: null };
    const [hidden, alone] = [new Float32Array(q.length), new Float32Array(q.length)];
    const [probs, weights] = [new Float32Array(4 * heads), new Float32Array(3 * heads)];
    kernel(hidden, { ...call, keyRows: first, mask: attentionMask({ keyLength: 3 }), probs });
    kernel(alone, { ...call, keyRows: last, mask: attentionMask(), probs: weights });
    expect(hidden).toEqual(alone);
    for (let h = 0; h < heads; h++) {
      expect([...probs.slice(4 * h, 4 * h + 4)]).toEqual([...weights.slice(3 * h, 3 * h + 3), 0]);
      expect(weights[3 * h + 1]).toBe(weights[3 * h + 2]); // one row, two keys
    }
  });
});

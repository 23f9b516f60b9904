/** The cache of keys and values: rows, room, and going back. */

import { describe, expect, test } from "vitest";
import { Random } from "../../../../tests/ops/random";
import { Arena } from "../memory/arena";
import { KvCache } from "./kv-cache";

const SHAPE = { kvHeads: 2, headDim: 3, capacity: 5 };
const WIDTH = 6;

function rows(seed: number, count: number): Float32Array {
  return new Random(seed).normal(count * WIDTH);
}

test("rows given one by one, in pieces or all at once lie alike", () => {
  const [k, v] = [rows(1, 5), rows(2, 5)];
  for (const pieces of [[5], [1, 1, 1, 1, 1], [2, 3], [3, 0, 1, 1]]) {
    const cache = new KvCache(SHAPE);
    let at = 0;
    for (const piece of pieces) {
      cache.append(k.slice(at * WIDTH, (at + piece) * WIDTH), v.slice(at * WIDTH, (at + piece) * WIDTH));
      at += piece;
      expect(cache.length).toBe(at);
      expect(cache.keys()).toEqual(k.slice(0, at * WIDTH));
      expect(cache.values()).toEqual(v.slice(0, at * WIDTH));
    }
  }
});

test("layers, keys and values are rows of their own", () => {
  const arena = new Arena();
  const cache = new KvCache({ ...SHAPE, layers: 3 }, arena);
  const addresses = [0, 1, 2].flatMap((layer) =>
    [0, 1, 2, 3, 4].flatMap((position) => [cache.keyRow(layer, position), cache.valueRow(layer, position)]),
  );
  addresses.forEach((address, i) => {
    arena.f32(address, WIDTH).fill(i);
  });
  addresses.forEach((address, i) => {
    expect(arena.f32(address, WIDTH).every((x) => x === i)).toBe(true);
  });
  cache.advance(5);
  expect([...cache.keys(1)].filter((_, i) => i % WIDTH === 0)).toEqual([10, 12, 14, 16, 18]);
  expect([...cache.values(2)].filter((_, i) => i % WIDTH === 0)).toEqual([21, 23, 25, 27, 29]);
});

test("its bytes are 2 L capacity G K floats, filed under cache", () => {
  const arena = new Arena();
  new KvCache({ layers: 4, kvHeads: 2, headDim: 8, capacity: 16 }, arena);
  expect(KvCache.bytes({ layers: 4, kvHeads: 2, headDim: 8, capacity: 16 })).toBe(2 * 4 * 16 * 2 * 8 * 4);
  expect(arena.report()).toEqual({ cache: 2 * 4 * 16 * 2 * 8 * 4 });
});

describe("room", () => {
  test("what does not fit throws, says why, and changes nothing", () => {
    const cache = new KvCache(SHAPE);
    cache.append(rows(1, 4), rows(2, 4));
    expect(() => cache.append(rows(3, 2), rows(4, 2))).toThrow(
      "the cache holds 5 positions: 2 more do not fit after 4",
    );
    expect(() => cache.advance(2)).toThrow(RangeError);
    expect(() => cache.checkRoom(2)).toThrow(RangeError);
    expect(() => cache.checkRoom(1)).not.toThrow();
    expect(cache.length).toBe(4);
    expect(cache.keys()).toEqual(rows(1, 4));
  });

  test.each([-1, 0.5, Number.NaN])("%d rows are refused", (count) => {
    expect(() => new KvCache(SHAPE).advance(count)).toThrow(RangeError);
  });
});

describe("truncate", () => {
  test("forgets rows, and new ones take their place", () => {
    const cache = new KvCache(SHAPE);
    cache.append(rows(1, 5), rows(2, 5));
    cache.truncate(2);
    expect(cache.length).toBe(2);
    expect(cache.keys()).toEqual(rows(1, 5).slice(0, 2 * WIDTH));
    cache.append(rows(3, 3), rows(4, 3));
    expect(cache.keys()).toEqual(Float32Array.of(...rows(1, 5).slice(0, 2 * WIDTH), ...rows(3, 3)));
    expect(cache.values()).toEqual(Float32Array.of(...rows(2, 5).slice(0, 2 * WIDTH), ...rows(4, 3)));
    cache.truncate(0);
    expect(cache.keys().length).toBe(0);
  });

  test.each([3, -1, 0.5, Number.NaN])("to %d of 2 rows is refused", (length) => {
    const cache = new KvCache(SHAPE);
    cache.append(rows(1, 2), rows(2, 2));
    expect(() => cache.truncate(length)).toThrow(RangeError);
    expect(cache.length).toBe(2);
  });
});

describe("arguments", () => {
  test.each([
    ["layers", 0],
    ["kvHeads", 0],
    ["headDim", 1.5],
    ["capacity", Number.NaN],
  ])("%s = %d is refused by name", (name, value) => {
    expect(() => new KvCache({ ...SHAPE, [name]: value })).toThrow(new RegExp(`^${name}: expected`));
  });

  test("an unknown option is refused by name", () => {
    expect(() => new KvCache({ ...SHAPE, contextLength: 3 } as never)).toThrow(
      new TypeError('KvCache: unknown option "contextLength"; known are layers, kvHeads, headDim, capacity'),
    );
  });

  test("append refuses half a row, keys without values, other arrays, and caches of several layers", () => {
    const cache = new KvCache(SHAPE);
    expect(() => cache.append(new Float32Array(WIDTH + 1), new Float32Array(WIDTH + 1))).toThrow(
      /^keys: .* multiple of 6 numbers, got 7/,
    );
    expect(() => cache.append(new Float32Array(WIDTH), new Float32Array(2 * WIDTH))).toThrow(/^values: expected 6/);
    expect(() => cache.append(new Float64Array(WIDTH) as never, new Float32Array(WIDTH))).toThrow(TypeError);
    expect(() => new KvCache({ ...SHAPE, layers: 2 }).append(rows(1, 1), rows(2, 1))).toThrow("caches of one layer");
    expect(cache.length).toBe(0);
  });

  test("more than the arena can hold throws before it takes memory", () => {
    expect(() => new KvCache({ kvHeads: 8, headDim: 128, capacity: 1e6 })).toThrow("cache need 7813 MiB more");
  });
});

/** Masks: `visibleKeys` against each rule's own words, and what `attentionMask` refuses. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { attentionMask, BIDIRECTIONAL, CAUSAL, type MaskOptions, visibleKeys } from "./mask";

/** Whether a query at `position` sees key `key`, by the words of `MaskOptions`. */
function sees(options: MaskOptions, position: number, key: number): boolean {
  if (options.firstKey !== undefined && key < options.firstKey) return false;
  if (options.keyLength !== undefined && key >= options.keyLength) return false;
  const blockOf = (index: number) => options.groups?.reduce((block, end) => (index >= end ? block + 1 : block), 0);
  if (blockOf(position) !== blockOf(key)) return false;
  if (key < (options.prefix ?? 0)) return true;
  if (options.causal && key > position) return false;
  if (typeof options.window === "number") return key > position - options.window;
  if (options.window) return key >= position - options.window.left && key <= position + options.window.right;
  return true;
}

const length = fc.integer({ min: 0, max: 12 });
const ends = fc
  .uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 4 })
  .map((values) => values.sort((a, b) => a - b));

/** Every combination that `attentionMask` takes: a prefix or a window, not both. */
const options: fc.Arbitrary<MaskOptions> = fc
  .tuple(
    fc.oneof(
      fc.record({ causal: fc.boolean() }),
      fc.record({ causal: fc.constant(true), prefix: length }),
      fc.record({ causal: fc.constant(true), window: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ causal: fc.boolean(), window: fc.record({ left: length, right: length }) }),
    ),
    fc.record({ groups: ends, firstKey: length, keyLength: length }, { requiredKeys: [] }),
  )
  .map(([rule, rest]) => ({ ...rule, ...rest }));

test("visibleKeys gives the run of keys that the rules leave, for any mask, position and number of keys", () => {
  fc.assert(
    fc.property(options, fc.integer({ min: 0, max: 14 }), fc.integer({ min: 0, max: 14 }), (mask, position, keys) => {
      const range = { from: -1, to: -1 };
      visibleKeys(attentionMask(mask), position, keys, range);
      const expected = Array.from({ length: keys }, (_, key) => key).filter((key) => sees(mask, position, key));
      const actual = Array.from({ length: keys }, (_, key) => key).filter((k) => k >= range.from && k < range.to);
      expect(actual).toEqual(expected);
      expect(range.from).toBeLessThanOrEqual(range.to);
      expect(range.to).toBeLessThanOrEqual(keys);
    }),
    { seed: 20261121, numRuns: 3000 },
  );
});

test.each<[string, MaskOptions, number, [number, number]]>([
  ["bidirectional", {}, 3, [0, 10]],
  ["causal", { causal: true }, 3, [0, 4]],
  ["causal, of a query after the last key", { causal: true }, 20, [0, 10]],
  ["a window of 3 counts the query itself", { causal: true, window: 3 }, 5, [3, 6]],
  ["a window of 1 is the query alone", { causal: true, window: 1 }, 5, [5, 6]],
  ["a window on both sides", { window: { left: 2, right: 1 } }, 5, [3, 7]],
  ["a window on both sides under causal", { causal: true, window: { left: 2, right: 1 } }, 5, [3, 6]],
  ["a prefix, of a query within", { causal: true, prefix: 4 }, 1, [0, 4]],
  ["a prefix, of a query after it", { causal: true, prefix: 4 }, 6, [0, 7]],
  ["groups, the first", { groups: [3, 8] }, 2, [0, 3]],
  ["groups, the second", { groups: [3, 8] }, 3, [3, 8]],
  ["groups, what is after the last end", { groups: [3, 8] }, 9, [8, 10]],
  ["padding on the right", { keyLength: 7 }, 9, [0, 7]],
  ["padding on the left", { causal: true, firstKey: 2 }, 4, [2, 5]],
  ["padding on the left, of a query in it", { causal: true, firstKey: 2 }, 1, [2, 2]],
])("%s", (_, mask, position, [from, to]) => {
  const range = { from: -1, to: -1 };
  visibleKeys(attentionMask(mask), position, 10, range);
  if (from === to) expect(range.from).toBe(range.to);
  else expect(range).toEqual({ from, to });
});

test("the named masks are what they say", () => {
  expect(CAUSAL).toEqual(attentionMask({ causal: true }));
  expect(BIDIRECTIONAL).toEqual(attentionMask());
});

describe("attentionMask refuses", () => {
  test.each<[string, MaskOptions, RegExp]>([
    ["a negative prefix", { causal: true, prefix: -1 }, /^prefix: expected an integer at least 0, got -1/],
    ["half a prefix", { causal: true, prefix: 0.5 }, /^prefix: expected/],
    ["a prefix without causal", { prefix: 3 }, /^prefix needs causal/],
    ["a prefix under a window", { causal: true, prefix: 3, window: 2 }, /^prefix cannot be combined with window/],
    ["a window of 0", { causal: true, window: 0 }, /^window: expected an integer at least 1, got 0/],
    ["a window of NaN", { causal: true, window: Number.NaN }, /^window: expected/],
    ["a number for a window without causal", { window: 4 }, /^window: a number needs causal/],
    ["a window with a negative side", { window: { left: -1, right: 0 } }, /^window.left: expected/],
    ["a window with half a side", { window: { left: 0, right: 0.5 } }, /^window.right: expected/],
    ["groups that decrease", { groups: [3, 2] }, /^groups\[1\]: expected an integer at least 4, got 2/],
    ["an empty group", { groups: [3, 3] }, /^groups\[1\]: expected an integer at least 4, got 3/],
    ["groups that are not integers", { groups: [1.5] }, /^groups\[0\]: expected/],
    ["a negative first key", { firstKey: -1 }, /^firstKey: expected/],
    ["a key length of NaN", { keyLength: Number.NaN }, /^keyLength: expected/],
  ])("%s", (_, mask, message) => {
    expect(() => attentionMask(mask)).toThrow(RangeError);
    expect(() => attentionMask(mask)).toThrow(message);
  });

  test("an unknown option, by name", () => {
    expect(() => attentionMask({ casual: true } as never)).toThrow(
      new TypeError(
        'attentionMask: unknown option "casual"; known are causal, prefix, window, groups, firstKey, keyLength',
      ),
    );
    expect(() => attentionMask(null as never)).toThrow(TypeError);
  });
});

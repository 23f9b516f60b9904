/** Positions that are not rotary: learned, sinusoidal, T5's buckets, ALiBi. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Random } from "../../../../tests/ops/random";
import {
  alibiBias,
  alibiSlopes,
  learnedPositions,
  type RelativeBucketOptions,
  relativeBias,
  relativeBucket,
  sinusoidalPositions,
} from "./positions";

const EPSILON = 2 ** -24;

describe("learned", () => {
  const table = Float32Array.of(0, 1, 10, 11, 20, 21, 30, 31);

  test("rows of the table, shifted by the offset", () => {
    expect([...learnedPositions(table, [2, 0, 2], { width: 2 })]).toEqual([20, 21, 0, 1, 20, 21]);
    expect([...learnedPositions(table, [0, 1], { width: 2, offset: 2 })]).toEqual([20, 21, 30, 31]);
    expect(learnedPositions(table, [], { width: 2 }).length).toBe(0);
  });

  test.each<[string, readonly number[], { width: number; offset?: number }, RegExp]>([
    ["a position after the last row", [0, 4], { width: 2 }, /^positions\[1\] \+ offset: expected .* 0 to 3, got 4/],
    ["a position that the offset moves past it", [2], { width: 2, offset: 2 }, /^positions\[0\] \+ offset/],
    ["a negative position", [-1], { width: 2 }, /^positions\[0\]/],
    ["half a position", [0.5], { width: 2 }, /^positions\[0\]/],
    [
      "a width that does not divide the table",
      [0],
      { width: 3 },
      /^table: expected \[P, 3\], that is a multiple of 3 numbers, got 8/,
    ],
    ["a width of 0", [0], { width: 0 }, /^width: expected/],
  ])("%s is refused", (_, positions, options, message) => {
    expect(() => learnedPositions(table, positions, options)).toThrow(RangeError);
    expect(() => learnedPositions(table, positions, options)).toThrow(message);
  });

  test("an unknown option is refused by name", () => {
    expect(() => learnedPositions(table, [0], { width: 2, shift: 2 } as never)).toThrow(
      new TypeError('learnedPositions: unknown option "shift"; known are width, offset'),
    );
  });
});

describe("sinusoidal", () => {
  const positions = [0, 1, 2, 511, 100_000];

  test.each([
    ["interleaved", (i: number) => 2 * i, (i: number) => 2 * i + 1],
    ["half-split", (i: number) => i, (i: number) => i + 8],
  ] as const)("%s: sin and cos of p / theta^(2i/D), within 2 ε of the exact angle to 511", (layout, sinAt, cosAt) => {
    for (const theta of [10_000, 500]) {
      const actual = sinusoidalPositions(positions, { width: 16, theta, layout });
      positions.forEach((position, t) => {
        for (let i = 0; i < 8; i++) {
          const angle = position / theta ** (i / 8);
          // The angle carries the errors of two powers, some 1e-15 of itself: nothing below 1e7.
          const bound = EPSILON + 4e-15 * angle;
          expect(Math.abs(actual[t * 16 + sinAt(i)] - Math.sin(angle))).toBeLessThan(bound);
          expect(Math.abs(actual[t * 16 + cosAt(i)] - Math.cos(angle))).toBeLessThan(bound);
        }
      });
    }
  });

  test("the first row is 0, 1, 0, 1, ... and theta is 10000 if left out", () => {
    expect([...sinusoidalPositions([0], { width: 4 })]).toEqual([0, 1, 0, 1]);
    expect(sinusoidalPositions([7], { width: 6 })).toEqual(
      sinusoidalPositions([7], { width: 6, theta: 10_000, layout: "interleaved" }),
    );
  });

  test.each<[string, object, RegExp]>([
    ["an odd width", { width: 5 }, /^width: expected an even number, got 5/],
    ["a width of 0", { width: 0 }, /^width/],
    ["a theta of 0", { width: 4, theta: 0 }, /^theta: expected more than 0/],
    ["a theta of NaN", { width: 4, theta: Number.NaN }, /^theta: expected a finite number/],
    ["an unknown layout", { width: 4, layout: "halves" }, /^layout: expected one of "interleaved", "half-split"/],
    ["an unknown option", { width: 4, base: 10 }, /^sinusoidalPositions: unknown option "base"/],
  ])("%s is refused", (_, options, message) => {
    expect(() => sinusoidalPositions([0], options as { width: number })).toThrow(message);
  });
});

describe("T5's buckets", () => {
  const ENCODER: RelativeBucketOptions = { bidirectional: true, numBuckets: 32, maxDistance: 128 };
  const DECODER: RelativeBucketOptions = { ...ENCODER, bidirectional: false };

  // Where each bucket begins in t5-small: 8 exact ones, then at 8 · 16^(n/8), rounded up.
  const STARTS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91];

  test("of an encoder: 16 for keys before the query and at it, 16 for those after", () => {
    for (let distance = 0; distance < 1000; distance++) {
      const bucket = STARTS.filter((start) => start <= distance).length - 1;
      expect(relativeBucket(-distance, ENCODER), `${-distance}`).toBe(bucket);
      if (distance > 0) expect(relativeBucket(distance, ENCODER), `${distance}`).toBe(16 + bucket);
    }
  });

  test("of a decoder: all keys after the query share the first, 16 are exact, the last begins at 113", () => {
    const known = [
      [5, 0],
      [0, 0],
      [-1, 1],
      [-15, 15],
      [-16, 16],
      [-18, 16],
      [-19, 17],
      [-20, 17],
      [-21, 18],
      [-31, 21],
      [-63, 26],
      [-64, 26],
      [-112, 30],
      [-113, 31],
      [-127, 31],
      [-5000, 31],
    ];
    for (const [distance, bucket] of known) expect(relativeBucket(distance, DECODER), `${distance}`).toBe(bucket);
  });

  interface Fixture {
    readonly buckets: readonly (RelativeBucketOptions & { readonly first: number; readonly buckets: number[] })[];
  }
  // See tests/fixtures/rope/make.py.
  const fixture: Fixture = JSON.parse(
    readFileSync(new URL("../../../../tests/fixtures/rope/rope.json", import.meta.url), "utf8"),
  );

  test.each(fixture.buckets)(
    "$numBuckets to $maxDistance, bidirectional $bidirectional: as transformers' formula",
    ({ first, buckets, ...options }) => {
      expect(buckets.map((_, i) => relativeBucket(first + i, options))).toEqual(buckets);
    },
  );

  test("by distance, as the kernels take it", () => {
    const [heads, length, origin] = [3, 41, 30];
    const table = new Random(1).normal(32 * heads);
    const bias = relativeBias(table, { ...ENCODER, heads, length, origin });
    for (let h = 0; h < heads; h++) {
      for (let j = 0; j < length; j++) {
        expect(bias[h * length + j]).toBe(table[relativeBucket(j - origin, ENCODER) * heads + h]);
      }
    }
  });

  test.each<[string, object, RegExp]>([
    ["a table of another size", { heads: 4 }, /^table: expected 128 numbers \[32, 4\], got 96/],
    ["no buckets", { numBuckets: 0 }, /^(table|numBuckets)/],
    ["a bucket for each direction alone", { numBuckets: 2, heads: 48 }, /^numBuckets: expected .* at least 4/],
    ["a maxDistance within the exact buckets", { maxDistance: 8 }, /^maxDistance: expected .* at least 9, got 8/],
    ["a maxDistance of NaN", { maxDistance: Number.NaN }, /^maxDistance/],
  ])("%s: refused", (_, change, message) => {
    const options = { ...ENCODER, heads: 3, length: 5, origin: 2, ...change };
    expect(() => relativeBias(new Float32Array(96), options)).toThrow(RangeError);
    expect(() => relativeBias(new Float32Array(96), options)).toThrow(message);
  });
});

describe("ALiBi", () => {
  // From BLOOM's build_alibi_tensor: powers of 2^(-8/n) for n the next power of two below, then odd ones of 2^(-4/n).
  test.each<[number, number[]]>([
    [1, [2 ** -8]],
    [8, [1, 2, 3, 4, 5, 6, 7, 8].map((n) => 2 ** -n)],
    [12, [...[1, 2, 3, 4, 5, 6, 7, 8].map((n) => 2 ** -n), ...[0.5, 1.5, 2.5, 3.5].map((n) => 2 ** -n)]],
    [16, Array.from({ length: 16 }, (_, h) => 2 ** (-(h + 1) / 2))],
    [
      20,
      [...Array.from({ length: 16 }, (_, h) => 2 ** (-(h + 1) / 2)), ...[0.25, 0.75, 1.25, 1.75].map((n) => 2 ** -n)],
    ],
  ])("slopes for %d heads, within an ulp", (heads, expected) => {
    const slopes = alibiSlopes(heads);
    expect(slopes.length).toBe(heads);
    expected.forEach((slope, h) => {
      expect(Math.abs(slopes[h] - slope)).toBeLessThanOrEqual(1.001 * EPSILON * slope);
    });
  });

  test("known numbers of BLOOM: 0.7071, 0.5, 0.3536 for 16 heads; the last four of 12 are 0.7071 to 0.0884", () => {
    expect([...alibiSlopes(16).slice(0, 3)].map((x) => x.toFixed(4))).toEqual(["0.7071", "0.5000", "0.3536"]);
    expect([...alibiSlopes(12).slice(8)].map((x) => x.toFixed(4))).toEqual(["0.7071", "0.3536", "0.1768", "0.0884"]);
  });

  test("by distance, as the kernels take it: slope times key minus query", () => {
    const bias = alibiBias(2, { length: 5, origin: 3 });
    expect([...bias.slice(0, 5)]).toEqual([-3, -2, -1, 0, 1].map((d) => d * 2 ** -4));
    expect([...bias.slice(5)]).toEqual([-3, -2, -1, 0, 1].map((d) => d * 2 ** -8));
  });

  test.each([0, -1, 1.5, Number.NaN, 1e12])("%d heads are refused", (heads) => {
    expect(() => alibiSlopes(heads)).toThrow(/^heads: expected/);
  });
});

/** Rotary embedding: what it does to scores and norms, and the frequencies of every scaling rule. */

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../../../../tests/ops/random";
import { MAX_ANGLE } from "../elementary";
import { applyRope } from "../functional/rope";
import type { RopeLayout } from "../kernels/kernels";
import {
  longropeAttentionFactor,
  type RopeConfig,
  type RopeScaling,
  ropeAngles,
  ropeFrequencies,
  yarnAttentionFactor,
} from "./rope";

/** See tests/fixtures/rope/make.py. */
interface Fixture {
  readonly frequencies: readonly {
    readonly name: string;
    readonly config: RopeConfig;
    readonly length: number;
    readonly attentionScaling: number;
    readonly float64: readonly number[];
    readonly float32: readonly number[];
  }[];
  readonly attentionFactors: {
    readonly yarn: readonly (readonly [number, number | null, number | null, number])[];
    readonly longrope: readonly (readonly [number, number, number])[];
  };
}
const fixture: Fixture = JSON.parse(
  readFileSync(new URL("../../../../tests/fixtures/rope/rope.json", import.meta.url), "utf8"),
);

const EPSILON = 2 ** -24;
const LAYOUTS: readonly RopeLayout[] = ["half-split", "interleaved"];

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

describe.each(LAYOUTS)("%s", (layout) => {
  const K = 16;
  const turn = (x: Float32Array, position: number) => applyRope(x, { headDim: K, positions: [position], layout });
  const random = new Random(1);
  const [q, k] = [random.normal(K), random.normal(K)];
  const size = Math.sqrt(dot(q, q) * dot(k, k));

  test("a score depends on m - n alone, within 1e-4 |q| |k| to position 4000", () => {
    // The angle is a float32 as in the models: at position 4000 it is off by up to 4000 ε = 2.4e-4, here of both.
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3000 }),
        fc.integer({ min: 0, max: 3000 }),
        fc.integer({ min: 0, max: 1000 }),
        (m, n, shift) => {
          const score = dot(turn(q, m), turn(k, n));
          expect(Math.abs(dot(turn(q, m + shift), turn(k, n + shift)) - score) / size).toBeLessThan(1e-4);
        },
      ),
      { seed: 20261121, numRuns: 300 },
    );
  });

  test("a score does change with m - n", () => {
    expect(Math.abs(dot(turn(q, 7), turn(k, 3)) - dot(turn(q, 7), turn(k, 4)))).toBeGreaterThan(0.01 * size);
  });

  test("every pair keeps its norm, within 3 ε", () => {
    const pairs = Array.from({ length: K / 2 }, (_, i) =>
      layout === "half-split" ? [i, i + K / 2] : [2 * i, 2 * i + 1],
    );
    for (const position of [0, 1, 17, 123_456]) {
      const turned = turn(q, position);
      for (const [a, b] of pairs) {
        const norm = Math.hypot(q[a], q[b]);
        expect(Math.abs(Math.hypot(turned[a], turned[b]) - norm)).toBeLessThan(3 * EPSILON * norm);
      }
    }
  });

  test("position 0 changes nothing", () => {
    expect(turn(q, 0)).toEqual(q);
  });

  test("a position turns backwards by its own angle, within 1e-5", () => {
    // cos is even and sin odd, so the inverse turn is that of the swapped pairs; by composition: m + n is m after n.
    const [m, n] = [5, 9];
    const both = turn(turn(q, m), n);
    const once = turn(q, m + n);
    once.forEach((value, i) => {
      expect(Math.abs(both[i] - value)).toBeLessThan(1e-5 * Math.sqrt(dot(q, q)));
    });
  });

  test("coordinates past the rotary dimension are copied", () => {
    const frequencies = ropeFrequencies({ theta: 10_000, rotaryDim: 6, scaling: { type: "default" } }, 1);
    const turned = applyRope(q, { headDim: K, positions: [3], frequencies, layout });
    expect(turned.slice(6)).toEqual(q.slice(6));
    expect(turned.slice(0, 6)).toEqual(applyRope(q.slice(0, 6), { headDim: 6, positions: [3], layout }));
  });

  test("heads turn alike, rows by their own positions", () => {
    const two = Float32Array.of(...q, ...k, ...k, ...q);
    const turned = applyRope(two, { headDim: K, heads: 2, positions: [4, 11], layout });
    expect(turned).toEqual(Float32Array.of(...turn(q, 4), ...turn(k, 4), ...turn(k, 11), ...turn(q, 11)));
  });
});

test("the two layouts are the same turn of coordinates in another order, bit for bit", () => {
  const [T, heads, K] = [5, 3, 12];
  const x = new Random(2).normal(T * heads * K);
  // Interleaved coordinate 2i + j is half-split coordinate i + j K/2.
  const at = (i: number) => i - (i % K) + ((i % K) >> 1) + (i % 2) * (K / 2);
  const interleaved = x.map((_, i) => x[at(i)]);
  const split = applyRope(x, { headDim: K, heads });
  expect(applyRope(interleaved, { headDim: K, heads, layout: "interleaved" })).toEqual(
    split.map((_, i) => split[at(i)]),
  );
});

test("half-split is Hugging Face's x cos + rotate_half(x) sin, within an ulp", () => {
  const x = Float32Array.of(1, 2, 3, 4);
  const [c, s] = [0, 1]
    .map((i) => [Math.cos, Math.sin].map((f) => f(Math.fround(3 * Math.fround(100 ** -i)))))
    .reduce(
      ([cs, ss], [cos, sin]) => [
        [...cs, cos],
        [...ss, sin],
      ],
      [[], []] as number[][],
    );
  const expected = [1 * c[0] - 3 * s[0], 2 * c[1] - 4 * s[1], 3 * c[0] + 1 * s[0], 4 * c[1] + 2 * s[1]];
  applyRope(x, { headDim: 4, positions: [3] }).forEach((value, i) => {
    expect(Math.abs(value - expected[i])).toBeLessThan(8 * EPSILON);
  });
});

describe("frequencies", () => {
  test.each(fixture.frequencies.map((entry) => [entry.name, entry] as const))(
    "%s: transformers' formula in double precision within an ulp, in float32 within 8 ε",
    (_, { config, length, attentionScaling, float64, float32 }) => {
      const actual = ropeFrequencies(config, length);
      expect(actual.inverse.length).toBe(float64.length);
      actual.inverse.forEach((value, i) => {
        expect(Math.abs(value - float64[i]), `[${i}]`).toBeLessThanOrEqual(1.001 * EPSILON * float64[i]);
        expect(Math.abs(value - float32[i]), `[${i}]`).toBeLessThanOrEqual(8 * EPSILON * float32[i]);
      });
      expect(actual.attentionScaling).toBe(attentionScaling);
    },
  );

  test("every rule has a case", () => {
    const rules: Record<RopeScaling["type"], true> = {
      ...{ default: true, linear: true, dynamic: true, llama3: true, yarn: true, longrope: true, factors: true },
    };
    expect(new Set(fixture.frequencies.map(({ config }) => config.scaling.type))).toEqual(new Set(Object.keys(rules)));
  });

  test("yarn's factor on cos and sin", () => {
    for (const [factor, mscale, all, expected] of fixture.attentionFactors.yarn) {
      expect(yarnAttentionFactor(factor, mscale ?? undefined, all ?? undefined)).toBeCloseTo(expected, 14);
    }
  });

  test("longrope's factor on cos and sin", () => {
    for (const [factor, trained, expected] of fixture.attentionFactors.longrope) {
      expect(longropeAttentionFactor(factor, trained)).toBeCloseTo(expected, 14);
    }
  });
});

describe("angles", () => {
  test("are rounded to float32 before cos and sin, which are scaled and rounded once", () => {
    const frequencies = { inverse: Float32Array.of(1, 0.1, 0.001), attentionScaling: 1.25 };
    const positions = [0, 3, 99_999];
    const [cos, sin] = [new Float32Array(9), new Float32Array(9)];
    ropeAngles(frequencies, positions, cos, sin);
    positions.forEach((position, row) => {
      frequencies.inverse.forEach((frequency, i) => {
        const angle = Math.fround(position * frequency);
        // Math.cos may be off by an ulp of a double, which moves a float32 only where it lies at a tie.
        expect(Math.abs(cos[row * 3 + i] - 1.25 * Math.cos(angle))).toBeLessThanOrEqual(1.001 * EPSILON * 1.25);
        expect(Math.abs(sin[row * 3 + i] - 1.25 * Math.sin(angle))).toBeLessThanOrEqual(1.001 * EPSILON * 1.25);
      });
    });
    // Unrounded, 99999 · 0.1f is 9999.9001..., 5e-5 away from the float32 that the models take.
    expect(Math.abs(cos[7] - 1.25 * Math.cos(99_999 * frequencies.inverse[1]))).toBeGreaterThan(1e-5);
  });

  test("reach as far as the angles are exact, and not beyond", () => {
    const frequencies = ropeFrequencies({ theta: 10_000, rotaryDim: 4, scaling: { type: "default" } }, 1);
    const last = Math.floor(MAX_ANGLE); // the first frequency is 1
    const out = new Float32Array(2);
    expect(() => ropeAngles(frequencies, [last], out, out)).not.toThrow();
    expect(() => ropeAngles(frequencies, [last + 64], out, out)).toThrow(RangeError);
  });
});

describe("what is refused", () => {
  const trained = { originalMaxPositionEmbeddings: 512 };
  const yarn = { type: "yarn", factor: 2, ...trained, betaFast: 32, betaSlow: 1, attentionFactor: 1, truncate: true };
  const llama3 = { type: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, ...trained };
  const longrope = { type: "longrope", shortFactor: [1, 1], longFactor: [1, 1], ...trained, attentionFactor: 1 };
  test.each<[string, object, RegExp]>([
    ["an odd rotaryDim", { rotaryDim: 3 }, /^rotaryDim: expected an even number, got 3/],
    ["a rotaryDim of 0", { rotaryDim: 0 }, /^rotaryDim: expected/],
    ["a theta of 0", { theta: 0 }, /^theta: expected more than 0/],
    ["a theta of NaN", { theta: Number.NaN }, /^theta: expected a finite number/],
    ["linear by 0", { scaling: { type: "linear", factor: 0 } }, /^factor: expected more than 0/],
    ["dynamic by NaN", { scaling: { type: "dynamic", factor: Number.NaN, maxPositionEmbeddings: 9 } }, /^factor/],
    ["dynamic from 0", { scaling: { type: "dynamic", factor: 2, maxPositionEmbeddings: 0 } }, /^maxPosition/],
    [
      "dynamic of 2 dimensions",
      { rotaryDim: 2, scaling: { type: "dynamic", factor: 2, maxPositionEmbeddings: 9 } },
      /^dynamic scaling needs/,
    ],
    ["llama3 by -1", { scaling: { ...llama3, factor: -1 } }, /^factor/],
    ["llama3 with an empty ramp", { scaling: { ...llama3, highFreqFactor: 1 } }, /^highFreqFactor: expected more/],
    ["llama3 from 0", { scaling: { ...llama3, originalMaxPositionEmbeddings: 0 } }, /^originalMax/],
    ["yarn by 0", { scaling: { ...yarn, factor: 0 } }, /^factor/],
    ["yarn without a beta", { scaling: { ...yarn, betaFast: undefined } }, /^betaFast/],
    ["yarn scaled by NaN", { scaling: { ...yarn, attentionFactor: Number.NaN } }, /^attentionFactor/],
    ["longrope with too few factors", { scaling: { ...longrope, longFactor: [1] } }, /^rope factors: expected 2/],
    ["longrope with a factor of 0", { scaling: { ...longrope, shortFactor: [1, 0] } }, /^rope factor: expected more/],
    ["longrope from NaN", { scaling: { ...longrope, originalMaxPositionEmbeddings: Number.NaN } }, /^originalMax/],
    ["factors, too many", { scaling: { type: "factors", factors: [1, 1, 1] } }, /^rope factors: expected 2/],
    ["a rule that nobody knows", { scaling: { type: "su" } }, /^unknown rope scaling {"type":"su"}/],
  ])("%s", (_, change, message) => {
    const config = { theta: 10_000, rotaryDim: 4, scaling: { type: "default" }, ...change } as RopeConfig;
    expect(() => ropeFrequencies(config, 1)).toThrow(RangeError);
    expect(() => ropeFrequencies(config, 1)).toThrow(message);
  });

  test("a length that is no count of positions", () => {
    const config: RopeConfig = { theta: 10_000, rotaryDim: 4, scaling: { type: "default" } };
    for (const length of [Number.NaN, -1, 1.5]) expect(() => ropeFrequencies(config, length)).toThrow(/^length/);
  });
});

/** Functions on plain arrays: what they refuse, by name; and the results that their documentation states. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import * as core from "../index";

const F = (length: number) => new Float32Array(length);
const ATTENTION = { heads: 2, headDim: 4 };
const RELATIVE = { data: F(10), length: 5, origin: 2 };
/** Breaks a type on purpose: these tests are for those who call from JavaScript. */
const wrong = (value: unknown) => value as never;

describe("wrong lengths and numbers throw a RangeError that names the argument", () => {
  test.each<[string, () => unknown, RegExp]>([
    [
      "linear: x",
      () => core.linear(F(5), F(6), { inFeatures: 2 }),
      /^x: expected \[N, 2\], that is a multiple of 2 numbers, got 5/,
    ],
    ["linear: weight", () => core.linear(F(4), F(5), { inFeatures: 2 }), /^weight: .* multiple of 2 numbers, got 5/],
    ["linear: bias", () => core.linear(F(4), F(6), { inFeatures: 2, bias: F(2) }), /^bias: expected 3/],
    ["linear: inFeatures 0", () => core.linear(F(4), F(6), { inFeatures: 0 }), /^inFeatures: expected/],
    ["linear: inFeatures NaN", () => core.linear(F(4), F(6), { inFeatures: Number.NaN }), /^inFeatures: expected/],
    ["embedding: an id too large", () => core.embedding(F(6), [0, 3], { width: 2 }), /^ids\[1\]: .* 0 to 2, got 3/],
    ["embedding: a negative id", () => core.embedding(F(6), [-1], { width: 2 }), /^ids\[0\]/],
    ["embedding: half an id", () => core.embedding(F(6), [0.5], { width: 2 }), /^ids\[0\]/],
    ["embedding: an empty table", () => core.embedding(F(0), [0], { width: 2 }), /^ids\[0\]/],
    ["embedding: table", () => core.embedding(F(5), [0], { width: 2 }), /^table: .* multiple of 2 numbers, got 5/],
    ["embedding: width", () => core.embedding(F(6), [0], { width: 1.5 }), /^width: expected/],
    ["rmsNorm: x", () => core.rmsNorm(F(5), F(2)), /^x: expected \[N, 2\], that is a multiple of 2 numbers, got 5/],
    ["rmsNorm: weight", () => core.rmsNorm(F(0), F(0)), /^weight: expected 1/],
    [
      "rmsNorm: eps NaN",
      () => core.rmsNorm(F(2), F(2), { eps: Number.NaN }),
      /^eps: expected a finite number, got NaN/,
    ],
    ["rmsNorm: eps negative", () => core.rmsNorm(F(2), F(2), { eps: -1e-9 }), /^eps: expected at least 0/],
    ["layerNorm: x", () => core.layerNorm(F(5), F(2), null), /^x: .* multiple of 2 numbers, got 5/],
    ["layerNorm: bias", () => core.layerNorm(F(4), F(2), F(3)), /^bias: expected 2/],
    ["layerNorm: eps", () => core.layerNorm(F(4), F(2), null, { eps: Infinity }), /^eps: expected a finite number/],
    [
      "softmax: width",
      () => core.softmax(F(4), { width: 3 }),
      /^x: expected \[N, 3\], that is a multiple of 3 numbers, got 4/,
    ],
    ["softmax: width 0", () => core.softmax(F(4), { width: 0 }), /^width: expected/],
    ["activate: activation", () => core.activate(F(1), wrong("gelu_new")), /^activation: .*"relu", "gelu".*"gelu_new"/],
    [
      "gelu: approximate",
      () => core.gelu(F(1), wrong({ approximate: "erf" })),
      /^approximate: expected .*"none", "tanh"/,
    ],
    ["swiglu: up", () => core.swiglu(F(3), F(2)), /^up: expected 3 numbers as gate, got 2/],
    ["geglu: up", () => core.geglu(F(3), F(4)), /^up: expected 3/],
    ["softCap: 0", () => core.softCap(F(1), 0), /^cap: expected more than 0/],
    ["softCap: NaN", () => core.softCap(F(1), Number.NaN), /^cap: expected a finite number/],
    ["applyRope: x", () => core.applyRope(F(9), { headDim: 4, heads: 1 }), /^x: expected 12 .* \[3, 1, 4\], got 9/],
    ["applyRope: positions", () => core.applyRope(F(8), { headDim: 4, positions: [0, -1] }), /^positions\[1\]/],
    ["applyRope: rows", () => core.applyRope(F(8), { headDim: 4, heads: 2, positions: [0, 1] }), /^x: expected 16/],
    ["applyRope: headDim", () => core.applyRope(F(8), { headDim: 0, heads: 2 }), /^headDim/],
    ["applyRope: an odd headDim", () => core.applyRope(F(3), { headDim: 3, heads: 1 }), /^rotaryDim: .* even/],
    ["applyRope: heads 0", () => core.applyRope(F(8), { headDim: 4, heads: 0 }), /^heads: expected/],
    ["applyRope: heads NaN", () => core.applyRope(F(8), { headDim: 4, heads: Number.NaN }), /^heads: expected/],
    ["applyRope: layout", () => core.applyRope(F(8), { headDim: 4, heads: 2, layout: wrong("neox") }), /^layout/],
    [
      "applyRope: too many frequencies",
      () => core.applyRope(F(4), { headDim: 4, heads: 1, frequencies: { inverse: F(3), attentionScaling: 1 } }),
      /^frequencies: expected at most 2 for heads of width 4, got 3/,
    ],
    [
      "attention: q",
      () => core.attention(F(9), F(8), F(8), ATTENTION),
      /^q: expected \[T, H, K\] = \[T, 2, 4\].* multiple of 8 numbers, got 9/,
    ],
    ["attention: k", () => core.attention(F(8), F(9), F(9), ATTENTION), /^k: .* multiple of 8 numbers, got 9/],
    ["attention: v", () => core.attention(F(8), F(8), F(16), ATTENTION), /^v: expected 8/],
    ["attention: heads", () => core.attention(F(8), F(8), F(8), { heads: 0, headDim: 4 }), /^heads/],
    ["attention: headDim", () => core.attention(F(8), F(8), F(8), { heads: 2, headDim: 0.5 }), /^headDim/],
    [
      "attention: scale",
      () => core.attention(F(8), F(8), F(8), { ...ATTENTION, scale: Number.NaN }),
      /^scale: .* finite/,
    ],
    ["attention: softCap", () => core.attention(F(8), F(8), F(8), { ...ATTENTION, softCap: 0 }), /^softCap/],
    ["attention: position", () => core.attention(F(8), F(8), F(8), { ...ATTENTION, position: -1 }), /^position/],
    [
      "attention: bias",
      () => core.attention(F(8), F(8), F(8), { ...ATTENTION, bias: F(3) }),
      /^bias: expected 2 .*\[2, 1, 1\]/,
    ],
    ["attention: probs", () => core.attention(F(8), F(8), F(8), { ...ATTENTION, probs: F(3) }), /^probs: expected 2/],
    [
      "attention: relativeBias.data",
      () => core.attention(F(8), F(8), F(8), { ...ATTENTION, relativeBias: { ...RELATIVE, length: 6 } }),
      /^relativeBias.data: expected 12/,
    ],
    [
      "attention: relativeBias.origin",
      () => core.attention(F(8), F(8), F(8), { ...ATTENTION, relativeBias: { ...RELATIVE, origin: Number.NaN } }),
      /^relativeBias.origin/,
    ],
    [
      "attention: a mask's numbers",
      () => core.attention(F(8), F(8), F(8), { ...ATTENTION, mask: { keyLength: -1 } }),
      /^keyLength/,
    ],
    [
      "linearAttention: q",
      () => core.linearAttention(F(9), F(8), F(8), ATTENTION),
      /^q: .* multiple of 8 numbers, got 9/,
    ],
    ["linearAttention: v", () => core.linearAttention(F(8), F(8), F(7), ATTENTION), /^v: expected 8/],
    ["linearAttention: heads", () => core.linearAttention(F(8), F(8), F(8), { ...ATTENTION, kvHeads: 3 }), /^heads/],
    [
      "linearAttention: featureMap",
      () => core.linearAttention(F(8), F(8), F(8), { ...ATTENTION, featureMap: wrong("elu") }),
      /^featureMap: expected one of/,
    ],
    [
      "linearAttention: causal over more keys than queries",
      () => core.linearAttention(F(8), F(16), F(16), { ...ATTENTION, causal: true }),
      /^causal linear attention needs as many queries as keys, got 1 and 2/,
    ],
  ])("%s", (_, call, message) => {
    expect(call).toThrow(RangeError);
    expect(call).toThrow(message);
  });
});

describe("what is not a Float32Array throws a TypeError that names the argument", () => {
  const numbers = wrong([1, 2, 3, 4, 5, 6, 7, 8]);
  const doubles = wrong(new Float64Array(8));
  test.each<[string, () => unknown]>([
    ["x", () => core.linear(numbers, F(4), { inFeatures: 2 })],
    ["weight", () => core.linear(F(4), doubles, { inFeatures: 2 })],
    ["bias", () => core.linear(F(4), F(4), { inFeatures: 2, bias: wrong([1, 2]) })],
    ["table", () => core.embedding(numbers, [0], { width: 2 })],
    ["x", () => core.rmsNorm(doubles, F(2))],
    ["weight", () => core.rmsNorm(F(8), numbers)],
    ["x", () => core.layerNorm(numbers, F(2), null)],
    ["bias", () => core.layerNorm(F(2), F(2), wrong([1, 2]))],
    ["x", () => core.softmax(doubles)],
    ["x", () => core.relu(numbers)],
    ["x", () => core.silu(doubles)],
    ["x", () => core.quickGelu(numbers)],
    ["x", () => core.gelu(numbers)],
    ["x", () => core.softCap(doubles, 1)],
    ["gate", () => core.swiglu(numbers, F(8))],
    ["up", () => core.geglu(F(8), doubles)],
    ["x", () => core.applyRope(numbers, { headDim: 4, heads: 2 })],
    ["q", () => core.attention(numbers, F(8), F(8), ATTENTION)],
    ["k", () => core.attention(F(8), doubles, F(8), ATTENTION)],
    ["v", () => core.linearAttention(F(8), F(8), numbers, ATTENTION)],
    ["probs", () => core.attention(F(8), F(8), F(8), { ...ATTENTION, probs: doubles })],
    ["table", () => core.learnedPositions(numbers, [0], { width: 2 })],
  ])("%s %#", (name, call) => {
    expect(call).toThrow(TypeError);
    expect(call).toThrow(new RegExp(`^${name}: expected a Float32Array, got \\[object (Array|Float64Array)\\]`));
  });
});

describe("unknown options throw a TypeError that names them", () => {
  test.each<[string, (options: never) => unknown]>([
    ["linear", (o) => core.linear(F(4), F(4), o)],
    ["embedding", (o) => core.embedding(F(4), [0], o)],
    ["rmsNorm", (o) => core.rmsNorm(F(4), F(2), o)],
    ["layerNorm", (o) => core.layerNorm(F(4), F(2), null, o)],
    ["softmax", (o) => core.softmax(F(4), o)],
    ["gelu", (o) => core.gelu(F(4), o)],
    ["geglu", (o) => core.geglu(F(4), F(4), o)],
    ["applyRope", (o) => core.applyRope(F(8), o)],
    ["attention", (o) => core.attention(F(8), F(8), F(8), o)],
    ["linearAttention", (o) => core.linearAttention(F(8), F(8), F(8), o)],
    ["attentionMask", (o) => core.attentionMask(o)],
    ["learnedPositions", (o) => core.learnedPositions(F(4), [0], o)],
    ["sinusoidalPositions", (o) => core.sinusoidalPositions([0], o)],
    ["KvCache", (o) => new core.KvCache(o)],
  ])("%s", (name, call) => {
    expect(() => call(wrong({ epsilon: 1 }))).toThrow(TypeError);
    expect(() => call(wrong({ epsilon: 1 }))).toThrow(`${name}: unknown option "epsilon"; known are `);
    expect(() => call(wrong(null))).toThrow(TypeError);
  });

  test("a mask that is neither whole nor options is refused, not taken for one that hides everything", () => {
    const mask = wrong({ left: 2, right: 2 });
    expect(() => core.attention(F(8), F(8), F(8), { ...ATTENTION, mask })).toThrow('unknown option "left"');
    expect(() => core.attention(F(8), F(8), F(8), { ...ATTENTION, mask: wrong(null) })).toThrow(TypeError);
  });

  test("options that exclude each other", () => {
    const both = { ...ATTENTION, bias: F(2), relativeBias: RELATIVE };
    expect(() => core.attention(F(8), F(8), F(8), both)).toThrow("give bias or relativeBias, not both");
    expect(() => core.applyRope(F(8), { headDim: 4 })).toThrow("give positions or heads");
  });
});

describe("empty arrays give empty results", () => {
  test.each<[string, () => Float32Array]>([
    ["linear", () => core.linear(F(0), F(6), { inFeatures: 2 })],
    ["embedding", () => core.embedding(F(4), [], { width: 2 })],
    ["rmsNorm", () => core.rmsNorm(F(0), F(2))],
    ["layerNorm", () => core.layerNorm(F(0), F(2), F(2))],
    ["softmax", () => core.softmax(F(0))],
    ["gelu", () => core.gelu(F(0))],
    ["swiglu", () => core.swiglu(F(0), F(0))],
    ["softCap", () => core.softCap(F(0), 1)],
    ["applyRope by heads", () => core.applyRope(F(0), { headDim: 4, heads: 2 })],
    ["applyRope by positions", () => core.applyRope(F(0), { headDim: 4, positions: [] })],
    ["attention", () => core.attention(F(0), F(8), F(8), ATTENTION)],
    ["linearAttention", () => core.linearAttention(F(0), F(8), F(8), ATTENTION)],
  ])("%s", (_, call) => {
    expect(call()).toEqual(F(0));
  });
});

describe("options that are left out", () => {
  const [x, y] = [Float32Array.of(1, -2, 3, 4, -5, 6, 7, 8), Float32Array.of(3, 1, 4, -1, 5, 9, -2, 6)];
  const small = x.map((value) => value * 1e-3); // so that eps matters
  test.each<[string, () => Float32Array, () => Float32Array]>([
    ["rmsNorm: eps 1e-6", () => core.rmsNorm(small, y), () => core.rmsNorm(small, y, { eps: 1e-6 })],
    ["layerNorm: eps 1e-5", () => core.layerNorm(small, y, x), () => core.layerNorm(small, y, x, { eps: 1e-5 })],
    ["softmax: one row", () => core.softmax(x), () => core.softmax(x, { width: 8 })],
    ["gelu: with the error function", () => core.gelu(x), () => core.activate(x, "gelu")],
    ["geglu: with the error function", () => core.geglu(x, y), () => core.geglu(x, y, { approximate: "none" })],
    [
      "attention: MHA over everything, scaled by 1/sqrt(K)",
      () => core.attention(x, x.map(Math.sin), y, { heads: 2, headDim: 2 }),
      () =>
        core.attention(x, x.map(Math.sin), y, {
          ...{ heads: 2, kvHeads: 2, headDim: 2 },
          ...{ scale: 1 / Math.sqrt(2), mask: {}, position: 0 },
        }),
    ],
    [
      "attention: queries are the last positions",
      () => core.attention(x, y, y, { heads: 2, kvHeads: 1, headDim: 4, mask: { causal: true } }),
      () => core.attention(x, y, y, { heads: 2, kvHeads: 1, headDim: 4, mask: { causal: true }, position: 1 }),
    ],
    [
      "linearAttention: elu + 1 over everything, normalised",
      () => core.linearAttention(x, x, y, { heads: 1, headDim: 4 }),
      () =>
        core.linearAttention(x, x, y, {
          ...{ heads: 1, kvHeads: 1, headDim: 4 },
          ...{ featureMap: "elu+1", causal: false, normalize: true },
        }),
    ],
    [
      "applyRope: positions from 0, theta 10000, half-split",
      () => core.applyRope(x, { headDim: 4, heads: 1 }),
      () =>
        core.applyRope(x, {
          ...{ headDim: 4, positions: [0, 1], layout: "half-split" },
          frequencies: { inverse: Float32Array.of(1, 0.01), attentionScaling: 1 },
        }),
    ],
  ])("%s", (_, without, written) => {
    expect(without()).toEqual(written());
  });
});

describe("inputs are left as they are", () => {
  const x = () => Float32Array.of(1, -2, 3, 4, -5, 6, 7, 8);
  test.each<[string, (a: Float32Array, b: Float32Array, c: Float32Array) => unknown]>([
    ["linear", (a, b) => core.linear(a, b, { inFeatures: 2 })],
    ["layerNorm", (a, b, c) => core.layerNorm(a, b, c)],
    ["rmsNorm", (a, b) => core.rmsNorm(a, b)],
    ["softmax", (a) => core.softmax(a)],
    ["relu", (a) => core.relu(a)],
    ["swiglu", (a, b) => core.swiglu(a, b)],
    ["softCap", (a) => core.softCap(a, 2)],
    ["applyRope", (a) => core.applyRope(a, { headDim: 4, positions: [3, 4] })],
    ["attention", (a, b, c) => core.attention(a, b, c, ATTENTION)],
    ["linearAttention", (a, b, c) => core.linearAttention(a, b, c, ATTENTION)],
  ])("%s", (_, call) => {
    const arrays = [x(), x(), x()] as const;
    call(...arrays);
    for (const array of arrays) expect(array).toEqual(x());
  });
});

describe("the examples of the documentation give what they state, to the digits written", () => {
  // Lines such as ` * relu(new Float32Array([-1, 2])); // [0, 2]`
  const stated = ["functional/layers.ts", "nn/rope.ts", "nn/positions.ts"].flatMap((file) => {
    const source = readFileSync(new URL(`../${file}`, import.meta.url), "utf8");
    return [...source.matchAll(/^ \* (\w+\(.*\)\S*); \/\/ (\[[-\d., ]+\]|[-\d.]+)$/gm)].map(([, call, result]) => [
      call,
      result,
    ]);
  });

  test("there are some", () => {
    expect(stated.length).toBeGreaterThanOrEqual(15);
  });

  test.each(stated)("%s is %s", (call, result) => {
    const value: number | Float32Array = new Function(...Object.keys(core), `return ${call}`)(...Object.values(core));
    const written: number | number[] = JSON.parse(result);
    const [actual, expected] = [value, written].map((x) => (typeof x === "number" ? [x] : Array.from(x)));
    expect(actual.length).toBe(expected.length);
    actual.forEach((x, i) => {
      expect(x).toBeCloseTo(expected[i], 4);
    });
  });
});

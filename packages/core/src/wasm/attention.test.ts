/** The attention kernel against the reference, and its promise that no tile, thread or pass changes a bit. */

import { describe, expect, test } from "vitest";
import { attentionCase, gather, type KeyOrder, keyRowsOf } from "../../../../tests/ops/attention";
import { allowed, worst } from "../../../../tests/ops/compare";
import { Random } from "../../../../tests/ops/random";
import { attentionMask, type MaskOptions, visibleKeys } from "../kernels/mask";
import { type AttentionArrays, attention, type BiasArray } from "../kernels/reference/attention";
import { attentionItems, attentionScratchBytes, emitAttention } from "./attention";
import { CONSTANTS_ADDRESS, type KernelFunction, ModuleBuilder, SLOTS_ADDRESS } from "./module";
import { knownAddressBits } from "./testing";

const PAGE_BYTES = 65_536;
const THREADS = 3;
const GUARD = 0xc3;
const GUARD_BYTES = 256;

const modules = new Map(
  knownAddressBits().map((addressBits) => {
    const builder = new ModuleBuilder({ addressBits, shared: false });
    emitAttention(builder);
    return [addressBits, { module: new WebAssembly.Module(builder.finish()), constants: builder.constants }];
  }),
);

interface Results {
  readonly out: Float32Array;
  readonly probs: Float32Array;
}

interface Running {
  /** Ends of the parts that the work is cut into, which threads take in turn; one part if left out. */
  readonly cuts?: (items: number) => readonly number[];
  readonly addressBits?: 32 | 64;
}

/** Runs the kernel, and throws if it wrote anything but its results and its scratch. */
function run(call: AttentionArrays, { cuts = (items) => [items], addressBits = 32 }: Running = {}): Results {
  const { q, keys, values, keyRows, heads, kvHeads, headDim, position, bias, mask } = call;
  const queries = q.length / (heads * headDim);
  const keyCount = keyRows?.length ?? keys.length / (kvHeads * headDim);
  const shape = { queries, keyCount, heads, kvHeads, headDim };
  const scratchBytes = attentionScratchBytes(shape);
  const range = { from: 0, to: 0 };
  const ranges = Int32Array.from({ length: 2 * queries }, (_, i) => {
    visibleKeys(mask, position + (i >> 1), keyCount, range);
    return i % 2 === 0 ? range.from : range.to;
  });

  let end = CONSTANTS_ADDRESS + 4096;
  const place = (bytes: number, offset = 4): number => {
    const address = Math.ceil((end + GUARD_BYTES) / 64) * 64 + offset; // float arrays lie at any multiple of 4
    end = address + bytes;
    return address;
  };
  const at = {
    out: place(q.byteLength),
    probs: place(4 * heads * queries * keyCount),
    scratch: place(THREADS * scratchBytes, 0),
    ranges: place(ranges.byteLength),
    bias: bias === null ? 0 : place(bias.data.byteLength),
    q: place(q.byteLength),
    keys: place(keys.byteLength),
    values: place(values.byteLength),
    keyRows: keyRows === null ? 0 : place(keyRows.byteLength),
  };
  const pages = Math.ceil((end + GUARD_BYTES) / PAGE_BYTES);
  const descriptor = addressBits === 32 ? { initial: pages } : { initial: BigInt(pages), address: "i64" };
  const memory = new WebAssembly.Memory(descriptor as WebAssembly.MemoryDescriptor);
  const bytes = new Uint8Array(memory.buffer).fill(GUARD);
  const { module, constants } = modules.get(addressBits)!;
  bytes.set(constants, CONSTANTS_ADDRESS);
  const floats = (address: number, length: number) => new Float32Array(memory.buffer, address, length);
  floats(at.q, q.length).set(q);
  floats(at.keys, keys.length).set(keys);
  floats(at.values, values.length).set(values);
  if (bias !== null) floats(at.bias, bias.data.length).set(bias.data);
  new Int32Array(memory.buffer, at.ranges, ranges.length).set(ranges);
  if (keyRows !== null) new Int32Array(memory.buffer, at.keyRows, keyRows.length).set(keyRows);
  const relative = bias?.kind === "relative" ? bias : null;
  new Float64Array(memory.buffer, SLOTS_ADDRESS, 20).set([
    ...[at.out, at.q, at.keys, at.values, at.ranges, at.probs, at.bias, at.scratch],
    ...[queries, keyCount, heads, kvHeads, headDim, call.scale, call.softCap ?? 0],
    ...[relative === null ? 0 : 1, relative?.length ?? 0, relative === null ? 0 : relative.origin - position],
    ...[scratchBytes, at.keyRows],
  ]);

  const before = bytes.slice();
  const kernel = new WebAssembly.Instance(module, { qkv: { memory } }).exports.attention as KernelFunction;
  const slots = addressBits === 64 ? BigInt(SLOTS_ADDRESS) : SLOTS_ADDRESS;
  let from = 0;
  cuts(attentionItems(queries, heads, kvHeads)).forEach((to, i) => {
    kernel(slots, from, to, i % THREADS);
    from = to;
  });
  const writable = [
    [at.out, q.byteLength],
    [at.probs, 4 * heads * queries * keyCount],
    [at.scratch, THREADS * scratchBytes],
  ];
  for (const [address, length] of writable) before.set(bytes.subarray(address, address + length), address);
  const [words, wordsBefore] = [new Int32Array(memory.buffer), new Int32Array(before.buffer)];
  for (let i = 0; i < words.length; i++) {
    if (words[i] !== wordsBefore[i]) throw new Error(`attention wrote to ${4 * i}, outside of its results and scratch`);
  }
  return { out: floats(at.out, q.length).slice(), probs: floats(at.probs, heads * queries * keyCount).slice() };
}

function reference(call: AttentionArrays): Results {
  const queries = call.q.length / (call.heads * call.headDim);
  const out = new Float32Array(call.q.length);
  const keyCount = call.keyRows?.length ?? call.keys.length / (call.kvHeads * call.headDim);
  const probs = new Float32Array(call.heads * queries * keyCount);
  attention(out, { ...call, probs });
  return { out, probs };
}

type Shape = Parameters<typeof attentionCase>[0];
type Options = NonNullable<Parameters<typeof attentionCase>[1]>;

/** A call on the inputs of the op table's case with the same shape and options. */
function tableCall(shape: Shape, options: Options) {
  const table = attentionCase(shape, options);
  const inputs = table.inputs();
  const { T, S, H, G, K } = shape;
  const position = options.position ?? Math.max(0, S - T);
  let bias: BiasArray | null = null;
  if (options.bias === "full") bias = { kind: "full", data: inputs.bias };
  if (options.bias === "relative") {
    bias = { kind: "relative", data: inputs.bias, origin: position + T, length: S + position + T + 2 };
  }
  const call: AttentionArrays = {
    ...{ q: inputs.q, keys: inputs.k, values: inputs.v, heads: H, kvHeads: G, headDim: K, position, bias },
    ...{ scale: options.scale ?? 1 / Math.sqrt(K), softCap: options.softCap ?? null, probs: null },
    keyRows: options.keyRows === undefined ? null : keyRowsOf(options.keyRows, S),
    mask: attentionMask(options.mask),
  };
  return { name: table.name, call, bound: table.bound, exact: table.exact(inputs) };
}

function expectWithinBound(shape: Shape, options: Options): void {
  const { name, call, bound, exact } = tableCall(shape, options);
  const actual = run(call);
  const expected = reference(call);
  for (const result of ["out", "probs"] as const) {
    const { ratio, where } = worst(actual[result], expected[result], (i) => allowed(exact[result], bound, i));
    expect(ratio, `${name}: ${result} ${where}`).toBeLessThanOrEqual(1);
  }
}

const CAUSAL = { causal: true };
const MASKS: readonly MaskOptions[] = [
  {},
  CAUSAL,
  { causal: true, window: 4 },
  { causal: true, window: 1 },
  { window: { left: 2, right: 3 } },
  { causal: true, prefix: 6 },
  { groups: [3, 8, 9] },
  { causal: true, groups: [5, 17], window: 3 },
  { causal: true, firstKey: 7 },
  { keyLength: 5 },
  { keyLength: 0 },
];

describe("within (4 + √K / 2) 2^-24 Σ weight |v| (1 + max Σ |scale q k| + |bias|) of the reference", () => {
  test.each([1, 3, 4, 5, 8, 16, 17, 64, 80, 128])("K %d", (K) => {
    for (const [H, G] of [
      [1, 1],
      [2, 1],
      [3, 1],
      [6, 3],
    ]) {
      for (const T of [0, 1, 2, 3, 5, 17]) {
        for (const S of [T, T + 3, T + 30]) {
          expectWithinBound({ T, S, H, G, K }, { mask: CAUSAL });
          if (S < 20) expectWithinBound({ T, S, H, G, K }, {});
        }
      }
    }
  });

  test.each(MASKS.map((mask) => [JSON.stringify(mask), mask] as const))("mask %s", (_, mask) => {
    for (const K of [5, 16]) {
      for (const [H, G] of [
        [2, 2],
        [3, 1],
      ]) {
        expectWithinBound({ T: 19, S: 19, H, G, K }, { mask });
        expectWithinBound({ T: 3, S: 22, H, G, K }, { mask });
        expectWithinBound({ T: 40, S: 90, H, G, K }, { mask });
      }
    }
  });

  const scores: Options[] = [
    { bias: "full" },
    { bias: "full", softCap: 2 },
    { bias: "relative", scale: 1 },
    { bias: "relative", mask: CAUSAL, position: 0 },
    { bias: "relative", mask: { causal: true, window: 3 } },
    { softCap: 0.5, mask: CAUSAL },
    { softCap: 50 },
    { scale: 1 },
    { spread: 100, mask: CAUSAL },
    { spread: 1e-30 },
  ];
  test.each(scores.map((options) => [JSON.stringify(options), options] as const))("%s", (_, options) => {
    for (const [H, G] of [
      [2, 2],
      [6, 2],
    ]) {
      for (const [T, S] of [
        [1, 1],
        [1, 7],
        [5, 7],
        [17, 40],
        [0, 4],
        [2, 0],
      ]) {
        expectWithinBound({ T, S, H, G, K: 8 }, options);
      }
    }
  });

  test("a step of any number of heads", () => {
    for (const [H, G] of [
      [4, 1],
      [5, 1],
      [7, 1],
      [10, 2],
      [12, 12],
      [40, 8],
      [80, 2],
      [40, 40],
    ]) {
      for (const K of [4, 12, 64]) expectWithinBound({ T: 1, S: 21, H, G, K }, { mask: CAUSAL });
    }
  });

  test("more heads on one key/value head than an item holds", () => {
    expectWithinBound({ T: 3, S: 9, H: 40, G: 1, K: 16 }, { mask: CAUSAL });
  });

  test("a thousand keys", () => {
    expectWithinBound({ T: 2, S: 1027, H: 3, G: 1, K: 64 }, { mask: CAUSAL });
  });
});

/** A call on numbers of its own. */
function randomCall(shape: Shape, more: Partial<AttentionArrays> = {}): AttentionArrays {
  const { T, S, H, G, K } = shape;
  const random = new Random(T + S);
  return {
    ...{ q: random.normal(T * H * K), keys: random.normal(S * G * K), values: random.normal(S * G * K) },
    ...{ heads: H, kvHeads: G, headDim: K, position: S - T, scale: 1 / Math.sqrt(K), softCap: null, probs: null },
    ...{ mask: attentionMask(CAUSAL), bias: null, keyRows: null },
    ...more,
  };
}

/** Rows from..to of [rows, width]. */
function cut(x: Float32Array, width: number, from: number, to: number): Float32Array {
  return x.slice(from * width, to * width);
}

/** Queries from..to of a call, over its first `keyCount` keys. */
function part(call: AttentionArrays, from: number, to: number, keyCount: number): AttentionArrays {
  const width = call.kvHeads * call.headDim;
  return {
    ...call,
    q: cut(call.q, call.heads * call.headDim, from, to),
    keys: cut(call.keys, width, 0, keyCount),
    values: cut(call.values, width, 0, keyCount),
    position: call.position + from,
  };
}

describe("the same bits", () => {
  const length = 130;
  const relative: BiasArray = { kind: "relative", data: new Random(1).normal(7 * length), length, origin: 65 };
  const variants: Record<string, Partial<AttentionArrays>> = {
    ...Object.fromEntries(MASKS.map((mask) => [JSON.stringify(mask), { mask: attentionMask(mask) }])),
    "soft-capped scores": { softCap: 2 },
    "a relative bias": { bias: relative },
  };
  const shapes: readonly Shape[] = [
    { T: 41, S: 47, H: 6, G: 6, K: 64 },
    { T: 41, S: 47, H: 6, G: 2, K: 5 },
    { T: 13, S: 13, H: 6, G: 3, K: 12 },
    { T: 9, S: 11, H: 7, G: 1, K: 20 },
  ];

  test.each(Object.entries(variants))("%s: queries at once, one by one and in any chunks", (_, more) => {
    for (const shape of shapes) {
      const call = randomCall(shape, more);
      const { T, S, H, K } = shape;
      const whole = run(call).out;
      for (const step of [1, 2, 7, 32]) {
        for (let from = 0; from < T; from += step) {
          const to = Math.min(T, from + step);
          expect(run(part(call, from, to, S)).out).toEqual(cut(whole, H * K, from, to));
        }
      }
    }
  });

  test("a causal prompt, and steps that have no later keys yet", () => {
    for (const shape of shapes) {
      const call = randomCall(shape);
      const { T, S, H, K } = shape;
      const whole = run(call).out;
      for (let t = 0; t < T; t++) {
        expect(run(part(call, t, t + 1, S - T + t + 1)).out).toEqual(cut(whole, H * K, t, t + 1));
      }
    }
  });

  test("work cut into any parts, on any thread, in memories of 32 and 64 bits", () => {
    for (const shape of [...shapes, { T: 1, S: 300, H: 9, G: 3, K: 64 }]) {
      const call = randomCall(shape);
      const whole = run(call);
      for (const step of [1, 2, 5]) {
        const cuts = (items: number) =>
          Array.from({ length: Math.ceil(items / step) }, (_, i) => Math.min(items, (i + 1) * step));
        for (const addressBits of modules.keys()) expect(run(call, { cuts, addressBits })).toEqual(whole);
      }
    }
  });

  test("a mask that is a bias of -Infinity, and one that is a rule", () => {
    const [T, S, H] = [5, 11, 2];
    const call = randomCall({ T, S, H, G: 1, K: 8 });
    const hidden = (i: number) => i % S > S - T + (Math.floor(i / S) % T);
    const data = Float32Array.from({ length: H * T * S }, (_, i) => (hidden(i) ? Number.NEGATIVE_INFINITY : 0));
    expect(run({ ...call, mask: attentionMask(), bias: { kind: "full", data } })).toEqual(run(call));
  });

  test("a window or padding, and its keys alone", () => {
    const [T, S, window, firstKey] = [9, 20, 6, 3];
    for (const K of [8, 64]) {
      const call = randomCall({ T, S, H: 2, G: 1, K });
      const windowed = run({ ...call, mask: attentionMask({ causal: true, window }) }).out;
      const padded = run({ ...call, mask: attentionMask({ causal: true, firstKey }) }).out;
      const alone = (t: number, from: number) => {
        const one = part(call, t, t + 1, S - T + t + 1);
        return run({
          ...one,
          keys: one.keys.slice(from * K),
          values: one.values.slice(from * K),
          position: 0,
          mask: attentionMask(),
        });
      };
      for (let t = 0; t < T; t++) {
        expect(alone(t, S - T + t + 1 - window).out).toEqual(cut(windowed, 2 * K, t, t + 1));
        expect(alone(t, firstKey).out).toEqual(cut(padded, 2 * K, t, t + 1));
      }
    }
  });
});

describe("keys by row give the bits of a copy in order", () => {
  const ORDERS: readonly KeyOrder[] = ["reversed", "permuted", "repeated", "fan"];

  /** The first number of two results that is not the same: a report on all of them would take minutes. */
  function difference(actual: Results, expected: Results): string | null {
    for (const name of ["out", "probs"] as const) {
      expect(actual[name].length).toBe(expected[name].length);
      const at = actual[name].findIndex((x, i) => !Object.is(x, expected[name][i]));
      if (at >= 0) return `${name}[${at}] is ${actual[name][at]}, not ${expected[name][at]}`;
    }
    return null;
  }

  /** A call whose keys lie in some order, among rows of NaN that no key lies in; and the same on a copy in order. */
  function both(shape: Shape, order: KeyOrder, more: Partial<AttentionArrays> = {}) {
    const { S, G, K } = shape;
    const keyRows = keyRowsOf(order, S);
    const copy = randomCall(shape, more);
    const scatter = (x: Float32Array) => {
      const out = new Float32Array((Math.max(-1, ...keyRows) + 2) * G * K).fill(NaN);
      keyRows.forEach((row, s) => {
        out.set(cut(x, G * K, s, s + 1), row * G * K);
      });
      return out;
    };
    const byRow: AttentionArrays = { ...copy, keys: scatter(copy.keys), values: scatter(copy.values), keyRows };
    const inOrder = (x: Float32Array) => gather(x, keyRows, G * K); // where rows repeat, the copy does too
    return { byRow, copy: { ...copy, keys: inOrder(byRow.keys), values: inOrder(byRow.values) } };
  }

  test.each(ORDERS)("%s: heads and lengths", (order) => {
    for (const K of [1, 6, 64]) {
      for (const [H, G] of [
        [6, 6],
        [6, 2],
        [9, 1],
        [33, 3],
      ]) {
        for (const T of [1, 2, 17]) {
          for (const S of [1, 33, 70]) {
            const { byRow, copy } = both({ T, S, H, G, K }, order, { position: Math.max(0, S - T) });
            expect(difference(run(byRow), run(copy)), `T ${T} S ${S} H ${H} G ${G} K ${K}`).toBeNull();
          }
        }
      }
    }
  });

  test.each(ORDERS)("%s: masks, biases and soft caps, which go by the key", (order) => {
    const [T, S, H] = [9, 75, 6];
    const length = 2 * S;
    const variants: Partial<AttentionArrays>[] = [
      ...MASKS.map((mask) => ({ mask: attentionMask(mask) })),
      { softCap: 2 },
      { bias: { kind: "relative", data: new Random(1).normal(H * length), length, origin: S } },
      { bias: { kind: "full", data: new Random(2).normal(H * T * S) }, mask: attentionMask() },
    ];
    for (const more of variants) {
      for (const [G, K] of [
        [6, 8],
        [2, 5],
      ]) {
        const { byRow, copy } = both({ T, S, H, G, K }, order, more);
        expect(difference(run(byRow), run(copy))).toBeNull();
        if (more.bias?.kind === "full") continue;
        const step = { q: cut(byRow.q, H * K, T - 1, T), position: S - 1 };
        expect(difference(run({ ...byRow, ...step }), run({ ...copy, ...step }))).toBeNull();
      }
    }
  });

  test("work cut into any parts, on any thread, in memories of 32 and 64 bits", () => {
    for (const T of [1, 41]) {
      const { byRow, copy } = both({ T, S: 300, H: 9, G: 3, K: 64 }, "fan");
      const whole = run(copy);
      for (const step of [1, 2, 5]) {
        const cuts = (items: number) =>
          Array.from({ length: Math.ceil(items / step) }, (_, i) => Math.min(items, (i + 1) * step));
        for (const addressBits of modules.keys())
          expect(difference(run(byRow, { cuts, addressBits }), whole)).toBeNull();
      }
    }
  });

  test("keys that a mask hides are not read, whatever their rows hold", () => {
    const { byRow, copy } = both({ T: 1, S: 40, H: 2, G: 1, K: 8 }, "reversed", {
      mask: attentionMask({ firstKey: 4, keyLength: 30 }),
    });
    const hidden = (s: number) => s < 4 || s >= 30;
    const spoiled = (x: Float32Array) => x.map((value, i) => (hidden(39 - Math.floor(i / 8)) ? NaN : value));
    expect(
      difference(run({ ...byRow, keys: spoiled(byRow.keys), values: spoiled(byRow.values) }), run(copy)),
    ).toBeNull();
  });
});

describe("special values", () => {
  const shape = { T: 6, S: 6, H: 2, G: 1, K: 8 };
  const { K } = shape;

  /** Changes one number of an input. */
  const changed = (x: Float32Array, at: number, value: number) => x.map((old, i) => (i === at ? value : old));

  test.each([NaN, Infinity, -Infinity])("a key of %d reaches the queries that see it, and no other", (value) => {
    const call = randomCall(shape);
    const broken = run({ ...call, keys: changed(call.keys, 3 * K + 2, value) });
    const plain = run(call);
    expect(cut(broken.out, 2 * K, 0, 3)).toEqual(cut(plain.out, 2 * K, 0, 3));
    const exact = reference({ ...call, keys: changed(call.keys, 3 * K + 2, value) });
    for (const result of ["out", "probs"] as const) {
      const { ratio, where } = worst(broken[result], exact[result], () => 1e-5);
      expect(ratio, where).toBeLessThanOrEqual(1);
    }
  });

  test.each([NaN, Infinity, -Infinity])("a value of %d reaches the queries that see it, and no other", (value) => {
    for (const K of [8, 6]) {
      const call = randomCall({ ...shape, K });
      const broken = { ...call, values: changed(call.values, 3 * K + 2, value) };
      const [out, plain] = [run(broken).out, run(call).out];
      for (const t of [0, 1, 2, 3, 4, 5]) {
        for (let i = 0; i < 2 * K; i++) {
          const at = t * 2 * K + i;
          expect(out[at]).toBe(t >= 3 && i % K === 2 ? value : plain[at]);
        }
      }
    }
  });

  test("a query of NaN gives NaN, and weights of NaN on what it sees", () => {
    const call = randomCall(shape);
    const { out, probs } = run({ ...call, q: changed(call.q, 2 * 2 * K + 1, NaN) });
    const plain = run(call);
    expect(out.map((x, i) => (Math.floor(i / K) === 4 ? plain.out[i] : x))).toEqual(plain.out);
    expect(cut(out, K, 4, 5).every(Number.isNaN)).toBe(true);
    expect([...cut(probs, 6, 2, 3)]).toEqual([NaN, NaN, NaN, 0, 0, 0]);
  });

  test("biases of -Infinity alone give zeros; of Infinity, the mean of their values", () => {
    const call = randomCall({ T: 1, S: 7, H: 1, G: 1, K: 4 });
    const withBias = (data: Float32Array) => run({ ...call, bias: { kind: "full", data } });
    const none = withBias(new Float32Array(7).fill(-Infinity));
    expect(none.out).toEqual(new Float32Array(4));
    expect(none.probs).toEqual(new Float32Array(7));
    const two = withBias(Float32Array.of(0, Infinity, 1, 3e38, -Infinity, 0, Infinity));
    expect([...two.probs]).toEqual([0, 0.5, 0, 0, 0, 0, 0.5]);
    expect(two.out).toEqual(
      Float32Array.from({ length: 4 }, (_, i) => Math.fround(call.values[4 + i] + call.values[24 + i]) / 2),
    );
    const nan = withBias(Float32Array.of(-Infinity, NaN, -Infinity, -Infinity, -Infinity, -Infinity, -Infinity));
    expect(nan.out.every(Number.isNaN) && nan.probs.every(Number.isNaN)).toBe(true);
  });
});

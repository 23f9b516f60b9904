/** Cases of attention: heads, positions, biases and every mask. */

import { attention, attentionMask, type MaskOptions, type PositionBias } from "@qkv/core";
import type { Graph, Value } from "../onnx/graph";
import { float32 } from "../onnx/model";
import { type Arrays, type Exact, type OpCase, place, results, shapeName } from "./case";
import { Random, seedOf } from "./random";

interface AttentionOptions {
  readonly mask?: MaskOptions;
  /** Position of the first query; S - T if left out. */
  readonly position?: number;
  readonly scale?: number;
  readonly softCap?: number;
  readonly bias?: "full" | "relative";
  /** How ONNX is told the mask: by a tensor of who sees whom, or by `is_causal` over a cache of keys. */
  readonly onnxMask?: "tensor" | "is_causal";
  /** Deviation of the queries: large ones make softmax choose. */
  readonly spread?: number;
  /** Where keys and values lie; in order if left out. */
  readonly keyRows?: KeyOrder;
}

/** `fan`: prompts that beams share, then at each position a row for each of BEAMS, of which this beam's path takes one. */
export type KeyOrder = "reversed" | "permuted" | "repeated" | "fan";

const BEAMS = 4;

/** The row of each of S keys. */
export function keyRowsOf(order: KeyOrder, S: number): Int32Array {
  const random = new Random(S);
  const prompt = S >> 1;
  const shuffled = Int32Array.from({ length: S + 3 }, (_, row) => row);
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [shuffled[i], shuffled[j]] = [shuffled[j], shuffled[i]];
  }
  const rowOf: Record<KeyOrder, (s: number) => number> = {
    reversed: (s) => S - 1 - s,
    permuted: (s) => shuffled[s],
    repeated: (s) => (5 * s) % (S - (S >> 1)),
    fan: (s) => (s < prompt ? s : prompt + BEAMS * (s - prompt) + random.integer(BEAMS)),
  };
  return Int32Array.from({ length: S }, (_, s) => rowOf[order](s));
}

/** A copy of rows [rows, width] in the order of the keys. */
export function gather(x: Float32Array, keyRows: Int32Array, width: number): Float32Array {
  const out = new Float32Array(keyRows.length * width);
  keyRows.forEach((row, s) => {
    out.set(x.subarray(row * width, (row + 1) * width), s * width);
  });
  return out;
}

/** Whether a query at position p sees key s, each rule by its own words. */
function sees(mask: MaskOptions, p: number, s: number): boolean {
  const { causal = false, prefix = 0, window, groups = [], firstKey = 0, keyLength = Infinity } = mask;
  const padding = s < firstKey || s >= keyLength;
  const group = (position: number) => groups.filter((end) => end <= position).length;
  const hiddenByRule =
    (causal && s > p) ||
    (typeof window === "number" && p - s >= window) ||
    (typeof window === "object" && (p - s > window.left || s - p > window.right));
  return !padding && group(p) === group(s) && (!hiddenByRule || s < prefix);
}

/** Queries [T, H, K] over keys and values [S, G, K]. */
export function attentionCase(
  shape: { T: number; S: number; H: number; G: number; K: number },
  options: AttentionOptions = {},
): OpCase {
  const { T, S, H, G, K } = shape;
  const { mask = {}, softCap, bias, onnxMask = "tensor", spread = 1 } = options;
  const position = options.position ?? Math.max(0, S - T);
  const scale = options.scale ?? 1 / Math.sqrt(K);
  const name = [shapeName(shape), ...Object.entries(options).map(([key, value]) => `${key} ${text(value)}`)].join(", ");
  // Distances from the last query to the first key, -(position + T - 1), to the first query and last key, S - 1 - position
  const relative = { origin: position + T, length: S + position + T + 2 };
  const keyRows = options.keyRows === undefined ? null : keyRowsOf(options.keyRows, S);
  const rows = keyRows === null ? S : Math.max(0, ...keyRows) + 1;

  /** The inputs with keys and values in order: what every other implementation is given. */
  const inOrder = (inputs: Arrays): Arrays =>
    keyRows === null ? inputs : { ...inputs, k: gather(inputs.k, keyRows, G * K), v: gather(inputs.v, keyRows, G * K) };

  /** The bias of each score, [H, T, S]. */
  const expand = (inputs: Arrays): ((h: number, t: number, s: number) => number) => {
    if (bias === "full") return (h, t, s) => inputs.bias[(h * T + t) * S + s];
    if (bias === "relative")
      return (h, t, s) => inputs.bias[h * relative.length + s - (position + t) + relative.origin];
    return () => 0;
  };

  return {
    op: "attention",
    name,
    shape,
    inputs() {
      const random = new Random(seedOf(name));
      const inputs = {
        q: random.normal(T * H * K, spread),
        k: random.normal(rows * G * K),
        v: random.normal(rows * G * K),
      };
      // What no key lies in must not be read.
      const used = new Set(keyRows);
      for (let row = 0; keyRows !== null && row < rows; row++) {
        if (!used.has(row)) for (const x of [inputs.k, inputs.v]) x.fill(Number.NaN, row * G * K, (row + 1) * G * K);
      }
      if (bias === undefined) return inputs;
      return {
        ...inputs,
        bias: random.normal(bias === "full" ? H * T * S : H * relative.length),
      };
    },
    prepare(kernels, inputs) {
      const { arena } = kernels;
      const [q, keys, values] = [place(arena, inputs.q), place(arena, inputs.k), place(arena, inputs.v)];
      let positionBias: PositionBias | null = null;
      if (bias === "full") positionBias = { kind: "full", address: place(arena, inputs.bias) };
      if (bias === "relative")
        positionBias = {
          kind: "relative",
          address: place(arena, inputs.bias),
          ...relative,
        };
      const table = keyRows === null ? null : arena.allocate(keyRows.byteLength, "inputs");
      if (table !== null && keyRows !== null) arena.i32(table, S).set(keyRows);
      const { at, read } = results(arena, { out: T * H * K, probs: H * T * S });
      const call = {
        ...{
          q,
          keys,
          values,
          queries: T,
          keyCount: S,
          heads: H,
          kvHeads: G,
          headDim: K,
          position,
          scale,
        },
        ...{
          softCap: softCap ?? null,
          mask: attentionMask(mask),
          bias: positionBias,
          probs: at.probs,
          keyRows: table,
        },
      };
      return { run: () => kernels.attention(at.out, call), results: read };
    },
    functional(given) {
      const inputs = inOrder(given);
      const probs = new Float32Array(H * T * S);
      const out = attention(inputs.q, inputs.k, inputs.v, {
        ...{ heads: H, kvHeads: G, headDim: K, mask, position, scale, probs },
        ...(softCap !== undefined && { softCap }),
        ...(bias === "full" && { bias: inputs.bias }),
        ...(bias === "relative" && {
          relativeBias: { data: inputs.bias, ...relative },
        }),
      });
      return { out, probs };
    },
    onnx:
      T === 0 || S === 0
        ? "onnxruntime's Attention refuses empty queries and keys"
        : (g, inputs) => {
            const native = onnxMask === "is_causal" ? position : null;
            return onnxAttention(
              g,
              inOrder(inputs),
              { ...shape, scale, softCap: softCap ?? 0, past: native },
              (h, t, s) => (sees(mask, position + t, s) ? expand(inputs)(h, t, s) : Number.NEGATIVE_INFINITY),
            );
          },
    exact: (inputs) =>
      exactAttention(inOrder(inputs), shape, {
        visible: (t, s) => sees(mask, position + t, s),
        bias: expand(inputs),
        scale,
        softCap: softCap ?? null,
      }),
    // A score is off by some ε Σ|scale q k| (half of √K of them, as a random walk), which changes its weight by that factor.
    bound: {
      roundings: 4 + Math.sqrt(K) / 2,
      size: "Σ weight |v| (1 + max Σ|scale q k| + |bias|), and the same without v for the weights",
      floor: 2 ** -126,
    },
  };
}

function text(value: unknown): string {
  return typeof value === "object" ? JSON.stringify(value).replaceAll('"', "") : String(value);
}

/** Attention-23 on [1, rows, heads * width]; with `past`, that many keys come first, as a cache [1, heads, rows, width]. */
function onnxAttention(
  g: Graph,
  { q, k, v }: Arrays,
  o: {
    T: number;
    S: number;
    H: number;
    G: number;
    K: number;
    scale: number;
    softCap: number;
    past: number | null;
  },
  bias: (h: number, t: number, s: number) => number,
): Record<string, Value> {
  const width = o.G * o.K;
  const past = o.past ?? 0;
  const rest = (rows: Float32Array) => g.constant(float32(rows.slice(past * width), 1, o.S - past, width));
  const cache = (rows: Float32Array) =>
    past === 0
      ? null
      : g.op("Transpose", [g.constant(float32(rows.slice(0, past * width), 1, past, o.G, o.K))], {
          perm: [0n, 2n, 1n, 3n],
        });
  const scores = Float32Array.from({ length: o.H * o.T * o.S }, (_, i) =>
    bias(Math.floor(i / (o.T * o.S)), Math.floor(i / o.S) % o.T, i % o.S),
  );
  const mask = o.past === null ? g.constant(float32(scores, 1, o.H, o.T, o.S)) : null;
  const [out, , , probs] = g.ops(
    "Attention",
    [g.constant(float32(q, 1, o.T, o.H * o.K)), rest(k), rest(v), mask, cache(k), cache(v)],
    4,
    {
      ...{
        q_num_heads: BigInt(o.H),
        kv_num_heads: BigInt(o.G),
        scale: o.scale,
        softcap: o.softCap,
      },
      ...{ is_causal: o.past === null ? 0n : 1n, qk_matmul_output_mode: 3n },
    },
  );
  return { out, probs };
}

function exactAttention(
  { q, k, v }: Arrays,
  { T, S, H, G, K }: { T: number; S: number; H: number; G: number; K: number },
  rule: {
    visible: (t: number, s: number) => boolean;
    bias: (h: number, t: number, s: number) => number;
    scale: number;
    softCap: number | null;
  },
): Record<string, Exact> {
  const out = {
    values: new Float64Array(T * H * K),
    sizes: new Float64Array(T * H * K),
  };
  const probs = {
    values: new Float64Array(H * T * S),
    sizes: new Float64Array(H * T * S),
  };
  for (let t = 0; t < T; t++) {
    for (let h = 0; h < H; h++) {
      const row = (s: number) => (s * G + Math.floor((h * G) / H)) * K;
      const seen = Array.from({ length: S }, (_, s) => s).filter((s) => rule.visible(t, s));
      const terms = (s: number) => Array.from({ length: K }, (_, i) => q[(t * H + h) * K + i] * k[row(s) + i]);
      const scores = seen.map((s) => {
        const score = rule.scale * terms(s).reduce((a, b) => a + b, 0);
        const capped = rule.softCap === null ? score : rule.softCap * Math.tanh(score / rule.softCap);
        return capped + rule.bias(h, t, s);
      });
      const spread = Math.max(
        0,
        ...seen.map((s) => Math.abs(rule.bias(h, t, s)) + rule.scale * terms(s).reduce((a, b) => a + Math.abs(b), 0)),
      );
      const max = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - max));
      const sum = weights.reduce((a, b) => a + b, 0);
      seen.forEach((s, j) => {
        const weight = weights[j] / sum;
        const at = (h * T + t) * S + s;
        probs.values[at] = weight;
        probs.sizes[at] = weight * (1 + spread);
        for (let i = 0; i < K; i++) {
          out.values[(t * H + h) * K + i] += weight * v[row(s) + i];
          out.sizes[(t * H + h) * K + i] += Math.abs(weight * v[row(s) + i]) * (1 + spread);
        }
      });
    }
  }
  return { out, probs };
}

const CAUSAL = { causal: true };

export const ATTENTION_CASES: readonly OpCase[] = [
  // Shapes: none, one, odd, and the three kinds of heads
  attentionCase({ T: 0, S: 0, H: 2, G: 1, K: 4 }),
  attentionCase({ T: 2, S: 0, H: 2, G: 1, K: 4 }),
  attentionCase({ T: 1, S: 1, H: 1, G: 1, K: 1 }),
  attentionCase({ T: 5, S: 5, H: 4, G: 4, K: 8 }),
  attentionCase({ T: 5, S: 5, H: 4, G: 2, K: 8 }, { mask: CAUSAL }),
  attentionCase({ T: 5, S: 5, H: 4, G: 1, K: 8 }, { mask: CAUSAL }),
  attentionCase({ T: 7, S: 7, H: 6, G: 3, K: 5 }),
  attentionCase({ T: 33, S: 65, H: 3, G: 1, K: 17 }, { mask: CAUSAL }),
  attentionCase({ T: 3, S: 11, H: 2, G: 2, K: 16 }, { position: 0 }), // cross attention
  // onnxruntime's own idea of causal, over its own cache
  attentionCase({ T: 5, S: 5, H: 4, G: 2, K: 8 }, { mask: CAUSAL, onnxMask: "is_causal" }),
  attentionCase({ T: 1, S: 9, H: 4, G: 4, K: 8 }, { mask: CAUSAL, onnxMask: "is_causal" }),
  attentionCase({ T: 4, S: 13, H: 6, G: 2, K: 8 }, { mask: CAUSAL, onnxMask: "is_causal" }),
  attentionCase({ T: 4, S: 13, H: 6, G: 1, K: 8 }, { mask: CAUSAL, onnxMask: "is_causal", softCap: 20 }),
  // Masks
  attentionCase({ T: 9, S: 9, H: 2, G: 1, K: 8 }, { mask: { causal: true, prefix: 4 } }),
  attentionCase({ T: 4, S: 9, H: 2, G: 1, K: 8 }, { mask: { causal: true, prefix: 7 } }),
  attentionCase({ T: 12, S: 12, H: 2, G: 1, K: 8 }, { mask: { causal: true, window: 3 } }),
  attentionCase({ T: 12, S: 12, H: 2, G: 1, K: 8 }, { mask: { causal: true, window: 1 } }),
  attentionCase({ T: 12, S: 12, H: 2, G: 1, K: 8 }, { mask: { window: { left: 2, right: 3 } } }),
  attentionCase({ T: 3, S: 12, H: 2, G: 1, K: 8 }, { mask: { causal: true, window: 5 } }),
  attentionCase({ T: 11, S: 11, H: 2, G: 1, K: 8 }, { mask: { groups: [3, 8] } }),
  attentionCase({ T: 11, S: 11, H: 2, G: 2, K: 8 }, { mask: { causal: true, groups: [3, 8, 11] } }),
  attentionCase({ T: 11, S: 11, H: 2, G: 2, K: 8 }, { mask: { causal: true, groups: [5, 11], window: 3 } }),
  attentionCase({ T: 8, S: 8, H: 2, G: 1, K: 8 }, { mask: { keyLength: 5 } }),
  attentionCase({ T: 8, S: 8, H: 2, G: 1, K: 8 }, { mask: { causal: true, firstKey: 3 } }), // rows 0..2 see nothing
  attentionCase({ T: 3, S: 8, H: 2, G: 1, K: 8 }, { mask: { keyLength: 0 } }), // nothing is seen at all
  // Scores
  attentionCase({ T: 5, S: 5, H: 2, G: 1, K: 8 }, { scale: 1 }),
  attentionCase({ T: 5, S: 5, H: 2, G: 1, K: 8 }, { softCap: 0.5, mask: CAUSAL }),
  attentionCase({ T: 5, S: 7, H: 4, G: 2, K: 8 }, { bias: "full" }),
  attentionCase({ T: 5, S: 7, H: 4, G: 2, K: 8 }, { bias: "full", softCap: 2, mask: CAUSAL }),
  attentionCase({ T: 5, S: 7, H: 4, G: 2, K: 8 }, { bias: "relative", scale: 1 }),
  attentionCase({ T: 1, S: 7, H: 4, G: 4, K: 8 }, { bias: "relative", mask: CAUSAL }),
  attentionCase({ T: 6, S: 4, H: 3, G: 3, K: 8 }, { bias: "relative", position: 0 }),
  attentionCase({ T: 5, S: 9, H: 2, G: 1, K: 8 }, { spread: 100 }),
  attentionCase({ T: 5, S: 9, H: 2, G: 1, K: 8 }, { spread: 1e-30 }),
];

/**
 * Keys and values whose rows a table names. Beside the op table, whose cases the committed fingerprint hashes: the bits
 * of these are those of keys in order.
 */
export const KEY_ROW_CASES: readonly OpCase[] = [
  attentionCase({ T: 1, S: 0, H: 2, G: 1, K: 4 }, { keyRows: "reversed" }),
  attentionCase({ T: 1, S: 1, H: 2, G: 2, K: 8 }, { keyRows: "permuted" }),
  attentionCase({ T: 3, S: 1, H: 2, G: 1, K: 5 }, { keyRows: "permuted", position: 0 }),
  attentionCase({ T: 1, S: 9, H: 4, G: 4, K: 8 }, { keyRows: "reversed", mask: CAUSAL }),
  attentionCase({ T: 1, S: 9, H: 3, G: 3, K: 7 }, { keyRows: "permuted" }), // a step that packs
  attentionCase({ T: 1, S: 21, H: 6, G: 2, K: 16 }, { keyRows: "repeated", mask: { causal: true, window: 6 } }),
  attentionCase({ T: 1, S: 21, H: 10, G: 1, K: 16 }, { keyRows: "fan" }),
  attentionCase({ T: 1, S: 37, H: 6, G: 6, K: 64 }, { keyRows: "fan", bias: "relative", scale: 1, mask: CAUSAL }),
  attentionCase({ T: 1, S: 300, H: 6, G: 6, K: 64 }, { keyRows: "permuted" }),
  attentionCase({ T: 2, S: 70, H: 4, G: 4, K: 16 }, { keyRows: "fan", mask: { causal: true, firstKey: 3 } }),
  attentionCase({ T: 3, S: 40, H: 2, G: 2, K: 8 }, { keyRows: "reversed", mask: CAUSAL }),
  attentionCase({ T: 5, S: 7, H: 4, G: 2, K: 8 }, { keyRows: "reversed", bias: "full", softCap: 2, mask: CAUSAL }),
  attentionCase({ T: 5, S: 12, H: 4, G: 2, K: 8 }, { keyRows: "repeated", bias: "relative", scale: 1 }),
  attentionCase({ T: 33, S: 65, H: 3, G: 1, K: 17 }, { keyRows: "permuted", mask: CAUSAL }),
  attentionCase({ T: 9, S: 40, H: 2, G: 2, K: 12 }, { keyRows: "fan", mask: { window: { left: 5, right: 2 } } }),
];

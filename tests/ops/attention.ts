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
        k: random.normal(S * G * K),
        v: random.normal(S * G * K),
      };
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
        },
      };
      return { run: () => kernels.attention(at.out, call), results: read };
    },
    functional(inputs) {
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
            return onnxAttention(g, inputs, { ...shape, scale, softCap: softCap ?? 0, past: native }, (h, t, s) =>
              sees(mask, position + t, s) ? expand(inputs)(h, t, s) : Number.NEGATIVE_INFINITY,
            );
          },
    exact: (inputs) =>
      exactAttention(inputs, shape, {
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

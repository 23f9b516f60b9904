/** Cases of linearAttention, which ONNX has as a graph of products. */

import { type FeatureMap, linearAttention } from "@qkv/core";
import type { Graph, Value } from "../onnx/graph";
import { float32, int64 } from "../onnx/model";
import { type Divergence, type Exact, type OpCase, place, results, shapeName } from "./case";
import { Random, seedOf } from "./random";

interface Options {
  readonly featureMap: FeatureMap;
  readonly causal: boolean;
  readonly normalize: boolean;
  /** Make all queries negative, so that relu leaves nothing of them. */
  readonly negative?: boolean;
  readonly diverges?: Omit<Divergence, "at">;
}

const FEATURES: Readonly<Record<FeatureMap, (x: number) => number>> = {
  "elu+1": (x) => (x > 0 ? x : Math.expm1(x)) + 1,
  relu: (x) => Math.max(x, 0),
  identity: (x) => x,
};

/** Queries [T, H, K] over keys and values [S, G, K]. */
export function linearAttentionCase(
  shape: { T: number; S: number; H: number; G: number; K: number },
  { featureMap, causal, normalize, negative = false, diverges }: Options,
): OpCase {
  const { T, S, H, G, K } = shape;
  const flags = [featureMap, causal && "causal", normalize && "normalized", negative && "negative"].filter(Boolean);
  const name = `${shapeName(shape)}, ${flags.join(", ")}`;
  const at = Array.from({ length: T * H * K }, (_, i) => i);
  return {
    op: "linearAttention",
    name,
    shape,
    inputs() {
      const random = new Random(seedOf(name));
      const q = random.normal(T * H * K);
      return {
        q: negative ? q.map((x) => -Math.abs(x)) : q,
        k: random.normal(S * G * K),
        v: random.normal(S * G * K),
      };
    },
    prepare(kernels, inputs) {
      const { arena } = kernels;
      const [q, keys, values] = [place(arena, inputs.q), place(arena, inputs.k), place(arena, inputs.v)];
      const { at: to, read } = results(arena, { out: T * H * K });
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
        },
        ...{ featureMap, causal, normalize },
      };
      return {
        run: () => kernels.linearAttention(to.out, call),
        results: read,
      };
    },
    functional: ({ q, k, v }) => ({
      out: linearAttention(q, k, v, {
        heads: H,
        kvHeads: G,
        headDim: K,
        featureMap,
        causal,
        normalize,
      }),
    }),
    onnx: (g, { q, k, v }) => {
      // [rows, heads, K] to [H, rows, K], each key/value head once for each query head that reads it
      const heads = (rows: Float32Array, count: number, of: number) =>
        g.op("Transpose", [g.constant(float32(rows, count, of, K))], {
          perm: [1n, 0n, 2n],
        });
      const reads = g.constant(
        int64(
          Array.from({ length: H }, (_, h) => Math.floor((h * G) / H)),
          H,
        ),
      );
      const phiQ = onnxFeature(g, heads(q, T, H), featureMap);
      const phiK = onnxFeature(g, g.op("Gather", [heads(k, S, G), reads], { axis: 0n }), featureMap);
      const values = g.op("Gather", [heads(v, S, G), reads], { axis: 0n });
      const out = causal ? quadratic(g, phiQ, phiK, values, T, normalize) : factored(g, phiQ, phiK, values, normalize);
      return { out: g.op("Transpose", [out], { perm: [1n, 0n, 2n] }) };
    },
    exact: ({ q, k, v }) => ({
      out: exactLinear(q, k, v, shape, { featureMap, causal, normalize }),
    }),
    // Elu + 1 cancels for x < 0, so a feature is off by ε (1 + |x|) and not by ε of itself.
    bound: {
      roundings: 4,
      size: "Σ (1 + |q|)(1 + |k|)(|v| + |result|), over the norm if any",
    },
    ...(diverges && { diverges: { out: { ...diverges, at } } }),
  };
}

function onnxFeature(g: Graph, x: Value, featureMap: FeatureMap): Value {
  if (featureMap === "identity") return x;
  if (featureMap === "relu") return g.op("Relu", [x]);
  return g.op("Add", [g.op("Elu", [x], { alpha: 1 }), g.constant(float32(Float32Array.of(1)))]);
}

/** (φ(Q) φ(K)ᵀ ∘ lower triangle) V */
function quadratic(g: Graph, phiQ: Value, phiK: Value, v: Value, T: number, normalize: boolean): Value {
  const triangle = Float32Array.from({ length: T * T }, (_, i) => (i % T <= Math.floor(i / T) ? 1 : 0));
  const scores = g.op("MatMul", [phiQ, g.op("Transpose", [phiK], { perm: [0n, 2n, 1n] })]);
  const weights = g.op("Mul", [scores, g.constant(float32(triangle, T, T))]);
  const out = g.op("MatMul", [weights, v]);
  return normalize ? g.op("Div", [out, g.op("ReduceSum", [weights, g.constant(int64([-1], 1))])]) : out;
}

/** φ(Q) (φ(K)ᵀ V) */
function factored(g: Graph, phiQ: Value, phiK: Value, v: Value, normalize: boolean): Value {
  const state = g.op("MatMul", [g.op("Transpose", [phiK], { perm: [0n, 2n, 1n] }), v]);
  const out = g.op("MatMul", [phiQ, state]);
  if (!normalize) return out;
  const keySum = g.op("ReduceSum", [phiK, g.constant(int64([1], 1))]);
  return g.op("Div", [out, g.op("ReduceSum", [g.op("Mul", [phiQ, keySum]), g.constant(int64([-1], 1))])]);
}

/** Σ_s (φ(q)·φ(k_s)) v_s, a weight a key, as attention and not by the state. */
function exactLinear(
  q: Float32Array,
  k: Float32Array,
  v: Float32Array,
  { T, S, H, G, K }: { T: number; S: number; H: number; G: number; K: number },
  { featureMap, causal, normalize }: { featureMap: FeatureMap; causal: boolean; normalize: boolean },
): Exact {
  const phi = FEATURES[featureMap];
  const values: number[] = [];
  const sizes: number[] = [];
  const columns = Array.from({ length: K }, (_, i) => i);
  for (let t = 0; t < T; t++) {
    for (let h = 0; h < H; h++) {
      const queryAt = (t * H + h) * K;
      const row = (s: number) => (s * G + Math.floor((h * G) / H)) * K;
      const seen = Array.from({ length: causal ? t + 1 : S }, (_, s) => s);
      const weights = seen.map((s) => sum(columns.map((i) => phi(q[queryAt + i]) * phi(k[row(s) + i]))));
      const errors = seen.map((s) =>
        sum(columns.map((i) => (1 + Math.abs(q[queryAt + i])) * (1 + Math.abs(k[row(s) + i])))),
      );
      const norm = normalize ? sum(weights) : 1;
      for (const i of columns) {
        const value = norm === 0 ? 0 : sum(seen.map((s, j) => weights[j] * v[row(s) + i])) / norm;
        const size = sum(seen.map((s, j) => errors[j] * (Math.abs(v[row(s) + i]) + (normalize ? Math.abs(value) : 0))));
        values.push(value);
        sizes.push(norm === 0 ? 0 : size / Math.abs(norm));
      }
    }
  }
  return { values, sizes };
}

function sum(terms: readonly number[]): number {
  return terms.reduce((a, b) => a + b, 0);
}

const FLAGS = [
  { featureMap: "elu+1", causal: true, normalize: true },
  { featureMap: "elu+1", causal: true, normalize: false },
  { featureMap: "elu+1", causal: false, normalize: true },
  { featureMap: "elu+1", causal: false, normalize: false },
  { featureMap: "identity", causal: true, normalize: false },
  { featureMap: "identity", causal: false, normalize: false },
] as const;

export const LINEAR_ATTENTION_CASES: readonly OpCase[] = [
  ...FLAGS.flatMap((flags) => [
    linearAttentionCase({ T: 1, S: 1, H: 1, G: 1, K: 1 }, flags),
    linearAttentionCase({ T: 7, S: 7, H: 4, G: 2, K: 5 }, flags),
    linearAttentionCase({ T: 33, S: 33, H: 3, G: 1, K: 17 }, flags),
  ]),
  linearAttentionCase({ T: 3, S: 11, H: 2, G: 2, K: 8 }, { featureMap: "elu+1", causal: false, normalize: true }),
  linearAttentionCase({ T: 9, S: 9, H: 2, G: 2, K: 8 }, { featureMap: "relu", causal: true, normalize: false }),
  linearAttentionCase({ T: 9, S: 9, H: 2, G: 2, K: 8 }, { featureMap: "relu", causal: false, normalize: true }),
  linearAttentionCase({ T: 0, S: 3, H: 2, G: 2, K: 4 }, { featureMap: "elu+1", causal: false, normalize: true }),
  linearAttentionCase(
    { T: 3, S: 0, H: 2, G: 2, K: 4 },
    {
      ...{ featureMap: "elu+1", causal: false, normalize: true },
      diverges: {
        why: "without a key it divides 0 by 0; ours gives zeros",
        onnx: Number.NaN,
      },
    },
  ),
  linearAttentionCase(
    { T: 3, S: 3, H: 2, G: 2, K: 4 },
    {
      ...{ featureMap: "relu", causal: true, normalize: true, negative: true },
      diverges: {
        why: "with all features 0 it divides 0 by 0; ours gives zeros",
        onnx: Number.NaN,
      },
    },
  ),
];

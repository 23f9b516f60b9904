/** Attention on plain arrays. */

import { checkChoice, checkFinite, checkFloats, checkHeads, checkInteger, checkOptions, checkRows } from "../check";
import type { FeatureMap } from "../kernels/kernels";
import { asMask, type Mask, type MaskOptions } from "../kernels/mask";
import { type BiasArray, attention as referenceAttention } from "../kernels/reference/attention";
import { linearAttention as referenceLinearAttention } from "../kernels/reference/linear-attention";

/** Options of `attention`. */
export interface AttentionOptions {
  /** H, query heads. */
  readonly heads: number;
  /** G, key/value heads; H if left out (MHA). 1 is MQA, between is GQA. */
  readonly kvHeads?: number;
  /** K, the width of a head. With it the arrays' lengths give T and S. */
  readonly headDim: number;
  /** What each query sees: a mask, or the options of `attentionMask`; everything if left out. */
  readonly mask?: Mask | MaskOptions;
  /** Factor on q·k; 1/sqrt(K) if left out. T5 uses 1. */
  readonly scale?: number;
  /** c in c tanh(score / c), before bias and mask. */
  readonly softCap?: number;
  /** Added to the scores: [H, T, S]. */
  readonly bias?: Float32Array;
  /**
   * Added to the scores by distance: `data` is [H, length], index j for distance (key minus query) j - origin; see
   * `relativeBias` and `alibiBias`.
   */
  readonly relativeBias?: { readonly data: Float32Array; readonly length: number; readonly origin: number };
  /** Position of the first query among the keys; S - T if left out: the queries are the last positions. */
  readonly position?: number;
  /** If given, filled with the attention weights, [H, T, S]. */
  readonly probs?: Float32Array;
}

const ATTENTION_OPTIONS = [
  "heads",
  "kvHeads",
  "headDim",
  "mask",
  "scale",
  "softCap",
  "bias",
  "relativeBias",
  "position",
  "probs",
] as const;

/**
 * Scaled dot-product attention, softmax(scale q·kᵀ + bias, under the mask) · v.
 *
 * @param q [T, H, K] @param k [S, G, K] @param v [S, G, K]
 * @returns [T, H, K]
 * @throws RangeError where H is not a multiple of G, or an array's length does not fit; TypeError for unknown options
 * @example
 * // 5 positions, 4 query heads on 2 key/value heads of width 8, causal
 * attention(q, k, v, { heads: 4, kvHeads: 2, headDim: 8, mask: { causal: true } });
 */
export function attention(q: Float32Array, k: Float32Array, v: Float32Array, options: AttentionOptions): Float32Array {
  checkOptions("attention", options, ATTENTION_OPTIONS);
  const { heads, kvHeads = heads, mask = {}, softCap = null, bias, relativeBias, probs = null } = options;
  const shape = headShape(q, k, v, heads, kvHeads, options.headDim);
  const { queries, keyCount, headDim } = shape;
  const position = checkInteger("position", options.position ?? Math.max(0, keyCount - queries), 0);
  const scale = checkFinite("scale", options.scale ?? 1 / Math.sqrt(headDim));
  if (softCap !== null && !(checkFinite("softCap", softCap) > 0))
    throw new RangeError(`softCap: expected more than 0, got ${softCap}`);
  const scores = `[H, T, S] = [${heads}, ${queries}, ${keyCount}]`;
  if (probs !== null) checkFloats("probs", probs, heads * queries * keyCount, scores);
  if (bias !== undefined && relativeBias !== undefined)
    throw new TypeError("attention: give bias or relativeBias, not both");
  let biasArray: BiasArray | null = null;
  if (bias !== undefined) {
    biasArray = { kind: "full", data: checkFloats("bias", bias, heads * queries * keyCount, scores) };
  } else if (relativeBias !== undefined) {
    checkOptions("relativeBias", relativeBias, ["data", "length", "origin"]);
    const { data, length, origin } = relativeBias;
    checkInteger("relativeBias.length", length, 0);
    checkInteger("relativeBias.origin", origin, Number.MIN_SAFE_INTEGER);
    biasArray = {
      kind: "relative",
      data: checkFloats("relativeBias.data", data, heads * length, `[H, ${length}]`),
      length,
      origin,
    };
  }
  const out = new Float32Array(q.length);
  referenceAttention(out, {
    q,
    keys: k,
    values: v,
    keyRows: null,
    heads,
    kvHeads,
    headDim,
    position,
    scale,
    softCap,
    mask: asMask(mask),
    bias: biasArray,
    probs,
  });
  return out;
}

/** Options of `linearAttention`. */
export interface LinearAttentionOptions {
  /** H, query heads. */
  readonly heads: number;
  /** G, key/value heads; H if left out. */
  readonly kvHeads?: number;
  /** K, the width of a head. */
  readonly headDim: number;
  /** φ; `elu+1` if left out. */
  readonly featureMap?: FeatureMap;
  /** Query t sees keys 0..t; needs T = S. False if left out. */
  readonly causal?: boolean;
  /** Divide by φ(q)·Σφ(k), so that the weights sum to 1. True if left out; false gives φ(q)(φ(k)ᵀv) itself. */
  readonly normalize?: boolean;
}

/**
 * Linear attention (Katharopoulos et al. 2020), φ(q)(φ(k)ᵀv): its work grows with T + S, not T · S.
 *
 * @param q [T, H, K] @param k [S, G, K] @param v [S, G, K]
 * @returns [T, H, K]
 * @example
 * linearAttention(q, k, v, { heads: 4, headDim: 8, causal: true });
 */
export function linearAttention(
  q: Float32Array,
  k: Float32Array,
  v: Float32Array,
  options: LinearAttentionOptions,
): Float32Array {
  checkOptions("linearAttention", options, ["heads", "kvHeads", "headDim", "featureMap", "causal", "normalize"]);
  const { heads, kvHeads = heads, featureMap = "elu+1", causal = false, normalize = true } = options;
  checkChoice("featureMap", featureMap, ["elu+1", "relu", "identity"]);
  const { queries, keyCount, headDim } = headShape(q, k, v, heads, kvHeads, options.headDim);
  if (causal && queries !== keyCount) {
    throw new RangeError(`causal linear attention needs as many queries as keys, got ${queries} and ${keyCount}`);
  }
  const out = new Float32Array(q.length);
  referenceLinearAttention(out, { q, keys: k, values: v, heads, kvHeads, headDim, featureMap, causal, normalize });
  return out;
}

/** T, S and K from the lengths of q, k and v, which must agree. */
function headShape(
  q: Float32Array,
  k: Float32Array,
  v: Float32Array,
  heads: number,
  kvHeads: number,
  givenHeadDim: number,
): { queries: number; keyCount: number; headDim: number } {
  checkHeads(heads, kvHeads);
  const headDim = checkInteger("headDim", givenHeadDim, 1);
  const queries = checkRows("q", q, heads * headDim, `[T, H, K] = [T, ${heads}, ${headDim}]`);
  const keyCount = checkRows("k", k, kvHeads * headDim, `[S, G, K] = [S, ${kvHeads}, ${headDim}]`);
  checkFloats("v", v, keyCount * kvHeads * headDim, `[S, G, K] = [${keyCount}, ${kvHeads}, ${headDim}]`);
  return { queries, keyCount, headDim };
}

/** Scaled dot-product attention over cached keys and values, one query and head at a time. */

import { checkHeads } from "../../check";
import { tanh } from "../../elementary";
import { type Mask, visibleKeys } from "../mask";
import { softmaxInPlace } from "./norm";

/** `AttentionCall` with arrays in place of addresses; see there. */
export interface AttentionArrays {
  readonly q: Float32Array;
  readonly keys: Float32Array;
  readonly values: Float32Array;
  readonly keyRows: Int32Array | null;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly position: number;
  readonly scale: number;
  readonly softCap: number | null;
  readonly mask: Mask;
  readonly bias: BiasArray | null;
  readonly probs: Float32Array | null;
}

/** `PositionBias` with an array in place of its address. */
export type BiasArray =
  | { readonly kind: "full"; readonly data: Float32Array }
  | { readonly kind: "relative"; readonly data: Float32Array; readonly length: number; readonly origin: number };

/** out[T, H, K]; weights of hidden keys are exactly 0, and those keys are not read. */
export function attention(out: Float32Array, call: AttentionArrays): void {
  const { q, keys, values, keyRows, heads, kvHeads, headDim, position, scale, softCap, mask, bias, probs } = call;
  checkHeads(heads, kvHeads);
  const queries = q.length / (heads * headDim);
  const keyCount = keyRows === null ? keys.length / (kvHeads * headDim) : keyRows.length;
  const headsPerGroup = heads / kvHeads;
  const { scores, sums } = rows(keyCount, headDim);
  const range = { from: 0, to: 0 };
  probs?.fill(0);

  for (let t = 0; t < queries; t++) {
    visibleKeys(mask, position + t, keyCount, range);
    const { from, to } = range;
    for (let h = 0; h < heads; h++) {
      const g = Math.floor(h / headsPerGroup);
      const qStart = (t * heads + h) * headDim;

      for (let s = from; s < to; s++) {
        const row = keyRows === null ? s : keyRows[s];
        const keyStart = (row * kvHeads + g) * headDim;
        let dot = 0;
        for (let i = 0; i < headDim; i++) dot += q[qStart + i] * keys[keyStart + i];
        let score = dot * scale;
        if (softCap !== null) score = softCap * tanh(score / softCap);
        if (bias !== null) score += biasAt(bias, h, t, s, position, queries, keyCount);
        scores[s] = score;
      }

      softmaxInPlace(scores, from, to);

      sums.fill(0);
      for (let s = from; s < to; s++) {
        const row = keyRows === null ? s : keyRows[s];
        const valueStart = (row * kvHeads + g) * headDim;
        const weight = scores[s];
        for (let i = 0; i < headDim; i++) sums[i] = sums[i] + weight * values[valueStart + i];
        if (probs !== null) probs[(h * queries + t) * keyCount + s] = weight;
      }
      out.set(sums, qStart);
    }
  }
}

let scratch = { scores: new Float64Array(0), sums: new Float64Array(0) };

/** A row of scores and one of sums, kept between calls: a decoder makes thousands of calls a token. */
function rows(keyCount: number, headDim: number): typeof scratch {
  if (scratch.scores.length < keyCount) scratch = { ...scratch, scores: new Float64Array(2 * keyCount) };
  if (scratch.sums.length !== headDim) scratch = { ...scratch, sums: new Float64Array(headDim) };
  return scratch;
}

function biasAt(
  bias: BiasArray,
  head: number,
  query: number,
  key: number,
  position: number,
  queries: number,
  keyCount: number,
): number {
  if (bias.kind === "full") return bias.data[(head * queries + query) * keyCount + key];
  const index = key - (position + query) + bias.origin;
  if (index < 0 || index >= bias.length) {
    throw new RangeError(
      `the relative bias covers distances ${-bias.origin} to ${bias.length - 1 - bias.origin}, got ${index - bias.origin}`,
    );
  }
  return bias.data[head * bias.length + index];
}

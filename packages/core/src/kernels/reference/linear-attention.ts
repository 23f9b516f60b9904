/** Linear attention (Katharopoulos et al. 2020): φ(q)(φ(k)ᵀv), a state of K x K in place of a score a key. */

import { checkHeads } from "../../check";
import { exp } from "../../elementary";
import type { FeatureMap } from "../kernels";

export interface LinearAttentionArrays {
  readonly q: Float32Array;
  readonly keys: Float32Array;
  readonly values: Float32Array;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly featureMap: FeatureMap;
  readonly causal: boolean;
  readonly normalize: boolean;
}

/** out[T, H, K]. */
export function linearAttention(out: Float32Array, call: LinearAttentionArrays): void {
  const { q, keys, values, heads, kvHeads, headDim, causal, normalize } = call;
  checkHeads(heads, kvHeads);
  const queries = q.length / (heads * headDim);
  const keyCount = keys.length / (kvHeads * headDim);
  if (queries === 0) return;
  const feature = featureFunction(call.featureMap);
  // state[i, j] = Σ φ(k)[i] v[j] and keySum[i] = Σ φ(k)[i], over the keys seen so far
  const state = new Float64Array(headDim * headDim);
  const keySum = new Float64Array(headDim);

  for (let h = 0; h < heads; h++) {
    const g = Math.floor(h / (heads / kvHeads));
    state.fill(0);
    keySum.fill(0);
    let seen = 0;
    for (let t = 0; t < queries; t++) {
      for (const visible = causal ? t + 1 : keyCount; seen < visible; seen++) {
        const start = (seen * kvHeads + g) * headDim;
        for (let i = 0; i < headDim; i++) {
          const k = feature(keys[start + i]);
          keySum[i] = keySum[i] + k;
          for (let j = 0; j < headDim; j++) {
            state[i * headDim + j] = state[i * headDim + j] + k * values[start + j];
          }
        }
      }
      const start = (t * heads + h) * headDim;
      let weight = normalize ? 0 : 1;
      if (normalize) for (let i = 0; i < headDim; i++) weight += feature(q[start + i]) * keySum[i];
      for (let j = 0; j < headDim; j++) {
        let sum = 0;
        for (let i = 0; i < headDim; i++) sum += feature(q[start + i]) * state[i * headDim + j];
        out[start + j] = weight === 0 ? 0 : sum / weight;
      }
    }
  }
}

function featureFunction(map: FeatureMap): (x: number) => number {
  switch (map) {
    case "elu+1":
      return (x) => (x > 0 ? x + 1 : exp(x));
    case "relu":
      return (x) => Math.max(x, 0);
    case "identity":
      return (x) => x;
    default:
      throw new RangeError(`featureMap: expected elu+1, relu or identity, got ${String(map satisfies never)}`);
  }
}

/** Matrix products, plainly. */

import type { QuantizedWeight } from "../../dtypes/blocks";
import { QUANTIZED_BLOCK, quantizeActivations } from "../../dtypes/quantize";

/** out[N, O] = x[N, I] · weight[O, I]ᵀ + bias[O]. */
export function matmul(
  out: Float32Array,
  x: Float32Array,
  weight: Float32Array,
  bias: Float32Array | null,
  inFeatures: number,
  outFeatures: number,
): void {
  const rows = out.length / outFeatures;
  for (let row = 0; row < rows; row++) {
    const xStart = row * inFeatures;
    for (let o = 0; o < outFeatures; o++) {
      const weightStart = o * inFeatures;
      let sum = 0;
      for (let i = 0; i < inFeatures; i++) sum += x[xStart + i] * weight[weightStart + i];
      out[row * outFeatures + o] = bias === null ? sum : sum + bias[o];
    }
  }
}

/**
 * The same with weights and activations quantised in blocks of 32: `weight` gives the integer and the two numbers of
 * block b of output o. Each block's products are summed as integers, exactly.
 */
export function matmulInt8(
  out: Float32Array,
  x: Float32Array,
  weight: QuantizedWeight,
  bias: Float32Array | null,
  inFeatures: number,
  outFeatures: number,
): void {
  const rows = out.length / outFeatures;
  const blocks = Math.ceil(inFeatures / QUANTIZED_BLOCK);
  for (let row = 0; row < rows; row++) {
    const { q, scales } = quantizeActivations(x.subarray(row * inFeatures, (row + 1) * inFeatures));
    for (let o = 0; o < outFeatures; o++) {
      let sum = 0;
      for (let block = 0; block < blocks; block++) {
        let dot = 0;
        let total = 0;
        for (let i = block * QUANTIZED_BLOCK; i < (block + 1) * QUANTIZED_BLOCK && i < inFeatures; i++) {
          dot += weight.integer(o, i) * q[i];
          total += q[i];
        }
        sum += dot * (weight.scale(o, block) * scales[block]) + weight.minimum(o, block) * (scales[block] * total);
      }
      out[row * outFeatures + o] = bias === null ? sum : sum + bias[o];
    }
  }
}

/** out[N, D] = table[V, D] by id. */
export function embedding(out: Float32Array, table: Float32Array, ids: ArrayLike<number>, width: number): void {
  for (let row = 0; row < ids.length; row++) {
    const id = ids[row];
    out.set(table.subarray(id * width, (id + 1) * width), row * width);
  }
}

/** out[i] = a[i] + b[i]. */
export function add(out: Float32Array, a: Float32Array, b: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = a[i] + b[i];
}

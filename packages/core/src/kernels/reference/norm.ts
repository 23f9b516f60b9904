/** LayerNorm, RMSNorm and softmax: what is computed over a row. */

import { exp } from "../../elementary";

/** (x - mean) / sqrt(variance + eps) * weight + bias, by row. */
export function layerNorm(
  out: Float32Array,
  x: Float32Array,
  weight: Float32Array,
  bias: Float32Array | null,
  eps: number,
): void {
  const width = weight.length;
  for (let start = 0; start < x.length; start += width) {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += x[start + i];
    const mean = sum / width;
    // In two passes: the difference of mean(x²) and mean² would lose everything on rows with a large mean.
    let squares = 0;
    for (let i = 0; i < width; i++) {
      const difference = x[start + i] - mean;
      squares += difference * difference; // not `** 2`, whose last bit ECMAScript leaves to the engine
    }
    const scale = 1 / Math.sqrt(squares / width + eps);
    for (let i = 0; i < width; i++) {
      const normed = (x[start + i] - mean) * scale * weight[i];
      out[start + i] = bias === null ? normed : normed + bias[i];
    }
  }
}

/** x / sqrt(mean(x²) + eps) * weight, by row. */
export function rmsNorm(out: Float32Array, x: Float32Array, weight: Float32Array, eps: number): void {
  const width = weight.length;
  for (let start = 0; start < x.length; start += width) {
    let squares = 0;
    for (let i = 0; i < width; i++) squares += x[start + i] * x[start + i];
    const scale = 1 / Math.sqrt(squares / width + eps);
    for (let i = 0; i < width; i++) out[start + i] = x[start + i] * scale * weight[i];
  }
}

/** Softmax by row. */
export function softmax(out: Float32Array, x: Float32Array, width: number): void {
  const row = new Float64Array(width);
  for (let start = 0; start < x.length; start += width) {
    row.set(x.subarray(start, start + width));
    softmaxInPlace(row, 0, width);
    out.set(row, start);
  }
}

/** Softmax of row[from..to) in double precision. All -Infinity gives zeros; several Infinity share the whole weight. */
export function softmaxInPlace(row: Float64Array, from: number, to: number): void {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = from; i < to; i++) max = row[i] > max || Number.isNaN(row[i]) ? row[i] : max;
  if (max === Number.NEGATIVE_INFINITY) {
    row.fill(0, from, to);
    return;
  }
  let sum = 0;
  for (let i = from; i < to; i++) {
    // Infinity - Infinity is NaN where the limit is e^0
    row[i] = row[i] === max ? 1 : exp(row[i] - max);
    sum += row[i];
  }
  for (let i = from; i < to; i++) row[i] = row[i] / sum;
}

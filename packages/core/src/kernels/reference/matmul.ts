/** Matrix products and lookups, plainly. */

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

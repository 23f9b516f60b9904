/** Rotary position embedding (Su et al. 2021), in place. */

import type { RopeLayout } from "../kernels";

/** Rotates the first R coordinates of each head of x [N, heads, K] by the angles whose cos and sin are [N, R/2]. */
export function rope(
  x: Float32Array,
  cos: Float32Array,
  sin: Float32Array,
  heads: number,
  headDim: number,
  rotaryDim: number,
  layout: RopeLayout,
): void {
  const half = rotaryDim / 2;
  const rows = x.length / (heads * headDim);
  // The pair of angle i is (i, i + half) or (2i, 2i + 1).
  const step = layout === "half-split" ? 1 : 2;
  const partner = layout === "half-split" ? half : 1;
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < heads; head++) {
      const start = (row * heads + head) * headDim;
      for (let i = 0; i < half; i++) {
        const first = start + i * step;
        const c = cos[row * half + i];
        const s = sin[row * half + i];
        const a = x[first];
        const b = x[first + partner];
        x[first] = a * c - b * s;
        x[first + partner] = b * c + a * s;
      }
    }
  }
}

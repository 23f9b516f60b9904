/** One vector from the states of a text's tokens, as sentence-transformers' Pooling makes it. */

import type { Pooling } from "./sentence-settings";

/**
 * Pools hidden states, in double precision and in the order of the tokens.
 *
 * Where `first` leaves no token, `cls` is the first of all, and everything else 0.
 *
 * @param hidden [T, D], T at least 1
 * @param modes their vectors are put one behind the other
 * @param first the first token that counts: those before are a prompt's. Weights go by the place in the whole text.
 * @returns [modes · D]
 */
export function pool(hidden: Float32Array, width: number, modes: readonly Pooling[], first: number): Float64Array {
  const out = new Float64Array(modes.length * width);
  modes.forEach((mode, i) => {
    poolInto(out.subarray(i * width, (i + 1) * width), hidden, mode, first);
  });
  return out;
}

function poolInto(out: Float64Array, hidden: Float32Array, mode: Pooling, first: number): void {
  const D = out.length;
  const T = hidden.length / D;
  const count = Math.max(0, T - first);
  const copyRow = (t: number) => out.set(hidden.subarray(t * D, (t + 1) * D));
  if (mode === "cls") copyRow(count === 0 ? 0 : first);
  if (mode === "cls" || count === 0) return;
  switch (mode) {
    case "lastToken":
      copyRow(T - 1);
      break;
    case "max":
      copyRow(first);
      for (let t = first + 1; t < T; t++) for (let d = 0; d < D; d++) out[d] = Math.max(out[d], hidden[t * D + d]);
      break;
    case "mean":
    case "meanSqrtLength":
      for (let t = first; t < T; t++) for (let d = 0; d < D; d++) out[d] += hidden[t * D + d];
      divide(out, mode === "mean" ? count : Math.sqrt(count));
      break;
    case "weightedMean": {
      let weights = 0;
      for (let t = first; t < T; t++) {
        weights += t + 1;
        for (let d = 0; d < D; d++) out[d] += (t + 1) * hidden[t * D + d];
      }
      divide(out, weights);
      break;
    }
    default:
      throw new RangeError(`pooling: there is no ${String(mode satisfies never)}`);
  }
}

function divide(vector: Float64Array, by: number): void {
  for (let d = 0; d < vector.length; d++) vector[d] /= by;
}

/** Rotary position embedding on plain arrays. */

import { checkChoice, checkFloats, checkInteger, checkOptions } from "../check";
import type { RopeLayout } from "../kernels/kernels";
import { rope } from "../kernels/reference/rope";
import { type RopeFrequencies, ropeAngles, ropeFrequencies } from "../nn/rope";

/** Options of `applyRope`. */
export interface RopeOptions {
  /** K, the width of a head. */
  readonly headDim: number;
  /** Position of each row; 0, 1, 2, ... if left out, which needs `heads`. */
  readonly positions?: readonly number[];
  /** Heads in a row. If left out, it follows from the number of positions. */
  readonly heads?: number;
  /** From `ropeFrequencies`; theta 10000 over the whole head if left out. */
  readonly frequencies?: RopeFrequencies;
  /** Which coordinates rotate together; `half-split` (Hugging Face's LLaMA) if left out. */
  readonly layout?: RopeLayout;
}

/**
 * Rotates queries or keys by their positions (Su et al. 2021).
 *
 * @param x [T, heads, K]
 * @returns [T, heads, K]; coordinates past the rotary dimension are copied
 * @throws RangeError where lengths do not fit or a position is not an integer >= 0; TypeError for unknown options
 * @example
 * applyRope(q, { headDim: 64, heads: 8 });                     // a prompt
 * applyRope(q, { headDim: 64, positions: [41] });              // one new position
 */
export function applyRope(x: Float32Array, options: RopeOptions): Float32Array {
  checkOptions("applyRope", options, ["headDim", "positions", "heads", "frequencies", "layout"]);
  const headDim = checkInteger("headDim", options.headDim, 1);
  const layout = checkChoice("layout", options.layout ?? "half-split", ["half-split", "interleaved"]);
  if (options.positions === undefined && options.heads === undefined) {
    throw new TypeError("applyRope: give positions or heads, to tell rows from heads");
  }
  if (options.heads !== undefined) checkInteger("heads", options.heads, 1);
  const rows = options.positions?.length ?? Math.ceil(x.length / (options.heads! * headDim));
  const positions = options.positions ?? Array.from({ length: rows }, (_, t) => t);
  for (let t = 0; t < positions.length; t++) checkInteger(`positions[${t}]`, positions[t], 0);
  const heads = options.heads ?? Math.ceil(x.length / (Math.max(1, rows) * headDim));
  checkInteger("heads", heads, rows === 0 ? 0 : 1);
  checkFloats("x", x, rows * heads * headDim, `[T, heads, K] = [${rows}, ${heads}, ${headDim}]`);
  const frequencies =
    options.frequencies ?? ropeFrequencies({ theta: 10_000, rotaryDim: headDim, scaling: { type: "default" } }, rows);
  const half = frequencies.inverse.length;
  if (2 * half > headDim) {
    throw new RangeError(`frequencies: expected at most ${headDim / 2} for heads of width ${headDim}, got ${half}`);
  }
  const cos = new Float32Array(rows * half);
  const sin = new Float32Array(rows * half);
  ropeAngles(frequencies, positions, cos, sin);
  const out = x.slice();
  if (rows > 0) rope(out, cos, sin, heads, headDim, 2 * half, layout);
  return out;
}

/** What a step has to read at least: every weight of the decoder once, and the keys and values of the source. */

import type { Dtype } from "./protocol";

/** What is read of config.json. */
export interface T5Sizes {
  readonly d_model: number;
  readonly d_kv: number;
  readonly d_ff: number;
  readonly num_heads: number;
  readonly num_decoder_layers: number;
  readonly vocab_size: number;
  readonly feed_forward_proj: string;
}

/** Q8_0: 32 numbers of a byte, and a scale of two. */
const BYTES_A_WEIGHT: Readonly<Record<Dtype, number>> = { f16: 2, q8: 34 / 32, f32: 4 };
const CACHE_BYTES = 4;

/**
 * Bytes that a step of one beam reads. Its own keys and values, at most a twentieth of the source's of 300 tokens and a
 * thousandth of the weights, are left out, as are the norms.
 */
export function stepBytes(sizes: T5Sizes, dtype: Dtype, sourceTokens: number): number {
  const { d_model: D, d_kv: K, num_heads: H, d_ff: F, num_decoder_layers: L, vocab_size: V } = sizes;
  const self = 4 * D * H * K;
  const cross = 2 * D * H * K; // queries and the output: keys and values were made once
  const mlp = (sizes.feed_forward_proj.startsWith("gated-") ? 3 : 2) * D * F;
  const weights = L * (self + cross + mlp) + V * D;
  const sourceCache = L * 2 * H * K * sourceTokens;
  return weights * BYTES_A_WEIGHT[dtype] + sourceCache * CACHE_BYTES;
}

/** What an attention kernel is called with. */

import type { Address } from "../memory/arena";
import type { Mask } from "./mask";

/**
 * A number added to each score. `full` gives every one, [H, T, S]. `relative` gives them by distance (T5's buckets,
 * ALiBi), [H, length]: the bias of query position p on key position s is at index s - p + origin, and a distance
 * outside of the table is an error, so that no bucket is ever missed in silence.
 */
export type PositionBias =
  | { readonly kind: "full"; readonly address: Address }
  | { readonly kind: "relative"; readonly address: Address; readonly length: number; readonly origin: number };

/**
 * Scaled dot-product attention of T queries over S keys that lie in a cache.
 *
 * One call serves self- and cross-attention, and MHA (G = H), GQA and MQA (G = 1): query head h reads key/value head
 * floor(h G / H). Rows of keys and values are adjacent, and lie in the order of the keys unless `keyRows` says otherwise.
 */
export interface AttentionCall {
  /** [T, H, K] */
  q: Address;
  /** [S, G, K]; with `keyRows`, [rows, G, K] */
  keys: Address;
  /** As `keys`. */
  values: Address;
  /**
   * int32 [S]: the row that each key and value lies in, counted from `keys` and `values`; null where they lie in order.
   * In any order, and a row may stand for several keys, so that beams of one search share a cache. Position, mask, bias
   * and `probs` go by s, not by the row, and the bits are those of a copy in order. Every row, hidden keys' too, must be
   * >= 0 and within the memory: that is not checked at each call.
   */
  keyRows: Address | null;
  /** T */
  queries: number;
  /** S */
  keyCount: number;
  /** H; H % G = 0 */
  heads: number;
  /** G */
  kvHeads: number;
  /** K */
  headDim: number;
  /** Position of the first query among the keys: how many keys were in the cache before this pass. */
  position: number;
  /** Factor on q·k, usually 1/sqrt(K). */
  scale: number;
  /** c in c tanh(score / c), on the scaled score before bias and mask (Gemma 2); null for none. */
  softCap: number | null;
  mask: Mask;
  bias: PositionBias | null;
  /** Where to write the attention weights, [H, T, S], masked keys 0; null to not. */
  probs: Address | null;
}

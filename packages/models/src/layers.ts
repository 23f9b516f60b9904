/** What the layers of decoders and encoders share: products of one input, an attention call that is kept, names of taps. */

import type { Address, AttentionCall, Kernels, Linear, Mask, Product } from "@qkv/core";
import type { Capture } from "./taps/capture";

/** A linear layer as one of several products of the same input; where its output goes is set at each pass. */
export function product({ weight, bias }: Linear): Product {
  return { out: 0, weight, bias };
}

/** Names of a layer's taps. */
export function layerTaps(layer: number): { readonly probsTap: string; readonly outputTap: string } {
  return { probsTap: `layers.${layer}.attention.probs`, outputTap: `layers.${layer}.output` };
}

/** A call that its owner keeps and reuses: without a bias, scaled by 1/sqrt(K). */
export function attentionCall(
  shape: { readonly heads: number; readonly kvHeads: number; readonly headDim: number },
  mask: Mask,
): AttentionCall {
  return {
    ...shape,
    scale: 1 / Math.sqrt(shape.headDim),
    softCap: null,
    mask,
    bias: null,
    // Set anew for every sequence:
    q: 0,
    keys: 0,
    values: 0,
    keyRows: null,
    queries: 0,
    keyCount: 0,
    position: 0,
    probs: null,
  };
}

/** [H, 1, S] of a captured query: room for so many keys, none until it is asked for. */
export interface ProbsRoom {
  address: Address;
  keys: number;
}

export function noProbs(): ProbsRoom {
  return { address: 0, keys: 0 };
}

/** Whose attention weights are captured. */
export interface ProbsOf {
  /** Which sequence of the pass. */
  readonly sequence: number;
  /** Where the call's first query is among the positions that the pass adds to the sequence. */
  readonly first: number;
  /** How many keys the last query of the pass has, S. */
  readonly keys: number;
}

/**
 * Attention once more, a query at a time, for its weights: a whole [H, T, S] need not fit beside the model.
 *
 * @param out where the call's output is, [T, H, K]; it is written again, with the same bits
 */
export function captureProbs(
  kernels: Kernels,
  call: AttentionCall,
  out: Address,
  room: ProbsRoom,
  tap: string,
  of: ProbsOf,
  capture: Capture,
): void {
  const { heads: H, headDim: K, keyCount, queries: T, position, q } = call;
  if (room.keys < keyCount) {
    const keys = Math.max(keyCount, 2 * (room.keys || 256)); // twice: what it outgrows is not given back
    room.address = kernels.arena.take(4 * H * keys, "scratch");
    room.keys = keys;
  }
  const one = { ...call, queries: 1, probs: room.address };
  for (let t = 0; t < T; t++) {
    const row = 4 * t * H * K;
    one.q = q + row;
    one.position = position + t;
    kernels.attention(out + row, one);
    capture.probs(tap, of.sequence, of.first + t, of.keys, { address: room.address, heads: H, keyCount });
  }
}

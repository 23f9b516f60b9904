/** What an encoder-decoder architecture gives: an encoder, and a decoder that reads what the encoder made of a source. */

import type { Address, KvCache } from "@qkv/core";
import type { DecoderNetwork } from "../decoder/network";
import type { EncoderNetwork } from "../encoder/network";

/**
 * A decoder whose segments have a `memory`: keys and values of a source, which `remember` makes of the encoder's states.
 * Its taps are "layers.{i}.self_attention.probs", "layers.{i}.cross_attention.probs", "layers.{i}.output"; see `Seq2Seq`
 * for how they are told from the encoder's.
 */
export interface Seq2SeqNetwork<Scratch = unknown> extends DecoderNetwork<Scratch> {
  readonly encoder: EncoderNetwork;

  /** A cache for the keys and values of so many tokens of sources. */
  createMemory(rows: number): KvCache;

  /**
   * Keys and values of every layer's cross-attention, computed once for adjacent rows of encoder states.
   *
   * @param hidden [rows, D]
   * @param cache receives them behind what it holds, and is advanced
   */
  remember(hidden: Address, rows: number, cache: KvCache, due: () => boolean): Generator<void, void>;
}

/** Names of a decoder layer's taps. */
export function decoderLayerTaps(layer: number): {
  readonly selfProbsTap: string;
  readonly crossProbsTap: string;
  readonly outputTap: string;
} {
  return {
    selfProbsTap: `layers.${layer}.self_attention.probs`,
    crossProbsTap: `layers.${layer}.cross_attention.probs`,
    outputTap: `layers.${layer}.output`,
  };
}

/** Every tap of a decoder with such layers, "logits" aside. */
export function decoderTaps(layers: readonly ReturnType<typeof decoderLayerTaps>[]): string[] {
  const ofLayers = layers.flatMap(({ selfProbsTap, crossProbsTap, outputTap }) => [
    selfProbsTap,
    crossProbsTap,
    outputTap,
  ]);
  return ["embeddings", ...ofLayers, "final"];
}

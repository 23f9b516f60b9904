/**
 * PEGASUS (Zhang et al. 2020): sinusoidal positions, norms before each sublayer, and one more after the last layer of a
 * stack. Checked against transformers' `PegasusForConditionalGeneration` at every tap.
 */

import type { Kernels } from "@qkv/core";
import { type BartConfig, LAYER_NORM_EPS, parseCommonConfig } from "../bart/config";
import type { BartScratch } from "../bart/layers";
import { createNetwork, type StackParts, stacksOf, wordsOf } from "../bart/network";
import { learnedPositions, sinusoids } from "../bart/positions";
import type { JsonConfig } from "../config/json-config";
import type { Seq2SeqNetwork } from "../seq2seq/network";
import type { Weights } from "../weights/weights";

export function parsePegasusConfig(json: JsonConfig): BartConfig {
  return parseCommonConfig(json, {
    classes: ["PegasusForConditionalGeneration", "PegasusModel"],
    vocabSize: 50265,
    padTokenId: 0,
    oldKeys: {
      normalize_before: true,
      normalize_embedding: false,
      add_final_layer_norm: true,
      static_position_embeddings: true,
      do_blenderbot_90_layernorm: false,
    },
  });
}

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createPegasus(c: BartConfig, root: Weights, kernels: Kernels): Seq2SeqNetwork<BartScratch> {
  const w = stacksOf(root);
  const words = wordsOf(root, w, c);
  const made = sinusoids(c);
  const stack = (name: "encoder" | "decoder"): StackParts => {
    // transformers saves the sinusoids; Google's files were published without them.
    const saved = w.has(`${name}.embed_positions.weight`);
    return {
      words: words[name],
      positions: saved ? learnedPositions(w.at(name), c, 0) : made,
      embeddingNorm: null,
      finalNorm: w.at(name).layerNorm("layer_norm", c.dModel, LAYER_NORM_EPS),
    };
  };
  return createNetwork(c, root, w, kernels, { normFirst: true, encoder: stack("encoder"), decoder: stack("decoder") });
}

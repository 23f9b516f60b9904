/**
 * mBART and mBART-50 (Liu et al. 2020, Tang et al. 2020): BART's positions and its norm of the embeddings, norms before
 * each sublayer, and one more after the last layer of a stack. Checked against transformers'
 * `MBartForConditionalGeneration` at every tap.
 */

import type { Kernels } from "@qkv/core";
import { POSITION_OFFSET } from "../bart/bart";
import { BART_OLD_KEYS, type BartConfig, LAYER_NORM_EPS, parseCommonConfig } from "../bart/config";
import type { BartScratch } from "../bart/layers";
import { createNetwork, type StackParts, stacksOf, wordsOf } from "../bart/network";
import { learnedPositions } from "../bart/positions";
import type { JsonConfig } from "../config/json-config";
import type { Seq2SeqNetwork } from "../seq2seq/network";
import type { Weights } from "../weights/weights";

export function parseMbartConfig(json: JsonConfig): BartConfig {
  return parseCommonConfig(json, {
    // BART's class ran mBART at first.
    classes: ["MBartForConditionalGeneration", "MBartModel", "BartForConditionalGeneration", "BartModel"],
    vocabSize: 50265,
    padTokenId: 1,
    oldKeys: { ...BART_OLD_KEYS, normalize_before: true, add_final_layer_norm: true },
  });
}

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createMbart(c: BartConfig, root: Weights, kernels: Kernels): Seq2SeqNetwork<BartScratch> {
  const w = stacksOf(root);
  const words = wordsOf(root, w, c);
  const stack = (name: "encoder" | "decoder"): StackParts => ({
    words: words[name],
    positions: learnedPositions(w.at(name), c, POSITION_OFFSET),
    embeddingNorm: w.at(name).layerNorm("layernorm_embedding", c.dModel, LAYER_NORM_EPS),
    finalNorm: w.at(name).layerNorm("layer_norm", c.dModel, LAYER_NORM_EPS),
  });
  return createNetwork(c, root, w, kernels, { normFirst: true, encoder: stack("encoder"), decoder: stack("decoder") });
}

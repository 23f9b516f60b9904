/**
 * BART (Lewis et al. 2020): learned positions with an offset, a norm of the embeddings, and norms after each sublayer.
 * Checked against transformers' `BartForConditionalGeneration` at every tap.
 */

import type { Kernels } from "@qkv/core";
import type { JsonConfig } from "../config/json-config";
import type { Seq2SeqNetwork } from "../seq2seq/network";
import type { Weights } from "../weights/weights";
import { BART_OLD_KEYS, type BartConfig, LAYER_NORM_EPS, parseCommonConfig } from "./config";
import type { BartScratch } from "./layers";
import { createNetwork, type StackParts, stacksOf, wordsOf } from "./network";
import { learnedPositions } from "./positions";

/** The first rows of `embed_positions` were fairseq's, for padding: 0 to max_position_embeddings - 1 come after them. */
export const POSITION_OFFSET = 2;

export function parseBartConfig(json: JsonConfig): BartConfig {
  return parseCommonConfig(json, {
    classes: ["BartForConditionalGeneration", "BartModel"],
    vocabSize: 50265,
    padTokenId: 1,
    oldKeys: BART_OLD_KEYS,
  });
}

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createBart(c: BartConfig, root: Weights, kernels: Kernels): Seq2SeqNetwork<BartScratch> {
  const w = stacksOf(root);
  const words = wordsOf(root, w, c);
  const stack = (name: "encoder" | "decoder"): StackParts => ({
    words: words[name],
    positions: learnedPositions(w.at(name), c, POSITION_OFFSET),
    embeddingNorm: w.at(name).layerNorm("layernorm_embedding", c.dModel, LAYER_NORM_EPS),
    finalNorm: null,
  });
  return createNetwork(c, root, w, kernels, { normFirst: false, encoder: stack("encoder"), decoder: stack("decoder") });
}

/**
 * MPNet (Song et al. 2020): BERT's layers with fairseq's positions, no token types, and one relative bias for all layers,
 * in T5's buckets. Checked against transformers' `MPNet*` classes.
 *
 * D hiddenSize, F intermediateSize, H numAttentionHeads, V vocabSize; N rows of a pass, whatever texts they belong to.
 */

import { BIDIRECTIONAL, type Kernels, relativeBias } from "@qkv/core";
import type { JsonConfig } from "../config/json-config";
import { type BlockScratch, networkShape, type PostNormNames, postNormLayer, postNormWeights } from "../encoder/block";
import {
  BASE_SIZES,
  COMMON_HEADS,
  checkPositionsAfterPadding,
  type EncoderConfig,
  parseEncoderConfig,
  positionsAfterPadding,
} from "../encoder/config";
import { embedTokens, tokenEmbeddings } from "../encoder/embeddings";
import { type EncoderNetwork, packedPositionsAfterPadding } from "../encoder/network";
import { robertaHeads } from "../roberta/roberta";
import type { Weights } from "../weights/weights";

// ---- Config

/** Fixed in the architecture. */
const NUM_BUCKETS = 32;
const MAX_DISTANCE = 128;

/** Parses config.json, with transformers' defaults for what older files leave out. */
export function parseMpnetConfig(json: JsonConfig): EncoderConfig {
  const config = parseEncoderConfig(json, {
    family: "MPNet",
    heads: COMMON_HEADS,
    vocabSize: 30527,
    ...BASE_SIZES,
    typeVocabSize: 0,
    padTokenId: 1,
  });
  // transformers' code counts 32 whatever the config says: with others its table and its buckets do not fit.
  const buckets = json.integer("relative_attention_num_buckets", {}, NUM_BUCKETS);
  if (buckets !== NUM_BUCKETS) throw json.unsupported("relative_attention_num_buckets", [`${NUM_BUCKETS}`]);
  return checkPositionsAfterPadding(json, config);
}

// ---- Weights

/** What follows "encoder.layer.{i}.". */
const LAYER: PostNormNames = {
  query: "attention.attn.q",
  key: "attention.attn.k",
  value: "attention.attn.v",
  attentionOutput: "attention.attn.o",
  attentionNorm: "attention.LayerNorm",
  intermediate: "intermediate.dense",
  output: "output.dense",
  outputNorm: "output.LayerNorm",
};

// ---- The model

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createMpnet(config: EncoderConfig, root: Weights, kernels: Kernels): EncoderNetwork<BlockScratch> {
  const w = root.has("mpnet.embeddings.word_embeddings.weight") ? root.at("mpnet") : root;
  const embeddings = tokenEmbeddings(w, config);
  const layers = Array.from({ length: config.numHiddenLayers }, (_, i) =>
    postNormWeights(w.at(`encoder.layer.${i}`), config, LAYER, i),
  );
  const buckets = w.table("encoder.relative_attention_bias.weight", NUM_BUCKETS, config.numAttentionHeads);
  const heads = robertaHeads(root, w, config, embeddings.words);
  root.finish();
  const { hiddenSize: D, hiddenAct, padTokenId, numAttentionHeads: H } = config;
  const maxPositions = positionsAfterPadding(config);

  // The bias of every distance, [H, length]: index j holds distance j - origin.
  const origin = maxPositions - 1;
  const length = 2 * maxPositions - 1;
  const bias = {
    kind: "relative" as const,
    address: kernels.arena.allocate(4 * H * length, "weights"),
    length,
    origin,
  };
  let biasMade = false;
  const makeBias = (): void => {
    const table = kernels.arena.f32(buckets, NUM_BUCKETS * H).slice();
    const shape = { bidirectional: true, numBuckets: NUM_BUCKETS, maxDistance: MAX_DISTANCE };
    kernels.arena.f32(bias.address, H * length).set(relativeBias(table, { heads: H, length, origin, ...shape }));
    biasMade = true;
  };

  return {
    ...networkShape(kernels, config, layers),
    maxPositions,
    heads,

    *forward(s, texts, capture, due) {
      if (!biasMade) makeBias();
      const positions = packedPositionsAfterPadding(texts, padTokenId);
      const N = positions.length;
      embedTokens(kernels, s.x, embeddings, texts, positions, s.projected);
      capture?.rows("embeddings", texts, s.x, D);

      const pass = { hiddenAct, rules: { mask: BIDIRECTIONAL, bias }, capture, due };
      for (const layer of layers) yield* postNormLayer(kernels, layer, s, texts, N, pass);
      return s.x;
    },
  };
}

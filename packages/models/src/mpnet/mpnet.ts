/**
 * MPNet (Song et al. 2020): BERT's layers with fairseq's positions, no token types, and one relative bias for all layers,
 * in T5's buckets. Checked against transformers' `MPNet*` classes.
 *
 * D hiddenSize, F intermediateSize, H numAttentionHeads, V vocabSize; N rows of a pass, whatever texts they belong to.
 */

import { type Address, BIDIRECTIONAL, type Kernels, type LayerNorm, relativeBias } from "@qkv/core";
import type { JsonConfig } from "../config/json-config";
import {
  type BlockScratch,
  layerNorm,
  layerTaps,
  networkShape,
  type PostNormLayer,
  postNormLayer,
  product,
} from "../encoder/block";
import { type EncoderConfig, parseEncoderConfig } from "../encoder/config";
import { type Heads, linearStage, NO_HEADS } from "../encoder/heads";
import { type EncoderNetwork, packedIds, packedPositionsAfterPadding } from "../encoder/network";
import { classifier, languageModelHead } from "../roberta/roberta";
import type { Lookup } from "../weights/lookup";
import type { Weights } from "../weights/weights";

// ---- Config

/** Fixed in the architecture. */
const NUM_BUCKETS = 32;
const MAX_DISTANCE = 128;

/** Parses config.json, with transformers' defaults for what older files leave out. */
export function parseMpnetConfig(json: JsonConfig): EncoderConfig {
  const config = parseEncoderConfig(json, {
    family: "MPNet",
    heads: ["none", "maskedLm", "sequenceClassification", "tokenClassification", "questionAnswering"],
    vocabSize: 30527,
    hiddenSize: 768,
    intermediateSize: 3072,
    numHiddenLayers: 12,
    numAttentionHeads: 12,
    hiddenAct: "gelu",
    layerNormEps: 1e-12,
    maxPositionEmbeddings: 512,
    typeVocabSize: 0,
    padTokenId: 1,
  });
  // transformers' code counts 32 whatever the config says: with others its table and its buckets do not fit.
  const buckets = json.integer("relative_attention_num_buckets", {}, NUM_BUCKETS);
  if (buckets !== NUM_BUCKETS) throw json.unsupported("relative_attention_num_buckets", [`${NUM_BUCKETS}`]);
  return config;
}

// ---- Weights

interface MpnetWeights {
  readonly words: Lookup; // [V, D]
  readonly positions: Lookup; // [max positions, D]
  readonly norm: LayerNorm;
  readonly buckets: Address; // [buckets, H] as float32
  readonly layers: readonly PostNormLayer[];
}

function modelWeights(w: Weights, c: EncoderConfig): MpnetWeights {
  const { hiddenSize: D, layerNormEps: eps } = c;
  const embeddings = w.at("embeddings");
  embeddings.skip("position_ids"); // a buffer that follows from the config
  return {
    words: embeddings.lookup("word_embeddings", c.vocabSize, D),
    positions: embeddings.lookup("position_embeddings", c.maxPositionEmbeddings, D),
    norm: embeddings.layerNorm("LayerNorm", D, eps),
    buckets: w.table("encoder.relative_attention_bias.weight", NUM_BUCKETS, c.numAttentionHeads),
    layers: Array.from({ length: c.numHiddenLayers }, (_, i) => layerWeights(w.at(`encoder.layer.${i}`), c, i)),
  };
}

function layerWeights(w: Weights, c: EncoderConfig, layer: number): PostNormLayer {
  const { hiddenSize: D, intermediateSize: F, layerNormEps: eps } = c;
  const bias = { bias: true };
  const attention = w.at("attention.attn");
  return {
    qkv: [
      product(attention.linear("q", D, D, bias)),
      product(attention.linear("k", D, D, bias)),
      product(attention.linear("v", D, D, { bias: true, exact: true })),
    ],
    attentionOutput: attention.linear("o", D, D, bias),
    attentionNorm: w.layerNorm("attention.LayerNorm", D, eps),
    intermediate: w.linear("intermediate.dense", F, D, bias),
    output: w.linear("output.dense", D, F, bias),
    outputNorm: w.layerNorm("output.LayerNorm", D, eps),
    ...layerTaps(layer),
  };
}

function modelHeads(root: Weights, w: Weights, c: EncoderConfig, words: Lookup): Heads {
  const { hiddenSize: D, head } = c;
  const bias = { bias: true };
  const hasPooler = w.has("pooler.dense.weight", head === "none");
  const pooler = hasPooler ? w.linear("pooler.dense", D, D, bias) : null;
  const heads: Heads = {
    ...NO_HEADS,
    pooler: pooler === null ? null : { reads: "first", stages: [{ linear: pooler, activation: "tanh", norm: null }] },
  };
  switch (head) {
    case "sequenceClassification":
      return { ...heads, sequenceClassification: classifier(root.at("classifier"), c) };
    case "tokenClassification": {
      const stage = linearStage(root.linear("classifier", c.labels.length, D, bias));
      return { ...heads, tokenClassification: { reads: "token", stages: [stage] } };
    }
    case "questionAnswering": {
      const stage = linearStage(root.linear("qa_outputs", 2, D, bias));
      return { ...heads, questionAnswering: { reads: "token", stages: [stage] } };
    }
    default:
      if (head !== "maskedLm" && !root.has("lm_head.dense.weight")) return heads;
      return { ...heads, maskedLm: languageModelHead(root.at("lm_head"), c, words) };
  }
}

// ---- The model

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createMpnet(config: EncoderConfig, root: Weights, kernels: Kernels): EncoderNetwork<BlockScratch> {
  const w = root.has("mpnet.embeddings.word_embeddings.weight") ? root.at("mpnet") : root;
  const { words, positions, norm, buckets, layers } = modelWeights(w, config);
  const heads = modelHeads(root, w, config, words);
  root.finish();
  const { hiddenSize: D, hiddenAct, padTokenId, numAttentionHeads: H } = config;
  const maxPositions = config.maxPositionEmbeddings - padTokenId - 1;

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
      const ids = packedIds(texts);
      const N = ids.length;
      if (!biasMade) makeBias();

      // x = norm(word + position)
      words.lookUp(kernels, s.x, ids);
      positions.lookUp(kernels, s.projected, packedPositionsAfterPadding(texts, padTokenId));
      kernels.add(s.x, s.x, s.projected, N * D);
      layerNorm(kernels, s.x, norm, N);
      capture?.rows("embeddings", texts, s.x, D);

      for (const layer of layers) {
        postNormLayer(kernels, layer, s, texts, N, hiddenAct, { mask: BIDIRECTIONAL, bias }, capture);
        if (due()) yield;
      }
      return s.x;
    },
  };
}

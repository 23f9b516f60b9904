/**
 * ALBERT (Lan et al. 2020): BERT's computation with narrow embeddings and the weights of its layers shared.
 * Checked against transformers' `Albert*` classes.
 *
 * E embeddingSize, D hiddenSize, F intermediateSize, V vocabSize; N rows of a pass, whatever texts they belong to.
 */

import type { Kernels } from "@qkv/core";
import { type JsonConfig, MAX_WIDTH } from "../config/json-config";
import {
  type BlockScratch,
  networkShape,
  type PostNormLayer,
  type PostNormNames,
  postNormLayer,
  postNormWeights,
} from "../encoder/block";
import { COMMON_HEADS, type EncoderConfig, parseEncoderConfig } from "../encoder/config";
import { embedTokens, tokenEmbeddings } from "../encoder/embeddings";
import { denseStage, type Heads, linearStage, NO_HEADS, type Stage, tokenHeads, wordDecoder } from "../encoder/heads";
import { type EncoderNetwork, packedPositions } from "../encoder/network";
import { layerTaps } from "../layers";
import type { Lookup } from "../weights/lookup";
import type { Weights } from "../weights/weights";

// ---- Config

export interface AlbertConfig extends EncoderConfig {
  readonly embeddingSize: number;
  /** Layers are cut into so many groups, one after the other; those of a group have the same weights. */
  readonly numHiddenGroups: number;
}

/** Parses config.json, with transformers' defaults for what older files leave out. */
export function parseAlbertConfig(json: JsonConfig): AlbertConfig {
  const config = parseEncoderConfig(json, {
    family: "Albert",
    heads: ["pretraining", ...COMMON_HEADS],
    vocabSize: 30000,
    hiddenSize: 4096,
    intermediateSize: 16384,
    numHiddenLayers: 12,
    numAttentionHeads: 64,
    hiddenAct: "gelu_new",
    layerNormEps: 1e-12,
    maxPositionEmbeddings: 512,
    typeVocabSize: 2,
    padTokenId: 0,
  });
  // Several layers in a group, each of which is run for every layer of the model: no published model has them.
  if (json.integer("inner_group_num", {}, 1) !== 1) throw json.unsupported("inner_group_num", ["1"]);
  const numHiddenGroups = json.integer("num_hidden_groups", {}, 1);
  if (config.numHiddenLayers % numHiddenGroups !== 0) {
    throw json.wrong("num_hidden_groups", `a divisor of num_hidden_layers ${config.numHiddenLayers}`);
  }
  return { ...config, numHiddenGroups, embeddingSize: json.integer("embedding_size", { max: MAX_WIDTH }, 128) };
}

// ---- Weights

/** What follows "encoder.albert_layer_groups.{g}.albert_layers.0.". */
const LAYER: PostNormNames = {
  query: "attention.query",
  key: "attention.key",
  value: "attention.value",
  attentionOutput: "attention.dense",
  attentionNorm: "attention.LayerNorm",
  intermediate: "ffn",
  output: "ffn_output",
  outputNorm: "full_layer_layer_norm",
};

/** One layer for each pass; those of a group share their weights. */
function modelLayers(w: Weights, c: AlbertConfig): PostNormLayer[] {
  const { numHiddenLayers: L, numHiddenGroups: groups } = c;
  const shared = Array.from({ length: groups }, (_, g) =>
    postNormWeights(w.at(`encoder.albert_layer_groups.${g}.albert_layers.0`), c, LAYER, g),
  );
  return Array.from({ length: L }, (_, i) => ({ ...shared[Math.floor((i * groups) / L)], ...layerTaps(i) }));
}

function modelHeads(root: Weights, w: Weights, c: AlbertConfig, words: Lookup): Heads {
  const { embeddingSize: E, hiddenSize: D, head } = c;
  const bias = { bias: true };
  const pool: Stage[] = [];
  if (head === "sequenceClassification" || w.has("pooler.weight", head === "none")) {
    pool.push(denseStage(w, "pooler", D, "tanh"));
  }
  const heads: Heads = {
    ...NO_HEADS,
    pooler: pool.length > 0 ? { reads: "first", stages: pool } : null,
    ...tokenHeads(root, c),
  };
  if (head === "sequenceClassification") {
    const stages = [...pool, linearStage(root.linear("classifier", c.labels.length, D, bias))];
    return { ...heads, sequenceClassification: { reads: "first", stages } };
  }
  // The order of sentences, which pretraining's checkpoints keep: no task here asks for it.
  root.skip("sop_classifier.classifier.weight");
  root.skip("sop_classifier.classifier.bias");
  if (head !== "maskedLm" && head !== "pretraining" && !(head === "none" && root.has("predictions.dense.weight")))
    return heads;
  const predictions = root.at("predictions");
  const transform: Stage = {
    linear: predictions.linear("dense", E, D, bias),
    activation: c.hiddenAct,
    norm: predictions.layerNorm("LayerNorm", E, c.layerNormEps),
  };
  const stages = [transform, wordDecoder(predictions, "decoder", "bias", words, c)];
  return { ...heads, maskedLm: { reads: "token", stages } };
}

// ---- The model

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createAlbert(config: AlbertConfig, root: Weights, kernels: Kernels): EncoderNetwork<BlockScratch> {
  const w = root.has("albert.embeddings.word_embeddings.weight") ? root.at("albert") : root;
  const { embeddingSize: E, hiddenSize: D, hiddenAct } = config;
  const embeddings = tokenEmbeddings(w, config, E);
  const project = w.linear("encoder.embedding_hidden_mapping_in", D, E, { bias: true });
  const layers = modelLayers(w, config);
  const heads = modelHeads(root, w, config, embeddings.words);
  root.finish();
  return {
    ...networkShape(kernels, config, layers, E),
    heads,

    *forward(s, texts, capture, due) {
      const positions = packedPositions(texts);
      const N = positions.length;
      embedTokens(kernels, s.attended, embeddings, texts, positions, s.projected);
      kernels.matmul(s.x, s.attended, project.weight, project.bias, N);
      capture?.rows("embeddings", texts, s.x, D);

      const pass = { hiddenAct, capture, due };
      for (const layer of layers) yield* postNormLayer(kernels, layer, s, texts, N, pass);
      return s.x;
    },
  };
}

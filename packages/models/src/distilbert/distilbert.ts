/**
 * DistilBERT (Sanh et al. 2019): BERT's layers without token types and pooler, under names of its own.
 * Checked against transformers' `DistilBert*` classes.
 *
 * D hiddenSize, F intermediateSize, V vocabSize; N rows of a pass, whatever texts they belong to.
 */

import type { Kernels } from "@qkv/core";
import { ACTIVATION_NAMES } from "../config/activation";
import { type JsonConfig, MAX_LAYERS, MAX_WIDTH } from "../config/json-config";
import { parseLabels } from "../config/labels";
import { type BlockScratch, networkShape, type PostNormNames, postNormLayer, postNormWeights } from "../encoder/block";
import { COMMON_HEADS, checkHeads, type EncoderConfig, parseHead } from "../encoder/config";
import { embedTokens, tokenEmbeddings } from "../encoder/embeddings";
import { denseStage, type Heads, linearStage, NO_HEADS, type Stage, tokenHeads, wordDecoder } from "../encoder/heads";
import { type EncoderNetwork, packedPositions } from "../encoder/network";
import type { Lookup } from "../weights/lookup";
import type { Weights } from "../weights/weights";

// ---- Config

/** Parses config.json, whose keys are DistilBERT's own, with transformers' defaults. */
export function parseDistilBertConfig(json: JsonConfig): EncoderConfig {
  const config: EncoderConfig = {
    ...parseLabels(json),
    vocabSize: json.integer("vocab_size", {}, 30522),
    hiddenSize: json.integer("dim", { max: MAX_WIDTH }, 768),
    intermediateSize: json.integer("hidden_dim", { max: MAX_WIDTH }, 3072),
    numHiddenLayers: json.integer("n_layers", { max: MAX_LAYERS }, 6),
    numAttentionHeads: json.integer("n_heads", {}, 12),
    hiddenAct: json.choice("activation", ACTIVATION_NAMES, "gelu"),
    layerNormEps: 1e-12, // fixed in the architecture
    maxPositionEmbeddings: json.integer("max_position_embeddings", {}, 512),
    typeVocabSize: 0,
    padTokenId: json.integer("pad_token_id", { min: 0 }, 0),
    tieWordEmbeddings: json.boolean("tie_word_embeddings", true),
    head: parseHead(json, "DistilBert", COMMON_HEADS),
  };
  checkHeads(json, "n_heads", config);
  return config;
}

// ---- Weights

/** What follows "transformer.layer.{i}.". */
const LAYER: PostNormNames = {
  query: "attention.q_lin",
  key: "attention.k_lin",
  value: "attention.v_lin",
  attentionOutput: "attention.out_lin",
  attentionNorm: "sa_layer_norm",
  intermediate: "ffn.lin1",
  output: "ffn.lin2",
  outputNorm: "output_layer_norm",
};

function modelHeads(root: Weights, c: EncoderConfig, words: Lookup): Heads {
  const { hiddenSize: D, head } = c;
  const heads: Heads = { ...NO_HEADS, ...tokenHeads(root, c) };
  if (head === "sequenceClassification") {
    const output = root.linear("classifier", c.labels.length, D, { bias: true });
    const stages = [denseStage(root, "pre_classifier", D, "relu"), linearStage(output)];
    return { ...heads, sequenceClassification: { reads: "first", stages } };
  }
  if (head !== "maskedLm" && !(head === "none" && root.has("vocab_transform.weight"))) return heads;
  const transform: Stage = {
    linear: root.linear("vocab_transform", D, D, { bias: true }),
    activation: c.hiddenAct,
    norm: root.layerNorm("vocab_layer_norm", D, c.layerNormEps),
  };
  const decoder = wordDecoder(root, "vocab_projector", "vocab_projector.bias", words, c);
  return { ...heads, maskedLm: { reads: "token", stages: [transform, decoder] } };
}

// ---- The model

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createDistilBert(config: EncoderConfig, root: Weights, kernels: Kernels): EncoderNetwork<BlockScratch> {
  const w = root.has("distilbert.embeddings.word_embeddings.weight") ? root.at("distilbert") : root;
  const embeddings = tokenEmbeddings(w, config);
  const layers = Array.from({ length: config.numHiddenLayers }, (_, i) =>
    postNormWeights(w.at(`transformer.layer.${i}`), config, LAYER, i),
  );
  const heads = modelHeads(root, config, embeddings.words);
  root.finish();
  const { hiddenSize: D, hiddenAct } = config;
  return {
    ...networkShape(kernels, config, layers),
    heads,

    *forward(s, texts, capture, due) {
      const positions = packedPositions(texts);
      const N = positions.length;
      embedTokens(kernels, s.x, embeddings, texts, positions, s.projected);
      capture?.rows("embeddings", texts, s.x, D);

      const pass = { hiddenAct, capture, due };
      for (const layer of layers) yield* postNormLayer(kernels, layer, s, texts, N, pass);
      return s.x;
    },
  };
}

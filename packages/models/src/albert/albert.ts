/**
 * ALBERT (Lan et al. 2020): BERT's computation with narrow embeddings and the weights of its layers shared.
 * Checked against transformers' `Albert*` classes.
 *
 * E embeddingSize, D hiddenSize, F intermediateSize, V vocabSize; N rows of a pass, whatever texts they belong to.
 */

import type { Kernels, LayerNorm, Linear } from "@qkv/core";
import { type JsonConfig, MAX_WIDTH } from "../config/json-config";
import {
  type BlockScratch,
  layerNorm,
  layerTaps,
  networkShape,
  type PostNormLayer,
  postNormLayer,
  product,
  SEE_ALL,
} from "../encoder/block";
import { type EncoderConfig, parseEncoderConfig } from "../encoder/config";
import { type Heads, linearStage, NO_HEADS, type Stage, wordDecoder } from "../encoder/heads";
import { type EncoderNetwork, packedIds, packedPositions, packedTypes } from "../encoder/network";
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
    heads: ["none", "maskedLm", "sequenceClassification", "tokenClassification", "questionAnswering"],
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

interface AlbertWeights {
  readonly words: Lookup; // [V, E]
  readonly positions: Lookup; // [max positions, E]
  readonly types: Lookup; // [types, E]
  readonly norm: LayerNorm; // [E]
  readonly project: Linear; // [D, E]
  /** One for each pass; those of a group share their weights. */
  readonly layers: readonly PostNormLayer[];
}

function modelWeights(w: Weights, c: AlbertConfig): AlbertWeights {
  const { embeddingSize: E, hiddenSize: D, numHiddenLayers, numHiddenGroups, layerNormEps: eps } = c;
  const embeddings = w.at("embeddings");
  embeddings.skip("position_ids"); // a buffer that follows from the config
  const groups = Array.from({ length: numHiddenGroups }, (_, g) =>
    groupWeights(w.at(`encoder.albert_layer_groups.${g}.albert_layers.0`), c),
  );
  return {
    words: embeddings.lookup("word_embeddings", c.vocabSize, E),
    positions: embeddings.lookup("position_embeddings", c.maxPositionEmbeddings, E),
    types: embeddings.lookup("token_type_embeddings", c.typeVocabSize, E),
    norm: embeddings.layerNorm("LayerNorm", E, eps),
    project: w.linear("encoder.embedding_hidden_mapping_in", D, E, { bias: true }),
    layers: Array.from({ length: numHiddenLayers }, (_, i) => ({
      ...groups[Math.floor((i * numHiddenGroups) / numHiddenLayers)],
      ...layerTaps(i),
    })),
  };
}

function groupWeights(w: Weights, c: AlbertConfig): Omit<PostNormLayer, "probsTap" | "outputTap"> {
  const { hiddenSize: D, intermediateSize: F, layerNormEps: eps } = c;
  const bias = { bias: true };
  const attention = w.at("attention");
  return {
    qkv: [
      product(attention.linear("query", D, D, bias)),
      product(attention.linear("key", D, D, bias)),
      product(attention.linear("value", D, D, { bias: true, exact: true })),
    ],
    attentionOutput: attention.linear("dense", D, D, bias),
    attentionNorm: attention.layerNorm("LayerNorm", D, eps),
    intermediate: w.linear("ffn", F, D, bias),
    output: w.linear("ffn_output", D, F, bias),
    outputNorm: w.layerNorm("full_layer_layer_norm", D, eps),
  };
}

function modelHeads(root: Weights, w: Weights, c: AlbertConfig, words: Lookup): Heads {
  const { embeddingSize: E, hiddenSize: D, head } = c;
  const bias = { bias: true };
  const pool: Stage[] = [];
  if (head === "sequenceClassification" || w.has("pooler.weight", head === "none")) {
    pool.push({ linear: w.linear("pooler", D, D, bias), activation: "tanh", norm: null });
  }
  const heads: Heads = { ...NO_HEADS, pooler: pool.length > 0 ? { reads: "first", stages: pool } : null };
  const linear = (name: string, outputs: number): Stage => linearStage(root.linear(name, outputs, D, bias));
  switch (head) {
    case "sequenceClassification": {
      const stages = [...pool, linear("classifier", c.labels.length)];
      return { ...heads, sequenceClassification: { reads: "first", stages } };
    }
    case "tokenClassification":
      return { ...heads, tokenClassification: { reads: "token", stages: [linear("classifier", c.labels.length)] } };
    case "questionAnswering":
      return { ...heads, questionAnswering: { reads: "token", stages: [linear("qa_outputs", 2)] } };
    default: {
      // The order of sentences, which pretraining's checkpoints keep: no task here asks for it.
      root.skip("sop_classifier.classifier.weight");
      root.skip("sop_classifier.classifier.bias");
      if (head !== "maskedLm" && !root.has("predictions.dense.weight")) return heads;
      const predictions = root.at("predictions");
      const transform: Stage = {
        linear: predictions.linear("dense", E, D, bias),
        activation: c.hiddenAct,
        norm: predictions.layerNorm("LayerNorm", E, c.layerNormEps),
      };
      const stages = [transform, wordDecoder(predictions, "decoder", "bias", words, c)];
      return { ...heads, maskedLm: { reads: "token", stages } };
    }
  }
}

// ---- The model

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createAlbert(config: AlbertConfig, root: Weights, kernels: Kernels): EncoderNetwork<BlockScratch> {
  const w = root.has("albert.embeddings.word_embeddings.weight") ? root.at("albert") : root;
  const { words, positions, types, norm, project, layers } = modelWeights(w, config);
  const heads = modelHeads(root, w, config, words);
  root.finish();
  const { embeddingSize: E, hiddenSize: D, hiddenAct } = config;
  return {
    ...networkShape(kernels, config, layers, E),
    heads,

    *forward(s, texts, capture, due) {
      const ids = packedIds(texts);
      const N = ids.length;

      // x = project(norm(word + type + position))
      words.lookUp(kernels, s.attended, ids);
      types.lookUp(kernels, s.projected, packedTypes(texts));
      kernels.add(s.attended, s.attended, s.projected, N * E);
      positions.lookUp(kernels, s.projected, packedPositions(texts));
      kernels.add(s.attended, s.attended, s.projected, N * E);
      layerNorm(kernels, s.attended, norm, N);
      kernels.matmul(s.x, s.attended, project.weight, project.bias, N);
      capture?.rows("embeddings", texts, s.x, D);

      for (const layer of layers) {
        postNormLayer(kernels, layer, s, texts, N, hiddenAct, SEE_ALL, capture);
        if (due()) yield;
      }
      return s.x;
    },
  };
}

/**
 * RoBERTa (Liu et al. 2019) and XLM-RoBERTa (Conneau et al. 2020): BERT's layers under BERT's names, with positions that
 * are counted as fairseq does, and other heads. Checked against transformers' `Roberta*` and `XLMRoberta*` classes.
 *
 * D hiddenSize, V vocabSize; N rows of a pass, whatever texts they belong to.
 */

import type { Kernels, LayerNorm } from "@qkv/core";
import { bertLayer } from "../bert/bert";
import type { JsonConfig } from "../config/json-config";
import {
  type BlockScratch,
  layerNorm,
  networkShape,
  type PostNormLayer,
  postNormLayer,
  SEE_ALL,
} from "../encoder/block";
import { type EncoderConfig, parseEncoderConfig } from "../encoder/config";
import { type Head, type Heads, linearStage, NO_HEADS, type Stage, wordDecoder } from "../encoder/heads";
import { type EncoderNetwork, packedIds, packedPositionsAfterPadding, packedTypes } from "../encoder/network";
import type { Lookup } from "../weights/lookup";
import type { Weights } from "../weights/weights";

// ---- Config

export function parseRobertaConfig(json: JsonConfig): EncoderConfig {
  return parseConfig(json, "Roberta");
}

export function parseXlmRobertaConfig(json: JsonConfig): EncoderConfig {
  return parseConfig(json, "XLMRoberta");
}

function parseConfig(json: JsonConfig, family: string): EncoderConfig {
  return parseEncoderConfig(json, {
    family,
    heads: ["none", "maskedLm", "sequenceClassification", "tokenClassification", "questionAnswering"],
    vocabSize: 50265,
    hiddenSize: 768,
    intermediateSize: 3072,
    numHiddenLayers: 12,
    numAttentionHeads: 12,
    hiddenAct: "gelu",
    layerNormEps: 1e-12,
    maxPositionEmbeddings: 512,
    typeVocabSize: 2,
    padTokenId: 1,
  });
}

// ---- Weights

interface RobertaWeights {
  readonly words: Lookup; // [V, D]
  readonly positions: Lookup; // [max positions, D]
  readonly types: Lookup; // [types, D]
  readonly norm: LayerNorm;
  readonly layers: readonly PostNormLayer[];
}

function modelWeights(w: Weights, c: EncoderConfig): RobertaWeights {
  const { hiddenSize: D, layerNormEps: eps } = c;
  const embeddings = w.at("embeddings");
  // Buffers that follow from the config, which older checkpoints saved.
  embeddings.skip("position_ids");
  embeddings.skip("token_type_ids");
  return {
    words: embeddings.lookup("word_embeddings", c.vocabSize, D),
    positions: embeddings.lookup("position_embeddings", c.maxPositionEmbeddings, D),
    types: embeddings.lookup("token_type_embeddings", c.typeVocabSize, D),
    norm: embeddings.layerNorm("LayerNorm", D, eps),
    layers: Array.from({ length: c.numHiddenLayers }, (_, i) => bertLayer(w.at(`encoder.layer.${i}`), c, i)),
  };
}

function modelHeads(root: Weights, w: Weights, c: EncoderConfig, words: Lookup): Heads {
  const { hiddenSize: D, head } = c;
  const bias = { bias: true };
  const hasPooler = w.has("pooler.dense.weight", head === "none");
  const pool: Stage | null = hasPooler
    ? { linear: w.linear("pooler.dense", D, D, bias), activation: "tanh", norm: null }
    : null;
  const heads: Heads = { ...NO_HEADS, pooler: pool === null ? null : { reads: "first", stages: [pool] } };
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

/** `lm_head`, which MPNet has too. */
export function languageModelHead(w: Weights, c: EncoderConfig, words: Lookup): Head {
  const transform: Stage = {
    linear: w.linear("dense", c.hiddenSize, c.hiddenSize, { bias: true }),
    activation: "gelu", // whatever the layers have
    norm: w.layerNorm("layer_norm", c.hiddenSize, c.layerNormEps),
  };
  return { reads: "token", stages: [transform, wordDecoder(w, "decoder", "bias", words, c)] };
}

/** `classifier` of two layers on the first token, which MPNet has too. */
export function classifier(w: Weights, c: EncoderConfig): Head {
  const dense = w.linear("dense", c.hiddenSize, c.hiddenSize, { bias: true });
  const output = w.linear("out_proj", c.labels.length, c.hiddenSize, { bias: true });
  return { reads: "first", stages: [{ linear: dense, activation: "tanh", norm: null }, linearStage(output)] };
}

// ---- The model

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createRoberta(config: EncoderConfig, root: Weights, kernels: Kernels): EncoderNetwork<BlockScratch> {
  const w = root.has("roberta.embeddings.word_embeddings.weight") ? root.at("roberta") : root;
  const { words, positions, types, norm, layers } = modelWeights(w, config);
  const heads = modelHeads(root, w, config, words);
  root.finish();
  const { hiddenSize: D, hiddenAct, padTokenId } = config;
  return {
    ...networkShape(kernels, config, layers),
    // Rows of the table up to the padding's are no positions of tokens.
    maxPositions: config.maxPositionEmbeddings - padTokenId - 1,
    heads,

    *forward(s, texts, capture, due) {
      const ids = packedIds(texts);
      const N = ids.length;

      // x = norm(word + type + position)
      words.lookUp(kernels, s.x, ids);
      types.lookUp(kernels, s.projected, packedTypes(texts));
      kernels.add(s.x, s.x, s.projected, N * D);
      positions.lookUp(kernels, s.projected, packedPositionsAfterPadding(texts, padTokenId));
      kernels.add(s.x, s.x, s.projected, N * D);
      layerNorm(kernels, s.x, norm, N);
      capture?.rows("embeddings", texts, s.x, D);

      for (const layer of layers) {
        postNormLayer(kernels, layer, s, texts, N, hiddenAct, SEE_ALL, capture);
        if (due()) yield;
      }
      return s.x;
    },
  };
}

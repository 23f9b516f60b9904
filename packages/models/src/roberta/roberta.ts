/**
 * RoBERTa (Liu et al. 2019) and XLM-RoBERTa (Conneau et al. 2020): BERT's layers under BERT's names, with positions that
 * are counted as fairseq does, and other heads. Checked against transformers' `Roberta*` and `XLMRoberta*` classes.
 *
 * D hiddenSize, V vocabSize; N rows of a pass, whatever texts they belong to.
 */

import type { Kernels } from "@qkv/core";
import { bertLayers } from "../bert/bert";
import type { JsonConfig } from "../config/json-config";
import { type BlockScratch, networkShape, postNormLayer } from "../encoder/block";
import {
  BASE_SIZES,
  COMMON_HEADS,
  checkPositionsAfterPadding,
  type EncoderConfig,
  parseEncoderConfig,
  positionsAfterPadding,
} from "../encoder/config";
import { embedTokens, tokenEmbeddings } from "../encoder/embeddings";
import { denseStage, type Heads, linearStage, NO_HEADS, type Stage, tokenHeads, wordDecoder } from "../encoder/heads";
import { type EncoderNetwork, packedPositionsAfterPadding } from "../encoder/network";
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
  const config = parseEncoderConfig(json, {
    family,
    heads: COMMON_HEADS,
    vocabSize: 50265,
    ...BASE_SIZES,
    typeVocabSize: 2,
    padTokenId: 1,
  });
  return checkPositionsAfterPadding(json, config);
}

// ---- Weights

/** The head that the checkpoint was saved for, and the masked language model where it still has it. MPNet's too. */
export function robertaHeads(root: Weights, w: Weights, c: EncoderConfig, words: Lookup): Heads {
  const { hiddenSize: D, head } = c;
  const hasPooler = w.has("pooler.dense.weight", head === "none");
  const heads: Heads = {
    ...NO_HEADS,
    pooler: hasPooler ? { reads: "first", stages: [denseStage(w, "pooler.dense", D, "tanh")] } : null,
    ...tokenHeads(root, c),
  };
  if (head === "sequenceClassification") {
    const output = root.linear("classifier.out_proj", c.labels.length, D, { bias: true });
    const stages = [denseStage(root, "classifier.dense", D, "tanh"), linearStage(output)];
    return { ...heads, sequenceClassification: { reads: "first", stages } };
  }
  if (head !== "maskedLm" && !(head === "none" && root.has("lm_head.dense.weight"))) return heads;
  const lmHead = root.at("lm_head");
  const transform: Stage = {
    linear: lmHead.linear("dense", D, D, { bias: true }),
    activation: "gelu", // whatever the layers have
    norm: lmHead.layerNorm("layer_norm", D, c.layerNormEps),
  };
  const stages = [transform, wordDecoder(lmHead, "decoder", "bias", words, c)];
  return { ...heads, maskedLm: { reads: "token", stages } };
}

// ---- The model

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createRoberta(config: EncoderConfig, root: Weights, kernels: Kernels): EncoderNetwork<BlockScratch> {
  const w = root.has("roberta.embeddings.word_embeddings.weight") ? root.at("roberta") : root;
  const embeddings = tokenEmbeddings(w, config);
  const layers = bertLayers(w, config);
  const heads = robertaHeads(root, w, config, embeddings.words);
  root.finish();
  const { hiddenSize: D, hiddenAct, padTokenId } = config;
  return {
    ...networkShape(kernels, config, layers),
    maxPositions: positionsAfterPadding(config),
    heads,

    *forward(s, texts, capture, due) {
      const positions = packedPositionsAfterPadding(texts, padTokenId);
      const N = positions.length;
      embedTokens(kernels, s.x, embeddings, texts, positions, s.projected);
      capture?.rows("embeddings", texts, s.x, D);

      const pass = { hiddenAct, capture, due };
      for (const layer of layers) yield* postNormLayer(kernels, layer, s, texts, N, pass);
      return s.x;
    },
  };
}

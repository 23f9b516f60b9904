/**
 * ELECTRA (Clark et al. 2020): BERT's layers under BERT's names on narrower embeddings; a discriminator that tells which
 * tokens were replaced, and the generator that replaced them. Checked against transformers' `Electra*` classes.
 *
 * E embeddingSize, D hiddenSize, V vocabSize; N rows of a pass, whatever texts they belong to.
 */

import type { Kernels } from "@qkv/core";
import { bertLayers } from "../bert/bert";
import { type JsonConfig, MAX_WIDTH } from "../config/json-config";
import { type BlockScratch, networkShape, postNormLayer } from "../encoder/block";
import { COMMON_HEADS, type EncoderConfig, type HeadKind, parseEncoderConfig } from "../encoder/config";
import { embedTokens, tokenEmbeddings } from "../encoder/embeddings";
import { denseStage, type Heads, linearStage, NO_HEADS, type Stage, tokenHeads, wordDecoder } from "../encoder/heads";
import { type EncoderNetwork, packedPositions } from "../encoder/network";
import type { Lookup } from "../weights/lookup";
import type { Weights } from "../weights/weights";

// ---- Config

export interface ElectraConfig extends EncoderConfig {
  readonly embeddingSize: number;
}

/** Parses config.json, with transformers' defaults for what older files leave out. */
export function parseElectraConfig(json: JsonConfig): ElectraConfig {
  const config = parseEncoderConfig(json, {
    family: "Electra",
    heads: ["pretraining", ...COMMON_HEADS],
    vocabSize: 30522,
    hiddenSize: 256,
    intermediateSize: 1024,
    numHiddenLayers: 12,
    numAttentionHeads: 4,
    hiddenAct: "gelu",
    layerNormEps: 1e-12,
    maxPositionEmbeddings: 512,
    typeVocabSize: 2,
    padTokenId: 0,
  });
  return { ...config, embeddingSize: json.integer("embedding_size", { max: MAX_WIDTH }, 128) };
}

// ---- Weights

function modelHeads(root: Weights, c: ElectraConfig, words: Lookup): Heads {
  const { embeddingSize: E, hiddenSize: D, head } = c;
  const bias = { bias: true };
  const heads: Heads = { ...NO_HEADS, ...tokenHeads(root, c) };
  const isThere = (kind: HeadKind, name: string) => head === kind || (head === "none" && root.has(name));
  if (head === "sequenceClassification") {
    const output = root.linear("classifier.out_proj", c.labels.length, D, bias);
    const stages = [denseStage(root, "classifier.dense", D, "gelu"), linearStage(output)];
    return { ...heads, sequenceClassification: { reads: "first", stages } };
  }
  if (isThere("pretraining", "discriminator_predictions.dense.weight")) {
    const predictions = root.at("discriminator_predictions");
    const output = predictions.linear("dense_prediction", 1, D, bias);
    const stages = [denseStage(predictions, "dense", D, c.hiddenAct), linearStage(output)];
    return { ...heads, replacedTokens: { reads: "token", stages } };
  }
  if (!isThere("maskedLm", "generator_predictions.dense.weight")) return heads;
  const predictions = root.at("generator_predictions");
  const transform: Stage = {
    linear: predictions.linear("dense", E, D, bias),
    activation: "gelu", // whatever the layers have
    norm: predictions.layerNorm("LayerNorm", E, c.layerNormEps),
  };
  const decoder = wordDecoder(root, "generator_lm_head", "generator_lm_head.bias", words, c);
  return { ...heads, maskedLm: { reads: "token", stages: [transform, decoder] } };
}

// ---- The model

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createElectra(config: ElectraConfig, root: Weights, kernels: Kernels): EncoderNetwork<BlockScratch> {
  const w = root.has("electra.embeddings.word_embeddings.weight") ? root.at("electra") : root;
  const { embeddingSize: E, hiddenSize: D, hiddenAct } = config;
  const embeddings = tokenEmbeddings(w, config, E);
  const project = E === D ? null : w.linear("embeddings_project", D, E, { bias: true });
  const layers = bertLayers(w, config);
  const heads = modelHeads(root, config, embeddings.words);
  root.finish();
  return {
    ...networkShape(kernels, config, layers, E),
    heads,

    *forward(s, texts, capture, due) {
      const positions = packedPositions(texts);
      const N = positions.length;
      const embedded = project === null ? s.x : s.attended;
      embedTokens(kernels, embedded, embeddings, texts, positions, s.projected);
      if (project !== null) kernels.matmul(s.x, embedded, project.weight, project.bias, N);
      capture?.rows("embeddings", texts, s.x, D);

      const pass = { hiddenAct, capture, due };
      for (const layer of layers) yield* postNormLayer(kernels, layer, s, texts, N, pass);
      return s.x;
    },
  };
}

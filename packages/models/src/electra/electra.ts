/**
 * ELECTRA (Clark et al. 2020): BERT's layers under BERT's names on narrower embeddings; a discriminator that tells which
 * tokens were replaced, and the generator that replaced them. Checked against transformers' `Electra*` classes.
 *
 * E embeddingSize, D hiddenSize, V vocabSize; N rows of a pass, whatever texts they belong to.
 */

import type { Kernels, LayerNorm, Linear } from "@qkv/core";
import { bertLayer } from "../bert/bert";
import { type JsonConfig, MAX_WIDTH } from "../config/json-config";
import {
  type BlockScratch,
  layerNorm,
  networkShape,
  type PostNormLayer,
  postNormLayer,
  SEE_ALL,
} from "../encoder/block";
import { type EncoderConfig, parseEncoderConfig } from "../encoder/config";
import { type Heads, linearStage, NO_HEADS, type Stage, wordDecoder } from "../encoder/heads";
import { type EncoderNetwork, packedIds, packedPositions, packedTypes } from "../encoder/network";
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
    heads: ["none", "pretraining", "maskedLm", "sequenceClassification", "tokenClassification", "questionAnswering"],
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

interface ElectraWeights {
  readonly words: Lookup; // [V, E]
  readonly positions: Lookup; // [max positions, E]
  readonly types: Lookup; // [types, E]
  readonly norm: LayerNorm; // [E]
  /** [D, E]; null where the widths are the same */
  readonly project: Linear | null;
  readonly layers: readonly PostNormLayer[];
}

function modelWeights(w: Weights, c: ElectraConfig): ElectraWeights {
  const { embeddingSize: E, hiddenSize: D, layerNormEps: eps } = c;
  const embeddings = w.at("embeddings");
  embeddings.skip("position_ids"); // a buffer that follows from the config
  return {
    words: embeddings.lookup("word_embeddings", c.vocabSize, E),
    positions: embeddings.lookup("position_embeddings", c.maxPositionEmbeddings, E),
    types: embeddings.lookup("token_type_embeddings", c.typeVocabSize, E),
    norm: embeddings.layerNorm("LayerNorm", E, eps),
    project: E === D ? null : w.linear("embeddings_project", D, E, { bias: true }),
    layers: Array.from({ length: c.numHiddenLayers }, (_, i) => bertLayer(w.at(`encoder.layer.${i}`), c, i)),
  };
}

function modelHeads(root: Weights, c: ElectraConfig, words: Lookup): Heads {
  const { embeddingSize: E, hiddenSize: D, head } = c;
  const bias = { bias: true };
  const linear = (name: string, outputs: number): Stage => linearStage(root.linear(name, outputs, D, bias));
  switch (head) {
    case "sequenceClassification": {
      const dense: Stage = { linear: root.linear("classifier.dense", D, D, bias), activation: "gelu", norm: null };
      const stages = [dense, linear("classifier.out_proj", c.labels.length)];
      return { ...NO_HEADS, sequenceClassification: { reads: "first", stages } };
    }
    case "tokenClassification":
      return {
        ...NO_HEADS,
        tokenClassification: { reads: "token", stages: [linear("classifier", c.labels.length)] },
      };
    case "questionAnswering":
      return { ...NO_HEADS, questionAnswering: { reads: "token", stages: [linear("qa_outputs", 2)] } };
    default: {
      const has = (name: string) => head === "none" && root.has(`${name}.dense.weight`);
      if (head === "pretraining" || has("discriminator_predictions")) {
        const linears = root.at("discriminator_predictions");
        const stages: Stage[] = [
          { linear: linears.linear("dense", D, D, bias), activation: c.hiddenAct, norm: null },
          linearStage(linears.linear("dense_prediction", 1, D, bias)),
        ];
        return { ...NO_HEADS, replacedTokens: { reads: "token", stages } };
      }
      if (head !== "maskedLm" && !has("generator_predictions")) return NO_HEADS;
      const predictions = root.at("generator_predictions");
      const transform: Stage = {
        linear: predictions.linear("dense", E, D, bias),
        activation: "gelu", // whatever the layers have
        norm: predictions.layerNorm("LayerNorm", E, c.layerNormEps),
      };
      const decoder = wordDecoder(root, "generator_lm_head", "generator_lm_head.bias", words, c);
      return { ...NO_HEADS, maskedLm: { reads: "token", stages: [transform, decoder] } };
    }
  }
}

// ---- The model

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createElectra(config: ElectraConfig, root: Weights, kernels: Kernels): EncoderNetwork<BlockScratch> {
  const w = root.has("electra.embeddings.word_embeddings.weight") ? root.at("electra") : root;
  const { words, positions, types, norm, project, layers } = modelWeights(w, config);
  const heads = modelHeads(root, config, words);
  root.finish();
  const { embeddingSize: E, hiddenSize: D, hiddenAct } = config;
  return {
    ...networkShape(kernels, config, layers, E),
    heads,

    *forward(s, texts, capture, due) {
      const ids = packedIds(texts);
      const N = ids.length;

      // x = project(norm(word + type + position))
      const embedded = project === null ? s.x : s.attended;
      words.lookUp(kernels, embedded, ids);
      types.lookUp(kernels, s.projected, packedTypes(texts));
      kernels.add(embedded, embedded, s.projected, N * E);
      positions.lookUp(kernels, s.projected, packedPositions(texts));
      kernels.add(embedded, embedded, s.projected, N * E);
      layerNorm(kernels, embedded, norm, N);
      if (project !== null) kernels.matmul(s.x, embedded, project.weight, project.bias, N);
      capture?.rows("embeddings", texts, s.x, D);

      for (const layer of layers) {
        postNormLayer(kernels, layer, s, texts, N, hiddenAct, SEE_ALL, capture);
        if (due()) yield;
      }
      return s.x;
    },
  };
}

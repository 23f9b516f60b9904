/**
 * DistilBERT (Sanh et al. 2019): BERT's layers without token types and pooler, under names of its own.
 * Checked against transformers' `DistilBert*` classes.
 *
 * D hiddenSize, F intermediateSize, V vocabSize; N rows of a pass, whatever texts they belong to.
 */

import type { Kernels, LayerNorm } from "@qkv/core";
import { ACTIVATION_NAMES } from "../config/activation";
import { type JsonConfig, MAX_WIDTH } from "../config/json-config";
import { parseLabels } from "../config/labels";
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
import { checkHeads, type EncoderConfig, parseHead } from "../encoder/config";
import { type Heads, linearStage, NO_HEADS, wordDecoder } from "../encoder/heads";
import { type EncoderNetwork, packedIds, packedPositions } from "../encoder/network";
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
    numHiddenLayers: json.integer("n_layers", {}, 6),
    numAttentionHeads: json.integer("n_heads", {}, 12),
    hiddenAct: json.choice("activation", ACTIVATION_NAMES, "gelu"),
    layerNormEps: 1e-12, // fixed in the architecture
    maxPositionEmbeddings: json.integer("max_position_embeddings", {}, 512),
    typeVocabSize: 0,
    padTokenId: json.integer("pad_token_id", { min: 0 }, 0),
    tieWordEmbeddings: json.boolean("tie_word_embeddings", true),
    head: parseHead(json, "DistilBert", [
      "none",
      "maskedLm",
      "sequenceClassification",
      "tokenClassification",
      "questionAnswering",
    ]),
  };
  checkHeads(json, "n_heads", config);
  return config;
}

// ---- Weights

interface DistilBertWeights {
  readonly words: Lookup; // [V, D]
  /** [max positions, D]; sinusoids too are saved */
  readonly positions: Lookup;
  readonly norm: LayerNorm;
  readonly layers: readonly PostNormLayer[];
}

function modelWeights(w: Weights, c: EncoderConfig): DistilBertWeights {
  const { hiddenSize: D, layerNormEps: eps } = c;
  const embeddings = w.at("embeddings");
  embeddings.skip("position_ids"); // a buffer that follows from the config
  return {
    words: embeddings.lookup("word_embeddings", c.vocabSize, D),
    positions: embeddings.lookup("position_embeddings", c.maxPositionEmbeddings, D),
    norm: embeddings.layerNorm("LayerNorm", D, eps),
    layers: Array.from({ length: c.numHiddenLayers }, (_, i) => layerWeights(w.at(`transformer.layer.${i}`), c, i)),
  };
}

function layerWeights(w: Weights, c: EncoderConfig, layer: number): PostNormLayer {
  const { hiddenSize: D, intermediateSize: F, layerNormEps: eps } = c;
  const bias = { bias: true };
  const attention = w.at("attention");
  return {
    qkv: [
      product(attention.linear("q_lin", D, D, bias)),
      product(attention.linear("k_lin", D, D, bias)),
      product(attention.linear("v_lin", D, D, { bias: true, exact: true })),
    ],
    attentionOutput: attention.linear("out_lin", D, D, bias),
    attentionNorm: w.layerNorm("sa_layer_norm", D, eps),
    intermediate: w.linear("ffn.lin1", F, D, bias),
    output: w.linear("ffn.lin2", D, F, bias),
    outputNorm: w.layerNorm("output_layer_norm", D, eps),
    ...layerTaps(layer),
  };
}

function modelHeads(root: Weights, c: EncoderConfig, words: Lookup): Heads {
  const { hiddenSize: D, head } = c;
  const bias = { bias: true };
  const linear = (name: string, outputs: number) => linearStage(root.linear(name, outputs, D, bias));
  switch (head) {
    case "sequenceClassification": {
      const stages = [
        { linear: root.linear("pre_classifier", D, D, bias), activation: "relu" as const, norm: null },
        linear("classifier", c.labels.length),
      ];
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
      if (head !== "maskedLm" && !root.has("vocab_transform.weight")) return NO_HEADS;
      const transform = {
        linear: root.linear("vocab_transform", D, D, bias),
        activation: c.hiddenAct,
        norm: root.layerNorm("vocab_layer_norm", D, c.layerNormEps),
      };
      const decoder = wordDecoder(root, "vocab_projector", "vocab_projector.bias", words, c);
      return { ...NO_HEADS, maskedLm: { reads: "token", stages: [transform, decoder] } };
    }
  }
}

// ---- The model

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createDistilBert(config: EncoderConfig, root: Weights, kernels: Kernels): EncoderNetwork<BlockScratch> {
  const w = root.has("distilbert.embeddings.word_embeddings.weight") ? root.at("distilbert") : root;
  const { words, positions, norm, layers } = modelWeights(w, config);
  const heads = modelHeads(root, config, words);
  root.finish();
  const { hiddenSize: D, hiddenAct } = config;
  return {
    ...networkShape(kernels, config, layers),
    heads,

    *forward(s, texts, capture, due) {
      const ids = packedIds(texts);
      const N = ids.length;

      // x = norm(word + position)
      words.lookUp(kernels, s.x, ids);
      positions.lookUp(kernels, s.projected, packedPositions(texts));
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

/**
 * BERT (Devlin et al. 2019), base, large and of any depth, and SpanBERT (Joshi et al. 2020), which is a BERT with the
 * span-boundary head. Checked against transformers' `Bert*` classes at every tap.
 *
 * D hiddenSize, F intermediateSize, H numAttentionHeads, V vocabSize; N rows of a pass, whatever texts they belong to.
 */

import type { Kernels, LayerNorm } from "@qkv/core";
import type { JsonConfig } from "../config/json-config";
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
import {
  type Head,
  type Heads,
  linearStage,
  NO_HEADS,
  SPAN_BOUNDARY_BIAS,
  type Stage,
  spanBoundaryHead,
  wordDecoder,
} from "../encoder/heads";
import { type EncoderNetwork, packedIds, packedPositions, packedTypes } from "../encoder/network";
import type { Lookup } from "../weights/lookup";
import type { Weights } from "../weights/weights";

// ---- Config

export type BertConfig = EncoderConfig;

/** Parses config.json, with transformers' defaults for what older files leave out. */
export function parseBertConfig(json: JsonConfig): BertConfig {
  return parseEncoderConfig(json, {
    family: "Bert",
    heads: [
      "none",
      "pretraining",
      "maskedLm",
      "nextSentence",
      "sequenceClassification",
      "tokenClassification",
      "questionAnswering",
    ],
    vocabSize: 30522,
    hiddenSize: 768,
    intermediateSize: 3072,
    numHiddenLayers: 12,
    numAttentionHeads: 12,
    hiddenAct: "gelu",
    layerNormEps: 1e-12,
    maxPositionEmbeddings: 512,
    typeVocabSize: 2,
    padTokenId: 0,
  });
}

// ---- Weights

interface BertWeights {
  readonly words: Lookup; // [V, D]
  readonly positions: Lookup; // [max positions, D]
  readonly types: Lookup; // [types, D]
  readonly norm: LayerNorm;
  readonly layers: readonly PostNormLayer[];
}

function modelWeights(w: Weights, c: BertConfig): BertWeights {
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

/** A layer under BERT's names, which RoBERTa and ELECTRA have too. */
export function bertLayer(w: Weights, c: EncoderConfig, layer: number): PostNormLayer {
  const { hiddenSize: D, intermediateSize: F, layerNormEps: eps } = c;
  const bias = { bias: true };
  const self = w.at("attention.self");
  return {
    qkv: [
      product(self.linear("query", D, D, bias)),
      product(self.linear("key", D, D, bias)),
      product(self.linear("value", D, D, { bias: true, exact: true })),
    ],
    attentionOutput: w.linear("attention.output.dense", D, D, bias),
    attentionNorm: w.layerNorm("attention.output.LayerNorm", D, eps),
    intermediate: w.linear("intermediate.dense", F, D, bias),
    output: w.linear("output.dense", D, F, bias),
    outputNorm: w.layerNorm("output.LayerNorm", D, eps),
    ...layerTaps(layer),
  };
}

/** The head that the checkpoint was saved for, and what it still has of those that BERT was pretrained with. */
function modelHeads(root: Weights, w: Weights, c: BertConfig, words: Lookup): Heads {
  const { hiddenSize: D, head } = c;
  const bias = { bias: true };
  const needsPooler = ["pretraining", "nextSentence", "sequenceClassification"].includes(head);
  const pool: Stage[] = [];
  if (needsPooler || w.has("pooler.dense.weight", head === "none")) {
    pool.push({ linear: w.linear("pooler.dense", D, D, bias), activation: "tanh", norm: null });
  }
  const pooler: Head | null = pool.length > 0 ? { reads: "first", stages: pool } : null;
  const linear = (name: string, outputs: number): Stage => linearStage(root.linear(name, outputs, D, bias));
  switch (head) {
    case "sequenceClassification":
      return {
        ...NO_HEADS,
        pooler,
        sequenceClassification: { reads: "first", stages: [...pool, linear("classifier", c.labels.length)] },
      };
    case "tokenClassification":
      return {
        ...NO_HEADS,
        pooler,
        tokenClassification: { reads: "token", stages: [linear("classifier", c.labels.length)] },
      };
    case "questionAnswering":
      return { ...NO_HEADS, pooler, questionAnswering: { reads: "token", stages: [linear("qa_outputs", 2)] } };
    default: {
      const hasWords = head === "pretraining" || head === "maskedLm" || root.has("cls.predictions.bias");
      const hasNext = head === "pretraining" || head === "nextSentence" || root.has("cls.seq_relationship.weight");
      return {
        ...NO_HEADS,
        pooler,
        maskedLm: hasWords ? maskedLm(root.at("cls.predictions"), c, words) : null,
        nextSentence: hasNext ? { reads: "first", stages: [...pool, linear("cls.seq_relationship", 2)] } : null,
      };
    }
  }
}

function maskedLm(w: Weights, c: BertConfig, words: Lookup): Head {
  const transform: Stage = {
    linear: w.linear("transform.dense", c.hiddenSize, c.hiddenSize, { bias: true }),
    activation: c.hiddenAct,
    norm: w.layerNorm("transform.LayerNorm", c.hiddenSize, c.layerNormEps),
  };
  return { reads: "token", stages: [transform, wordDecoder(w, "decoder", "bias", words, c)] };
}

// ---- The model

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createBert(config: BertConfig, root: Weights, kernels: Kernels): EncoderNetwork<BlockScratch> {
  // The bare model's checkpoints have no prefix.
  const w = root.has("bert.embeddings.word_embeddings.weight") ? root.at("bert") : root;
  const { words, positions, types, norm, layers } = modelWeights(w, config);
  const heads = modelHeads(root, w, config, words);
  const spanBoundary = root.has(SPAN_BOUNDARY_BIAS) ? spanBoundaryHead(root, config, words) : null;
  root.finish();
  const { hiddenSize: D, hiddenAct } = config;
  return {
    ...networkShape(kernels, config, layers),
    heads,
    spanBoundary,

    *forward(s, texts, capture, due) {
      const ids = packedIds(texts);
      const N = ids.length;

      // x = norm(word + type + position)
      words.lookUp(kernels, s.x, ids);
      types.lookUp(kernels, s.projected, packedTypes(texts));
      kernels.add(s.x, s.x, s.projected, N * D);
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

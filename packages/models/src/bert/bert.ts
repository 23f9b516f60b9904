/**
 * BERT (Devlin et al. 2019), base, large and of any depth, and SpanBERT (Joshi et al. 2020), which is a BERT with the
 * span-boundary head. Checked against transformers' `Bert*` classes at every tap.
 *
 * D hiddenSize, F intermediateSize, H numAttentionHeads, V vocabSize; N rows of a pass, whatever texts they belong to.
 */

import type { Kernels } from "@qkv/core";
import type { JsonConfig } from "../config/json-config";
import {
  type BlockScratch,
  networkShape,
  type PostNormLayer,
  type PostNormNames,
  postNormLayer,
  postNormWeights,
} from "../encoder/block";
import { BASE_SIZES, COMMON_HEADS, type EncoderConfig, parseEncoderConfig } from "../encoder/config";
import { embedTokens, tokenEmbeddings } from "../encoder/embeddings";
import {
  denseStage,
  type Head,
  type Heads,
  linearStage,
  NO_HEADS,
  SPAN_BOUNDARY_BIAS,
  type Stage,
  spanBoundaryHead,
  tokenHeads,
  wordDecoder,
} from "../encoder/heads";
import { type EncoderNetwork, packedPositions } from "../encoder/network";
import type { Lookup } from "../weights/lookup";
import type { Weights } from "../weights/weights";

// ---- Config

export type BertConfig = EncoderConfig;

/** Parses config.json, with transformers' defaults for what older files leave out. */
export function parseBertConfig(json: JsonConfig): BertConfig {
  return parseEncoderConfig(json, {
    family: "Bert",
    heads: ["pretraining", "nextSentence", ...COMMON_HEADS],
    vocabSize: 30522,
    ...BASE_SIZES,
    typeVocabSize: 2,
    padTokenId: 0,
  });
}

// ---- Weights

/** What follows "encoder.layer.{i}."; RoBERTa and ELECTRA have the same. */
export const BERT_LAYER: PostNormNames = {
  query: "attention.self.query",
  key: "attention.self.key",
  value: "attention.self.value",
  attentionOutput: "attention.output.dense",
  attentionNorm: "attention.output.LayerNorm",
  intermediate: "intermediate.dense",
  output: "output.dense",
  outputNorm: "output.LayerNorm",
};

export function bertLayers(w: Weights, c: EncoderConfig): PostNormLayer[] {
  return Array.from({ length: c.numHiddenLayers }, (_, i) =>
    postNormWeights(w.at(`encoder.layer.${i}`), c, BERT_LAYER, i),
  );
}

/** The head that the checkpoint was saved for, and what it still has of those that BERT was pretrained with. */
function modelHeads(root: Weights, w: Weights, c: BertConfig, words: Lookup): Heads {
  const { hiddenSize: D, head } = c;
  const needsPooler = ["pretraining", "nextSentence", "sequenceClassification"].includes(head);
  const pool: Stage[] = [];
  if (needsPooler || w.has("pooler.dense.weight", head === "none")) pool.push(denseStage(w, "pooler.dense", D, "tanh"));
  const heads: Heads = {
    ...NO_HEADS,
    pooler: pool.length > 0 ? { reads: "first", stages: pool } : null,
    ...tokenHeads(root, c),
  };
  const ofPooled = (name: string, outputs: number): Head => {
    const last = linearStage(root.linear(name, outputs, D, { bias: true }));
    return { reads: "first", stages: [...pool, last] };
  };
  switch (head) {
    case "tokenClassification":
    case "questionAnswering":
      return heads;
    case "sequenceClassification":
      return { ...heads, sequenceClassification: ofPooled("classifier", c.labels.length) };
    default: {
      const hasWords = head === "pretraining" || head === "maskedLm" || root.has("cls.predictions.bias");
      const hasNext = head === "pretraining" || head === "nextSentence" || root.has("cls.seq_relationship.weight");
      return {
        ...heads,
        maskedLm: hasWords ? maskedLm(root.at("cls.predictions"), c, words) : null,
        nextSentence: hasNext ? ofPooled("cls.seq_relationship", 2) : null,
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
  const embeddings = tokenEmbeddings(w, config);
  const layers = bertLayers(w, config);
  const heads = modelHeads(root, w, config, embeddings.words);
  const spanBoundary = root.has(SPAN_BOUNDARY_BIAS) ? spanBoundaryHead(root, config, embeddings.words) : null;
  root.finish();
  const { hiddenSize: D, hiddenAct } = config;
  return {
    ...networkShape(kernels, config, layers),
    heads,
    spanBoundary,

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

/**
 * Marian (Junczys-Dowmunt et al. 2018), the form of the OPUS-MT models: sinusoidal positions, norms after each sublayer,
 * and no others. Checked against transformers' `MarianMTModel` at every tap.
 */

import type { Kernels } from "@qkv/core";
import { type BartConfig, parseCommonConfig } from "../bart/config";
import type { BartScratch } from "../bart/layers";
import { createNetwork, headOnly, type StackParts, stacksOf, wordsOf } from "../bart/network";
import { sinusoids } from "../bart/positions";
import type { JsonConfig } from "../config/json-config";
import type { WordTables } from "../seq2seq/embeddings";
import type { Seq2SeqNetwork } from "../seq2seq/network";
import type { Weights } from "../weights/weights";

// ---- Config

export interface MarianConfig extends BartConfig {
  /** One table of words for both stacks; else the target has `decoderVocabSize` words of its own. */
  readonly shareEncoderDecoderEmbeddings: boolean;
}

export function parseMarianConfig(json: JsonConfig): MarianConfig {
  const common = parseCommonConfig(json, {
    classes: ["MarianMTModel", "MarianModel"],
    vocabSize: 58101,
    padTokenId: 58100,
    oldKeys: {
      normalize_before: false,
      normalize_embedding: false,
      add_final_layer_norm: false,
      static_position_embeddings: true,
      do_blenderbot_90_layernorm: false,
    },
  });
  const { vocabSize } = common;
  const shareEncoderDecoderEmbeddings = json.boolean("share_encoder_decoder_embeddings", true);
  // 0 is transformers' other way to leave it out.
  const decoderVocabSize = json.integer("decoder_vocab_size", { min: 0 }, 0) || vocabSize;
  if (shareEncoderDecoderEmbeddings && decoderVocabSize !== vocabSize)
    throw json.wrong("decoder_vocab_size", `${vocabSize}, as "vocab_size" says and both stacks share their words`);
  return { ...common, decoderVocabSize, shareEncoderDecoderEmbeddings };
}

// ---- The model

function marianWords(root: Weights, w: Weights, c: MarianConfig): WordTables {
  if (c.shareEncoderDecoderEmbeddings) return wordsOf(root, w, c);
  const name = "decoder.embed_tokens";
  const fromHead = !w.has(`${name}.weight`) && headOnly(root, c);
  return {
    encoder: w.lookup("encoder.embed_tokens", c.vocabSize, c.dModel),
    decoder: (fromHead ? root : w).lookup(fromHead ? "lm_head" : name, c.decoderVocabSize, c.dModel),
  };
}

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createMarian(c: MarianConfig, root: Weights, kernels: Kernels): Seq2SeqNetwork<BartScratch> {
  const w = stacksOf(root);
  const words = marianWords(root, w, c);
  const positions = sinusoids(c);
  const stack = (name: "encoder" | "decoder"): StackParts => {
    // Some files have the sinusoids, which follow from the config.
    w.skip(`${name}.embed_positions.weight`);
    return { words: words[name], positions, embeddingNorm: null, finalNorm: null };
  };
  return createNetwork(c, root, w, kernels, { normFirst: false, encoder: stack("encoder"), decoder: stack("decoder") });
}

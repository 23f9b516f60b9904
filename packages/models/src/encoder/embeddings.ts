/** What BERT-like encoders make of ids: a normed sum of the vectors of words, token types and positions. */

import type { Address, Kernels, LayerNorm } from "@qkv/core";
import type { Lookup } from "../weights/lookup";
import type { Weights } from "../weights/weights";
import { layerNorm } from "./block";
import type { EncoderConfig } from "./config";
import { type PackedText, packedIds, packedTypes } from "./network";

/** Tables of width E, and the norm of what they add up to. */
export interface TokenEmbeddings {
  readonly words: Lookup; // [V, E]
  readonly positions: Lookup; // [max positions, E]
  /** [types, E]; null where there are no token types */
  readonly types: Lookup | null;
  readonly norm: LayerNorm;
}

/** `embeddings.*`, as every family calls them. E is the hidden size unless said otherwise. */
export function tokenEmbeddings(w: Weights, c: EncoderConfig, width = c.hiddenSize): TokenEmbeddings {
  const embeddings = w.at("embeddings");
  // Buffers that follow from the config, which older checkpoints saved.
  embeddings.skip("position_ids");
  embeddings.skip("token_type_ids");
  return {
    words: embeddings.lookup("word_embeddings", c.vocabSize, width),
    positions: embeddings.lookup("position_embeddings", c.maxPositionEmbeddings, width),
    types: c.typeVocabSize === 0 ? null : embeddings.lookup("token_type_embeddings", c.typeVocabSize, width),
    norm: embeddings.layerNorm("LayerNorm", width, c.layerNormEps),
  };
}

/**
 * out[N, E] = norm(word + type + position)
 *
 * @param positions of every row
 * @param scratch room for [N, E]
 */
export function embedTokens(
  kernels: Kernels,
  out: Address,
  { words, types, positions: table, norm }: TokenEmbeddings,
  texts: readonly PackedText[],
  positions: readonly number[],
  scratch: Address,
): void {
  const count = positions.length * norm.width;
  words.lookUp(kernels, out, packedIds(texts));
  if (types !== null) {
    types.lookUp(kernels, scratch, packedTypes(texts));
    kernels.add(out, out, scratch, count);
  }
  table.lookUp(kernels, scratch, positions);
  kernels.add(out, out, scratch, count);
  layerNorm(kernels, out, norm, positions.length);
}

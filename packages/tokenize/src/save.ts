/** A tokenizer's parts as a tokenizer.json. */

import { formatDecoder } from "./decoders/decoder";
import { formatPadding } from "./encoding/padding";
import { formatTruncation } from "./encoding/truncation";
import { unreachable, unsupported } from "./errors";
import { inSnakeCase } from "./json";
import type { BpeConfig } from "./models/bpe";
import type { ModelConfig } from "./models/model";
import { formatUnigram } from "./models/unigram";
import { formatNormalizer } from "./normalizers/normalizer";
import { formatPostProcessor } from "./post-processors/post-processor";
import { formatPreTokenizer } from "./pre-tokenizers/pre-tokenizer";
import type { TokenizerParts } from "./sources/parts";
import { toTokenizerJsonPipeline } from "./sources/sentencepiece-hf";

/** @throws UnsupportedTokenizerError for a part that tokenizer.json has no component for */
export function formatTokenizerJson(given: TokenizerParts): Record<string, unknown> {
  const parts = toTokenizerJsonPipeline(given);
  return {
    version: "1.0",
    truncation: formatTruncation(parts.truncation),
    padding: formatPadding(parts.padding),
    added_tokens: parts.addedTokens
      // Of equal texts one has the id that the text gets.
      .filter(({ id, content }) => parts.vocabulary.idOf(content) === id)
      .sort((a, b) => a.id - b.id)
      .map(inSnakeCase),
    normalizer: formatNormalizer(parts.normalizer),
    pre_tokenizer: formatPreTokenizer(parts.preTokenizer),
    post_processor: formatPostProcessor(parts.postProcessor),
    decoder: formatDecoder(parts.decoder),
    model: formatModel(parts.model),
  };
}

function formatModel(model: ModelConfig): unknown {
  switch (model.type) {
    case "BPE":
      return formatBpe(model);
    case "WordPiece":
    case "WordLevel": {
      const { ids, ...options } = model;
      return { ...inSnakeCase(options), vocab: Object.fromEntries(ids) };
    }
    case "Unigram":
      return formatUnigram(model);
    case "SentencePieceBpe":
      throw new TypeError("a sentencepiece model is saved in Hugging Face's components");
    default:
      return unreachable(model, "model");
  }
}

function formatBpe(model: BpeConfig): unknown {
  const tokens = new Map<number, string>();
  for (const [token, id] of model.ids) tokens.set(id, token);
  const merges = model.merges.list();
  if (merges === null) {
    throw unsupported("tokenizer.json", "model", "merging by score (llama2.c)", "merges in a list");
  }
  const affix = (text: string): string | null => (text === "" ? null : text);
  return {
    type: "BPE",
    dropout: null,
    unk_token: model.unkToken,
    continuing_subword_prefix: affix(model.continuingSubwordPrefix),
    end_of_word_suffix: affix(model.endOfWordSuffix),
    fuse_unk: model.fuseUnk,
    byte_fallback: model.byteIds !== null,
    ignore_merges: model.ignoreMerges,
    vocab: Object.fromEntries(model.ids),
    merges: merges.map(([left, right]) => [tokens.get(left), tokens.get(right)]),
  };
}

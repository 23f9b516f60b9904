/**
 * GGUF metadata with `tokenizer.ggml.model` = "bert": WordPiece. The converter writes "\u2581word" for a word and "ing"
 * for its continuation "##ing"; here they are turned back.
 */

import { idsOf, Vocabulary } from "../vocabulary";
import type { GgufMetadata } from "./gguf-metadata";
import { markedTokens } from "./gguf-tokens";
import { NO_PARTS, type TokenizerParts } from "./parts";
import { bertTemplate, specialToken } from "./vocab-txt";

const WORD_MARK = "\u2581";

export function partsOfGgufBert(source: GgufMetadata): TokenizerParts {
  const written = source.tokens();
  const types = source.tokenTypes(written.length);
  const tokens = written.map(originalForm);
  const ids = idsOf(tokens);
  const size = tokens.length;
  const needed = (name: string, fallback: number): number =>
    source.id(name, fallback, size) ?? source.fail(name, "an id of the vocabulary", fallback);
  const unkId = needed("unknown_token_id", 100);
  const clsId = needed(source.has("cls_token_id") ? "cls_token_id" : "bos_token_id", 101);
  // The key is misspelt in the format.
  const sepId = needed(source.has("seperator_token_id") ? "seperator_token_id" : "eos_token_id", 102);
  const padId = source.id("padding_token_id", 0, size);
  const maskId = source.id("mask_token_id", 103, size);
  const named = new Set([unkId, clsId, sepId, padId, maskId].filter((id) => id !== null));
  const marked = markedTokens(tokens, types, source);
  const addedTokens = marked.addedTokens.filter((token) => !named.has(token.id));
  for (const id of named) if (tokens[id] !== "") addedTokens.push(specialToken(id, tokens[id]));
  return {
    ...NO_PARTS,
    kind: "gguf",
    vocabulary: new Vocabulary(tokens, ids),
    addedTokens,
    normalizer: {
      type: "BertNormalizer",
      cleanText: true,
      handleChineseChars: true,
      stripAccents: null,
      // The metadata of older files does not say it, but only a cased vocabulary has upper-case letters.
      lowercase: source.flag("normalizer.lowercase", !tokens.some((token) => /^(##)?[A-Z]/.test(token))),
    },
    preTokenizer: { type: "BertPreTokenizer" },
    model: {
      type: "WordPiece",
      ids,
      unkToken: tokens[unkId],
      continuingSubwordPrefix: "##",
      maxInputCharsPerWord: 100,
    },
    postProcessor: bertTemplate({ id: clsId, token: tokens[clsId] }, { id: sepId, token: tokens[sepId] }),
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    specialIds: new Set([...named, ...marked.specialIds]),
    unkId,
    padId,
  };
}

function originalForm(written: string): string {
  if (written.startsWith(WORD_MARK)) return written.slice(1);
  return written === "" || (written.startsWith("[") && written.endsWith("]")) ? written : `##${written}`;
}

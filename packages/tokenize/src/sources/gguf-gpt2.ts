/** GGUF metadata with `tokenizer.ggml.model` = "gpt2": byte-level BPE, cut as `tokenizer.ggml.pre` says. */

import { JsonCursor } from "../json";
import { MAX_MERGES } from "../limits";
import { MergeTable } from "../models/merge-table";
import type { PreTokenizer } from "../pre-tokenizers/pre-tokenizer";
import { Vocabulary } from "../vocabulary";
import type { GgufMetadata } from "./gguf-metadata";
import { preTypeOf } from "./gguf-pre-types";
import { CONTROL, markedTokens } from "./gguf-tokens";
import type { TokenizerParts } from "./parts";
import { readMerges } from "./tokenizer-json";

export function partsOfGgufGpt2(source: GgufMetadata): TokenizerParts {
  const tokens = source.tokens();
  const types = source.has("token_type") ? source.numbers("token_type", tokens.length) : null;
  const lines = source.strings("merges", MAX_MERGES);
  const ids = new Map<string, number>();
  // Of equal tokens the last one counts, as in llama.cpp.
  for (let id = 0; id < tokens.length; id++) ids.set(tokens[id], id);
  const pre = preTypeOf(source);
  const { addedTokens, specialIds } = markedTokens(tokens, types, source);
  const bosId = source.idOrNull("bos_token_id", tokens.length);
  const eosId = source.idOrNull("eos_token_id", tokens.length);
  const merges = readMerges(new JsonCursor(lines, source.file, "tokenizer.ggml.merges"), ids, "");
  const byteLevel: PreTokenizer = { type: "ByteLevel", addPrefixSpace: false, trimOffsets: true, useRegex: false };
  return {
    kind: "gguf",
    vocabulary: new Vocabulary(tokens, ids),
    addedTokens,
    normalizer: pre.normalizer,
    preTokenizer: { type: "Sequence", preTokenizers: [...pre.splits, byteLevel] },
    model: {
      type: "BPE",
      ids,
      merges: MergeTable.fromList(merges),
      vocabSize: tokens.length,
      looseCharacters: [],
      byteIds: null,
      unkToken: null,
      fuseUnk: false,
      ignoreMerges: pre.ignoreMerges,
      continuingSubwordPrefix: "",
      endOfWordSuffix: "",
    },
    postProcessor: source.template(bosId, eosId, { bos: pre.addBos, eos: false }),
    decoder: { type: "ByteLevel", addPrefixSpace: false, trimOffsets: true, useRegex: true },
    specialIds: new Set([
      ...specialIds,
      ...[bosId, eosId].filter((id) => id !== null && types?.[id] === CONTROL),
    ] as number[]),
    bosId,
    eosId,
    unkId: source.idOrNull("unknown_token_id", tokens.length),
    padId: source.idOrNull("padding_token_id", tokens.length),
    truncation: null,
    padding: null,
  };
}

/** GGUF metadata with `tokenizer.ggml.model` = "gpt2": byte-level BPE, cut as `tokenizer.ggml.pre` says. */

import { JsonCursor } from "../json";
import { MAX_MERGES } from "../limits";
import { PLAIN_BPE } from "../models/bpe";
import { MergeTable } from "../models/merge-table";
import type { PreTokenizer } from "../pre-tokenizers/pre-tokenizer";
import { idsOf, Vocabulary } from "../vocabulary";
import type { GgufMetadata } from "./gguf-metadata";
import { preTypeOf } from "./gguf-pre-types";
import { CONTROL, markedTokens } from "./gguf-tokens";
import { NO_PARTS, type TokenizerParts } from "./parts";
import { readMerges } from "./tokenizer-json";

export function partsOfGgufGpt2(source: GgufMetadata): TokenizerParts {
  const tokens = source.tokens();
  const types = source.tokenTypes(tokens.length);
  const lines = source.strings("merges", 0, MAX_MERGES);
  // Of equal tokens the last one counts, as in llama.cpp.
  const ids = idsOf(tokens);
  const pre = preTypeOf(source);
  const { addedTokens, specialIds } = markedTokens(tokens, types, source);
  const bosId = source.idOrNull("bos_token_id", tokens.length);
  const eosId = source.idOrNull("eos_token_id", tokens.length);
  const merges = readMerges(new JsonCursor(lines, source.file, "tokenizer.ggml.merges"), ids, "");
  const byteLevel: PreTokenizer = { type: "ByteLevel", addPrefixSpace: false, trimOffsets: true, useRegex: false };
  return {
    ...NO_PARTS,
    kind: "gguf",
    vocabulary: new Vocabulary(tokens, ids),
    addedTokens,
    preTokenizer: { type: "Sequence", preTokenizers: [...pre.splits, byteLevel] },
    model: {
      ...PLAIN_BPE,
      ids,
      merges: MergeTable.fromList(merges),
      vocabSize: tokens.length,
      ignoreMerges: pre.ignoreMerges,
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
  };
}

/*
 * GPT-2's vocab.json and merges.txt (in the first release encoder.json and vocab.bpe): byte-level BPE.
 * Follows transformers' GPT2Tokenizer; RoBERTa and BART use the same files with other special tokens.
 */

import { describe, fileError } from "../errors";
import { JsonCursor, parseJson } from "../json";
import { MAX_MERGES } from "../limits";
import { PLAIN_BPE } from "../models/bpe";
import { MergeTable } from "../models/merge-table";
import type { PostProcessor } from "../post-processors/post-processor";
import { Vocabulary } from "../vocabulary";
import { linesOf } from "./files";
import { NO_PARTS, type TokenizerParts } from "./parts";
import { readMerges, readVocab } from "./tokenizer-json";
import { specialToken } from "./vocab-txt";

export interface VocabAndMergesOptions {
  /** Put a space before a text that has none. Default false. */
  readonly addPrefixSpace?: boolean;
  /** Tokens that are found in the text as they stand. Default: `<|endoftext|>`, and RoBERTa's five with `roberta`, as far as the vocabulary has them. */
  readonly specialTokens?: readonly string[];
  /** `<s> text </s>` around every text, as RoBERTa and BART do; the vocabulary must have both. Default false. */
  readonly roberta?: boolean;
}

/** The lines of merges.txt without its heading. */
export function readMergesTxt(text: string, file: string): string[] {
  const merges: string[] = [];
  let line = 0;
  for (const merge of linesOf(text)) {
    line++;
    if (merge !== "" && !(line === 1 && merge.startsWith("#version"))) merges.push(merge);
    if (merges.length > MAX_MERGES) {
      throw fileError(file, `line ${line}`, `at most ${MAX_MERGES} merges`, "more");
    }
  }
  return merges;
}

export function partsOfVocabAndMerges(
  vocab: unknown,
  mergesText: string,
  options: VocabAndMergesOptions,
  files: { readonly vocab: string; readonly merges: string },
): TokenizerParts {
  const json = typeof vocab === "string" ? parseJson(vocab, files.vocab) : vocab;
  const { ids, tokens } = readVocab(new JsonCursor(json, files.vocab));
  const lines = readMergesTxt(mergesText, files.merges);
  const merges = MergeTable.fromList(readMerges(new JsonCursor(lines, files.merges), ids, ""));
  const { addPrefixSpace = false, roberta = false } = options;
  const needed = (content: string): number => {
    const id = ids.get(content);
    if (id !== undefined) return id;
    throw fileError(files.vocab, "the tokens", describe(content), "none");
  };
  const names =
    options.specialTokens ?? ["<|endoftext|>", ...(roberta ? ROBERTA_TOKENS : [])].filter((name) => ids.has(name));
  const ends = { cls: { id: -1, token: "<s>" }, sep: { id: -1, token: "</s>" } };
  if (roberta) {
    ends.cls.id = needed("<s>");
    ends.sep.id = needed("</s>");
  }
  const end = ids.get("<|endoftext|>") ?? null;
  return {
    ...NO_PARTS,
    kind: "vocab.json",
    vocabulary: new Vocabulary(tokens, ids),
    addedTokens: names.map((name) => ({
      ...specialToken(needed(name), name),
      // As transformers: the mask takes the space before it along.
      lstrip: roberta && name === "<mask>",
    })),
    preTokenizer: { type: "ByteLevel", addPrefixSpace, trimOffsets: true, useRegex: true },
    model: { ...PLAIN_BPE, ids, merges, vocabSize: tokens.length },
    postProcessor: roberta
      ? { type: "RobertaProcessing", ...ends, trimOffsets: true, addPrefixSpace }
      : ({ type: "ByteLevel", addPrefixSpace, trimOffsets: false, useRegex: true } satisfies PostProcessor),
    decoder: { type: "ByteLevel", addPrefixSpace, trimOffsets: true, useRegex: true },
    specialIds: new Set(names.map(needed)),
    bosId: roberta ? ends.cls.id : end,
    eosId: roberta ? ends.sep.id : end,
    unkId: ids.get("<unk>") ?? end,
    padId: ids.get("<pad>") ?? null,
  };
}

const ROBERTA_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];

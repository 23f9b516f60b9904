/* BERT's vocab.txt: a token a line, its id the number of the line. Follows transformers' BertTokenizer. */

import type { AddedToken } from "../added-tokens";
import { describe, fileError } from "../errors";
import { isWellFormed } from "../json";
import { MAX_PIECE_LENGTH, MAX_VOCAB_SIZE } from "../limits";
import { type PostProcessor, type SpecialToken, specialPiece, textPiece } from "../post-processors/post-processor";
import { Vocabulary } from "../vocabulary";
import { linesOf } from "./files";
import { NO_PARTS, type TokenizerParts } from "./parts";

export interface VocabTxtOptions {
  /** Lower-case the text; true for "uncased" checkpoints. Default true, as in transformers. */
  readonly lowercase?: boolean;
  /** Take accents off; null: where it is lower-cased. Default null. */
  readonly stripAccents?: boolean | null;
  /** Cut around every Chinese character. Default true. */
  readonly handleChineseChars?: boolean;
  /** What the special tokens are called. Default [UNK], [SEP], [PAD], [CLS], [MASK]. */
  readonly unkToken?: string;
  readonly sepToken?: string;
  readonly padToken?: string;
  readonly clsToken?: string;
  readonly maskToken?: string;
}

/** The id of each line; of equal lines the last one counts. */
export function readVocabTxt(text: string, file: string): { ids: Map<string, number>; tokens: (string | undefined)[] } {
  const ids = new Map<string, number>();
  const tokens: (string | undefined)[] = [];
  for (const token of linesOf(text)) {
    const at = `line ${tokens.length + 1}`;
    const fail = (expected: string, got: string): never => {
      throw fileError(file, at, expected, got);
    };
    if (tokens.length === MAX_VOCAB_SIZE) fail(`at most ${MAX_VOCAB_SIZE} lines`, "more");
    if (token.length > MAX_PIECE_LENGTH) fail(`at most ${MAX_PIECE_LENGTH} characters`, `${token.length}`);
    if (!isWellFormed(token)) fail("a well-formed string", describe(token));
    // An empty line takes an id that no text has.
    if (token !== "") ids.set(token, tokens.length);
    tokens.push(token === "" ? undefined : token);
  }
  if (ids.size === 0) throw fileError(file, "the text", "a token a line", "none");
  return { ids, tokens };
}

export function partsOfVocabTxt(text: string, options: VocabTxtOptions, file: string): TokenizerParts {
  const { ids, tokens } = readVocabTxt(text, file);
  const names = {
    unk: options.unkToken ?? "[UNK]",
    sep: options.sepToken ?? "[SEP]",
    pad: options.padToken ?? "[PAD]",
    cls: options.clsToken ?? "[CLS]",
    mask: options.maskToken ?? "[MASK]",
  };
  const needed = (name: "unk" | "cls" | "sep"): number => {
    const id = ids.get(names[name]);
    if (id !== undefined) return id;
    const expected = `a line ${JSON.stringify(names[name])} (or option ${name}Token)`;
    throw fileError(file, "the text", expected, "none");
  };
  const addedTokens: AddedToken[] = [];
  for (const content of Object.values(names)) {
    const id = ids.get(content);
    if (id !== undefined) addedTokens.push(specialToken(id, content));
  }
  return {
    ...NO_PARTS,
    kind: "vocab.txt",
    vocabulary: new Vocabulary(tokens, ids),
    addedTokens,
    normalizer: {
      type: "BertNormalizer",
      cleanText: true,
      handleChineseChars: options.handleChineseChars ?? true,
      stripAccents: options.stripAccents ?? null,
      lowercase: options.lowercase ?? true,
    },
    preTokenizer: { type: "BertPreTokenizer" },
    model: {
      type: "WordPiece",
      ids,
      unkToken: names.unk,
      continuingSubwordPrefix: "##",
      maxInputCharsPerWord: 100,
    },
    postProcessor: bertTemplate({ id: needed("cls"), token: names.cls }, { id: needed("sep"), token: names.sep }),
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    specialIds: new Set(addedTokens.map((token) => token.id)),
    unkId: needed("unk"),
    padId: ids.get(names.pad) ?? null,
  };
}

/** A special token that is found in the raw text as it stands. */
export function specialToken(id: number, content: string): AddedToken {
  return { id, content, special: true, singleWord: false, lstrip: false, rstrip: false, normalized: false };
}

/** [CLS] text [SEP], and with a pair [CLS] text [SEP] pair [SEP], the last two of type 1. */
export function bertTemplate(cls: SpecialToken, sep: SpecialToken): PostProcessor {
  const single = [specialPiece(cls.id, cls.token), textPiece(0), specialPiece(sep.id, sep.token)];
  const pair = [...single, textPiece(1, 1), specialPiece(sep.id, sep.token, 1)];
  return { type: "TemplateProcessing", single, pair };
}

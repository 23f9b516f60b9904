/** Stage 3: turns words into tokens. */

import { unreachable } from "../errors";
import { Bpe, type BpeConfig } from "./bpe";
import { SentencePieceBpe, type SentencePieceBpeConfig } from "./sentence-piece-bpe";
import type { Tokens } from "./tokens";
import { Unigram, type UnigramConfig } from "./unigram";
import { WordLevel, type WordLevelConfig } from "./word-level";
import { WordPiece, type WordPieceConfig } from "./word-piece";

export type ModelConfig = BpeConfig | SentencePieceBpeConfig | UnigramConfig | WordLevelConfig | WordPieceConfig;

/** A model that is ready to run. */
export interface Model {
  /** Appends the tokens of the word `text.slice(start, end)`, which is not empty. */
  encode(text: string, start: number, end: number, out: Tokens): void;
  /** The same for a word that stands for its UTF-8 bytes in GPT-2's alphabet; only where `takesBytes`. */
  encodeBytes?(text: string, start: number, end: number, out: Tokens): void;
  readonly takesBytes?: boolean;
}

export function createModel(config: ModelConfig): Model {
  switch (config.type) {
    case "BPE":
      return new Bpe(config);
    case "SentencePieceBpe":
      return new SentencePieceBpe(config);
    case "Unigram":
      return new Unigram(config);
    case "WordLevel":
      return new WordLevel(config);
    case "WordPiece":
      return new WordPiece(config);
    default:
      return unreachable(config, "model");
  }
}

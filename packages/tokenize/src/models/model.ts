/** Stage 3: turns words into ids. BPE now; WordPiece, Unigram and WordLevel join this union later. */

import { unreachable } from "../errors";
import { Bpe, type BpeConfig } from "./bpe";

export type ModelConfig = BpeConfig;

/** A model that is ready to run. */
export interface Model {
  /** Appends the ids of one word to `out`. */
  encode(word: string, out: number[]): void;
}

export function createModel(config: ModelConfig): Model {
  switch (config.type) {
    case "BPE":
      return new Bpe(config);
    default:
      return unreachable(config as never, "model");
  }
}

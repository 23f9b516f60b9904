/* What every source gives to the Tokenizer: the five stages, the vocabulary, and what else the files say. */

import type { AddedToken } from "../added-tokens";
import type { Decoder } from "../decoders/decoder";
import type { Padding } from "../encoding/padding";
import type { Direction, Truncation } from "../encoding/truncation";
import type { ModelConfig } from "../models/model";
import type { Normalizer } from "../normalizers/normalizer";
import type { PostProcessor } from "../post-processors/post-processor";
import type { PreTokenizer } from "../pre-tokenizers/pre-tokenizer";
import type { Vocabulary } from "../vocabulary";

/** What a tokenizer was made from. */
export type SourceKind = "tokenizer.json" | "vocab.txt" | "vocab.json" | "sentencepiece" | "llama2.c" | "gguf";

export interface TokenizerParts {
  readonly kind: SourceKind;
  readonly vocabulary: Vocabulary;
  readonly addedTokens: readonly AddedToken[];
  readonly normalizer: Normalizer | null;
  readonly preTokenizer: PreTokenizer | null;
  readonly model: ModelConfig;
  readonly postProcessor: PostProcessor | null;
  readonly decoder: Decoder | null;
  readonly specialIds: ReadonlySet<number>;
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly unkId: number | null;
  readonly padId: number | null;
  /** What the file asks for by default; `encode` does it only when it is told to. */
  readonly truncation: Required<Truncation> | null;
  readonly padding: Required<Padding> | null;
  /** What tokenizer_config.json says, where there is one. */
  readonly modelMaxLength?: number | null;
  readonly paddingSide?: Direction | null;
  readonly truncationSide?: Direction | null;
}

/** What a source leaves as it is where it says nothing of it. */
export const NO_PARTS = {
  addedTokens: [],
  normalizer: null,
  preTokenizer: null,
  postProcessor: null,
  bosId: null,
  eosId: null,
  unkId: null,
  padId: null,
  truncation: null,
  padding: null,
} as const satisfies Partial<TokenizerParts>;

/** What every source gives to the Tokenizer: the five stages, the vocabulary, and which ids are special. */

import type { AddedToken } from "../added-tokens";
import type { Decoder } from "../decoder";
import type { ModelConfig } from "../models/model";
import type { Normalizer } from "../normalizer";
import type { PostProcessor } from "../post-processor";
import type { PreTokenizer } from "../pre-tokenizer";
import type { Vocabulary } from "../vocabulary";

export interface TokenizerParts {
  readonly kind: string;
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
}

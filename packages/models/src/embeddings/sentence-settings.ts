/** How a model's hidden states become the embedding of a text: what sentence-transformers' files say, or its defaults. */

import type { Activation, Address, LayerNorm, Linear } from "@qkv/core";
import type { SimilarityMetric } from "./similarity";

/**
 * How the states of a text's tokens become one vector.
 * - `mean`; `max`, by component; `cls`, the first token's; `lastToken`
 * - `weightedMean`, weighted by position, from 1 on (SGPT)
 * - `meanSqrtLength`, the sum over the root of the number of tokens
 */
export type Pooling = "mean" | "cls" | "max" | "weightedMean" | "lastToken" | "meanSqrtLength";

export const POOLINGS: readonly Pooling[] = ["mean", "cls", "max", "weightedMean", "lastToken", "meanSqrtLength"];

/** What follows the pooling, in order. */
export type EmbeddingModule =
  | { readonly type: "normalize" }
  | {
      readonly type: "dense";
      readonly linear: Linear;
      readonly activation: Activation | "tanh" | "sigmoid" | null;
      /** Scratch for a row of its input, and for one of its output. */
      readonly input: Address;
      readonly output: Address;
    }
  | { readonly type: "layerNorm"; readonly norm: LayerNorm; readonly row: Address };

/** What makes a score of a cross-encoder's output: nothing, or 1 / (1 + e^-x). */
export type ScoreActivation = "identity" | "sigmoid";

/** As `modules.json` and the files that it names say. */
export interface SentenceSettings {
  /** Why the model gives no embeddings, as the end of a sentence; null where it does. */
  readonly problem: string | null;
  /** Their vectors are put one behind the other. */
  readonly pooling: readonly Pooling[];
  /** Whether the tokens of a prompt are pooled too. */
  readonly includePrompt: boolean;
  readonly modules: readonly EmbeddingModule[];
  /** Most tokens; null for what the tokenizer's files say, and else what the model takes. */
  readonly maxTokens: number | null;
  readonly lowerCase: boolean;
  /** Texts to put in front, by name. */
  readonly prompts: Readonly<Record<string, string>>;
  readonly defaultPrompt: string | null;
  /** By which its embeddings are meant to be compared. */
  readonly similarity: SimilarityMetric;
  /** Of a cross-encoder. */
  readonly scoreActivation: ScoreActivation;
}

/** What sentence-transformers does with a plain model. Every model has the first two prompts. */
export const PLAIN_SENTENCES = {
  problem: null,
  pooling: ["mean"],
  includePrompt: true,
  modules: [] as readonly never[],
  maxTokens: null,
  lowerCase: false,
  prompts: { query: "", document: "" },
  defaultPrompt: null,
  similarity: "cosine",
  scoreActivation: "sigmoid",
} satisfies SentenceSettings;

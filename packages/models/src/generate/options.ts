/** What `generate` takes: one set of options for decoders and encoder-decoders, named as in transformers. */

import type { LogitsProcessor } from "./search";

export { type PlannedModel, planGeneration } from "./options-plan";

/** A bias on token sequences: added to the score of the last id where the ids before it are the last ones so far. */
export type SequenceBias = readonly [ids: readonly number[], bias: number];

/** A watermark in the choice of tokens (Kirchenbauer et al. 2023), as transformers' `WatermarkingConfig` has it. */
export interface WatermarkOptions {
  /** Share of the vocabulary that is favoured, between 0 and 1. 0.25 if left out. */
  readonly greenlistRatio?: number;
  /** Added to the scores of favoured tokens. 2 if left out. */
  readonly bias?: number;
  /** The key, from 1 to 2^53 - 1: who knows it can find the mark. 15485863 if left out. */
  readonly hashingKey?: number;
  /** What the favoured tokens depend on: the token before ("lefthash"), or the chosen one as well ("selfhash"). */
  readonly seedingScheme?: "lefthash" | "selfhash";
  /** How many tokens before are looked at by "selfhash", and how many there must be. 1 if left out. */
  readonly contextWidth?: number;
}

/**
 * Options of a generation. All of them work or throw; none is ignored. Where one is left out, what the model's own
 * generation config says holds; `null` turns that off.
 *
 * Sampling is on where `temperature` is above 0 or any of topK, topP, minP, typicalP, topH, epsilonCutoff, etaCutoff and
 * seed is given; beam search where `numBeams` is above 1; else the likeliest token is taken, greedily.
 */
export interface GenerateOptions {
  /** Most new tokens. If neither this nor `maxLength` is given, until the model ends or its context is full. */
  readonly maxNewTokens?: number | null;
  /** Most tokens with the prompt, or with the start token of an encoder-decoder. Not together with `maxNewTokens`. */
  readonly maxLength?: number | null;
  /** No end token before so many tokens, counted as for `maxLength`. */
  readonly minLength?: number | null;
  /** No end token before so many new tokens. Not together with `minLength`. */
  readonly minNewTokens?: number | null;

  /** How many continuations are followed at once. 1 is no beam search. */
  readonly numBeams?: number | null;
  /** Groups of beams that are kept from choosing alike (diverse beam search, Vijayakumar et al. 2018). */
  readonly numBeamGroups?: number | null;
  /** Taken from a token's score for each beam of an earlier group that chose it at the same step. */
  readonly diversityPenalty?: number | null;
  /** A sequence's score is its log-probability divided by its length to this power: above 0 favours long ones. */
  readonly lengthPenalty?: number | null;
  /** When beams end: true with the first numBeams that are complete, false when better ones are unlikely, "never" when they are impossible. */
  readonly earlyStopping?: boolean | "never" | null;
  /** How many sequences are given; with beams, up to numBeams. */
  readonly numReturnSequences?: number | null;

  /** Divides the scores before sampling. 0 is greedy decoding; 1 is the default where sampling is on. */
  readonly temperature?: number | null;
  /** Sample among the k likeliest tokens. */
  readonly topK?: number | null;
  /** Sample among the fewest tokens whose probabilities sum to at least this, 0 < topP <= 1. */
  readonly topP?: number | null;
  /** Sample among the tokens of at least this share of the likeliest one's probability, 0 to 1. */
  readonly minP?: number | null;
  /** Sample among the most typical tokens that sum to this, 0 < typicalP <= 1 (Meister et al. 2022). */
  readonly typicalP?: number | null;
  /** Sample among the likeliest tokens up to this share of the entropy, 0 < topH <= 1 (Potraghloo et al. 2025). */
  readonly topH?: number | null;
  /** Sample among the tokens of at least this probability, 0 to below 1 (Hewitt et al. 2022). */
  readonly epsilonCutoff?: number | null;
  /** As `epsilonCutoff`, with a bound that falls where the entropy is high, 0 to below 1 (Hewitt et al. 2022). */
  readonly etaCutoff?: number | null;
  /** Start of the random numbers, 0 to 2^53 - 1: the same seed gives the same text on every machine. */
  readonly seed?: number;

  /** Makes tokens that were seen, in the prompt too, less likely where above 1 (Keskar et al. 2019). */
  readonly repetitionPenalty?: number | null;
  /** Makes tokens of the encoder's input more likely where above 1. Encoder-decoders only. */
  readonly encoderRepetitionPenalty?: number | null;
  /** Never repeat a sequence of so many tokens, the prompt's included. */
  readonly noRepeatNgramSize?: number | null;
  /** Never repeat a sequence of so many tokens of the encoder's input. Encoder-decoders only. */
  readonly encoderNoRepeatNgramSize?: number | null;
  /** Sequences of tokens that are never completed. One that is an end token alone is left alone. */
  readonly badWordsIds?: readonly (readonly number[])[] | null;
  /** Biases on sequences of tokens. */
  readonly sequenceBias?: readonly SequenceBias[] | null;
  /** [start, factor]: past so many new tokens, end tokens gain |score| * (factor^(tokens past it) - 1). */
  readonly exponentialDecayLengthPenalty?: readonly [start: number, factor: number] | null;
  /** Tokens that are never chosen. */
  readonly suppressTokens?: readonly number[] | null;
  /** Tokens that are not chosen first; where a first one is forced, not second. */
  readonly beginSuppressTokens?: readonly number[] | null;
  /** The token that follows a start token, or a prompt of one token. */
  readonly forcedBosTokenId?: number | null;
  /** The token, or tokens of which one, is last where the length runs out. */
  readonly forcedEosTokenId?: number | readonly number[] | null;
  /** Scores that are NaN become 0, infinite ones the largest of f32. */
  readonly removeInvalidValues?: boolean | null;
  /** Makes the scores log-probabilities again, after all else. */
  readonly renormalizeLogits?: boolean | null;
  /** Marks the text. `{}` with the usual parameters. */
  readonly watermark?: WatermarkOptions | null;
  /** The ids that may follow `ids` (all so far, not to be changed); `index` says which prompt of a batch it is. */
  readonly prefixAllowedTokens?: (ids: readonly number[], index: number) => readonly number[];
  /** Your own, which run after those of the options above from `repetitionPenalty` on, and before sampling's. */
  readonly processors?: readonly LogitsProcessor[];

  /** What an encoder-decoder's text starts from. Encoder-decoders only. */
  readonly decoderStartTokenId?: number;
  /** Tokens that end the text; if left out, the model's own end tokens. [] goes on past them. */
  readonly stopIds?: readonly number[];
  /** Strings that end the text; they are not part of it. Not with beams. */
  readonly stop?: readonly string[] | null;
  /** Whether the result holds the score of each sequence and of each token. */
  readonly scores?: boolean;
  /** Calls the generation off: the iteration throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/** How beams are searched. */
export interface BeamPlan {
  /** At least 2. */
  readonly numBeams: number;
  /** 1: no groups. */
  readonly numBeamGroups: number;
  readonly diversityPenalty: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean | "never";
}

/** How tokens are drawn. */
export interface SamplingPlan {
  /** Above 0. */
  readonly temperature: number;
  readonly topK: number | null;
  /** 1: all. */
  readonly topP: number;
  readonly minP: number | null;
  readonly typicalP: number | null;
  readonly topH: number | null;
  readonly epsilonCutoff: number | null;
  readonly etaCutoff: number | null;
  readonly seed: number;
}

/** The options and what the model's generation config adds, with every default filled in. null: off. */
export interface GenerationPlan {
  /** At most one of this and `maxLength` is set; where neither is, until the context is full. */
  readonly maxNewTokens: number | null;
  readonly maxLength: number | null;
  /** 0: off. */
  readonly minLength: number;
  /** 0: off. */
  readonly minNewTokens: number;
  /** null: greedy, or sampling. */
  readonly beams: BeamPlan | null;
  readonly numReturnSequences: number;
  /** null: greedy, or beams. */
  readonly sampling: SamplingPlan | null;
  readonly repetitionPenalty: number | null;
  readonly encoderRepetitionPenalty: number | null;
  readonly noRepeatNgramSize: number | null;
  readonly encoderNoRepeatNgramSize: number | null;
  readonly badWordsIds: readonly (readonly number[])[];
  readonly sequenceBias: readonly SequenceBias[];
  readonly exponentialDecayLengthPenalty: readonly [start: number, factor: number] | null;
  readonly suppressTokens: readonly number[];
  readonly beginSuppressTokens: readonly number[];
  readonly forcedBosTokenId: number | null;
  /** Empty: off. */
  readonly forcedEosTokenIds: readonly number[];
  readonly removeInvalidValues: boolean;
  readonly renormalizeLogits: boolean;
  readonly watermark: Required<WatermarkOptions> | null;
  readonly prefixAllowedTokens: ((ids: readonly number[], index: number) => readonly number[]) | null;
  readonly processors: readonly LogitsProcessor[];
  /** null: neither the options nor the model's files say. */
  readonly decoderStartTokenId: number | null;
  readonly stopIds: ReadonlySet<number>;
  readonly stop: readonly string[];
  readonly scores: boolean;
  readonly signal: AbortSignal | null;
}

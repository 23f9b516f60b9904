/** All that changes the scores of a generation, in order. */

import type { GenerationPlan, SamplingPlan } from "../options";
import type { LogitsProcessor } from "../search";
import { badWords, sequenceBias, suppressTokens, suppressTokensAtBegin } from "./bias";
import { prefixConstraint } from "./constraint";
import { exponentialDecayLengthPenalty, forcedBos, forcedEos, minLength, minNewTokens } from "./lengths";
import { encoderNoRepeatNgram, encoderRepetitionPenalty, noRepeatNgram, repetitionPenalty } from "./repetition";
import { normalizeLogits, removeInvalidValues, subtractMax } from "./softmax";
import { applyTemperature, keepEpsilon, keepEta, keepMinP, keepTopH, keepTopK, keepTopP, keepTypical } from "./warpers";
import { watermark } from "./watermark";

/** What the processors of one text have to know besides the plan. */
export interface ProcessorContext {
  /** Which prompt of a batch it is. */
  readonly index: number;
  /** What the encoder read, special tokens included; null for a decoder. */
  readonly encoderIds: readonly number[] | null;
  /** Ids before the first new one: those of the prompt, or 1 for the start token. */
  readonly promptLength: number;
  /** Most ids, the prompt's included. */
  readonly maxLength: number;
  /** What ends the text. */
  readonly endIds: readonly number[];
}

/**
 * The processors of one text, in the order in which transformers runs them: what steers, then the caller's own, then
 * those of sampling, then the watermark and the normalization.
 *
 * Those of sampling throw a RangeError where a score is NaN or all are -Infinity, as `argmax` does. For beams all of
 * them run on log-probabilities.
 *
 * @returns none where nothing is asked for
 * @example
 * const processors = createProcessors(plan, { index: 0, encoderIds: null, promptLength: 3, maxLength: 20, endIds: [2] });
 * for (const process of processors) process(scores, ids);
 */
export function createProcessors(plan: GenerationPlan, context: ProcessorContext): LogitsProcessor[] {
  const { index, encoderIds, promptLength, maxLength, endIds } = context;
  const all: LogitsProcessor[] = [];
  if (plan.sequenceBias.length > 0) all.push(sequenceBias(plan.sequenceBias));
  if (plan.encoderRepetitionPenalty !== null && encoderIds !== null) {
    all.push(encoderRepetitionPenalty(plan.encoderRepetitionPenalty, encoderIds));
  }
  if (plan.repetitionPenalty !== null) all.push(repetitionPenalty(plan.repetitionPenalty));
  if (plan.noRepeatNgramSize !== null) all.push(noRepeatNgram(plan.noRepeatNgramSize));
  if (plan.encoderNoRepeatNgramSize !== null && encoderIds !== null) {
    all.push(encoderNoRepeatNgram(plan.encoderNoRepeatNgramSize, encoderIds));
  }
  if (plan.badWordsIds.length > 0) all.push(badWords(plan.badWordsIds, endIds));
  if (plan.minLength > 0 && endIds.length > 0) all.push(minLength(plan.minLength, endIds));
  if (plan.minNewTokens > 0 && endIds.length > 0) all.push(minNewTokens(plan.minNewTokens, promptLength, endIds));
  if (plan.prefixAllowedTokens !== null) {
    all.push(prefixConstraint(plan.prefixAllowedTokens, index, plan.beams === null));
  }
  if (plan.forcedBosTokenId !== null) all.push(forcedBos(plan.forcedBosTokenId));
  if (plan.forcedEosTokenIds.length > 0) all.push(forcedEos(plan.forcedEosTokenIds, maxLength));
  if (plan.removeInvalidValues) all.push(removeInvalidValues);
  if (plan.exponentialDecayLengthPenalty !== null && endIds.length > 0) {
    all.push(exponentialDecayLengthPenalty(plan.exponentialDecayLengthPenalty, promptLength, endIds));
  }
  if (plan.suppressTokens.length > 0) all.push(suppressTokens(plan.suppressTokens));
  if (plan.beginSuppressTokens.length > 0) {
    // A token that is forced after the start token is not the text's own first.
    const forced = promptLength === 1 && plan.forcedBosTokenId !== null;
    all.push(suppressTokensAtBegin(plan.beginSuppressTokens, promptLength + (forced ? 1 : 0)));
  }
  all.push(...plan.processors);
  if (plan.sampling !== null) all.push(...warpersOf(plan.sampling));
  if (plan.watermark !== null) all.push(watermark(plan.watermark));
  if (plan.renormalizeLogits) all.push(normalizeLogits);
  return all;
}

function warpersOf(sampling: SamplingPlan): LogitsProcessor[] {
  const { temperature, topK, topP, minP, typicalP, topH, epsilonCutoff, etaCutoff } = sampling;
  const all: LogitsProcessor[] = [subtractMax];
  if (temperature !== 1) all.push((scores) => applyTemperature(scores, temperature));
  if (topH !== null) all.push((scores) => keepTopH(scores, topH));
  if (topK !== null) all.push((scores) => keepTopK(scores, topK));
  if (topP < 1) all.push((scores) => keepTopP(scores, topP));
  if (minP !== null) all.push((scores) => keepMinP(scores, minP));
  if (typicalP !== null) all.push((scores) => keepTypical(scores, typicalP));
  if (epsilonCutoff !== null) all.push((scores) => keepEpsilon(scores, epsilonCutoff));
  if (etaCutoff !== null) all.push((scores) => keepEta(scores, etaCutoff));
  return all;
}

/**
 * Processors and whole chains of them on random rows, against what transformers makes of the same
 * (tests/fixtures/processors, whose make.py draws rows as `drawRows` does here).
 */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { JsonConfig } from "../../config/json-config";
import { parseGenerationConfig } from "../generation-config";
import { planGeneration, type SequenceBias, type WatermarkOptions } from "../options";
import type { LogitsProcessor } from "../search";
import { badWords, sequenceBias, suppressTokens, suppressTokensAtBegin } from "./bias";
import { createProcessors } from "./create";
import { applyGuidance } from "./guidance";
import { exponentialDecayLengthPenalty, forcedBos, forcedEos, minLength, minNewTokens } from "./lengths";
import { Mt19937 } from "./mt19937";
import { encoderNoRepeatNgram, encoderRepetitionPenalty, noRepeatNgram, repetitionPenalty } from "./repetition";
import { normalizeLogits, removeInvalidValues } from "./softmax";
import { keepEpsilon, keepEta, keepMinP, keepTopH, keepTopK, keepTopP, keepTypical } from "./warpers";
import { watermark } from "./watermark";

interface RandomCase {
  readonly seed: number;
  readonly vocab: number;
  readonly mode: string;
  readonly class: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly prompt_length?: number;
  readonly max_length?: number;
  readonly ends?: readonly number[];
  /** How many are finite, their sum, and their sum weighted by id mod 11 + 1. */
  readonly expected: readonly [count: number, sum: number, weighted: number | null];
}

const { cases } = JSON.parse(
  readFileSync(new URL("../../../../../tests/fixtures/processors/processors.json", import.meta.url), "utf8"),
) as { cases: readonly RandomCase[] };

function drawRows({ seed, vocab, mode }: RandomCase) {
  const generator = new Mt19937(seed);
  const raw = (count: number) => Array.from({ length: count }, () => generator.next());
  const spread = mode === "flat" ? 0.5 : mode === "peaked" ? 60 : 16;
  const row = () =>
    Float32Array.from(raw(vocab), (bits) => {
      if (mode.includes("holes") && bits % 7 === 0) return Number.NEGATIVE_INFINITY;
      const value = (bits / 2 ** 32 - 0.5) * spread;
      return mode.includes("ties") ? Math.floor(value * 2 + 0.5) / 2 : value;
    });
  const rows = [row(), row()] as const;
  const lengths = raw(2);
  const ids = raw(1 + (lengths[0] % 24)).map((bits) => bits % Math.min(vocab, 12));
  const encoderIds = raw(1 + (lengths[1] % 20)).map((bits) => bits % Math.min(vocab, 12));
  return { rows, ids, encoderIds };
}

function processorsOf(each: RandomCase, encoderIds: readonly number[], second: Float32Array): LogitsProcessor[] {
  const number = (name: string) => each.arguments[name] as number;
  const list = <T = number>(name: string) => each.arguments[name] as readonly T[];
  const ends = list("eos_token_id");
  const keep = { minTokensToKeep: number("min_tokens_to_keep") };
  switch (each.class) {
    case "plan":
      return planned(each, encoderIds);
    case "TopKLogitsWarper":
      return [(scores) => keepTopK(scores, number("top_k"), keep)];
    case "TopPLogitsWarper":
      return [(scores) => keepTopP(scores, number("top_p"), keep)];
    case "MinPLogitsWarper":
      return [(scores) => keepMinP(scores, number("min_p"), keep)];
    case "TopHLogitsWarper":
      return [(scores) => keepTopH(scores, number("top_h"))];
    case "TypicalLogitsWarper":
      return [(scores) => keepTypical(scores, number("mass"), keep)];
    case "EpsilonLogitsWarper":
      return [(scores) => keepEpsilon(scores, number("epsilon"), keep)];
    case "EtaLogitsWarper":
      return [(scores) => keepEta(scores, number("epsilon"), keep)];
    case "RepetitionPenaltyLogitsProcessor":
      return [repetitionPenalty(number("penalty"), number("prompt_ignore_length"))];
    case "EncoderRepetitionPenaltyLogitsProcessor":
      return [encoderRepetitionPenalty(number("penalty"), encoderIds)];
    case "NoRepeatNGramLogitsProcessor":
      return [noRepeatNgram(number("ngram_size"))];
    case "EncoderNoRepeatNGramLogitsProcessor":
      return [encoderNoRepeatNgram(number("encoder_ngram_size"), encoderIds)];
    case "NoBadWordsLogitsProcessor":
      return [badWords(list<number[]>("bad_words_ids"), ends)];
    case "SequenceBiasLogitsProcessor":
      return [sequenceBias(list<SequenceBias>("sequence_bias"))];
    case "MinLengthLogitsProcessor":
      return [minLength(number("min_length"), ends)];
    case "MinNewTokensLengthLogitsProcessor":
      return [minNewTokens(number("min_new_tokens"), number("prompt_length_to_skip"), ends)];
    case "ForcedBOSTokenLogitsProcessor":
      return [forcedBos(number("bos_token_id"))];
    case "ForcedEOSTokenLogitsProcessor":
      return [forcedEos(ends, number("max_length"))];
    case "SuppressTokensLogitsProcessor":
      return [suppressTokens(list("suppress_tokens"))];
    case "SuppressTokensAtBeginLogitsProcessor":
      return [suppressTokensAtBegin(list("begin_suppress_tokens"), number("begin_index"))];
    case "ExponentialDecayLengthPenalty": {
      const [start, factor] = list("exponential_decay_length_penalty");
      return [exponentialDecayLengthPenalty([start, factor], number("input_ids_seq_length"), ends)];
    }
    case "LogitNormalization":
      return [normalizeLogits];
    case "InfNanRemoveLogitsProcessor":
      return [removeInvalidValues];
    case "ClassifierFreeGuidanceLogitsProcessor":
      return [(scores) => applyGuidance(scores, second, number("guidance_scale"))];
    case "WatermarkLogitsProcessor":
      return [
        watermark({
          greenlistRatio: number("greenlist_ratio"),
          bias: number("bias"),
          hashingKey: number("hashing_key"),
          seedingScheme: each.arguments.seeding_scheme as NonNullable<WatermarkOptions["seedingScheme"]>,
          contextWidth: number("context_width"),
        }),
      ];
    default:
      throw new Error(each.class);
  }
}

/** The arguments are those of a generation_config.json: read, planned and ordered. */
function planned(each: RandomCase, encoderIds: readonly number[]): LogitsProcessor[] {
  const file = new JsonConfig(each.arguments, "generation_config.json");
  const defaults = parseGenerationConfig(file, new JsonConfig({}, "config.json"));
  const { vocab: vocabSize, ends: endIds = [], max_length: maxLength = 0, prompt_length: promptLength = 0 } = each;
  const plan = planGeneration({}, { kind: "seq2seq", endIds, vocabSize, defaults });
  const all = createProcessors(plan, { index: 0, encoderIds, promptLength, maxLength, endIds });
  // Where tokens are drawn, only the differences of scores count.
  return plan.sampling === null ? all : [...all, normalizeLogits];
}

describe("random rows", () => {
  test.each(cases.map((each, i) => [`${i}: ${each.class}, V = ${each.vocab}, ${each.mode}`, each] as const))(
    "%s",
    (_, each) => {
      const { rows, ids, encoderIds } = drawRows(each);
      const [scores, second] = rows;
      for (const process of processorsOf(each, encoderIds, second)) process(scores, ids);
      let [count, sum, weighted] = [0, 0, 0];
      scores.forEach((score, id) => {
        if (!(Math.abs(score) < 1e38)) return; // infinite, or what has been made of that
        count++;
        sum += score;
        weighted += score * ((id % 11) + 1);
      });
      // Rounding of f32 grows with the scores that are summed
      const bound = 1e-6 * scores.reduce((total, score) => total + (Math.abs(score) < 1e38 ? Math.abs(score) : 0), 1);
      const [expectedCount, expectedSum, expectedWeighted] = each.expected;
      expect(count).toBe(expectedCount);
      expect(Math.abs(sum - expectedSum)).toBeLessThan(bound);
      if (expectedWeighted !== null) expect(Math.abs(weighted - expectedWeighted)).toBeLessThan(11 * bound);
    },
  );
});

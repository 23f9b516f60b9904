/** Every processor against transformers' own, on the rows and parameters of goldens/processors.json. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { LogitsProcessor } from "../search";
import { badWords, sequenceBias, suppressTokens, suppressTokensAtBegin } from "./bias";
import { applyGuidance } from "./guidance";
import { exponentialDecayLengthPenalty, forcedBos, forcedEos, minLength, minNewTokens } from "./lengths";
import { encoderNoRepeatNgram, encoderRepetitionPenalty, noRepeatNgram, repetitionPenalty } from "./repetition";
import { normalizeLogits, removeInvalidValues } from "./softmax";
import {
  applyTemperature,
  type KeepOptions,
  keepEpsilon,
  keepEta,
  keepMinP,
  keepTopH,
  keepTopK,
  keepTopP,
  keepTypical,
} from "./warpers";
import { watermark } from "./watermark";

/** Of each case its own; the table knows which are there. */
interface Parameters {
  readonly [name: string]: number;
}
type Row = readonly (number | string)[];

interface Golden {
  readonly case: string;
  readonly class?: string;
  readonly chain?: readonly string[];
  readonly parameters?: Parameters;
  readonly ids?: readonly (readonly number[])[];
  readonly scores?: readonly Row[];
  readonly output: readonly Row[];
}

interface Processors {
  readonly ids: readonly (readonly number[])[];
  readonly encoder_ids: readonly (readonly number[])[];
  readonly scores: readonly Row[];
  readonly cases: readonly Golden[];
}

const goldens = JSON.parse(
  readFileSync(new URL("../../../../../tests/fixtures/goldens/processors.json", import.meta.url), "utf8"),
) as Processors;

const numbers = (row: Row): Float32Array => {
  const special: Record<string, number> = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, "-inf": -Infinity };
  return Float32Array.from(row, (value) => (typeof value === "number" ? value : special[value]));
};
const ends = (value: number): readonly number[] => [value].flat();
const keep = (p: Parameters): KeepOptions => ({
  minTokensToKeep: p.min_tokens_to_keep ?? 1,
  filterValue: p.filter_value ?? Number.NEGATIVE_INFINITY,
});

/** By class of transformers. `list` gives a parameter that is no number. */
const MAKERS: Readonly<
  Record<string, (p: Parameters, list: <T>(name: string) => T, encoderIds: readonly number[]) => LogitsProcessor>
> = {
  TemperatureLogitsWarper: (p) => (scores) => applyTemperature(scores, p.temperature),
  TopKLogitsWarper: (p) => (scores) => keepTopK(scores, p.top_k, keep(p)),
  TopPLogitsWarper: (p) => (scores) => keepTopP(scores, p.top_p, keep(p)),
  MinPLogitsWarper: (p) => (scores) => keepMinP(scores, p.min_p, keep(p)),
  TopHLogitsWarper: (p) => (scores) => keepTopH(scores, p.top_h),
  TypicalLogitsWarper: (p) => (scores) => keepTypical(scores, p.mass, keep(p)),
  EpsilonLogitsWarper: (p) => (scores) => keepEpsilon(scores, p.epsilon, keep(p)),
  EtaLogitsWarper: (p) => (scores) => keepEta(scores, p.epsilon, keep(p)),
  RepetitionPenaltyLogitsProcessor: (p) => repetitionPenalty(p.penalty, p.prompt_ignore_length ?? 0),
  EncoderRepetitionPenaltyLogitsProcessor: (p, _, encoderIds) => encoderRepetitionPenalty(p.penalty, encoderIds),
  NoRepeatNGramLogitsProcessor: (p) => noRepeatNgram(p.ngram_size),
  EncoderNoRepeatNGramLogitsProcessor: (p, _, encoderIds) => encoderNoRepeatNgram(p.encoder_ngram_size, encoderIds),
  NoBadWordsLogitsProcessor: (p, list) => badWords(list("bad_words_ids"), ends(p.eos_token_id)),
  SequenceBiasLogitsProcessor: (_, list) => sequenceBias(list("sequence_bias")),
  MinLengthLogitsProcessor: (p) => minLength(p.min_length, ends(p.eos_token_id)),
  MinNewTokensLengthLogitsProcessor: (p) =>
    minNewTokens(p.min_new_tokens, p.prompt_length_to_skip, ends(p.eos_token_id)),
  ForcedBOSTokenLogitsProcessor: (p) => forcedBos(p.bos_token_id),
  ForcedEOSTokenLogitsProcessor: (p) => forcedEos(ends(p.eos_token_id), p.max_length),
  SuppressTokensLogitsProcessor: (_, list) => suppressTokens(list("suppress_tokens")),
  SuppressTokensAtBeginLogitsProcessor: (p, list) =>
    suppressTokensAtBegin(list("begin_suppress_tokens"), p.begin_index),
  ExponentialDecayLengthPenalty: (p, list) =>
    exponentialDecayLengthPenalty(
      list("exponential_decay_length_penalty"),
      p.input_ids_seq_length,
      ends(p.eos_token_id),
    ),
  LogitNormalization: () => normalizeLogits,
  InfNanRemoveLogitsProcessor: () => removeInvalidValues,
  WatermarkLogitsProcessor: (p) =>
    watermark({
      greenlistRatio: p.greenlist_ratio,
      bias: p.bias,
      hashingKey: p.hashing_key,
      seedingScheme: "lefthash",
      contextWidth: p.context_width,
    }),
};

function processorsOf(golden: Golden, row: number): LogitsProcessor[] {
  if (golden.chain !== undefined) {
    return golden.chain.flatMap((name) => processorsOf(goldens.cases.find((each) => each.case === name)!, row));
  }
  const { parameters = {} } = golden;
  const list = <T>(name: string) => parameters[name] as unknown as T;
  return [MAKERS[golden.class ?? ""](parameters, list, goldens.encoder_ids[row])];
}

describe.each(goldens.cases.map((golden) => [golden.case, golden] as const))("%s", (_, golden) => {
  test.each(golden.output.map((_, row) => row))("row %i", (row) => {
    const { scores = goldens.scores, ids = goldens.ids } = golden;
    const actual = numbers(scores[row]);
    if (golden.class === "ClassifierFreeGuidanceLogitsProcessor") {
      applyGuidance(actual, numbers(scores[row + golden.output.length]), golden.parameters!.guidance_scale);
    } else {
      for (const process of processorsOf(golden, row)) process(actual, ids[row]);
    }
    const expected = numbers(golden.output[row]);
    expect(actual.length).toBe(expected.length);
    expected.forEach((value, id) => {
      if (!Number.isFinite(value)) expect(actual[id], `id ${id}`).toBe(value);
      else expect(Math.abs(actual[id] - value), `id ${id}`).toBeLessThan(1e-6 * Math.max(1, Math.abs(value)));
    });
  });
});

test("no case is left out", () => {
  expect(goldens.cases).toHaveLength(51);
  expect(new Set(goldens.cases.map((each) => each.class)).size).toBe(26); // 25 classes, and the chain has none
});

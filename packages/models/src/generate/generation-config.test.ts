/** Reading what a model's files say about generation: published files, and hostile ones. */

import { describe, expect, test } from "vitest";
import { JsonConfig } from "../config/json-config";
import { ModelFileError } from "../errors";
import { parseGenerationConfig } from "./generation-config";

const parse = (generation: object | null, config: object = {}) =>
  parseGenerationConfig(
    generation === null ? null : new JsonConfig(generation, "generation_config.json"),
    new JsonConfig(config, "config.json"),
  );

describe("published files", () => {
  test("bart-large-cnn: generation_config.json", () => {
    const file = {
      _from_model_config: true,
      bos_token_id: 0,
      decoder_start_token_id: 2,
      early_stopping: true,
      eos_token_id: 2,
      forced_bos_token_id: 0,
      forced_eos_token_id: 2,
      length_penalty: 2.0,
      max_length: 142,
      min_length: 56,
      no_repeat_ngram_size: 3,
      num_beams: 4,
      pad_token_id: 1,
      transformers_version: "4.31.0.dev0",
    };
    const { settings, tasks, ...rest } = parse(file, { length_penalty: 9, repetition_penalty: 9 });
    expect(settings).toEqual({
      earlyStopping: true,
      forcedBosTokenId: 0,
      forcedEosTokenId: 2,
      lengthPenalty: 2,
      maxLength: 142,
      minLength: 56,
      noRepeatNgramSize: 3,
      numBeams: 4,
    });
    expect(rest).toEqual({
      bosTokenId: 0,
      decoderStartTokenId: 2,
      endIds: [2],
      padTokenId: 1,
      prefix: null,
      unsupported: [],
    });
    expect(tasks.size).toBe(0);
  });

  test("t5-small: config.json with tasks", () => {
    const summarization = {
      early_stopping: true,
      length_penalty: 2.0,
      max_length: 200,
      min_length: 30,
      no_repeat_ngram_size: 3,
      num_beams: 4,
      prefix: "summarize: ",
    };
    const translation = {
      early_stopping: true,
      max_length: 300,
      num_beams: 4,
      prefix: "translate English to German: ",
    };
    const { settings, tasks, decoderStartTokenId, endIds } = parse(
      { decoder_start_token_id: 0, eos_token_id: 1, pad_token_id: 0, num_beams: 2, repetition_penalty: 1.2 },
      { task_specific_params: { summarization, translation_en_to_de: translation, none: { num_beams: 1 } } },
    );
    expect([settings, decoderStartTokenId, endIds]).toEqual([{ numBeams: 2, repetitionPenalty: 1.2 }, 0, [1]]);
    expect([...tasks.keys()]).toEqual(["summarization", "translation_en_to_de", "none"]);
    const { prefix, defaults } = tasks.get("summarization")!;
    expect(prefix).toBe("summarize: ");
    expect(defaults.decoderStartTokenId).toBe(0);
    expect(defaults.settings).toEqual({
      earlyStopping: true,
      lengthPenalty: 2,
      maxLength: 200,
      minLength: 30,
      noRepeatNgramSize: 3,
      numBeams: 4,
      repetitionPenalty: 1.2,
    });
    // A task may undo what holds for the model.
    expect(tasks.get("none")).toMatchObject({ prefix: "", defaults: { settings: { repetitionPenalty: 1.2 } } });
    expect(tasks.get("none")?.defaults.settings.numBeams).toBeUndefined();
  });

  test("opus-mt: bad words, and an old config.json alone", () => {
    const config = {
      bad_words_ids: [[58100]],
      bos_token_id: 0,
      decoder_start_token_id: 58100,
      eos_token_id: 0,
      forced_eos_token_id: 0,
      max_length: 512,
      num_beams: 6,
      pad_token_id: 58100,
    };
    const expected = { badWordsIds: [[58100]], forcedEosTokenId: 0, maxLength: 512, numBeams: 6 };
    expect(parse(null, config).settings).toEqual(expected);
    expect(parse({}, config).settings).toEqual({});
    expect(parse({}, config)).toMatchObject({ decoderStartTokenId: 58100, padTokenId: 58100, endIds: [0] });
  });

  test("a chat model that samples, and one whose sampling is off", () => {
    const file = { do_sample: true, temperature: 0.6, top_p: 0.9, eos_token_id: [128001, 128009] };
    expect(parse(file)).toMatchObject({
      // 50 is what transformers samples among where nothing is said
      settings: { temperature: 0.6, topP: 0.9, topK: 50 },
      endIds: [128001, 128009],
    });
    expect(parse({ do_sample: true, top_k: 0 }).settings).toEqual({ temperature: 1 });
    expect(parse({ temperature: 0.6, top_p: 0.9, top_k: 20, min_p: 0.1 }).settings).toEqual({});
  });

  test("the flag of old BART files", () => {
    const config = { force_bos_token_to_be_generated: true, bos_token_id: 0 };
    expect(parse(null, config).settings).toEqual({ forcedBosTokenId: 0 });
    expect(parse({}, config).settings).toEqual({});
  });
});

test("defaults of transformers are no settings, and keys that change nothing are passed over", () => {
  const file = {
    diversity_penalty: 0,
    do_sample: false,
    early_stopping: false,
    encoder_no_repeat_ngram_size: 0,
    encoder_repetition_penalty: 1,
    exponential_decay_length_penalty: [5, 1],
    forced_eos_token_id: null,
    guidance_scale: 1,
    lang_to_id: { de: 3 },
    length_penalty: 1.0,
    min_length: 0,
    no_repeat_ngram_size: 0,
    num_assistant_tokens: 5,
    num_beam_groups: 1,
    num_beams: 1,
    num_return_sequences: 1,
    output_scores: true,
    pad_token_id: -1,
    penalty_alpha: 0,
    remove_invalid_values: false,
    repetition_penalty: 1,
    suppress_tokens: [],
    use_cache: false,
  };
  const { settings, unsupported, padTokenId, endIds } = parse(file);
  expect([settings, unsupported, padTokenId, endIds]).toEqual([{}, [], null, null]);
});

test("every setting", () => {
  const file = {
    bad_words_ids: [[3, 4]],
    begin_suppress_tokens: [5],
    diversity_penalty: 0.5,
    do_sample: true,
    early_stopping: "never",
    encoder_no_repeat_ngram_size: 2,
    encoder_repetition_penalty: 1.5,
    epsilon_cutoff: 0.01,
    eta_cutoff: 0.02,
    exponential_decay_length_penalty: [5, 1.1],
    forced_bos_token_id: 1,
    forced_eos_token_id: [2, 3],
    max_new_tokens: 9,
    min_new_tokens: 2,
    min_p: 0.1,
    num_beam_groups: 2,
    num_return_sequences: 2,
    remove_invalid_values: true,
    renormalize_logits: true,
    sequence_bias: [[[3, 4], -1.5]],
    stop_strings: "END",
    suppress_tokens: [6, 7],
    top_h: 0.5,
    top_k: 7,
    typical_p: 0.9,
    watermarking_config: { greenlist_ratio: 0.5, hashing_key: 7, seeding_scheme: "selfhash", context_width: 2 },
  };
  expect(parse(file).settings).toEqual({
    badWordsIds: [[3, 4]],
    beginSuppressTokens: [5],
    diversityPenalty: 0.5,
    earlyStopping: "never",
    encoderNoRepeatNgramSize: 2,
    encoderRepetitionPenalty: 1.5,
    epsilonCutoff: 0.01,
    etaCutoff: 0.02,
    exponentialDecayLengthPenalty: [5, 1.1],
    forcedBosTokenId: 1,
    forcedEosTokenId: [2, 3],
    maxNewTokens: 9,
    minNewTokens: 2,
    minP: 0.1,
    numBeamGroups: 2,
    numReturnSequences: 2,
    removeInvalidValues: true,
    renormalizeLogits: true,
    sequenceBias: [[[3, 4], -1.5]],
    stop: ["END"],
    suppressTokens: [6, 7],
    temperature: 1,
    topH: 0.5,
    topK: 7,
    typicalP: 0.9,
    watermark: { greenlistRatio: 0.5, hashingKey: 7, seedingScheme: "selfhash", contextWidth: 2 },
  });
});

test("what changes the text and is not run is named", () => {
  const file = {
    assistant_ensemble_weight: 0.5,
    constraints: [{}],
    dola_layers: "low",
    force_words_ids: [[3]],
    forced_decoder_ids: [[1, 3]],
    guidance_scale: 1.5,
    max_time: 3,
    penalty_alpha: 0.6,
    token_healing: true,
    watermarking_config: { ngram_len: 5, keys: [1] },
  };
  expect([...parse(file).unsupported].sort()).toEqual(Object.keys(file));
  expect(parse({ penalty_alpha: 0.6, top_k: 1 }).unsupported).toEqual([]);
});

describe("hostile values", () => {
  test.each([
    { num_beams: 1e9 },
    { num_beams: "4" },
    { max_length: -5 },
    { min_length: 1.5 },
    { length_penalty: "2" },
    { early_stopping: "always" },
    { early_stopping: [true] },
    { no_repeat_ngram_size: -1 },
    { repetition_penalty: 0 },
    { repetition_penalty: Number.POSITIVE_INFINITY },
    { bad_words_ids: [[-1]] },
    { bad_words_ids: [3] },
    { bad_words_ids: [[]] },
    { bad_words_ids: new Array(200_000).fill([1]) },
    { sequence_bias: { "3": 1 } },
    { sequence_bias: [[[3], "1"]] },
    { exponential_decay_length_penalty: [1] },
    { exponential_decay_length_penalty: [1, 2, 3] },
    { suppress_tokens: [1.5] },
    { forced_bos_token_id: -1 },
    { forced_eos_token_id: {} },
    { decoder_start_token_id: [1, 2] },
    { eos_token_id: "2" },
    { pad_token_id: -2 },
    { do_sample: 1 },
    { do_sample: true, temperature: -1 },
    { do_sample: true, top_k: -1 },
    { do_sample: true, top_p: 2 },
    { watermarking_config: [] },
    { watermarking_config: { seeding_scheme: 3 } },
    { watermarking_config: { greenlist_ratio: 1 } },
    { stop_strings: [""] },
    { guidance_scale: "x" },
  ])("%o", (file) => {
    expect(() => parse(file)).toThrow(ModelFileError);
    expect(() => parse(file)).toThrow(/^generation_config.json: config key "/);
    expect(() => parse(null, file)).toThrow(ModelFileError);
  });

  test.each([
    [{ task_specific_params: [3] }, /"task_specific_params"/],
    [{ task_specific_params: { a: 3 } }, /"task_specific_params.a"/],
    [
      { task_specific_params: { a: { num_beams: "x" } } },
      /^config.json: config key "task_specific_params.a.num_beams"/,
    ],
    [{ task_specific_params: { a: { prefix: "x".repeat(20_000) } } }, /prefix": expected at most 10000/],
    [
      { task_specific_params: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`${i}`, {}])) },
      /at most 256 tasks/,
    ],
  ])("tasks %#", (config, message) => {
    expect(() => parse({}, config)).toThrow(message);
    expect(() => parse({}, config)).toThrow(ModelFileError);
  });
});

test("a prefix for every text, and that of a task in its place", () => {
  const tasks = { task_specific_params: { summarization: { num_beams: 2 }, translation: { prefix: "to French: " } } };
  const { prefix, tasks: found } = parse(null, { prefix: " ", ...tasks });
  expect(prefix).toBe(" ");
  expect(found.get("summarization")?.prefix).toBe(" ");
  expect(found.get("translation")?.prefix).toBe("to French: ");
  expect(parse(null, { prefix: "" }).prefix).toBeNull();
  expect(() => parse({}, { prefix: 3 })).toThrow(/^config.json: config key "prefix": expected a string/);
});

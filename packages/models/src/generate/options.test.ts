/** What `generate` takes: checks, contradictions, and what a model's own settings add. */

import { describe, expect, test } from "vitest";
import { UnsupportedModelError } from "../errors";
import { type GenerationDefaults, type GenerationSettings, NO_DEFAULTS } from "./generation-config";
import { type GenerateOptions, planGeneration } from "./options";

const MODEL = { kind: "seq2seq", endIds: [1], vocabSize: 50, defaults: NO_DEFAULTS } as const;
const plan = (options: GenerateOptions, settings: GenerationSettings = {}, more: Partial<GenerationDefaults> = {}) =>
  planGeneration(options, { ...MODEL, defaults: { ...NO_DEFAULTS, settings, ...more } });

describe("one option that is wrong", () => {
  const wrong: [options: Record<string, unknown>, error: typeof TypeError | typeof RangeError, message: RegExp][] = [
    [{ max_length: 3 }, TypeError, /unknown option "max_length"/],
    [{ maxNewTokens: -1 }, RangeError, /^maxNewTokens: expected an integer at least 0, got -1/],
    [{ maxLength: 0 }, RangeError, /^maxLength: .* at least 1, got 0/],
    [{ minLength: 1.5 }, RangeError, /^minLength/],
    [{ minNewTokens: "3" }, RangeError, /^minNewTokens/],
    [{ numBeams: 0 }, RangeError, /^numBeams: .* from 1 to 1024, got 0/],
    [{ numBeams: 5000 }, RangeError, /^numBeams/],
    [{ numBeams: 4, numBeamGroups: 0 }, RangeError, /^numBeamGroups/],
    [{ numBeams: 4, diversityPenalty: -1 }, RangeError, /^diversityPenalty/],
    [{ numBeams: 4, lengthPenalty: Number.NaN }, RangeError, /^lengthPenalty: expected a finite number, got NaN/],
    [{ numBeams: 4, earlyStopping: "always" }, TypeError, /^earlyStopping: expected true, false or "never"/],
    [{ numBeams: 4, numReturnSequences: 0 }, RangeError, /^numReturnSequences/],
    [{ temperature: "0.5" }, TypeError, /^temperature: expected a number of at least 0, got 0.5/],
    [{ temperature: Number.POSITIVE_INFINITY }, RangeError, /^temperature/],
    [{ topK: 0 }, RangeError, /^topK/],
    [{ topP: 0 }, RangeError, /^topP: expected a number above 0 and up to 1, got 0/],
    [{ minP: 1.1 }, RangeError, /^minP/],
    [{ typicalP: 0 }, RangeError, /^typicalP/],
    [{ topH: 2 }, RangeError, /^topH/],
    [{ epsilonCutoff: 1 }, RangeError, /^epsilonCutoff/],
    [{ etaCutoff: -0.1 }, RangeError, /^etaCutoff/],
    [{ seed: null }, RangeError, /^seed/],
    [{ repetitionPenalty: 0 }, RangeError, /^repetitionPenalty/],
    [{ encoderRepetitionPenalty: -1 }, RangeError, /^encoderRepetitionPenalty/],
    [{ noRepeatNgramSize: 0 }, RangeError, /^noRepeatNgramSize/],
    [{ encoderNoRepeatNgramSize: 0 }, RangeError, /^encoderNoRepeatNgramSize/],
    [{ badWordsIds: [4] }, TypeError, /^badWordsIds\[0\]: expected an array of token ids, got 4/],
    [{ badWordsIds: [[]] }, RangeError, /^badWordsIds\[0\]: expected at least one/],
    [{ badWordsIds: [[3], [50]] }, RangeError, /^badWordsIds\[1\]\[0\]: .* from 0 to 49, got 50/],
    [{ sequenceBias: [[3, 1]] }, TypeError, /^sequenceBias\[0\]\[0\]/],
    [{ sequenceBias: [[[3], Number.POSITIVE_INFINITY]] }, RangeError, /^sequenceBias\[0\]\[1\]/],
    [{ sequenceBias: [[3]] }, TypeError, /^sequenceBias\[0\]: expected \[token ids, bias\]/],
    [{ exponentialDecayLengthPenalty: [3] }, TypeError, /^exponentialDecayLengthPenalty/],
    [{ exponentialDecayLengthPenalty: [3, 0] }, RangeError, /^exponentialDecayLengthPenalty\[1\]/],
    [{ suppressTokens: 3 }, TypeError, /^suppressTokens/],
    [{ beginSuppressTokens: [-1] }, RangeError, /^beginSuppressTokens\[0\]/],
    [{ forcedBosTokenId: 50 }, RangeError, /^forcedBosTokenId/],
    [{ forcedEosTokenId: [] }, RangeError, /^forcedEosTokenId/],
    [{ removeInvalidValues: 1 }, TypeError, /^removeInvalidValues: expected true or false, got 1/],
    [{ renormalizeLogits: "no" }, TypeError, /^renormalizeLogits/],
    [{ watermark: { ratio: 0.5 } }, TypeError, /^watermark: unknown option "ratio"/],
    [{ watermark: { greenlistRatio: 1 } }, RangeError, /^watermark.greenlistRatio/],
    [{ watermark: { seedingScheme: "hash" } }, RangeError, /^watermark.seedingScheme: .*"lefthash" or "selfhash"/],
    [{ watermark: true }, TypeError, /^watermark/],
    [{ prefixAllowedTokens: [3] }, TypeError, /^prefixAllowedTokens: expected a function/],
    [{ processors: [3] }, TypeError, /^processors\[0\]: expected a function/],
    [{ decoderStartTokenId: null }, RangeError, /^decoderStartTokenId/],
    [{ stopIds: null }, TypeError, /^stopIds/],
    [{ stopIds: [50] }, RangeError, /^stopIds\[0\]/],
    [{ stop: [""] }, TypeError, /^stop: expected an array of non-empty strings/],
    [{ scores: 1 }, TypeError, /^scores/],
    [{ signal: {} }, TypeError, /^signal: expected an AbortSignal/],
  ];
  test.each(wrong)("%o", (options, error, message) => {
    expect(() => plan(options as GenerateOptions)).toThrow(message);
    expect(() => plan(options as GenerateOptions)).toThrow(error);
  });

  test("no options at all", () => expect(() => plan(3 as GenerateOptions)).toThrow(TypeError));
});

describe("options that contradict each other name both", () => {
  const wrong: [options: GenerateOptions, message: RegExp][] = [
    [{ maxLength: 9, maxNewTokens: 3 }, /^maxLength and maxNewTokens/],
    [{ minLength: 9, minNewTokens: 3 }, /^minLength and minNewTokens/],
    [{ minLength: 9, maxLength: 8 }, /^minLength 9 is more than maxLength 8/],
    [{ minNewTokens: 9, maxNewTokens: 8 }, /^minNewTokens 9 is more than maxNewTokens 8/],
    [{ minNewTokens: 9, maxLength: 9 }, /^minNewTokens 9 is more than maxLength 9/],
    [{ numBeams: 2, temperature: 0.5 }, /^numBeams 2 and temperature 0.5: sampling with beams/],
    [{ numBeams: 2, seed: 5 }, /^numBeams 2 and seed 5/],
    [{ lengthPenalty: 2 }, /^lengthPenalty does nothing without numBeams/],
    [{ numBeams: 1, earlyStopping: true }, /^earlyStopping does nothing without numBeams/],
    [{ numBeamGroups: 2 }, /^numBeamGroups does nothing without numBeams/],
    [{ diversityPenalty: 1 }, /^diversityPenalty does nothing without numBeams/],
    [{ numBeams: 4, diversityPenalty: 1 }, /^diversityPenalty 1 does nothing without numBeamGroups/],
    [{ numBeams: 4, numBeamGroups: 2 }, /^numBeamGroups 2 needs a diversityPenalty/],
    [{ numBeams: 4, numBeamGroups: 3, diversityPenalty: 1 }, /^numBeamGroups 3 does not divide numBeams 4/],
    [{ numBeams: 4, numReturnSequences: 5 }, /^numReturnSequences 5 is more than numBeams 4/],
    [{ numReturnSequences: 2 }, /^numReturnSequences 2 needs numBeams or sampling/],
    [{ numBeams: 2, stop: ["."] }, /^stop and numBeams 2/],
    [{ temperature: 0, minP: 0.1 }, /^minP does nothing at temperature 0/],
    [{ stopIds: [], minLength: 3 }, /^minLength does nothing where there are no end tokens/],
    [{ suppressTokens: [3, 4], forcedBosTokenId: 4 }, /^forcedBosTokenId 4 is one of suppressTokens/],
    [{ suppressTokens: [3, 4], forcedEosTokenId: [4, 3] }, /^forcedEosTokenId is among suppressTokens/],
  ];
  test.each(wrong)("%o", (options, message) => {
    expect(() => plan(options)).toThrow(message);
    expect(() => plan(options)).toThrow(RangeError);
  });

  test.each([{ encoderRepetitionPenalty: 2 }, { encoderNoRepeatNgramSize: 2 }, { decoderStartTokenId: 2 }])(
    "%o on a decoder",
    (options) => {
      expect(() => planGeneration(options, { ...MODEL, kind: "decoder" })).toThrow(/is for encoder-decoders/);
      expect(plan(options)).toBeTruthy();
    },
  );
});

describe("plans", () => {
  test("nothing given: greedy until the end", () => {
    expect(plan({})).toEqual({
      maxNewTokens: null,
      maxLength: null,
      minLength: 0,
      minNewTokens: 0,
      beams: null,
      numReturnSequences: 1,
      sampling: null,
      repetitionPenalty: null,
      encoderRepetitionPenalty: null,
      noRepeatNgramSize: null,
      encoderNoRepeatNgramSize: null,
      badWordsIds: [],
      sequenceBias: [],
      exponentialDecayLengthPenalty: null,
      suppressTokens: [],
      beginSuppressTokens: [],
      forcedBosTokenId: null,
      forcedEosTokenIds: [],
      removeInvalidValues: false,
      renormalizeLogits: false,
      watermark: null,
      prefixAllowedTokens: null,
      processors: [],
      decoderStartTokenId: null,
      stopIds: new Set([1]),
      stop: [],
      scores: false,
      signal: null,
    });
  });

  test.each([
    [{ temperature: 0.5 }, 0.5],
    [{ topK: 3 }, 1],
    [{ topP: 0.5 }, 1],
    [{ minP: 0.1 }, 1],
    [{ typicalP: 0.5 }, 1],
    [{ topH: 0.5 }, 1],
    [{ epsilonCutoff: 0.1 }, 1],
    [{ etaCutoff: 0.1 }, 1],
    [{ seed: 3 }, 1],
  ] as [GenerateOptions, number][])("%o samples", (options, temperature) => {
    expect(plan(options).sampling).toMatchObject({ temperature, ...options });
  });

  test("a seed is drawn where none is given", () => {
    const seeds = [1, 2, 3].map(() => plan({ topK: 2 }).sampling?.seed);
    expect(new Set(seeds).size).toBe(3);
    for (const seed of seeds) expect(Number.isSafeInteger(seed)).toBe(true);
  });

  test("beams", () => {
    expect(plan({ numBeams: 4 }).beams).toEqual({
      numBeams: 4,
      numBeamGroups: 1,
      diversityPenalty: 0,
      lengthPenalty: 1,
      earlyStopping: false,
    });
    const options = { numBeams: 4, numBeamGroups: 2, diversityPenalty: 0.5, lengthPenalty: -1, earlyStopping: "never" };
    expect(plan(options as GenerateOptions).beams).toEqual(options);
    expect(plan({ numBeams: 1 }).beams).toBeNull();
  });

  test("a watermark with the usual parameters", () => {
    expect(plan({ watermark: { bias: 3 } }).watermark).toEqual({
      greenlistRatio: 0.25,
      bias: 3,
      hashingKey: 15485863,
      seedingScheme: "lefthash",
      contextWidth: 1,
    });
  });

  test("what the caller changes afterwards is not the plan's", () => {
    const words = [[3, 4]];
    const made = plan({ badWordsIds: words, suppressTokens: words[0] });
    words[0][0] = 7;
    expect([made.badWordsIds, made.suppressTokens]).toEqual([[[3, 4]], [3, 4]]);
  });
});

describe("what the model's files set", () => {
  // As facebook/bart-large-cnn's generation_config.json
  const CNN: GenerationSettings = {
    numBeams: 4,
    earlyStopping: true,
    lengthPenalty: 2,
    maxLength: 142,
    minLength: 56,
    noRepeatNgramSize: 3,
    forcedBosTokenId: 0,
    forcedEosTokenId: 2,
  };

  test("holds where nothing is given", () => {
    const made = plan({}, CNN, { decoderStartTokenId: 2 });
    expect(made).toMatchObject({
      maxLength: 142,
      minLength: 56,
      noRepeatNgramSize: 3,
      forcedBosTokenId: 0,
      forcedEosTokenIds: [2],
      decoderStartTokenId: 2,
      beams: { numBeams: 4, lengthPenalty: 2, earlyStopping: true },
    });
  });

  test("null turns it off, another value goes before it", () => {
    const made = plan({ noRepeatNgramSize: null, forcedEosTokenId: null, lengthPenalty: 1, numBeams: 2 }, CNN);
    expect(made).toMatchObject({ noRepeatNgramSize: null, forcedEosTokenIds: [], forcedBosTokenId: 0 });
    expect(made.beams).toMatchObject({ numBeams: 2, lengthPenalty: 1, earlyStopping: true });
  });

  test("gives way silently where it would do nothing", () => {
    expect(plan({ numBeams: null }, CNN).beams).toBeNull();
    expect(plan({ maxNewTokens: 20 }, CNN)).toMatchObject({ maxNewTokens: 20, maxLength: null, minLength: 56 });
    expect(plan({ minNewTokens: 5 }, CNN)).toMatchObject({ minNewTokens: 5, minLength: 0 });
    expect(plan({ maxLength: 20 }, CNN)).toMatchObject({ maxLength: 20, minLength: 56 });
    expect(plan({ stopIds: [] }, CNN).minLength).toBe(56);
    expect(plan({}, { maxLength: 20, maxNewTokens: 10 })).toMatchObject({ maxLength: null, maxNewTokens: 10 });
    expect(plan({ temperature: 0 }, { temperature: 0.6, topP: 0.9, topK: 50 }).sampling).toBeNull();
  });

  test("contradictions say whose the value is", () => {
    expect(() => plan({ topK: 3 }, CNN)).toThrow(/^numBeams 4 \(of the model's generation config\) and topK 3/);
    expect(() => plan({ numBeams: 2 }, { temperature: 0.6 })).toThrow(
      /^numBeams 2 and temperature 0.6 \(of the model's generation config\).*temperature: 0 /,
    );
    expect(() => plan({ minLength: 200 }, CNN)).toThrow(/^minLength 200 is more than maxLength 142 \(of the model's/);
    expect(() => plan({}, {}, { decoderStartTokenId: 50 })).toThrow(/^decoderStartTokenId of the model's files: .* 50/);
    expect(() => plan({}, { forcedBosTokenId: 50 })).toThrow(/^forcedBosTokenId of the model's generation config/);
  });

  test("sampling may be turned on by it, and changed", () => {
    const file = { temperature: 0.6, topP: 0.9, topK: 50 };
    expect(plan({}, file).sampling).toMatchObject(file);
    expect(plan({ topK: null, temperature: 2 }, file).sampling).toMatchObject({
      temperature: 2,
      topK: null,
      topP: 0.9,
    });
    expect(plan({ topK: null, topP: null, temperature: null }, file).sampling).toBeNull();
  });

  test("what is not supported throws, unless it does nothing", () => {
    expect(() => plan({}, {}, { unsupported: ["guidance_scale"] })).toThrow(UnsupportedModelError);
    expect(() => plan({}, {}, { unsupported: ["penalty_alpha"] })).toThrow(/"penalty_alpha" is not supported/);
    expect(plan({ numBeams: 2 }, {}, { unsupported: ["penalty_alpha", "dola_layers"] }).beams).not.toBeNull();
  });
});

/** From the options of a generation and the model's own settings to a plan: contradictions are found here. */

import { checkOptions } from "@qkv/core";
import { UnsupportedModelError } from "../errors";
import type { GenerationDefaults } from "./generation-config";
import type { BeamPlan, GenerateOptions, GenerationPlan, SamplingPlan, WatermarkOptions } from "./options";
import { checkOption, OPTION_NAMES, type OptionName } from "./options-checks";

/** What a plan has to know of a model. */
export interface PlannedModel {
  readonly kind: "decoder" | "seq2seq";
  /** The model's own end tokens. */
  readonly endIds: readonly number[];
  readonly vocabSize: number;
  /** What its files say; `NO_DEFAULTS` if nothing. For a task: those of the task. */
  readonly defaults: GenerationDefaults;
}

/** Options of sampling; any of them but `temperature` 0 turns it on. */
const SAMPLING = ["topK", "topP", "minP", "typicalP", "topH", "epsilonCutoff", "etaCutoff", "seed"] as const;
/** Options that need beams. */
const BEAMS = ["lengthPenalty", "earlyStopping", "numBeamGroups", "diversityPenalty"] as const;
/** Options that need an encoder. */
const ENCODER = ["encoderRepetitionPenalty", "encoderNoRepeatNgramSize", "decoderStartTokenId"] as const;
/** Options that do nothing where nothing ends a text. */
const ENDING = ["minLength", "minNewTokens", "exponentialDecayLengthPenalty"] as const;

/** A value that is set, and by whom. */
interface Wishes {
  /** What holds; null where nothing is set, or null was given. */
  get<N extends OptionName>(name: N): Exclude<GenerateOptions[N], undefined> | null;
  /** Whether the caller set it to something. */
  own(name: OptionName): boolean;
  /** The option as messages call it: with its value, and with whose it is where it is not the caller's. */
  shown(name: OptionName): string;
}

/**
 * Checks the options and completes them.
 *
 * What the model's files set and the caller does not gives way silently where it does nothing, as in transformers:
 * `lengthPenalty` without beams, `maxLength` where `maxNewTokens` is given. What the caller sets never does.
 *
 * @throws TypeError for an unknown option or a value of the wrong type; RangeError for one that is out of range, or that
 *   another contradicts; UnsupportedModelError where the model's files ask for what we do not run
 * @example
 * planGeneration({ numBeams: 4 }, { kind: "seq2seq", endIds: [1], vocabSize: 32128, defaults: NO_DEFAULTS }).beams;
 */
export function planGeneration(options: GenerateOptions, model: PlannedModel): GenerationPlan {
  const wishes = wishesOf(options, model);
  const { get, own, shown } = wishes;
  const stopIds = new Set(get("stopIds") ?? model.endIds);

  if (model.kind === "decoder") refuseEncoderOptions(wishes);
  if (stopIds.size === 0) {
    const idle = ENDING.find(own);
    if (idle !== undefined)
      throw new RangeError(`${idle} does nothing where there are no end tokens: stopIds is empty`);
  }
  const lengths = planLengths(wishes);
  const sampling = planSampling(wishes);
  const beams = planBeams(wishes);
  if (beams !== null && sampling !== null) {
    const name = (["temperature", ...SAMPLING] as const).find((each) => get(each) !== null) ?? "temperature";
    throw new RangeError(
      `${shown("numBeams")} and ${shown(name)}: sampling with beams is not supported; ` +
        `numBeams: null turns the beams off, temperature: 0 the sampling`,
    );
  }
  if (beams !== null && (get("stop") ?? []).length > 0) {
    throw new RangeError(`${shown("stop")} and ${shown("numBeams")}: beams do not stop at strings; use stopIds`);
  }
  refuseUnsupported(model.defaults, beams, sampling);

  const forcedEos = get("forcedEosTokenId") ?? [];
  const decay = get("exponentialDecayLengthPenalty");
  const plan: GenerationPlan = {
    ...lengths,
    beams,
    numReturnSequences: planReturned(wishes, beams, sampling),
    sampling,
    repetitionPenalty: unless(1, get("repetitionPenalty")),
    encoderRepetitionPenalty: unless(1, get("encoderRepetitionPenalty")),
    noRepeatNgramSize: get("noRepeatNgramSize"),
    encoderNoRepeatNgramSize: get("encoderNoRepeatNgramSize"),
    badWordsIds: (get("badWordsIds") ?? []).map((ids) => [...ids]),
    sequenceBias: (get("sequenceBias") ?? []).map(([ids, bias]) => [[...ids], bias]),
    exponentialDecayLengthPenalty: decay === null ? null : [...decay],
    suppressTokens: [...(get("suppressTokens") ?? [])],
    beginSuppressTokens: [...(get("beginSuppressTokens") ?? [])],
    forcedBosTokenId: get("forcedBosTokenId"),
    forcedEosTokenIds: typeof forcedEos === "number" ? [forcedEos] : [...forcedEos],
    removeInvalidValues: get("removeInvalidValues") ?? false,
    renormalizeLogits: get("renormalizeLogits") ?? false,
    watermark: planWatermark(get("watermark")),
    prefixAllowedTokens: get("prefixAllowedTokens"),
    processors: [...(get("processors") ?? [])],
    decoderStartTokenId: planStart(wishes, model),
    stopIds,
    stop: [...(get("stop") ?? [])],
    scores: get("scores") ?? false,
    signal: get("signal"),
  };
  refuseForcedAndSuppressed(plan, wishes);
  return plan;
}

function wishesOf(options: GenerateOptions, { defaults, vocabSize }: PlannedModel): Wishes {
  checkOptions("generate", options, OPTION_NAMES);
  const set: Partial<Record<OptionName, unknown>> = { ...defaults.settings };
  const byCaller = new Set<OptionName>();
  for (const name of OPTION_NAMES) {
    const value = options[name];
    if (value !== undefined) {
      checkOption(name, value, vocabSize);
      set[name] = value;
      if (value !== null) byCaller.add(name);
    } else if (set[name] !== undefined) {
      checkOption(name, set[name], vocabSize, `${name} of the model's generation config`);
    }
  }
  // Of the two ways to count, the caller's goes before the file's, and of the file's the new tokens, as in transformers.
  for (const [whole, fresh] of [
    ["maxLength", "maxNewTokens"],
    ["minLength", "minNewTokens"],
  ] as const) {
    if (byCaller.has(whole) && byCaller.has(fresh)) {
      throw new RangeError(`${whole} and ${fresh}: leave one of them out; ${whole} counts the prompt`);
    }
    if ((set[whole] ?? null) === null || (set[fresh] ?? null) === null) continue;
    delete set[byCaller.has(whole) ? fresh : whole];
  }
  return {
    get: <N extends OptionName>(name: N) => (set[name] ?? null) as Exclude<GenerateOptions[N], undefined> | null,
    own: (name) => byCaller.has(name),
    shown: (name) => {
      const value = set[name];
      const called = typeof value === "number" || typeof value === "boolean" ? `${name} ${value}` : name;
      return byCaller.has(name) || set[name] === undefined ? called : `${called} (of the model's generation config)`;
    },
  };
}

function planLengths({ get, own, shown }: Wishes) {
  const lengths = {
    maxNewTokens: get("maxNewTokens"),
    maxLength: get("maxLength"),
    minLength: get("minLength") ?? 0,
    minNewTokens: get("minNewTokens") ?? 0,
  };
  const { maxNewTokens, maxLength, minLength, minNewTokens } = lengths;
  // At least one token comes before the first new one.
  const contradictions = [
    ["minLength", "maxLength", maxLength !== null && minLength > maxLength],
    ["minNewTokens", "maxNewTokens", maxNewTokens !== null && minNewTokens > maxNewTokens],
    ["minNewTokens", "maxLength", maxLength !== null && minNewTokens + 1 > maxLength],
  ] as const;
  for (const [min, max, wrong] of contradictions) {
    // A model's own minimum gives way to a caller who wants less.
    if (wrong && own(min)) throw new RangeError(`${shown(min)} is more than ${shown(max)}`);
  }
  return lengths;
}

function planSampling({ get, own }: Wishes): SamplingPlan | null {
  const given = SAMPLING.filter((name) => get(name) !== null);
  const temperature = get("temperature") ?? (given.length > 0 ? 1 : 0);
  if (temperature === 0) {
    const idle = given.find(own);
    if (idle !== undefined) throw new RangeError(`${idle} does nothing at temperature 0: leave one of them out`);
    return null;
  }
  return {
    temperature,
    topK: get("topK"),
    topP: get("topP") ?? 1,
    minP: unless(0, get("minP")),
    typicalP: unless(1, get("typicalP")),
    topH: get("topH"),
    epsilonCutoff: unless(0, get("epsilonCutoff")),
    etaCutoff: unless(0, get("etaCutoff")),
    seed: get("seed") ?? Math.floor(Math.random() * 2 ** 53),
  };
}

function planBeams({ get, own, shown }: Wishes): BeamPlan | null {
  const numBeams = get("numBeams") ?? 1;
  if (numBeams === 1) {
    const idle = BEAMS.find(own);
    if (idle !== undefined) throw new RangeError(`${idle} does nothing without numBeams above 1`);
    return null;
  }
  const numBeamGroups = get("numBeamGroups") ?? 1;
  const diversityPenalty = get("diversityPenalty") ?? 0;
  if (numBeams % numBeamGroups !== 0) {
    throw new RangeError(`${shown("numBeamGroups")} does not divide ${shown("numBeams")}`);
  }
  if (numBeamGroups > 1 && diversityPenalty === 0) {
    throw new RangeError(
      `${shown("numBeamGroups")} needs a diversityPenalty above 0: the groups would all be the same`,
    );
  }
  if (numBeamGroups === 1 && own("diversityPenalty")) {
    throw new RangeError(`${shown("diversityPenalty")} does nothing without numBeamGroups above 1`);
  }
  return {
    numBeams,
    numBeamGroups,
    diversityPenalty: numBeamGroups === 1 ? 0 : diversityPenalty,
    lengthPenalty: get("lengthPenalty") ?? 1,
    earlyStopping: get("earlyStopping") ?? false,
  };
}

function planReturned({ get, shown }: Wishes, beams: BeamPlan | null, sampling: SamplingPlan | null): number {
  const count = get("numReturnSequences") ?? 1;
  if (beams !== null && count > beams.numBeams) {
    throw new RangeError(`${shown("numReturnSequences")} is more than ${shown("numBeams")}`);
  }
  if (beams === null && sampling === null && count > 1) {
    throw new RangeError(`${shown("numReturnSequences")} needs numBeams or sampling: greedy decoding gives one text`);
  }
  return count;
}

function planStart({ get }: Wishes, { kind, defaults, vocabSize }: PlannedModel): number | null {
  if (kind === "decoder") return null;
  const name = "decoderStartTokenId";
  if (get(name) !== null || defaults[name] === null) return get(name);
  checkOption(name, defaults[name], vocabSize, `${name} of the model's files`);
  return defaults[name];
}

function planWatermark(watermark: WatermarkOptions | null): Required<WatermarkOptions> | null {
  if (watermark === null) return null;
  const {
    greenlistRatio = 0.25,
    bias = 2,
    hashingKey = 15485863,
    seedingScheme = "lefthash",
    contextWidth = 1,
  } = watermark;
  return { greenlistRatio, bias, hashingKey, seedingScheme, contextWidth };
}

function refuseEncoderOptions({ get, shown }: Wishes): void {
  const name = ENCODER.find((each) => get(each) !== null);
  if (name !== undefined) throw new RangeError(`${shown(name)} is for encoder-decoders; this model is a decoder`);
}

/** Forcing comes first: what is then suppressed leaves nothing to choose. */
function refuseForcedAndSuppressed(plan: GenerationPlan, { shown }: Wishes): void {
  const suppressed = new Set(plan.suppressTokens);
  if (plan.forcedBosTokenId !== null && suppressed.has(plan.forcedBosTokenId)) {
    throw new RangeError(`${shown("forcedBosTokenId")} is one of ${shown("suppressTokens")}`);
  }
  const forced = plan.forcedEosTokenIds;
  if (forced.length > 0 && forced.every((id) => suppressed.has(id))) {
    throw new RangeError(`${shown("forcedEosTokenId")} is among ${shown("suppressTokens")}`);
  }
}

/** Contrastive search is a way to be greedy, and DoLa a way to be greedy or sample: they give way to other searches. */
function refuseUnsupported(
  { unsupported }: GenerationDefaults,
  beams: BeamPlan | null,
  sampling: SamplingPlan | null,
): void {
  const idle = (key: string) =>
    (key === "penalty_alpha" && (beams !== null || sampling !== null)) || (key === "dola_layers" && beams !== null);
  const keys = unsupported.filter((key) => !idle(key));
  if (keys.length > 0) {
    throw new UnsupportedModelError("the model's generation config key", keys.join(", "), ["see GenerateOptions"]);
  }
}

function unless(off: number, value: number | null): number | null {
  return value === off ? null : value;
}

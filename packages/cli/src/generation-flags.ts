/** The flags by which `generate`, `summarize` and `translate` say how text is made. */

import type { Decoder, GenerateOptions, GenerationDefaults, Seq2Seq } from "@qkv/models";
import { type Arguments, type Definitions, given } from "./arguments";
import { UsageError } from "./errors";

/** So many tokens where neither a flag nor the model's files say. */
const DEFAULT_MAX_NEW_TOKENS = 200;

/** Where a description names no default, it is what the model's files say, else that the flag's work is not done. */
export const GENERATION_FLAGS = {
  "max-new-tokens": {
    type: "string",
    alias: "n",
    valueHint: "N",
    description: "Most new tokens (default: as an encoder-decoder's files say, else 200)",
  },
  "min-new-tokens": { type: "string", valueHint: "N", description: "No end before N new tokens" },
  "num-beams": { type: "string", valueHint: "N", description: "Beam search: follow N texts at once" },
  "length-penalty": {
    type: "string",
    valueHint: "X",
    description:
      "With beams: scores are divided by the length to the power of X; above 0 favours long texts (default 1)",
  },
  "early-stopping": {
    type: "string",
    valueHint: "WHEN",
    description:
      "With beams: true ends with the first N texts that are complete, false (default) when better ones are unlikely, never when they are impossible",
  },
  "num-beam-groups": {
    type: "string",
    valueHint: "N",
    description: "With beams: N groups, kept from choosing alike by --diversity-penalty",
  },
  "diversity-penalty": {
    type: "string",
    valueHint: "X",
    description: "With groups: taken from a token's score for each beam of an earlier group that chose it",
  },
  "num-return-sequences": {
    type: "string",
    valueHint: "N",
    description: "Give N texts: the best of the beams, or so many samples",
  },
  temperature: {
    type: "string",
    valueHint: "X",
    description: "Sample, with logits divided by X (0: greedy; 1 with --top-k, --top-p, --min-p or --seed)",
  },
  "top-k": { type: "string", valueHint: "K", description: "Sample among the K likeliest tokens" },
  "top-p": { type: "string", valueHint: "P", description: "Sample among the likeliest tokens that sum to P" },
  "min-p": {
    type: "string",
    valueHint: "P",
    description: "Sample among the tokens with at least P of the likeliest one's probability",
  },
  seed: { type: "string", valueHint: "N", description: "Start of the random numbers: the same seed, the same text" },
  "repetition-penalty": {
    type: "string",
    valueHint: "X",
    description: "Makes tokens that were there already less likely, above 1",
  },
  "no-repeat-ngram-size": { type: "string", valueHint: "N", description: "Never repeat a sequence of N tokens" },
  "encoder-repetition-penalty": {
    type: "string",
    valueHint: "X",
    description: "Encoder-decoders: makes tokens of the source more likely, above 1",
  },
  "encoder-no-repeat-ngram-size": {
    type: "string",
    valueHint: "N",
    description: "Encoder-decoders: never repeat a sequence of N tokens of the source",
  },
  "suppress-ids": { type: "string", valueHint: "1,2", description: "Tokens that are never chosen" },
  "forced-bos-id": { type: "string", valueHint: "N", description: "The token that comes first, as some models need" },
  "decoder-start-id": {
    type: "string",
    valueHint: "N",
    description: "Encoder-decoders: the token that a text starts from",
  },
  stop: {
    type: "string",
    repeatable: true,
    valueHint: "TEXT",
    description: "End before this text; can be repeated; not with beams",
  },
  "stop-ids": {
    type: "string",
    valueHint: "1,2",
    description: "Tokens that end the text, in place of the model's own",
  },
  "ignore-eos": { type: "boolean", description: "Go on past the tokens that end a text" },
} satisfies Definitions;

type GenerationArguments = Arguments<typeof GENERATION_FLAGS>;

const EARLY_STOPPING: Readonly<Record<string, boolean | "never">> = { true: true, false: false, never: "never" };

/** The options that these flags give; those that were not given are left out. The library checks how they go together. */
export function generationOptions(args: GenerationArguments): GenerateOptions {
  const stopIds = args.ids("stop-ids");
  const goesOn = args.has("ignore-eos");
  if (stopIds !== undefined && goesOn) throw new UsageError("give --stop-ids or --ignore-eos, not both");
  if (args.has("min-new-tokens") && goesOn) throw new UsageError("--min-new-tokens does nothing with --ignore-eos");
  const temperature = args.number("temperature", "a number of at least 0", (x) => x >= 0);
  const sampling = (["top-k", "top-p", "min-p", "seed"] as const).find((name) => args.has(name));
  if (temperature === 0 && sampling !== undefined) {
    throw new UsageError(`--${sampling} does nothing at --temperature 0: leave one of them out`);
  }
  const above0 = (name: "repetition-penalty" | "encoder-repetition-penalty") =>
    args.number(name, "a number above 0", (x) => x > 0);
  const stop = args.texts("stop");
  return given({
    maxNewTokens: args.integer("max-new-tokens", 0),
    minNewTokens: args.integer("min-new-tokens", 0),
    numBeams: args.integer("num-beams", 1),
    lengthPenalty: args.number("length-penalty", "a number", () => true),
    earlyStopping: earlyStopping(args.text("early-stopping")),
    numBeamGroups: args.integer("num-beam-groups", 1),
    diversityPenalty: args.number("diversity-penalty", "a number of at least 0", (x) => x >= 0),
    numReturnSequences: args.integer("num-return-sequences", 1),
    temperature,
    topK: args.integer("top-k", 1),
    topP: args.number("top-p", "a number above 0 and up to 1", (x) => x > 0 && x <= 1),
    minP: args.number("min-p", "a number from 0 to 1", (x) => x >= 0 && x <= 1),
    seed: args.integer("seed", 0),
    repetitionPenalty: above0("repetition-penalty"),
    noRepeatNgramSize: args.integer("no-repeat-ngram-size", 1),
    encoderRepetitionPenalty: above0("encoder-repetition-penalty"),
    encoderNoRepeatNgramSize: args.integer("encoder-no-repeat-ngram-size", 1),
    suppressTokens: args.ids("suppress-ids"),
    forcedBosTokenId: args.integer("forced-bos-id", 0),
    decoderStartTokenId: args.integer("decoder-start-id", 0),
    stop: stop.length === 0 ? undefined : stop,
    stopIds: goesOn ? [] : stopIds,
  });
}

function earlyStopping(when: string | undefined): boolean | "never" | undefined {
  if (when === undefined || Object.hasOwn(EARLY_STOPPING, when)) return EARLY_STOPPING[when as string];
  throw new UsageError(`--early-stopping: expected true, false or never, got "${when}"`);
}

/** The options with a most number of new tokens where neither they nor the model's files say one. */
export function withLength<O extends GenerateOptions>(model: Decoder | Seq2Seq, options: O): O {
  if (options.maxNewTokens !== undefined) return options;
  if (model.kind === "decoder") return { ...options, maxNewTokens: DEFAULT_MAX_NEW_TOKENS };
  const says = settingsOf(model.generationDefaults).some(
    ({ maxNewTokens, maxLength }) => (maxNewTokens ?? maxLength ?? null) !== null,
  );
  // The start token has a position too.
  return says ? options : { ...options, maxNewTokens: Math.min(DEFAULT_MAX_NEW_TOKENS, model.contextLength - 1) };
}

/** How many texts are followed at once: those that come token by token are alone. */
export function widthOf(model: Decoder | Seq2Seq, options: GenerateOptions): number {
  return widthBy(options, model.kind === "seq2seq" ? model.generationDefaults.settings : {});
}

/** The most of them that any task of the model's files asks for. */
export function taskWidthOf({ generationDefaults }: Seq2Seq, options: GenerateOptions): number {
  return Math.max(...settingsOf(generationDefaults).map((settings) => widthBy(options, settings)));
}

function widthBy(options: GenerateOptions, settings: Settings): number {
  const beams = options.numBeams ?? settings.numBeams ?? 1;
  return Math.max(beams, options.numReturnSequences ?? settings.numReturnSequences ?? 1);
}

type Settings = GenerationDefaults["settings"];

/** What the model's files say of all tasks, and of each. */
function settingsOf({ settings, tasks }: GenerationDefaults): Settings[] {
  return [settings, ...[...tasks.values()].map(({ defaults }) => defaults.settings)];
}

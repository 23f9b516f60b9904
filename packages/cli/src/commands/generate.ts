/** `qkv generate`: continues a text. */

import { existsSync } from "node:fs";
import type { Decoder, GenerateOptions } from "@qkv/models";
import { type Arguments, type Definitions, given } from "../arguments";
import { command } from "../command";
import { embeddedModel } from "../embedded-model";
import { UsageError } from "../errors";
import { runGeneration } from "../generation";
import { MODEL_FLAGS, modelOptions } from "../model-flags";
import { loadDecoderFor } from "../model-kind";
import { oneLine } from "../output";
import { checkIds, checkLength } from "../prompt";
import { readStdin, type Terminal, write } from "../terminal";

const DEFAULT_MAX_NEW_TOKENS = 200;

const ARGS = {
  model: {
    type: "positional",
    required: false,
    description:
      "A folder or a file (.gguf, .safetensors, llama2.c's .bin); stories260K, which is built in, if left out",
  },
  prompt: {
    type: "positional",
    required: false,
    description: "The text to continue, - for what is piped in; the model begins one if left out",
  },
  ids: { type: "string", valueHint: "1,2,3", description: "Token ids to continue, in place of a prompt" },
  "max-new-tokens": { type: "string", alias: "n", valueHint: "N", description: "Most new tokens (default 200)" },
  temperature: {
    type: "string",
    valueHint: "X",
    description: "Sample, with logits divided by X (default 0: greedy; 1 with --top-k, --top-p or --seed)",
  },
  "top-k": { type: "string", valueHint: "K", description: "Sample among the K likeliest tokens" },
  "top-p": { type: "string", valueHint: "P", description: "Sample among the likeliest tokens that sum to P" },
  seed: { type: "string", valueHint: "N", description: "Start of the random numbers: the same seed, the same text" },
  stop: { type: "string", repeatable: true, valueHint: "TEXT", description: "End before this text; can be repeated" },
  "stop-ids": {
    type: "string",
    valueHint: "1,2",
    description: "Tokens that end the text, in place of the model's own",
  },
  "ignore-eos": { type: "boolean", description: "Go on past the tokens that end a text" },
  "no-repeat-ngram-size": { type: "string", valueHint: "N", description: "Never repeat a sequence of N tokens" },
  ...MODEL_FLAGS,
  json: { type: "boolean", description: "Print one JSON object, and nothing else" },
} satisfies Definitions;

type GenerateArguments = Arguments<typeof ARGS>;

/** See the file's first line. */
export const generateCommand = command({
  name: "generate",
  description: "Continue a text with a model",
  args: ARGS,
  examples: [
    'qkv generate "Once upon a time"',
    "qkv generate ./model.gguf 'Lily and Tom' --max-new-tokens 50",
    "qkv generate ./llama 'The dog' --temperature 0.8 --top-p 0.9 --seed 7",
    "qkv generate ./llama --ids 1,403,407 -n 20 --json",
    "qkv generate 'Tim said' --stop . --stop '!'",
  ],
  notes: [
    "The text goes to standard output, the speed to standard error. A single argument is the MODEL if there is a file or",
    "folder of that name, else the PROMPT. JSON has text, ids (the new ones), promptTokens, newTokens, finishReason,",
    "timeToFirstTokenMs, tokensPerSecond, and the seed when sampled.",
  ],
  async run(args, terminal) {
    const options = generateOptions(args);
    const ids = args.ids("ids");
    const { source, prompt } = await withStdin(chooseModel(args), terminal);
    if (ids !== undefined && prompt !== undefined) throw new UsageError("give a prompt or --ids, not both");
    if (prompt === "") throw new UsageError("the prompt is empty: leave it out to let the model begin");
    const { signal } = terminal;
    const model = await loadDecoderFor(source, { ...modelOptions(args), signal });
    try {
      const start = ids ?? startOf(model, prompt);
      checkIds(model, "--stop-ids", options.stopIds ?? []);
      if (typeof start !== "string") {
        checkIds(model, "--ids", start);
        checkLength(model, start);
        await noteLength(model, start.length + options.maxNewTokens, terminal);
      }
      const generation = { start, options: { ...options, signal }, prompt: prompt ?? "", json: args.has("json") };
      await runGeneration(model, generation, terminal);
    } finally {
      model.dispose();
    }
  },
});

/** One positional is a model if it exists, and else a prompt for the embedded one. */
function chooseModel(args: GenerateArguments): { source: string; prompt: string | undefined } {
  const first = args.positional("model");
  if (args.has("prompt")) return { source: first as string, prompt: args.positional("prompt") };
  if (first === undefined) return { source: embeddedModel(), prompt: undefined };
  if (first !== "" && existsSync(first)) return { source: first, prompt: undefined };
  // A mistyped path would be continued as if it were a story.
  if (/^(\.{0,2}|~)\/\S*$|^\S+\.(gguf|safetensors|bin)$/.test(first)) {
    const advice = "if it is the prompt, name the model before it";
    throw new Error(`${oneLine(first)}: there is no such file or folder (${advice})`);
  }
  return { source: embeddedModel(), prompt: first };
}

/** "-" is a prompt that is piped in, to the last byte. */
async function withStdin({ source, prompt }: ReturnType<typeof chooseModel>, terminal: Terminal) {
  return { source, prompt: prompt === "-" ? await readStdin(terminal) : prompt };
}

function generateOptions(args: GenerateArguments): GenerateOptions & { readonly maxNewTokens: number } {
  const stopIds = args.ids("stop-ids");
  if (stopIds !== undefined && args.has("ignore-eos"))
    throw new UsageError("give --stop-ids or --ignore-eos, not both");
  const temperature = args.number("temperature", "a number of at least 0", (x) => x >= 0);
  const sampling = (["top-k", "top-p", "seed"] as const).find((name) => args.has(name));
  if (temperature === 0 && sampling !== undefined) {
    throw new UsageError(`--${sampling} does nothing at --temperature 0: leave one of them out`);
  }
  const optional = given({
    temperature,
    topK: args.integer("top-k", 1),
    topP: args.number("top-p", "a number above 0 and up to 1", (x) => x > 0 && x <= 1),
    seed: args.integer("seed", 0),
    noRepeatNgramSize: args.integer("no-repeat-ngram-size", 1),
    stopIds: args.has("ignore-eos") ? [] : stopIds,
  });
  const maxNewTokens = args.integer("max-new-tokens", 0) ?? DEFAULT_MAX_NEW_TOKENS;
  return { ...optional, maxNewTokens, stop: args.texts("stop") };
}

/** The prompt's ids, or what the tokenizer puts in front of every text. A text without a tokenizer is left to `generate`. */
function startOf({ tokenizer }: Decoder, prompt: string | undefined): readonly number[] | string {
  if (tokenizer === null && prompt !== undefined) return prompt;
  const ids = tokenizer?.encode(prompt ?? "").ids ?? [];
  if (ids.length > 0) return ids;
  const why = tokenizer === null ? "has no tokenizer" : "has no token that begins a text";
  throw new UsageError(`a prompt is needed: this model ${why}`);
}

/** Says so where the text may outgrow the context; its quality suffers, and the user asked for it. */
async function noteLength({ contextLength }: Decoder, length: number, { stderr }: Terminal): Promise<void> {
  if (length <= contextLength) return;
  await write(stderr, `qkv: note: prompt and new tokens may come to ${length}, past the context of ${contextLength}\n`);
}

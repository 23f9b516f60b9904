/** What `summarize` and `translate` share: a text for each text, by an encoder-decoder. */

import type { GenerationResult, Seq2Seq, TextToTextOptions } from "@qkv/models";
import { type Arguments, type Definitions, given } from "./arguments";
import { UsageError } from "./errors";
import { extrasOf, textOf } from "./generation";
import { GENERATION_FLAGS, generationOptions, taskWidthOf, withLength } from "./generation-flags";
import { MODEL_FLAGS, modelOptions } from "./model-flags";
import { loadSeq2SeqFor } from "./model-kind";
import { forTerminal, jsonLine } from "./output";
import { readStdin, type Terminal } from "./terminal";
import { readTextFile } from "./text-file";
import { runTextTask, stringOf, TEXT_ARGS } from "./text-tasks";

/** As many sequences as the library has under way together: what is more at once gains nothing, and is printed later. */
const SEQUENCES_AT_ONCE = 32;

/** The first arguments of both commands. */
export const GENERATION_TASK_ARGS = {
  model: { type: "positional", description: "An encoder-decoder: a folder with config.json, or a .gguf file" },
  text: TEXT_ARGS.text,
  "text-file": {
    type: "string",
    valueHint: "FILE",
    description: "A file that is one text; - for all that is piped in",
  },
} satisfies Definitions;

/** And the last. */
export const GENERATION_TASK_FLAGS = {
  ...GENERATION_FLAGS,
  prefix: {
    type: "string",
    valueHint: "TEXT",
    description: "Before each text, in place of what the model's files or its family put there; '' for nothing",
  },
  truncate: { type: "boolean", description: "Cut the end of texts that are longer than the context" },
  scores: { type: "boolean", description: "Print the score before each text; in JSON that of each token, too" },
  ...MODEL_FLAGS,
  json: { type: "boolean", description: "Print a JSON object for each text" },
  jsonl: { type: "boolean", description: "The same, and lines are JSON strings, so that texts can have several lines" },
} satisfies Definitions;

/** What help says of both commands. */
export const GENERATION_TASK_NOTES = [
  "Prints a line for each text, in their order, or with --num-return-sequences N so many lines; line breaks within are",
  "spaces. JSON keeps them: { index, text, finishReason }, score with beams or --scores, tokenScores with --scores,",
  "sequences where there are several, and the seed when sampled.",
  "What no flag says, the model's own config does: beams, lengths, and what is put before each text.",
];

type TaskArguments = Arguments<typeof GENERATION_TASK_ARGS & typeof GENERATION_TASK_FLAGS>;

/**
 * Runs a task on the texts of the command line, a file, or line by line on standard input.
 *
 * @param name the command's
 * @param run a result for each text
 */
export async function runGenerationTask(
  args: TaskArguments,
  terminal: Terminal,
  name: string,
  run: (model: Seq2Seq, texts: readonly string[], options: TextToTextOptions) => Promise<readonly GenerationResult[]>,
): Promise<void> {
  const { stdout, signal } = terminal;
  const options = given({
    ...generationOptions(args),
    prefix: args.positional("prefix"), // as it is given: an empty one turns the model's own off
    truncate: args.has("truncate") ? true : undefined,
    scores: args.has("scores") ? true : undefined,
    signal,
  }) as TextToTextOptions;
  if (args.has("json") && args.has("jsonl")) {
    throw new UsageError("--json and --jsonl are two forms of output: give one");
  }
  const asJson = args.has("json") || args.has("jsonl");
  const load = modelOptions(args);
  const whole = await textFile(args, terminal);
  const shown = (text: string): string => {
    const line = text.replace(/\s*[\n\r]\s*/g, " ");
    return stdout.isTTY === true ? forTerminal(line) : line;
  };
  const scored = ({ score }: { readonly score: number | null }) =>
    args.has("scores") && score !== null ? `${score.toFixed(4)}\t` : "";
  return runTextTask<Seq2Seq, string, GenerationResult>(
    args,
    terminal,
    {
      load: () => loadSeq2SeqFor(name, args.positional("model") as string, { ...load, signal }),
      fromText: (text) => text,
      fromJson: stringOf,
      run: (model, texts, onProgress) => run(model, texts, { ...withLength(model, options), ...given({ onProgress }) }),
      atOnce: (model) => Math.max(1, Math.floor(SEQUENCES_AT_ONCE / taskWidthOf(model, options))),
      print: (result, index) => {
        const { text, finishReason, seed, sequences } = result;
        if (asJson) return jsonLine({ index, text, finishReason, ...extrasOf(result), ...(seed !== null && { seed }) });
        return sequences.map((each) => `${scored(each)}${shown(textOf(each))}\n`).join("");
      },
    },
    whole,
  );
}

/** A file as a single text; null where none is given. */
async function textFile(args: TaskArguments, terminal: Terminal): Promise<readonly string[] | null> {
  const file = args.text("text-file");
  if (file === undefined) return null;
  if (args.has("text")) throw new UsageError("give --text-file or TEXT, not both");
  if (args.has("jsonl")) throw new UsageError("give --text-file or --jsonl, not both");
  return [file === "-" ? await readStdin(terminal) : await readTextFile(file, terminal.signal)];
}

/** What the commands of encoders share: a line of JSON for each text. */

import type { Encoder, TaskOptions } from "@qkv/models";
import { type Arguments, type Definitions, given } from "./arguments";
import { MODEL_FLAGS, modelOptions } from "./model-flags";
import { loadEncoderFor } from "./model-kind";
import { jsonLine } from "./output";
import type { Terminal } from "./terminal";
import { runTextTask, TEXT_ARGS, type TextTask } from "./text-tasks";

/** The first arguments of every such command. */
export const TASK_ARGS = {
  model: { type: "positional", description: "An encoder: a folder with config.json, or a .gguf file" },
  text: TEXT_ARGS.text,
} satisfies Definitions;

/** And the last. */
export const TASK_FLAGS = {
  "batch-tokens": {
    type: "string",
    valueHint: "N",
    description: "Most tokens that go through the model at once (default 512): speed and memory, never results",
  },
  jsonl: TEXT_ARGS.jsonl,
  ...MODEL_FLAGS,
  context: {
    ...MODEL_FLAGS.context,
    description: "Most tokens of a text, which longer ones are cut to (default: the model's own)",
  },
} satisfies Definitions;

type TaskArguments = Arguments<typeof TASK_ARGS & typeof TASK_FLAGS>;

/** A task of an encoder: what its texts are, and how they are answered. */
export interface EncoderTask<T> extends Pick<TextTask<Encoder, T, object>, "fromText" | "fromJson"> {
  /** The command's name. */
  readonly name: string;
  /** Answers, as many as questions; of none it only checks options and model. */
  run(model: Encoder, questions: readonly T[], options: TaskOptions): Promise<readonly object[]>;
}

/**
 * Runs a task on the texts of the command line, or line by line on standard input. A wrong line ends it: what came before
 * is answered, and the error tells its number.
 *
 * @param whole texts that come from elsewhere than arguments and lines
 */
export async function runTask<T>(
  args: TaskArguments,
  terminal: Terminal,
  task: EncoderTask<T>,
  whole: readonly string[] | null = null,
): Promise<void> {
  const { signal } = terminal;
  const options = given({ batchTokens: args.integer("batch-tokens", 1), signal }) as TaskOptions;
  const model = modelOptions(args);
  return runTextTask<Encoder, T, object>(
    args,
    terminal,
    {
      load: () => loadEncoderFor(task.name, args.positional("model") as string, { ...model, signal }),
      fromText: task.fromText,
      fromJson: task.fromJson,
      run: (encoder, questions, onProgress) => task.run(encoder, questions, { ...options, ...given({ onProgress }) }),
      print: (answer, index) => jsonLine({ index, ...answer }),
    },
    whole,
  );
}

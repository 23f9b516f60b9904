/** What the commands of encoders share: texts from arguments or lines, in slices; a line of JSON for each, in order. */

import type { Encoder, TaskOptions } from "@qkv/models";
import { type Arguments, type Definitions, given } from "./arguments";
import { namingFlagsOf, UsageError } from "./errors";
import { MODEL_FLAGS, modelOptions } from "./model-flags";
import { loadEncoderFor } from "./model-kind";
import { jsonLine, oneLine } from "./output";
import { ProgressBar } from "./progress";
import { type Terminal, write } from "./terminal";
import { lineSlices, stdinSize } from "./text-lines";

/** The first arguments of every such command. */
export const TASK_ARGS = {
  model: { type: "positional", description: "An encoder: a folder with config.json, or a .gguf file" },
  text: {
    type: "positional",
    required: false,
    repeatable: true,
    description: "The texts; - or nothing: every line piped in is one",
  },
} satisfies Definitions;

/** And the last. */
export const TASK_FLAGS = {
  "batch-tokens": {
    type: "string",
    valueHint: "N",
    description: "Most tokens that go through the model at once (default 512): speed and memory, never results",
  },
  jsonl: { type: "boolean", description: "Lines are JSON: strings, so that texts can have several lines" },
  ...MODEL_FLAGS,
  context: {
    ...MODEL_FLAGS.context,
    description: "Most tokens of a text, which longer ones are cut to (default: the model's own)",
  },
} satisfies Definitions;

type TaskArguments = Arguments<typeof TASK_ARGS & typeof TASK_FLAGS>;

/** A task: what its texts are, and how they are answered. */
export interface EncoderTask<T> {
  /** The command's name. */
  readonly name: string;
  /** What is asked, of a text as it is. */
  fromText(text: string): T;
  /** What is asked, of a line's JSON value. @throws Error that says what is expected */
  fromJson(value: unknown): T;
  /** Answers, as many as questions; of none it only checks options and model. */
  run(model: Encoder, questions: readonly T[], options: TaskOptions): Promise<readonly object[]>;
}

/** Questions that follow each other. */
interface Slice<T> {
  /** Index of the first. */
  readonly first: number;
  readonly questions: readonly T[];
  /** What is wrong with the one behind them. */
  readonly failure: Error | null;
  /** Of the whole, where they begin and end, 0 to 1; null where nobody knows. */
  readonly parts: readonly [start: number, end: number] | null;
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
  const texts = whole ?? givenTexts(args, terminal);
  const { signal } = terminal;
  const options = given({ batchTokens: args.integer("batch-tokens", 1), signal }) as TaskOptions;
  const model = await loadEncoderFor(task.name, args.positional("model") as string, { ...modelOptions(args), signal });
  const bar = new ProgressBar(terminal);
  try {
    await namingFlagsOf(task.run(model, [], options)); // wrong options and models: before the first line has come
    const slices = texts === null ? fromLines(terminal, task, args.has("jsonl")) : [fromArguments(texts, task)];
    const where = texts === null ? ofLine : texts.length === 1 ? () => "TEXT" : ofArgument;
    const Kind = texts === null ? Error : UsageError;
    for await (const { first, questions, failure, parts } of slices) {
      const answer = (some: readonly T[]) => {
        const onProgress = ({ done }: { done: number }) => {
          const part = parts === null ? null : parts[0] + ((parts[1] - parts[0]) * done) / questions.length;
          bar.update(first + done, part);
        };
        return some.length === 0 ? [] : namingFlagsOf(task.run(model, some, { ...options, onProgress }));
      };
      let answers: readonly object[];
      let wrong = failure;
      try {
        answers = await answer(questions);
      } catch (error) {
        const found = placeOf(error);
        if (found === null) throw error;
        answers = await answer(questions.slice(0, found.index));
        wrong = new Kind(`${where(first + found.index)}${found.message}`, { cause: error });
      }
      const broken = answers.findIndex(hasNaN); // which JSON has no word for
      if (broken >= 0) {
        wrong = new Error(`${where(first + broken)}: the model gives NaN: its weights are damaged`);
        answers = answers.slice(0, broken);
      }
      bar.clear();
      const lines = answers.map((each, i) => jsonLine({ index: first + i, ...each }));
      if (lines.length > 0) await write(terminal.stdout, lines.join(""));
      if (wrong !== null) throw wrong;
    }
  } finally {
    bar.clear();
    model.dispose();
  }
}

function hasNaN(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return Number.isNaN(value);
  return Object.values(value).some(hasNaN);
}

/** The texts of the command line; null where they are piped in. */
function givenTexts(args: TaskArguments, { stdin }: Terminal): readonly string[] | null {
  const texts = args.positionals("text");
  const isPiped = texts.length === 0 || (texts.length === 1 && texts[0] === "-");
  if (!isPiped && args.has("jsonl")) {
    throw new UsageError("--jsonl reads its texts from standard input, and there is a TEXT too");
  }
  if (texts.length === 0 && stdin.isTTY) throw new UsageError("TEXT is missing, and nothing is piped in");
  return isPiped ? null : texts;
}

function fromArguments<T>(texts: readonly string[], task: EncoderTask<T>): Slice<T> {
  return { first: 0, questions: texts.map((text) => task.fromText(text)), failure: null, parts: [0, 1] };
}

async function* fromLines<T>(terminal: Terminal, task: EncoderTask<T>, isJson: boolean): AsyncGenerator<Slice<T>> {
  const size = stdinSize(terminal);
  for await (const { first, lines, start, end } of lineSlices(terminal)) {
    const questions: T[] = [];
    let failure: Error | null = null;
    for (const line of lines) {
      try {
        // A carriage return before the line feed is a part of the line's end.
        questions.push(isJson ? task.fromJson(JSON.parse(line)) : task.fromText(line.replace(/\r$/, "")));
      } catch (cause) {
        const what = cause instanceof SyntaxError ? `not JSON: ${excerpt(line)}` : (cause as Error).message;
        failure = new Error(`${ofLine(first + questions.length)}: ${what}`, { cause });
        break;
      }
    }
    yield { first, questions, failure, parts: size === null ? null : [start / size, end / size] };
    if (failure !== null) return;
  }
}

const ofLine = (index: number): string => `line ${index + 1} of standard input`;
const ofArgument = (index: number): string => `TEXT ${index + 1}`;

function excerpt(line: string): string {
  return line === "" ? "an empty line" : `${oneLine(line.slice(0, 60))}${line.length > 60 ? "\u2026" : ""}`;
}

/** Which text a task refused, and why: its RangeErrors say "texts[3] has no mask", "questions[3]: ...". */
function placeOf(error: unknown): { index: number; message: string } | null {
  if (!(error instanceof RangeError)) return null;
  const match = /^(?:\w+: )?(?:texts|questions)\[(\d+)\](.*)$/s.exec(error.message);
  return match === null ? null : { index: Number(match[1]), message: match[2] as string };
}

/** A line's value where it must be a string. @throws Error */
export function stringOf(value: unknown): string {
  if (typeof value === "string") return value;
  throw new Error(`expected a JSON string, got ${kindOf(value)}`);
}

/** What a JSON value is, for messages. */
export function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? `an array of ${value.length}` : `a JSON ${typeof value}`;
}

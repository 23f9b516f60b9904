/** What the commands that answer texts share: texts from arguments or lines, in slices; an answer for each, in order. */

import type { TaskProgress } from "@qkv/models";
import type { Arguments, Definitions } from "./arguments";
import { inFlags, namingFlagsOf, UsageError } from "./errors";
import { oneLine } from "./output";
import { ProgressBar } from "./progress";
import { type Terminal, write } from "./terminal";
import { lineSlices, stdinSize } from "./text-lines";

/** Where texts come from, and in which form. */
export const TEXT_ARGS = {
  text: {
    type: "positional",
    required: false,
    repeatable: true,
    description: "The texts; - or nothing: every line piped in is one",
  },
  jsonl: { type: "boolean", description: "Lines are JSON: strings, so that texts can have several lines" },
} satisfies Definitions;

type TextArguments = Arguments<typeof TEXT_ARGS>;

/** A model that answers; disposed at the end. */
interface Disposable {
  dispose(): void;
}

/** A task: what its texts are, and how they are answered. */
export interface TextTask<M extends Disposable, T, A extends object> {
  /** Loads the model, once the command line is known to be right. */
  load(): Promise<M>;
  /** What is asked, of a text as it is. */
  fromText(text: string): T;
  /** What is asked, of a line's JSON value. @throws Error that says what is expected */
  fromJson(value: unknown): T;
  /** Answers, as many as questions; of none it only checks options and model. */
  run(model: M, questions: readonly T[], onProgress?: (progress: TaskProgress) => void): Promise<readonly A[]>;
  /** Most questions that are answered before the answers are printed; all that came together if left out. */
  readonly atOnce?: (model: M) => number;
  /** An answer as it is printed, whole lines. */
  print(answer: A, index: number): string;
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
export async function runTextTask<M extends Disposable, T, A extends object>(
  args: TextArguments,
  terminal: Terminal,
  task: TextTask<M, T, A>,
  whole: readonly string[] | null = null,
): Promise<void> {
  const texts = whole ?? givenTexts(args, terminal);
  const model = await task.load();
  const bar = new ProgressBar(terminal);
  try {
    await namingFlagsOf(task.run(model, [])); // wrong options and models: before the first line has come
    const slices = texts === null ? fromLines(terminal, task, args.has("jsonl")) : [fromArguments(texts, task)];
    const atOnce = task.atOnce?.(model) ?? Number.POSITIVE_INFINITY;
    const where = texts === null ? ofLine : texts.length === 1 ? () => "TEXT" : ofArgument;
    const Kind = texts === null ? Error : UsageError;
    for await (const { first, questions, failure, parts } of inSmaller(slices, atOnce)) {
      const answer = async (some: readonly T[]): Promise<readonly A[]> => {
        const onProgress = ({ done }: { done: number }) => {
          const part = parts === null ? null : parts[0] + ((parts[1] - parts[0]) * done) / questions.length;
          bar.update(first + done, part);
        };
        return some.length === 0 ? [] : namingFlagsOf(task.run(model, some, onProgress));
      };
      let answers: readonly A[];
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
      const lines = answers.map((each, i) => task.print(each, first + i));
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
function givenTexts(args: TextArguments, { stdin }: Terminal): readonly string[] | null {
  const texts = args.positionals("text");
  const isPiped = texts.length === 0 || (texts.length === 1 && texts[0] === "-");
  if (!isPiped && args.has("jsonl")) {
    throw new UsageError("--jsonl reads its texts from standard input, and there is a TEXT too");
  }
  if (texts.length === 0 && stdin.isTTY) throw new UsageError("TEXT is missing, and nothing is piped in");
  return isPiped ? null : texts;
}

function fromArguments<T>(
  texts: readonly string[],
  task: Pick<TextTask<never, T, object>, "fromText" | "fromJson">,
): Slice<T> {
  return { first: 0, questions: texts.map((text) => task.fromText(text)), failure: null, parts: [0, 1] };
}

async function* fromLines<T>(
  terminal: Terminal,
  task: Pick<TextTask<never, T, object>, "fromText" | "fromJson">,
  isJson: boolean,
): AsyncGenerator<Slice<T>> {
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

/** Slices of at most so many questions. */
async function* inSmaller<T>(
  slices: AsyncIterable<Slice<T>> | Iterable<Slice<T>>,
  most: number,
): AsyncGenerator<Slice<T>> {
  for await (const slice of slices) {
    const { first, questions, failure, parts } = slice;
    const { length } = questions;
    if (length <= most) {
      yield slice;
      continue;
    }
    for (let at = 0; at < length; at += most) {
      const some = questions.slice(at, at + most);
      const end = at + some.length;
      const place = ([start, stop]: readonly [number, number], n: number) => start + ((stop - start) * n) / length;
      yield {
        first: first + at,
        questions: some,
        failure: end === length ? failure : null,
        parts: parts === null ? null : [place(parts, at), place(parts, end)],
      };
    }
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
  const match = /^(?:\w+: )?(?:texts|questions|sources)\[(\d+)\](.*)$/s.exec(error.message);
  return match === null ? null : { index: Number(match[1]), message: inFlags(match[2] as string) };
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

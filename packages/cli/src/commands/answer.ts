/** `qkv answer`: the part of a context that answers a question. */

import type { AnswerOptions, QuestionInContext } from "@qkv/models";
import { type Arguments, type Definitions, given } from "../arguments";
import { command } from "../command";
import { runTask, TASK_ARGS, TASK_FLAGS } from "../encoder-tasks";
import { UsageError } from "../errors";
import { readStdin, type Terminal } from "../terminal";
import { readTextFile } from "../text-file";
import { kindOf } from "../text-tasks";

const { context: _, ...FLAGS } = TASK_FLAGS; // contexts are cut into windows, never cut off

const ARGS = {
  ...TASK_ARGS,
  text: { ...TASK_ARGS.text, description: "The contexts to look in; - or nothing: every line piped in is one" },
  question: { type: "string", alias: "q", valueHint: "TEXT", description: "The question" },
  "context-file": {
    type: "string",
    valueHint: "FILE",
    description: "A file that is one context; - for all that is piped in",
  },
  "top-k": { type: "string", valueHint: "K", description: "Spans to list for each context (default 1)" },
  "max-answer-tokens": { type: "string", valueHint: "N", description: "Most tokens of an answer (default 15)" },
  "window-tokens": { type: "string", valueHint: "N", description: "Tokens that are read at once (default 384)" },
  stride: { type: "string", valueHint: "N", description: "Tokens of the context that two windows share (default 128)" },
  "no-align-to-words": { type: "boolean", description: "Let answers begin and end inside of words" },
  "no-answer-threshold": {
    type: "string",
    valueHint: "X",
    description: "For models of SQuAD 2.0: no answer unless the best span beats 'none' by more than X",
  },
  ...FLAGS,
  jsonl: {
    type: "boolean",
    description: 'Lines are JSON: contexts as strings; without --question, { "question", "context" }',
  },
} satisfies Definitions;

type AnswerArguments = Arguments<typeof ARGS>;

/** See the file's first line. */
export const answerCommand = command({
  name: "answer",
  description: "Find the part of a text that answers a question",
  args: ARGS,
  examples: [
    "qkv answer ./squad 'Anna lives in Berlin.' --question 'Where does Anna live?'",
    "printf 'Anna lives in Berlin.\\nTom lives in Rome.\\n' | qkv answer ./squad -q 'Who lives in Rome?' --top-k 3",
    `printf '{"question": "Who?", "context": "Anna lives in Berlin."}\\n' | qkv answer ./squad --jsonl`,
  ],
  notes: [
    "Prints a line for each context, in their order: { index, answer, start, end, score, spans, nullScore, bestSpanScore,",
    "nullScoreDiff }; start and end in UTF-16 units, as in JavaScript. Without an answer, answer, start and end are null.",
  ],
  async run(args, terminal) {
    const options = answerOptions(args);
    const question = args.text("question");
    if (question === undefined && !args.has("jsonl")) {
      throw new UsageError('--question is missing (with --jsonl lines may bring their own: {"question", "context"})');
    }
    const whole = await contextFile(args, terminal);
    const shared: Arguments = args; // without --context
    return runTask<QuestionInContext>(
      shared,
      terminal,
      {
        name: "answer",
        fromText: (context) => ({ question: question as string, context }),
        fromJson: (value) => (question === undefined ? readQuestion(value) : { question, context: readContext(value) }),
        run: (model, questions, taskOptions) => model.answer(questions, { ...options, ...taskOptions }),
      },
      whole,
    );
  },
});

function answerOptions(args: AnswerArguments): AnswerOptions {
  return given({
    topK: args.integer("top-k", 1),
    maxAnswerTokens: args.integer("max-answer-tokens", 1),
    windowTokens: args.integer("window-tokens", 1),
    stride: args.integer("stride", 0),
    alignToWords: args.has("no-align-to-words") ? false : undefined,
    noAnswerThreshold: args.number("no-answer-threshold", "a number", () => true),
  }) as AnswerOptions;
}

/** A file as a single context; null where none is given. */
async function contextFile(args: AnswerArguments, terminal: Terminal): Promise<readonly string[] | null> {
  const file = args.text("context-file");
  if (file === undefined) return null;
  if (args.has("text")) throw new UsageError("give --context-file or TEXT, not both");
  if (args.has("jsonl")) throw new UsageError("give --context-file or --jsonl, not both");
  return [file === "-" ? await readStdin(terminal) : await readTextFile(file, terminal.signal)];
}

function readContext(value: unknown): string {
  if (typeof value === "string") return value;
  throw new Error(`expected a context as a JSON string (the question is --question), got ${kindOf(value)}`);
}

function readQuestion(value: unknown): QuestionInContext {
  const { question, context } = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  if (typeof question === "string" && typeof context === "string") return { question, context };
  throw new Error(`expected {"question", "context"} with strings, got ${kindOf(value)}`);
}

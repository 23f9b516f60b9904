/** Answers to questions, as spans of a context (SQuAD; Devlin et al. 2019, sections 4.2 and 4.3). */

import { checkInteger, checkOptions } from "@qkv/core";
import { answersOfWindow, type WindowAnswers } from "./answer-spans";
import { kindOf, type TaskHost, type TaskOptions, type TokenizedText } from "./host";
import { checkFlag, checkHead, checkOptionsOf, checkTopK, encodeParts, paced } from "./inputs";
import { windowsOf } from "./windows";

/** A question, and the text that its answer is looked for in. */
export interface QuestionInContext {
  readonly question: string;
  readonly context: string;
}

/** Options of `Encoder.answer`. */
export interface AnswerOptions extends TaskOptions {
  /** Most spans in `spans`; 1 if left out. */
  readonly topK?: number;
  /** Most tokens of a span, before it grows to whole words; 15 if left out. */
  readonly maxAnswerTokens?: number;
  /** Most tokens of a window, with the question and special tokens; 384 if left out, or as many as the model takes. */
  readonly windowTokens?: number;
  /** Tokens of the context that two windows share; 128 if left out, but at most half of a window. */
  readonly stride?: number;
  /** Whether spans grow to the words that they begin and end in; true if left out. */
  readonly alignToWords?: boolean;
  /**
   * τ of SQuAD 2.0: there is an answer only if bestSpanScore > nullScore + τ. `bestNoAnswerThreshold` chooses it, 0 is
   * the plain comparison. If left out, there is always an answer where there is a span.
   */
  readonly noAnswerThreshold?: number;
}

/** A span of the context. */
export interface AnswerSpan {
  /** `context.slice(start, end)` */
  readonly answer: string;
  /** UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /**
   * Probability of its start times that of its end, in its window. Spans with the same text, but for case, count as one,
   * whose probabilities are summed up; over several windows the sum may exceed 1.
   */
  readonly score: number;
}

/** No answer. */
export interface NoAnswer {
  readonly answer: null;
  readonly start: null;
  readonly end: null;
  /** Probability of start and end at [CLS]: the least of the windows. */
  readonly score: number;
}

/** What every result has besides its answer: see `bestNoAnswerThreshold`. */
export interface AnswerDetails {
  /** The best `topK` spans with different texts, best first, whether or not they count as an answer. */
  readonly spans: readonly AnswerSpan[];
  /** s_null: the logits of start and end at [CLS], summed; the least of the windows. */
  readonly nullScore: number;
  /** The logits of start and end of the best span, summed; -Infinity where there is none. */
  readonly bestSpanScore: number;
  /** nullScore - bestSpanScore. */
  readonly nullScoreDiff: number;
}

export type AnswerResult = (AnswerSpan | NoAnswer) & AnswerDetails;

/** transformers' defaults. */
const DEFAULT_MAX_ANSWER_TOKENS = 15;
const DEFAULT_WINDOW_TOKENS = 384;
const DEFAULT_STRIDE = 128;

/** Candidates of each window where spans grow to words: several become one. As many as in transformers. */
const candidates = (topK: number) => 2 * topK + 10;

const OPTIONS = ["topK", "maxAnswerTokens", "windowTokens", "stride", "alignToWords", "noAnswerThreshold"] as const;

/** See `Encoder.answer`. */
export async function answer(
  host: TaskHost,
  given: QuestionInContext | readonly QuestionInContext[],
  options: AnswerOptions,
): Promise<AnswerResult | AnswerResult[]> {
  const call = "answer";
  checkOptionsOf(call, options, OPTIONS);
  const { topK = 1, maxAnswerTokens = DEFAULT_MAX_ANSWER_TOKENS, alignToWords = true, noAnswerThreshold } = options;
  checkTopK(topK);
  checkInteger("maxAnswerTokens", maxAnswerTokens, 1);
  const windowTokens = options.windowTokens ?? Math.min(host.maxTokens, DEFAULT_WINDOW_TOKENS);
  checkInteger("windowTokens", windowTokens, 1, host.maxTokens);
  if (options.stride !== undefined) checkInteger("stride", options.stride, 0, windowTokens - 1);
  checkFlag("alignToWords", alignToWords);
  if (noAnswerThreshold !== undefined && (typeof noAnswerThreshold !== "number" || Number.isNaN(noAnswerThreshold))) {
    throw new RangeError(`noAnswerThreshold: expected a number, got ${String(noAnswerThreshold)}`);
  }
  checkHead(call, host, "questionAnswering");
  const isOne = !Array.isArray(given);
  const questions = (isOne ? [given] : given).map((each: unknown, i) =>
    checkQuestion(`${call}: questions[${i}]`, each),
  );

  const parts = await paced(questions, options.signal, (question, i) =>
    questionWindows(host, call, i, question, windowTokens, options.stride),
  );
  const found = parts.map((): WindowAnswers[] => []);
  const rules = { count: alignToWords ? candidates(topK) : topK, maxTokens: maxAnswerTokens, alignToWords };
  await encodeParts(
    host,
    parts,
    ["startLogits", "endLogits"],
    (i, window, { outputs: { startLogits, endLogits } }) => {
      const { encoding } = parts[i][window];
      const logits = [startLogits as Float32Array, endLogits as Float32Array] as const;
      found[i][window] = answersOfWindow(questions[i].context, encoding, ...logits, rules);
    },
    options,
  );
  const results = found.map((windows, i) => resultOf(questions[i].context, windows, topK, noAnswerThreshold));
  return isOne ? results[0] : results;
}

function checkQuestion(where: string, given: unknown): QuestionInContext {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new TypeError(`${where}: expected { question, context }, got ${kindOf(given)}`);
  }
  checkOptions(where, given, ["question", "context"]);
  const { question, context } = given as Readonly<Record<string, unknown>>;
  for (const [name, text] of Object.entries({ question, context })) {
    if (typeof text !== "string") throw new TypeError(`${where}.${name}: expected a string, got ${kindOf(text)}`);
  }
  return given as QuestionInContext;
}

/** The question with each window of its context. Only the context is cut. */
function questionWindows(
  host: TaskHost,
  call: string,
  index: number,
  { question, context }: QuestionInContext,
  windowTokens: number,
  givenStride: number | undefined,
): TokenizedText[] {
  const where = `${call}: questions[${index}]`;
  const alone = host.tokenizer(call).encode(question, "");
  if (alone.sequenceIds[0] !== null) throw new Error(`${call} needs a tokenizer that puts a [CLS] token in front`);
  const room = windowTokens - alone.length;
  if (room < (context === "" ? 0 : 1)) {
    throw new RangeError(
      `${where}: the question takes ${alone.length} of the ${windowTokens} tokens of a window, ` +
        "special ones included, and leaves none for the context",
    );
  }
  const usual = Math.min(DEFAULT_STRIDE, Math.floor(windowTokens / 2));
  // A long question leaves less room than the usual stride.
  const stride = givenStride ?? (usual < room ? usual : Math.floor(room / 2));
  const cutting = { maxTokens: windowTokens, strategy: "onlySecond", stride } as const;
  return windowsOf(host.tokenize(where, [[question, context]], cutting)[0], 1);
}

function resultOf(
  context: string,
  windows: readonly WindowAnswers[],
  topK: number,
  threshold: number | undefined,
): AnswerResult {
  const least = (values: number[]) => values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const nullScore = least(windows.map((window) => window.nullScore));
  const bestSpanScore = -least(windows.map((window) => -window.bestSpanScore));
  const spans = distinctSpans(context, windows).slice(0, topK);
  const details = { spans, nullScore, bestSpanScore, nullScoreDiff: nullScore - bestSpanScore };
  const isAnswered = spans.length > 0 && (threshold === undefined || bestSpanScore > nullScore + threshold);
  if (isAnswered) return { ...spans[0], ...details };
  return { answer: null, start: null, end: null, score: least(windows.map((w) => w.nullProbability)), ...details };
}

/** Spans of all windows, best first; of those that read the same the first stands for all. */
function distinctSpans(context: string, windows: readonly WindowAnswers[]): AnswerSpan[] {
  const byText = new Map<string, AnswerSpan>();
  for (const { start, end, score } of windows.flatMap((window) => window.spans)) {
    const text = context.slice(start, end);
    const key = text.toLowerCase();
    const same = byText.get(key);
    byText.set(key, same === undefined ? { answer: text, start, end, score } : { ...same, score: same.score + score });
  }
  return [...byText.values()].sort((a, b) => b.score - a.score);
}

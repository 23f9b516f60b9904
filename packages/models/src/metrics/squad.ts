/** Metrics of extractive question answering: SQuAD's exact match and token F1, and the threshold of its version 2.0. */

import { shown } from "../errors";
import { checkArray, checkSome, checkString } from "./check";
import { splitWords } from "./text";

// Python's string.punctuation: the 32 of ASCII, none of Unicode's.
const PUNCTUATION = /[!-/:-@[-`{-~]/g;
// Between word boundaries as Python's re sees them, in all of Unicode; \b knows ASCII only.
const ARTICLES = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;

/** Sums of F1 that differ by less are equal but for the order in which they were added. */
const EQUAL_SUMS = 1e-9;

/** The words that are compared: lower case, without ASCII punctuation and without a, an, the. */
function words(text: string): string[] {
  const cleaned = text.toLowerCase().replace(PUNCTUATION, "").replace(ARTICLES, " ");
  return splitWords(cleaned);
}

/** Gold answers as words. Those of which nothing is left do not count; where none is left, the answer is no answer. */
function goldWords(answers: readonly string[], where: string): string[][] {
  if (!Array.isArray(answers) || !answers.every((answer) => typeof answer === "string")) {
    throw new TypeError(`${where}: expected an array of strings, got ${shown(answers)}`);
  }
  const gold = answers.map(words).filter((each) => each.length > 0);
  return gold.length === 0 ? [[]] : gold;
}

function overlapF1(predicted: readonly string[], gold: readonly string[]): number {
  if (predicted.length === 0 || gold.length === 0) return predicted.length === gold.length ? 1 : 0;
  const left = new Map<string, number>();
  for (const word of gold) left.set(word, (left.get(word) ?? 0) + 1);
  let same = 0;
  for (const word of predicted) {
    const count = left.get(word) ?? 0;
    if (count > 0) same++;
    left.set(word, count - 1);
  }
  return (2 * same) / (predicted.length + gold.length);
}

interface AnswerScores {
  readonly exactMatch: number;
  readonly f1: number;
}

function answerScores(
  prediction: string,
  answers: readonly string[],
  where = "answers",
  predictionName = "prediction",
): AnswerScores {
  checkString(predictionName, prediction);
  const predicted = words(prediction);
  let exactMatch = 0;
  let f1 = 0;
  for (const gold of goldWords(answers, where)) {
    if (predicted.join(" ") === gold.join(" ")) exactMatch = 1;
    f1 = Math.max(f1, overlapF1(predicted, gold));
  }
  return { exactMatch, f1 };
}

/**
 * 1 if the prediction is one of the gold answers, else 0. Case, ASCII punctuation, the articles a, an, the and white
 * space do not count, as in SQuAD's official evaluation (Rajpurkar et al. 2016).
 *
 * @param answers gold answers; none means that the question has no answer, and the prediction "" is right
 * @throws TypeError for what is no string
 * @example
 * exactMatch("The Eiffel Tower!", ["Eiffel tower", "la tour Eiffel"]); // 1
 */
export function exactMatch(prediction: string, answers: readonly string[]): number {
  return answerScores(prediction, answers).exactMatch;
}

/**
 * F1 of the words that prediction and gold answer share, from 0 to 1; of several gold answers, the best. Words are
 * compared as in `exactMatch`. With no words on one side it is 1 if there are none on the other, else 0 (SQuAD 2.0;
 * Rajpurkar et al. 2018).
 *
 * @param answers gold answers; none means that the question has no answer
 * @throws TypeError for what is no string
 * @example
 * answerF1("in the city of Paris", ["Paris"]); // 0.4: 1 of 4 words, which is all that were asked for
 */
export function answerF1(prediction: string, answers: readonly string[]): number {
  return answerScores(prediction, answers).f1;
}

/** Means over questions, in percent; NaN over none. */
export interface SquadMeans {
  readonly exactMatch: number;
  readonly f1: number;
  /** How many questions. */
  readonly total: number;
}

/** What `squadScores` gives. */
export interface SquadScores extends SquadMeans {
  /** Of the questions that have an answer; null if none has. */
  readonly hasAnswer: SquadMeans | null;
  /** Of the questions that have none, whose right prediction is ""; null if all have one. */
  readonly noAnswer: SquadMeans | null;
}

/**
 * SQuAD's exact match and F1 over a data set, in percent, as the official evaluation of version 2.0 has them. For
 * version 1.1, where every question has an answer, they are those of 1.1.
 *
 * @param predictions an answer for each question, "" for none
 * @param references the gold answers of each question, [] where there is no answer
 * @throws RangeError if there are not as many of both; TypeError for what is no string
 * @example
 * squadScores(["Paris", ""], [["Paris", "in Paris"], []]).f1; // 100
 */
export function squadScores(predictions: readonly string[], references: readonly (readonly string[])[]): SquadScores {
  checkArray("predictions", predictions);
  checkArray("references", references);
  if (predictions.length !== references.length) {
    throw new RangeError(
      `references: expected one for each of ${predictions.length} predictions, got ${references.length}`,
    );
  }
  const scores = references.map((answers, i) => ({
    ...answerScores(predictions[i], answers, `references[${i}]`, `predictions[${i}]`),
    answerable: answers.length > 0,
  }));
  const having = scores.filter(({ answerable }) => answerable);
  const lacking = scores.filter(({ answerable }) => !answerable);
  return {
    ...means(scores),
    hasAnswer: having.length === 0 ? null : means(having),
    noAnswer: lacking.length === 0 ? null : means(lacking),
  };
}

function means(scores: readonly AnswerScores[]): SquadMeans {
  const mean = (key: keyof AnswerScores) => (100 * scores.reduce((sum, each) => sum + each[key], 0)) / scores.length;
  return { exactMatch: mean("exactMatch"), f1: mean("f1"), total: scores.length };
}

/** A question that a model answered: what `bestNoAnswerThreshold` chooses by. */
export interface NoAnswerExample {
  /** Score of the null span: that of the start and of the end at [CLS]. */
  readonly nullScore: number;
  /** Score of the best span; -Infinity where there was none. */
  readonly bestSpanScore: number;
  /** The text of the best span. */
  readonly prediction: string;
  /** The gold answers; [] if there is no answer. */
  readonly answers: readonly string[];
}

/**
 * The threshold τ of BERT's rule for SQuAD 2.0 that makes the mean F1 greatest: a question is answered if
 * bestSpanScore > nullScore + τ, and else the prediction is "" (Devlin et al. 2019, section 4.3). O(n log n).
 *
 * F1 changes only where τ passes a difference bestSpanScore - nullScore. τ is taken midway between two neighbouring
 * differences, or 1 beyond the outermost. Of several with the greatest F1 it is the one nearest to 0, and of two as
 * near the lower.
 *
 * @param examples what the model gave on a development set, at least one
 * @returns `threshold`, and the mean `f1` under it in percent
 * @throws RangeError for no examples, and scores that are not finite; TypeError for what is no example
 * @example
 * const examples = [
 *   { nullScore: 1, bestSpanScore: 9, prediction: "Paris", answers: ["Paris"] },
 *   { nullScore: 1, bestSpanScore: 3, prediction: "Rome", answers: [] },
 * ];
 * bestNoAnswerThreshold(examples); // { threshold: 5, f1: 100 }
 */
export function bestNoAnswerThreshold(examples: readonly NoAnswerExample[]): {
  readonly threshold: number;
  readonly f1: number;
} {
  checkSome("examples", examples);
  const judged = examples.map((example, i) => {
    if (typeof example !== "object" || example === null) {
      throw new TypeError(`examples[${i}]: expected an object, got ${shown(example)}`);
    }
    const { nullScore, bestSpanScore, prediction, answers } = example;
    const difference = bestSpanScore - nullScore;
    if (!Number.isFinite(nullScore) || !(Number.isFinite(difference) || bestSpanScore === Number.NEGATIVE_INFINITY)) {
      throw new RangeError(
        `examples[${i}]: expected finite scores, got nullScore ${nullScore}, bestSpanScore ${bestSpanScore}`,
      );
    }
    const answered = answerScores(prediction, answers, `examples[${i}].answers`, `examples[${i}].prediction`).f1;
    const unanswered = answerScores("", answers).f1;
    return { nullScore, bestSpanScore, difference, answered, unanswered };
  });
  const threshold = bestThreshold(judged);
  let sum = 0;
  for (const { nullScore, bestSpanScore, answered, unanswered } of judged) {
    sum += bestSpanScore > nullScore + threshold ? answered : unanswered;
  }
  return { threshold, f1: (100 * sum) / judged.length };
}

function bestThreshold(
  judged: readonly { readonly difference: number; readonly answered: number; readonly unanswered: number }[],
): number {
  // What has no span is never answered: it changes no choice.
  const sorted = judged.filter(({ difference }) => difference > Number.NEGATIVE_INFINITY);
  if (sorted.length === 0) return 0;
  sorted.sort((a, b) => a.difference - b.difference);
  // From everything answered to nothing answered: each step takes the answers with the least difference away.
  let sum = 0;
  let best = 0;
  const candidates = [{ threshold: sorted[0].difference - 1, sum }];
  for (let i = 0; i < sorted.length; i++) {
    const { difference, answered, unanswered } = sorted[i];
    sum += unanswered - answered;
    const next = sorted[i + 1]?.difference ?? difference + 2;
    if (next === difference) continue;
    best = Math.max(best, sum);
    const middle = difference + (next - difference) / 2;
    // Between two numbers that nothing lies between, the middle may round to the upper.
    candidates.push({ threshold: middle < next ? middle : difference, sum });
  }
  const equals = candidates.filter((candidate) => candidate.sum >= best - EQUAL_SUMS);
  // In ascending order: of two as near to 0, the lower comes first and stays.
  return equals.reduce((a, b) => (Math.abs(b.threshold) < Math.abs(a.threshold) ? b : a)).threshold;
}

/** chrF and chrF++ (Popović 2015, 2017): F-scores of the n-grams of characters, and of words, from 0 to 1. */

import { checkInteger, checkOptions } from "@qkv/core";
import { shown } from "../errors";
import { checkCorpus, checkFlag, checkSome, checkString } from "./check";
import { NgramIndex, sharedCount, splitWords } from "./text";

/** Options of `corpusChrf` and `sentenceChrf`. */
export interface ChrfOptions {
  /** Longest n-grams of characters, 6 if left out. */
  readonly charOrder?: number;
  /** Longest n-grams of words: 0 for chrF, which it is if left out, 2 for chrF++. */
  readonly wordOrder?: number;
  /** Recall counts for beta² times as much as precision; 2 if left out. */
  readonly beta?: number;
  /** Compares in lower case; false if left out. */
  readonly lowercase?: boolean;
  /** Whether white space is a character too; false if left out. */
  readonly whitespace?: boolean;
  /**
   * True: the mean of the F-scores of all orders, those without n-grams counting as about 0 (10⁻¹⁶), as Popović's program
   * and NLTK have it. If left out or false: the F-score of the mean precision and recall of the orders that both sides
   * have n-grams of, as sacreBLEU does.
   */
  readonly epsSmoothing?: boolean;
}

/** What `corpusChrf` and `sentenceChrf` give. The lists are of the orders of characters, then of those of words. */
export interface ChrfScore {
  /** chrF, from 0 to 1; other libraries often give 100 times that. */
  readonly score: number;
  /** Mean over the orders that both sides have n-grams of; 0 if there is none. */
  readonly precision: number;
  /** Mean over the same orders. */
  readonly recall: number;
  /** n-grams of the candidates that match. */
  readonly counts: readonly number[];
  /** n-grams of the candidates, 0 for what the reference is too short for. */
  readonly candidateTotals: readonly number[];
  /** n-grams of the references. */
  readonly referenceTotals: readonly number[];
}

/** Longer n-grams tell nothing about a text, and time grows with the order. */
const MAX_ORDER = 100;
const EPSILON = 1e-16;
// Python's string.punctuation: the 32 of ASCII, none of Unicode's.
const PUNCTUATION = /^[!-/:-@[-`{-~]$/;

/**
 * chrF of a corpus: counts are added up over it before anything is divided, as in sacreBLEU, whose numbers these are over
 * 100. Of several references each candidate is held against the one under which it scores best. Characters are code
 * points. O(characters).
 *
 * @param predictions the candidates
 * @param references for each candidate one or more references
 * @throws RangeError for no candidates, none or other numbers of references, and values out of range; TypeError for what
 *   is no string, and for unknown options
 * @example
 * corpusChrf(["the cat sat on a mat"], [["the cat sat on the mat"]], { wordOrder: 2 }).score; // chrF++
 */
export function corpusChrf(
  predictions: readonly string[],
  references: readonly (readonly string[])[],
  options: ChrfOptions = {},
): ChrfScore {
  const settings = settingsOf("corpusChrf", options);
  checkCorpus(predictions, references);
  const sum = emptyCounts(settings);
  predictions.forEach((prediction, i) => {
    const best = bestCounts(prediction, references[i], settings, `predictions[${i}]`, `references[${i}]`);
    for (const key of ["matches", "predicted", "expected"] as const) {
      for (let order = 0; order < sum[key].length; order++) sum[key][order] += best[key][order];
    }
  });
  return scoreOf(sum, settings);
}

/**
 * chrF of one sentence: `corpusChrf` of a corpus of one.
 *
 * @param prediction the candidate
 * @param references one or more
 * @throws as `corpusChrf`
 * @example
 * sentenceChrf("the cat sat on a mat", ["the cat sat on the mat"]).score; // 0.6598
 */
export function sentenceChrf(prediction: string, references: readonly string[], options: ChrfOptions = {}): ChrfScore {
  const settings = settingsOf("sentenceChrf", options);
  return scoreOf(bestCounts(prediction, references, settings, "prediction", "references"), settings);
}

type Settings = Required<ChrfOptions>;

function settingsOf(where: string, options: ChrfOptions): Settings {
  checkOptions(where, options, ["charOrder", "wordOrder", "beta", "lowercase", "whitespace", "epsSmoothing"]);
  const { charOrder = 6, wordOrder = 0, beta = 2 } = options;
  checkInteger("charOrder", charOrder, 1, MAX_ORDER);
  checkInteger("wordOrder", wordOrder, 0, MAX_ORDER);
  if (!(Number.isFinite(beta * beta) && beta > 0)) {
    throw new RangeError(`beta: expected a number above 0 whose square is finite, got ${shown(beta)}`);
  }
  const flag = (key: "lowercase" | "whitespace" | "epsSmoothing") => checkFlag(key, options[key]);
  return {
    charOrder,
    wordOrder,
    beta,
    lowercase: flag("lowercase"),
    whitespace: flag("whitespace"),
    epsSmoothing: flag("epsSmoothing"),
  };
}

/** By order: characters first, then words. */
interface Counts {
  readonly matches: number[];
  readonly predicted: number[];
  readonly expected: number[];
}

function emptyCounts({ charOrder, wordOrder }: Settings): Counts {
  const zeros = () => new Array<number>(charOrder + wordOrder).fill(0);
  return { matches: zeros(), predicted: zeros(), expected: zeros() };
}

/** Against the reference with the best score, of equals the first. */
function bestCounts(
  prediction: string,
  references: readonly string[],
  settings: Settings,
  predictionName: string,
  referencesName: string,
): Counts {
  const chars = new NgramIndex();
  const words = new NgramIndex();
  const gramsOf = (name: string, given: string) => {
    checkString(name, given);
    const text = settings.lowercase ? given.toLowerCase() : given;
    const line = settings.whitespace ? text : splitWords(text).join("");
    return [
      ...chars.counts([...line], settings.charOrder),
      ...words.counts(settings.wordOrder === 0 ? [] : wordsOf(text), settings.wordOrder),
    ];
  };
  const predicted = gramsOf(predictionName, prediction);
  checkSome(referencesName, references);
  let best: Counts | null = null;
  let bestScore = -1;
  for (let i = 0; i < references.length; i++) {
    const expected = gramsOf(`${referencesName}[${i}]`, references[i]);
    const counts: Counts = {
      matches: predicted.map((grams, order) => sharedCount(grams, expected[order])),
      // What the reference has no n-grams of cannot match, and is no fault.
      predicted: predicted.map((grams, order) => (expected[order].size === 0 ? 0 : total(grams))),
      expected: expected.map(total),
    };
    const { score } = scoreOf(counts, settings);
    if (best !== null && score <= bestScore) continue;
    best = counts;
    bestScore = score;
  }
  return best ?? emptyCounts(settings);
}

function total(grams: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const count of grams.values()) sum += count;
  return sum;
}

/** Words, one mark of ASCII punctuation parted from the end of each, or else from its start, as in Popović's program. */
function wordsOf(text: string): string[] {
  return splitWords(text).flatMap((word) => {
    const first = String.fromCodePoint(word.codePointAt(0)!);
    if (word.length === first.length) return [word];
    if (PUNCTUATION.test(word[word.length - 1])) return [word.slice(0, -1), word.slice(-1)];
    return PUNCTUATION.test(first) ? [first, word.slice(1)] : [word];
  });
}

function scoreOf({ matches, predicted, expected }: Counts, { beta, epsSmoothing }: Settings): ChrfScore {
  const factor = beta * beta;
  let precision = 0;
  let recall = 0;
  let orders = 0;
  let sum = 0;
  for (let order = 0; order < matches.length; order++) {
    const p = predicted[order] > 0 ? matches[order] / predicted[order] : EPSILON;
    const r = expected[order] > 0 ? matches[order] / expected[order] : EPSILON;
    const weighted = factor * p + r;
    sum += weighted > 0 ? ((1 + factor) * p * r) / weighted : EPSILON;
    if (predicted[order] === 0 || expected[order] === 0) continue;
    precision += p;
    recall += r;
    orders++;
  }
  if (orders > 0) {
    precision /= orders;
    recall /= orders;
  }
  const ofMeans = precision + recall > 0 ? ((1 + factor) * precision * recall) / (factor * precision + recall) : 0;
  const score = epsSmoothing ? sum / matches.length : ofMeans;
  return { score, precision, recall, counts: matches, candidateTotals: predicted, referenceTotals: expected };
}

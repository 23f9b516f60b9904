/** BLEU (Papineni et al. 2002) of a corpus and of a sentence, from 0 to 1. */

import { checkInteger, checkOptions, exp, log } from "@qkv/core";
import { shown } from "../errors";
import { type BleuTokenizer, bleuTokenizer } from "./bleu-tokenizers";
import { checkArrayLike, checkCorpus, checkFlag, checkSome } from "./check";
import { type Cutter, checkSameKind, NgramIndex, type TextOrTokens, tokensOf } from "./text";

/**
 * What a precision becomes where no n-gram of an order matches. The first four are sacreBLEU's, and 1 to 4 of Chen and
 * Cherry (2014):
 *
 * - `none`: it is 0, and so is BLEU.
 * - `floor` (1): ε matches, ε = 0.1.
 * - `add-k` (2): k = 1 more match, of k more n-grams, in all orders but the first.
 * - `exp` (3; NIST): 1/2 match the first time, 1/4 the second, and so on.
 * - `method4` (4): as `exp`, times ln(length of the candidate) / K with K = 5, as NLTK computes it.
 *
 * Where nothing matches at all, not even a token, BLEU is 0 under all. NLTK's methods 5 to 7 are not here: they average
 * precisions, and can pass 1.
 */
export type BleuSmoothing = "none" | "floor" | "add-k" | "exp" | "method4";

/** Options of `corpusBleu` and `sentenceBleu`. */
export interface BleuOptions {
  /** Longest n-grams, 4 if left out, or as many as there are weights. */
  readonly maxOrder?: number;
  /** What the orders count for, from 1 on, adding up to 1. All the same if left out. */
  readonly weights?: readonly number[];
  /** `exp` if left out. */
  readonly smoothing?: BleuSmoothing;
  /** The ε of `floor`, the k of `add-k`, the K of `method4`; above 0. */
  readonly smoothingValue?: number;
  /**
   * Leaves out orders that no candidate is long enough for, instead of giving 0. True for a sentence if left out, false
   * for a corpus.
   */
  readonly effectiveOrder?: boolean;
  /** `13a` if left out. For strings only. */
  readonly tokenize?: BleuTokenizer;
  /** Compares in lower case; false if left out. For strings only. */
  readonly lowercase?: boolean;
}

/** What `corpusBleu` and `sentenceBleu` give. */
export interface BleuScore {
  /** BLEU, from 0 to 1; other libraries often give 100 times that. */
  readonly score: number;
  /** Precision of each order from 1 on, after smoothing; zeros where nothing matches. */
  readonly precisions: readonly number[];
  /** n-grams of the candidates that match, of each order; before smoothing, as `totals`. */
  readonly counts: readonly number[];
  /** n-grams of the candidates, of each order. */
  readonly totals: readonly number[];
  /** 1, or less for candidates that are shorter than the references: e^(1 - referenceLength / candidateLength). */
  readonly brevityPenalty: number;
  /** Tokens of the candidates. */
  readonly candidateLength: number;
  /** Tokens of the references: of each candidate's, the one nearest in length, and of two as near the shorter. */
  readonly referenceLength: number;
}

/** Longer n-grams tell nothing about a text, and time grows with the order. */
const MAX_ORDER = 100;
/** Weights that were rounded to six places add up to 1. */
const WEIGHTS_TOLERANCE = 1e-4;

const SMOOTHING_VALUES: Readonly<Record<BleuSmoothing, number | null>> = {
  none: null,
  floor: 0.1,
  "add-k": 1,
  exp: null,
  method4: 5,
};

const OPTIONS = ["maxOrder", "weights", "smoothing", "smoothingValue", "effectiveOrder", "tokenize", "lowercase"];

/**
 * BLEU of a corpus: the geometric mean of the shares of n-grams that are in a reference too, times a penalty for
 * candidates that are too short (Papineni et al. 2002). Matches and lengths are added up over the corpus before they are
 * divided: it is not the mean of its sentences. Strings give sacreBLEU's numbers with its defaults, over 100. O(tokens).
 *
 * @param predictions the candidates: strings, or tokens (strings or ids), which are compared as they are
 * @param references for each candidate one or more references, of its kind
 * @throws RangeError for no candidates, none or other numbers of references, and values out of range; TypeError for what
 *   is neither string nor tokens, and for unknown options
 * @example
 * corpusBleu(["the cat sat on a mat"], [["the cat sat on the mat"]]).score; // 0.5373
 */
export function corpusBleu(
  predictions: readonly TextOrTokens[],
  references: readonly (readonly TextOrTokens[])[],
  options: BleuOptions = {},
): BleuScore {
  const settings = settingsOf("corpusBleu", options, false);
  checkCorpus(predictions, references);
  const counts = emptyCounts(settings.weights.length);
  predictions.forEach((prediction, i) => {
    addCounts(counts, prediction, references[i], settings, `predictions[${i}]`, `references[${i}]`);
  });
  return scoreOf(counts, settings);
}

/**
 * BLEU of one sentence, as `corpusBleu` of a corpus of one, but that `effectiveOrder` is true if left out, as in
 * sacreBLEU's `sentence_bleu`.
 *
 * @param prediction the candidate: a string, or tokens (strings or ids)
 * @param references one or more, of the candidate's kind
 * @throws as `corpusBleu`
 * @example
 * sentenceBleu("the cat sat on a mat", ["the cat sat on the mat"], { smoothing: "none" }).precisions; // [5/6, 3/5, 1/2, 1/3]
 */
export function sentenceBleu(
  prediction: TextOrTokens,
  references: readonly TextOrTokens[],
  options: BleuOptions = {},
): BleuScore {
  const settings = settingsOf("sentenceBleu", options, true);
  const counts = emptyCounts(settings.weights.length);
  addCounts(counts, prediction, references, settings, "prediction", "references");
  return scoreOf(counts, settings);
}

interface Settings extends Cutter {
  readonly weights: readonly number[];
  readonly smoothing: BleuSmoothing;
  readonly smoothingValue: number;
  readonly effectiveOrder: boolean;
}

function settingsOf(where: string, options: BleuOptions, effective: boolean): Settings {
  checkOptions(where, options, OPTIONS);
  const { smoothing = "exp", effectiveOrder = effective, tokenize = "13a" } = options;
  if (!Object.hasOwn(SMOOTHING_VALUES, smoothing)) {
    const known = Object.keys(SMOOTHING_VALUES).join(", ");
    throw new RangeError(`smoothing: expected one of ${known}, got ${shown(smoothing)}`);
  }
  const standard = SMOOTHING_VALUES[smoothing];
  const { smoothingValue = standard ?? 0 } = options;
  if (options.smoothingValue !== undefined) {
    if (standard === null) throw new TypeError(`smoothingValue: smoothing "${smoothing}" takes none`);
    if (!(Number.isFinite(smoothingValue) && smoothingValue > 0)) {
      throw new RangeError(`smoothingValue: expected a finite number above 0, got ${shown(smoothingValue)}`);
    }
  }
  return {
    weights: weightsOf(options),
    smoothing,
    smoothingValue,
    effectiveOrder: checkFlag("effectiveOrder", effectiveOrder),
    cut: bleuTokenizer(tokenize, checkFlag("lowercase", options.lowercase)),
    stringOptions: (["tokenize", "lowercase"] as const).filter((key) => options[key] !== undefined),
  };
}

function weightsOf({ maxOrder, weights }: BleuOptions): readonly number[] {
  if (weights === undefined) {
    const orders = checkInteger("maxOrder", maxOrder ?? 4, 1, MAX_ORDER);
    return new Array<number>(orders).fill(1 / orders);
  }
  checkArrayLike("weights", weights);
  checkInteger("weights.length", weights.length, 1, MAX_ORDER);
  if (maxOrder !== undefined && maxOrder !== weights.length) {
    throw new RangeError(`weights: expected one for each of maxOrder = ${shown(maxOrder)}, got ${weights.length}`);
  }
  let sum = 0;
  for (const [i, weight] of Array.from(weights).entries()) {
    if (!(Number.isFinite(weight) && weight >= 0)) {
      throw new RangeError(`weights[${i}]: expected a finite number from 0 on, got ${shown(weight)}`);
    }
    sum += weight;
  }
  if (Math.abs(sum - 1) > WEIGHTS_TOLERANCE) {
    throw new RangeError(`weights: expected numbers that add up to 1, got ${sum}`);
  }
  return Array.from(weights);
}

interface Counts {
  readonly matches: number[];
  readonly totals: number[];
  candidateLength: number;
  referenceLength: number;
}

function emptyCounts(orders: number): Counts {
  const zeros = () => new Array<number>(orders).fill(0);
  return { matches: zeros(), totals: zeros(), candidateLength: 0, referenceLength: 0 };
}

function addCounts(
  counts: Counts,
  prediction: TextOrTokens,
  references: readonly TextOrTokens[],
  settings: Settings,
  predictionName: string,
  referencesName: string,
): void {
  const candidate = tokensOf(predictionName, prediction, settings);
  checkSome(referencesName, references);
  const texts = references.map((reference, i) => {
    checkSameKind(`${referencesName}[${i}]`, reference, prediction);
    return tokensOf(`${referencesName}[${i}]`, reference, settings);
  });
  const orders = counts.totals.length;
  const index = new NgramIndex();
  const ofTexts = texts.map((tokens) => index.counts(tokens, orders));
  index.counts(candidate, orders).forEach((grams, order) => {
    for (const [gram, count] of grams) {
      // Clipped: no n-gram matches more often than it is in the reference that has it most often.
      const most = ofTexts.reduce((max, each) => Math.max(max, each[order].get(gram) ?? 0), 0);
      counts.matches[order] += Math.min(count, most);
      counts.totals[order] += count;
    }
  });
  counts.candidateLength += candidate.length;
  counts.referenceLength += nearest(
    texts.map(({ length }) => length),
    candidate.length,
  );
}

function nearest(lengths: readonly number[], length: number): number {
  const distance = (other: number) => Math.abs(other - length);
  return lengths.reduce((a, b) => (distance(b) < distance(a) || (distance(b) === distance(a) && b < a) ? b : a));
}

function scoreOf({ matches, totals, candidateLength, referenceLength }: Counts, settings: Settings): BleuScore {
  let brevityPenalty = 1;
  if (candidateLength < referenceLength) {
    brevityPenalty = candidateLength === 0 ? 0 : exp(1 - referenceLength / candidateLength);
  }
  const { precisions, orders } = precisionsOf(matches, totals, candidateLength, settings);
  const mean = geometricMean(precisions, settings.weights, settings.effectiveOrder ? orders : precisions.length);
  const score = Math.min(1, brevityPenalty * mean);
  return { score, precisions, counts: matches, totals, brevityPenalty, candidateLength, referenceLength };
}

/** Smoothed precisions, and for how many orders there are n-grams at all. */
function precisionsOf(
  matches: readonly number[],
  totals: readonly number[],
  length: number,
  { smoothing, smoothingValue }: Settings,
): { precisions: number[]; orders: number } {
  const precisions = new Array<number>(totals.length).fill(0);
  if (matches.every((count) => count === 0)) return { precisions, orders: 0 };
  let halvings = 1;
  for (let order = 0; order < totals.length; order++) {
    // An order without n-grams is 1 of 1 under add-k, as in sacreBLEU.
    const added = smoothing === "add-k" && order > 0 ? smoothingValue : 0;
    const total = totals[order] + added;
    if (total === 0) return { precisions, orders: order };
    let count = matches[order] + added;
    if (count === 0) {
      if (smoothing === "floor") count = smoothingValue;
      if (smoothing === "exp" || smoothing === "method4") {
        halvings /= 2;
        count = smoothing === "exp" ? halvings : (halvings * log(length)) / smoothingValue;
      }
    }
    // Given values may smooth beyond what there is to match.
    precisions[order] = Math.min(1, count / total);
  }
  return { precisions, orders: totals.length };
}

function geometricMean(precisions: readonly number[], weights: readonly number[], orders: number): number {
  let sum = 0;
  let weight = 0;
  for (let order = 0; order < orders; order++) {
    if (weights[order] === 0) continue;
    if (precisions[order] === 0) return 0;
    sum += weights[order] * log(precisions[order]);
    weight += weights[order];
  }
  return weight === 0 ? 0 : exp(sum / weight);
}

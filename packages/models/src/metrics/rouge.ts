/** ROUGE (Lin 2004): n-grams and longest common subsequences that a generated text shares with references, from 0 to 1. */

import { checkOptions } from "@qkv/core";
import { shown } from "../errors";
import { checkArray, checkCorpus, checkFlag, checkSome } from "./check";
import { LcsText } from "./lcs";
import { porterStem } from "./porter";
import {
  type Cutter,
  checkSameKind,
  NgramIndex,
  sharedCount,
  splitWords,
  type TextOrTokens,
  type TextTokens,
  tokensOf,
} from "./text";

/**
 * `rouge1`, `rouge2` and so on: n-grams. `rougeL`: the longest common subsequence. `rougeLsum`: for each sentence of the
 * reference, the tokens that are in its longest common subsequence with any sentence of the prediction.
 */
export type RougeType = `rouge${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}` | "rougeL" | "rougeLsum";

/** What `rouge` computes if nothing else is asked for. */
type StandardRougeType = "rouge1" | "rouge2" | "rougeL" | "rougeLsum";

/** Options of `rouge` and `corpusRouge`. */
export interface RougeOptions<T extends RougeType = StandardRougeType> {
  /** rouge1, rouge2, rougeL and rougeLsum if left out. */
  readonly types?: readonly T[];
  /** Compares words of more than three letters by their stem (Porter's, for English); false if left out. For strings only. */
  readonly stem?: boolean;
  /**
   * Cuts a text into tokens. If left out: lower case, and every run of a to z and 0 to 9 is a token; texts in other
   * scripts have none, so that all their scores are 0. For strings only, and not with `stem`.
   */
  readonly tokenize?: (text: string) => TextTokens;
  /** Cuts a text into sentences, for rougeLsum; at line feeds if left out. For strings only: tokens are one sentence. */
  readonly sentences?: (text: string) => readonly string[];
}

/** Scores of one type, from 0 to 1. */
export interface RougeScore {
  /** Share of the prediction that is in the reference. */
  readonly precision: number;
  /** Share of the reference that is in the prediction. */
  readonly recall: number;
  /** 2 · precision · recall / (precision + recall), 0 where both are. */
  readonly f1: number;
}

const STANDARD: readonly StandardRougeType[] = ["rouge1", "rouge2", "rougeL", "rougeLsum"];
const ZERO: RougeScore = { precision: 0, recall: 0, f1: 0 };

/**
 * ROUGE of one text, as Google's rouge_score. With several references, for each type the scores of the one with the best
 * F1, of equals the first. n-grams take O(tokens), subsequences O(n · m / 32).
 *
 * @param prediction a string, or tokens (strings or ids), which are compared as they are
 * @param references one or more, of the prediction's kind
 * @throws RangeError for no references, and unknown types; TypeError for what is neither string nor tokens, for unknown
 *   options, and for options that cannot apply
 * @example
 * rouge("the cat sat on a mat", ["the cat sat on the mat"], { types: ["rougeL"] }).rougeL.f1; // 0.8333
 */
export function rouge<T extends RougeType = StandardRougeType>(
  prediction: TextOrTokens,
  references: readonly TextOrTokens[],
  options: RougeOptions<T> = {},
): Readonly<Record<T, RougeScore>> {
  return bestOf(prediction, references, settingsOf("rouge", options), "prediction", "references");
}

/**
 * Means of ROUGE over a corpus: every text weighs the same.
 *
 * @param predictions strings, or tokens (strings or ids)
 * @param references for each prediction one or more references, of its kind
 * @throws RangeError for no predictions, none or other numbers of references, and unknown types; TypeError as `rouge`
 * @example
 * corpusRouge(["a cat", "a dog"], [["a cat"], ["the dog"]]).rouge1.recall; // 0.75
 */
export function corpusRouge<T extends RougeType = StandardRougeType>(
  predictions: readonly TextOrTokens[],
  references: readonly (readonly TextOrTokens[])[],
  options: RougeOptions<T> = {},
): Readonly<Record<T, RougeScore>> {
  const settings = settingsOf("corpusRouge", options);
  checkCorpus(predictions, references);
  const scores = predictions.map((prediction, i) =>
    bestOf(prediction, references[i], settings, `predictions[${i}]`, `references[${i}]`),
  );
  return ofTypes(settings.types, (type) => {
    const mean = (key: keyof RougeScore) => scores.reduce((sum, each) => sum + each[type][key], 0) / scores.length;
    return { precision: mean("precision"), recall: mean("recall"), f1: mean("f1") };
  });
}

interface Settings<T extends RougeType> extends Cutter {
  readonly types: readonly T[];
  readonly sentences: (text: string) => readonly string[];
}

function settingsOf<T extends RougeType>(where: string, options: RougeOptions<T>): Settings<T> {
  checkOptions(where, options, ["types", "stem", "tokenize", "sentences"]);
  const { types = STANDARD as readonly RougeType[] as readonly T[], tokenize, sentences } = options;
  const stem = checkFlag("stem", options.stem);
  checkSome("types", types);
  for (const type of types as readonly T[]) {
    if (typeof type !== "string" || !/^rouge(?:[1-9]|L|Lsum)$/.test(type)) {
      throw new RangeError(`types: expected rouge1 to rouge9, rougeL or rougeLsum, got ${shown(type)}`);
    }
  }
  for (const [name, value] of Object.entries({ tokenize, sentences })) {
    if (value !== undefined && typeof value !== "function") {
      throw new TypeError(`${name}: expected a function, got ${shown(value)}`);
    }
  }
  if (stem && tokenize !== undefined) throw new TypeError("stem: is of the standard tokens; let tokenize give stems");
  if (sentences !== undefined && !types.includes("rougeLsum" as T)) {
    throw new TypeError("sentences: is for rougeLsum, which types does not ask for");
  }
  return {
    types: types as readonly T[],
    cut: tokenize ?? ((text) => standardTokens(text, stem)),
    sentences: sentences ?? ((text) => text.split("\n")),
    stringOptions: (["stem", "tokenize", "sentences"] as const).filter((key) => options[key] !== undefined),
  };
}

function standardTokens(text: string, stem: boolean): string[] {
  const words = splitWords(text.toLowerCase().replace(/[^a-z0-9]+/g, " "));
  return stem ? words.map((word) => (word.length > 3 ? porterStem(word) : word)) : words;
}

/** A text cut up as the types that are asked for need it. */
interface Cut {
  readonly tokens: TextTokens;
  readonly sentences: readonly TextTokens[];
}

function cutUp(name: string, text: TextOrTokens, settings: Settings<RougeType>): Cut {
  const tokens = tokensOf(name, text, settings);
  if (!settings.types.includes("rougeLsum")) return { tokens, sentences: [] };
  if (typeof text !== "string") return { tokens, sentences: [tokens] };
  const sentences = settings.sentences(text);
  checkArray(`sentences(${name})`, sentences);
  return { tokens, sentences: sentences.map((each, i) => tokensOf(`sentences(${name})[${i}]`, each, settings)) };
}

function bestOf<T extends RougeType>(
  prediction: TextOrTokens,
  references: readonly TextOrTokens[],
  settings: Settings<T>,
  predictionName: string,
  referencesName: string,
): Record<T, RougeScore> {
  const predicted = cutUp(predictionName, prediction, settings);
  checkSome(referencesName, references);
  const scores = references.map((reference, i) => {
    checkSameKind(`${referencesName}[${i}]`, reference, prediction);
    const expected = cutUp(`${referencesName}[${i}]`, reference, settings);
    return ofTypes(settings.types, (type) => scoreOf(type, predicted, expected));
  });
  return ofTypes(settings.types, (type) => scores.map((each) => each[type]).reduce((a, b) => (b.f1 > a.f1 ? b : a)));
}

function ofTypes<T extends RougeType>(types: readonly T[], score: (type: T) => RougeScore): Record<T, RougeScore> {
  return Object.fromEntries(types.map((type) => [type, score(type)])) as Record<T, RougeScore>;
}

function scoreOf(type: RougeType, predicted: Cut, expected: Cut): RougeScore {
  const index = new NgramIndex();
  if (type === "rougeLsum") {
    const ids = (sentences: readonly TextTokens[]) => sentences.map((each) => index.ids(each));
    return summaryLevel(ids(predicted.sentences), ids(expected.sentences));
  }
  const { length: predictedLength } = predicted.tokens;
  const { length: expectedLength } = expected.tokens;
  if (type === "rougeL") {
    const shared = new LcsText(index.ids(expected.tokens)).length(index.ids(predicted.tokens));
    return ratios(shared, predictedLength, expectedLength);
  }
  const n = Number(type.slice("rouge".length));
  const grams = (tokens: TextTokens) => index.counts(tokens, n)[n - 1];
  const shared = sharedCount(grams(predicted.tokens), grams(expected.tokens));
  return ratios(shared, predictedLength - n + 1, expectedLength - n + 1);
}

function ratios(shared: number, predicted: number, expected: number): RougeScore {
  if (shared === 0) return ZERO;
  const precision = shared / predicted;
  const recall = shared / expected;
  return { precision, recall, f1: (2 * precision * recall) / (precision + recall) };
}

/** Section 3.2 of Lin's paper, with the rule of her program that no token counts more often than it is on either side. */
function summaryLevel(predicted: readonly Int32Array[], expected: readonly Int32Array[]): RougeScore {
  const leftPredicted = tokenCounts(predicted);
  const leftExpected = tokenCounts(expected);
  let hits = 0;
  for (const sentence of expected) {
    const text = new LcsText(sentence);
    const found = new Set<number>();
    for (const other of predicted) text.addPositions(other, found);
    // In which order does not matter: equal tokens count alike.
    for (const position of found) {
      const id = sentence[position];
      const inPredicted = leftPredicted.get(id) ?? 0;
      const inExpected = leftExpected.get(id) ?? 0;
      if (inPredicted === 0 || inExpected === 0) continue;
      hits++;
      leftPredicted.set(id, inPredicted - 1);
      leftExpected.set(id, inExpected - 1);
    }
  }
  const total = (sentences: readonly Int32Array[]) => sentences.reduce((sum, { length }) => sum + length, 0);
  return ratios(hits, total(predicted), total(expected));
}

function tokenCounts(sentences: readonly Int32Array[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const sentence of sentences) for (const id of sentence) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

/** Which labels a text or a pair of texts has, or the number that a regression gives it. */

import type { EncoderConfig } from "../encoder/config";
import { kindOf, type TaskHost, type TaskOptions, type TextOrPair } from "./host";
import { checkHead, checkOptionsOf, checkPair, checkTopK, tokenizeAll } from "./inputs";
import { sigmoid, softmax } from "./scores";

/** A label and how well it fits. */
export interface Classification {
  readonly label: string;
  /** A probability, 0 to 1; the number itself where `scores` is "none", as for a regression. */
  readonly score: number;
}

/** How logits become scores: one label of all, each label by itself, or the logits as they are. */
export type ScoreFunction = "softmax" | "sigmoid" | "none";

/** Options of `Encoder.classify`. */
export interface ClassifyOptions extends TaskOptions {
  /** Most labels of a text; all if left out. */
  readonly topK?: number;
  /**
   * If left out, what the model was made for: "none" for a regression, "sigmoid" for several labels that hold each by
   * itself and for models with one label, else "softmax".
   */
  readonly scores?: ScoreFunction;
}

const SCORE_FUNCTIONS: readonly ScoreFunction[] = ["softmax", "sigmoid", "none"];

/** See `Encoder.classify`. */
export async function classify(
  host: TaskHost,
  given: string | readonly TextOrPair[],
  options: ClassifyOptions,
): Promise<Classification[] | Classification[][]> {
  const call = "classify";
  checkOptionsOf(call, options, ["topK", "scores"]);
  const { topK, scores: how = defaultScores(host.config) } = options;
  checkTopK(topK);
  if (!SCORE_FUNCTIONS.includes(how)) {
    throw new RangeError(`scores: expected one of ${SCORE_FUNCTIONS.join(", ")}, got ${String(how)}`);
  }
  checkHead(call, host, "sequenceClassification");
  const texts = checkTextsOrPairs(call, given);
  const inputs = await tokenizeAll(host, call, texts, options);
  const { labels } = host.config;
  const results: Classification[][] = [];
  await host.encode(
    inputs,
    ["logits"],
    (index, { outputs }) => {
      const scores = applyScores(outputs.logits as Float32Array, how);
      const all = labels.map((label, i) => ({ label, score: scores[i] }));
      results[index] = all.sort((a, b) => b.score - a.score).slice(0, topK);
    },
    options,
  );
  return typeof given === "string" ? results[0] : results;
}

/** As transformers' text classification chooses its function. */
function defaultScores({ problemType, labels }: EncoderConfig): ScoreFunction {
  if (problemType === "regression") return "none";
  return problemType === "multi_label_classification" || labels.length === 1 ? "sigmoid" : "softmax";
}

function applyScores(logits: Float32Array, how: ScoreFunction): ArrayLike<number> {
  if (how === "none") return logits;
  return how === "softmax" ? softmax(logits) : Float64Array.from(logits, sigmoid);
}

function checkTextsOrPairs(call: string, given: unknown): readonly TextOrPair[] {
  if (typeof given === "string") return [given];
  if (!Array.isArray(given)) {
    throw new TypeError(`${call}: expected a text or an array of texts or pairs, got ${kindOf(given)}`);
  }
  return given.map((text: unknown, i) => (typeof text === "string" ? text : checkPair(`${call}: texts[${i}]`, text)));
}

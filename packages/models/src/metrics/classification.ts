/** Metrics of classification: accuracy; precision, recall and F1 by label and averaged. */

import { shown } from "../errors";
import { checkSameLength, LabelCounts, type LabelScores } from "./counts";

/** What a class is called. */
export type Label = string | number | boolean;

/** What `classificationScores` and `multiLabelScores` give. */
export interface ClassificationScores<L extends Label> extends LabelScores<L> {
  /** Share of the examples that are wholly right. */
  readonly accuracy: number;
}

/**
 * Share of the predictions that are right, from 0 to 1; NaN of none.
 *
 * @throws RangeError if there are not as many of both; TypeError for what is no array
 * @example
 * accuracy(["joy", "fear"], ["joy", "anger"]); // 0.5
 */
export function accuracy<L extends Label>(predictions: ArrayLike<L>, references: ArrayLike<L>): number {
  checkSameLength(predictions, references, "accuracy");
  let right = 0;
  for (let i = 0; i < references.length; i++) if (predictions[i] === references[i]) right++;
  return right / references.length;
}

/**
 * Accuracy, and precision, recall and F1 by label, of examples with one label each. As scikit-learn's
 * `precision_recall_fscore_support` over every label that occurs on either side; micro-averages equal the accuracy.
 *
 * @throws RangeError if there are not as many of both; TypeError for what is no array
 * @example
 * const { perLabel, macro } = classificationScores(["joy", "fear", "joy"], ["joy", "joy", "fear"]);
 * perLabel.get("joy"); // { precision: 0.5, recall: 0.5, f1: 0.5, support: 2 }
 */
export function classificationScores<L extends Label>(
  predictions: ArrayLike<L>,
  references: ArrayLike<L>,
): ClassificationScores<L> {
  checkSameLength(predictions, references, "classificationScores");
  const counts = new LabelCounts<L>();
  for (let i = 0; i < references.length; i++) {
    counts.predicted(predictions[i]);
    counts.expected(references[i]);
    if (predictions[i] === references[i]) counts.right(references[i]);
  }
  return { accuracy: accuracy(predictions, references), ...counts.scores() };
}

/**
 * The same of examples with any number of labels each, given as sets: their order does not count, nor that one is there
 * twice. `accuracy` asks for the whole set.
 *
 * @throws RangeError if there are not as many of both; TypeError for what is no array
 * @example
 * multiLabelScores([["joy", "love"], []], [["joy"], []]).accuracy; // 0.5
 */
export function multiLabelScores<L extends Label>(
  predictions: readonly Iterable<L>[],
  references: readonly Iterable<L>[],
): ClassificationScores<L> {
  checkSameLength(predictions, references, "multiLabelScores");
  const counts = new LabelCounts<L>();
  let whole = 0;
  for (let i = 0; i < references.length; i++) {
    const predicted = labelSet(predictions[i], `multiLabelScores: predictions[${i}]`);
    const expected = labelSet(references[i], `multiLabelScores: references[${i}]`);
    for (const label of expected) counts.expected(label);
    let right = 0;
    for (const label of predicted) {
      counts.predicted(label);
      if (!expected.has(label)) continue;
      counts.right(label);
      right++;
    }
    if (right === expected.size && right === predicted.size) whole++;
  }
  return { accuracy: whole / references.length, ...counts.scores() };
}

function labelSet<L extends Label>(labels: Iterable<L>, where: string): Set<L> {
  // A string is iterable, by its characters: it is a label where a list of labels is expected.
  if (typeof labels !== "object" || labels === null || typeof labels[Symbol.iterator] !== "function") {
    throw new TypeError(`${where}: expected labels, as an array or a set, got ${shown(labels)}`);
  }
  return new Set(labels);
}

/** Precision, recall and F1 from counts: what the metrics of labels and of spans share. */

import { checkArrayLike } from "./check";

/** Of one label, or averaged. What would be divided by 0 is 0. */
export interface PrecisionRecallF1 {
  /** Share of what was predicted that is right. */
  readonly precision: number;
  /** Share of what is right that was predicted. */
  readonly recall: number;
  /** 2 · precision · recall / (precision + recall). */
  readonly f1: number;
  /** How many there are in the references. */
  readonly support: number;
}

/** Scores by label, and their averages. */
export interface LabelScores<L> {
  /** Every label that was predicted or is in the references, in order: numbers by size, strings by code unit. */
  readonly perLabel: ReadonlyMap<L, PrecisionRecallF1>;
  /** Of all counts added up: every prediction weighs the same. */
  readonly micro: PrecisionRecallF1;
  /** The plain means over the labels: every label weighs the same. Zeros if there is none. */
  readonly macro: PrecisionRecallF1;
}

interface Counts {
  right: number;
  predicted: number;
  expected: number;
}

/** Counts, by label, what was predicted, what the references have, and what is in both. */
export class LabelCounts<L extends string | number | boolean> {
  readonly #counts = new Map<L, Counts>();

  predicted(label: L): void {
    this.#of(label).predicted++;
  }

  expected(label: L): void {
    this.#of(label).expected++;
  }

  right(label: L): void {
    this.#of(label).right++;
  }

  scores(): LabelScores<L> {
    // A fixed order, so that the means do not depend on which label came first.
    const entries = [...this.#counts].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    const perLabel = new Map(entries.map(([label, counts]) => [label, scoresOf(counts)]));
    const all: Counts = { right: 0, predicted: 0, expected: 0 };
    for (const [, counts] of entries) {
      all.right += counts.right;
      all.predicted += counts.predicted;
      all.expected += counts.expected;
    }
    const each = [...perLabel.values()];
    const mean = (key: "precision" | "recall" | "f1") =>
      ratio(
        each.reduce((sum, s) => sum + s[key], 0),
        each.length,
      );
    const macro = { precision: mean("precision"), recall: mean("recall"), f1: mean("f1"), support: all.expected };
    return { perLabel, micro: scoresOf(all), macro };
  }

  #of(label: L): Counts {
    let counts = this.#counts.get(label);
    if (counts === undefined) {
      counts = { right: 0, predicted: 0, expected: 0 };
      this.#counts.set(label, counts);
    }
    return counts;
  }
}

function scoresOf({ right, predicted, expected }: Counts): PrecisionRecallF1 {
  return {
    precision: ratio(right, predicted),
    recall: ratio(right, expected),
    f1: ratio(2 * right, predicted + expected),
    support: expected,
  };
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

/** @throws RangeError unless there is a prediction for each reference; TypeError for what is no array */
export function checkSameLength(predictions: ArrayLike<unknown>, references: ArrayLike<unknown>, where: string): void {
  checkArrayLike(`${where}: predictions`, predictions);
  checkArrayLike(`${where}: references`, references);
  if (predictions.length !== references.length) {
    throw new RangeError(
      `${where}: expected as many predictions as references, got ${predictions.length} and ${references.length}`,
    );
  }
}

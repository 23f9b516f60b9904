/** Accuracy, precision, recall and F1 against scikit-learn 1.9.1, with zero_division=0. */

import { describe, expect, test } from "vitest";
import { accuracy, classificationScores, multiLabelScores } from "./classification";

const references = ["joy", "joy", "fear", "anger", "joy", "fear", "sad"];
const predictions = ["joy", "fear", "fear", "joy", "joy", "anger", "fear"];

describe("one label each", () => {
  test("accuracy", () => {
    expect(accuracy(predictions, references)).toBe(3 / 7);
    expect(accuracy(Int32Array.of(1, 2), [1, 3])).toBe(0.5);
    expect(accuracy([], [])).toBeNaN();
  });

  test("by label and averaged, as precision_recall_fscore_support", () => {
    const { perLabel, micro, macro, accuracy } = classificationScores(predictions, references);
    expect([...perLabel]).toEqual([
      ["anger", { precision: 0, recall: 0, f1: 0, support: 1 }],
      ["fear", { precision: 1 / 3, recall: 0.5, f1: 0.4, support: 2 }],
      ["joy", { precision: 2 / 3, recall: 2 / 3, f1: 2 / 3, support: 3 }],
      ["sad", { precision: 0, recall: 0, f1: 0, support: 1 }],
    ]);
    expect(micro).toEqual({ precision: 3 / 7, recall: 3 / 7, f1: 3 / 7, support: 7 });
    expect(macro.precision).toBe(0.25);
    expect(macro.recall).toBeCloseTo(0.29166666666666663, 15);
    expect(macro.f1).toBeCloseTo(0.26666666666666666, 15);
    expect(accuracy).toBe(3 / 7);
  });

  test("numbers go by size, and may come in typed arrays", () => {
    const { perLabel } = classificationScores(Int32Array.of(10, 9), Int32Array.of(9, 10));
    expect([...perLabel.keys()]).toEqual([9, 10]);
  });
});

test("several labels each, as sets", () => {
  const scores = multiLabelScores([["a"], [], ["c", "a", "b", "a"], ["b", "c"]], [["a", "b"], [], ["a", "c"], ["b"]]);
  expect(scores.accuracy).toBe(0.25);
  expect([...scores.perLabel]).toEqual([
    ["a", { precision: 1, recall: 1, f1: 1, support: 2 }],
    ["b", { precision: 0.5, recall: 0.5, f1: 0.5, support: 2 }],
    ["c", { precision: 0.5, recall: 1, f1: 2 / 3, support: 1 }],
  ]);
  expect(scores.micro.f1).toBeCloseTo(0.7272727272727273, 15);
  expect(scores.macro.f1).toBeCloseTo(0.7222222222222222, 15);
});

test("nothing at all gives zeros, and unequal lengths throw", () => {
  expect(classificationScores([], []).macro).toEqual({ precision: 0, recall: 0, f1: 0, support: 0 });
  expect(() => accuracy([1], [])).toThrow("accuracy: expected as many predictions as references, got 1 and 0");
  expect(() => classificationScores([1], [1, 2])).toThrow(RangeError);
  expect(() => multiLabelScores([[1]], [])).toThrow(RangeError);
});

test("what is no array throws, with the name of the argument", () => {
  const bad: readonly unknown[] = [undefined, null, 7, "joy", {}, { length: -1 }, () => 0];
  for (const value of bad) {
    for (const f of [accuracy, classificationScores, multiLabelScores]) {
      expect(() => f(value as never, [])).toThrow(TypeError);
      expect(() => f(value as never, [])).toThrow(`${f.name}: predictions: expected an array, got `);
      expect(() => f([], value as never)).toThrow(`${f.name}: references: expected an array, got `);
    }
  }
  expect(() => multiLabelScores([["a"]], ["ab"] as never)).toThrow(
    'multiLabelScores: references[0]: expected labels, as an array or a set, got "ab"',
  );
  expect(() => multiLabelScores([null] as never, [["a"]])).toThrow("multiLabelScores: predictions[0]: expected labels");
  expect(multiLabelScores([new Set(["a"])], [["a"]]).accuracy).toBe(1);
});

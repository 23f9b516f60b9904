/** Selecting taps by pattern. */

import { expect, test } from "vitest";
import { selectTaps } from "./capture";

const NAMES = ["embeddings", "layers.0.attention.probs", "layers.0.output", "layers.10.output", "final", "logits"];

test.each([
  ["final", ["final"]],
  ["layers.*.output", ["layers.0.output", "layers.10.output"]],
  ["layers.1*.output", ["layers.10.output"]],
  ["layers.0.*", ["layers.0.attention.probs", "layers.0.output"]],
  ["*.*.*.probs", ["layers.0.attention.probs"]],
  ["*", NAMES],
  ["*s", ["embeddings", "layers.0.attention.probs", "logits"]],
])("%s", (pattern, expected) => {
  expect([...selectTaps([pattern], NAMES)]).toEqual(expected);
});

test("several patterns select the union", () => {
  expect([...selectTaps(["final", "f*"], NAMES)]).toEqual(["final"]);
  expect([...selectTaps([], NAMES)]).toEqual([]);
});

test.each(["layers.2.output", "Final", "final*", "*final", "layers.**.output.x", "", "[a-z]+"])(
  "%j selects nothing, which is an error that lists what there is",
  (pattern) => {
    expect(() => selectTaps([pattern], NAMES)).toThrow(/nothing is called .*layers\.\{i\}\.output/);
  },
);

test("a hostile pattern takes linear time", () => {
  expect(() => selectTaps(["*a".repeat(500)], ["a".repeat(3000).concat("b")])).toThrow(/nothing is called/);
  expect(() => selectTaps(["*".repeat(1_000_000)], NAMES)).toThrow(/a pattern of 1000000 characters is too long/);
});

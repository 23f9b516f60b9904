/** `classify`, `zeroShotClassify` and `nextSentence` against the pipelines of transformers. */

import type { ClassifyOptions, Encoder, TextOrPair } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { taskFolder, taskGoldens } from "../fixtures/tasks/files";
import { loadEncoder } from "../support/load";

/** Probabilities of small random models in float32 and in ours. */
const TOLERANCE = 1e-5;

interface Run {
  readonly model: string;
  readonly text: string;
  readonly text_pair?: string;
  readonly options: { readonly top_k?: number | null; readonly function_to_apply?: ClassifyOptions["scores"] };
  readonly output: readonly (readonly [label: string, score: number])[];
}

const classification = taskGoldens<{ texts: Record<string, string>; runs: Run[] }>("text-classification.json");

function expectScores(got: readonly number[], wanted: readonly number[], what: string): void {
  expect(got.length, what).toBe(wanted.length);
  for (const [i, score] of got.entries()) {
    expect(Math.abs(score - wanted[i]), what).toBeLessThan(TOLERANCE * Math.max(1, Math.abs(wanted[i])));
  }
}

describe.each(["classes-single", "classes-multi", "classes-regression", "classes-roberta"])("classify: %s", (name) => {
  let model: Encoder;
  beforeAll(async () => {
    model = await loadEncoder(taskFolder(name));
  });
  afterAll(() => model.dispose());

  const mine = classification.runs.filter((run) => run.model === name);
  // Of a pair whose second text is empty, transformers makes the text alone; here [text, ""] stays a pair.
  const textOf = ({ text, text_pair: pair }: Run): TextOrPair =>
    pair === undefined || classification.texts[pair] === ""
      ? classification.texts[text]
      : [classification.texts[text], classification.texts[pair]];

  test("every run", async () => {
    expect(mine).toHaveLength(65);
    for (const run of mine) {
      const { top_k, function_to_apply: scores } = run.options;
      const options: ClassifyOptions = {
        ...(top_k === null ? {} : { topK: top_k ?? 1 }),
        ...(scores === undefined ? {} : { scores }),
      };
      const [got] = await model.classify([textOf(run)], options);
      const what = JSON.stringify(run).slice(0, 150);
      expect(
        got.map(({ label }) => label),
        what,
      ).toEqual(run.output.map(([label]) => label));
      expectScores(
        got.map(({ score }) => score),
        run.output.map(([, score]) => score),
        what,
      );
    }
  });

  test("an empty second text still makes a pair", async () => {
    expect(await model.classify([["Rome", ""]])).not.toEqual(await model.classify(["Rome"]));
  });

  test("a text gives the same bits alone and in any batch", async () => {
    const texts = mine.map(textOf);
    const together = await model.classify(texts);
    expect(await model.classify(texts, { batchTokens: 1 })).toEqual(together);
    for (const [i, text] of texts.slice(0, 20).entries()) {
      if (typeof text === "string") expect(await model.classify(text)).toEqual(together[i]);
    }
  });
});

interface ZeroShotRun {
  readonly model: string;
  readonly sequence: string;
  readonly candidate_labels: string | readonly string[];
  readonly options: { readonly multi_label?: boolean; readonly hypothesis_template?: string };
  readonly labels?: readonly string[];
  readonly scores?: readonly number[];
}

describe.each(["nli-bert", "nli-roberta"])("zeroShotClassify: %s", (name) => {
  const runs = taskGoldens<{ runs: ZeroShotRun[] }>("zero-shot.json").runs.filter((run) => run.model === name);
  let model: Encoder;
  beforeAll(async () => {
    model = await loadEncoder(taskFolder(name));
  });
  afterAll(() => model.dispose());

  /** transformers splits a string at its commas. */
  const labelsOf = ({ candidate_labels: given }: ZeroShotRun) =>
    typeof given === "string" ? given.split(",").flatMap((label) => label.trim() || []) : [...given];

  test("every run", async () => {
    expect(runs).toHaveLength(51);
    let compared = 0;
    for (const run of runs) {
      const { multi_label: multiLabel = false, hypothesis_template: template } = run.options;
      const options = { multiLabel, ...(template === undefined ? {} : { hypothesisTemplate: template }) };
      const call = () => model.zeroShotClassify(run.sequence, labelsOf(run), options);
      const what = JSON.stringify(run).slice(0, 200);
      if (run.labels === undefined || run.scores === undefined) {
        // An empty text is refused by transformers alone.
        if (run.sequence !== "") await expect(call(), what).rejects.toThrow(RangeError);
        continue;
      }
      const { labels, scores } = await call();
      expect(labels, what).toEqual(run.labels);
      expectScores(scores, run.scores, what);
      compared++;
    }
    expect(compared).toBeGreaterThan(35);
  });

  test("a text gives the same bits alone and in any batch", async () => {
    const texts = [...new Set(runs.map(({ sequence }) => sequence))];
    const labels = ["sports", "politics", "science"];
    const together = await model.zeroShotClassify(texts, labels);
    expect(await model.zeroShotClassify(texts, labels, { batchTokens: 40 })).toEqual(together);
    for (const [i, text] of texts.entries()) expect(await model.zeroShotClassify(text, labels)).toEqual(together[i]);
  });
});

describe("nextSentence", () => {
  const { runs } = taskGoldens<{
    runs: { first: string; second: string; logits: number[]; probabilities: number[] }[];
  }>("next-sentence.json");
  let model: Encoder;
  beforeAll(async () => {
    model = await loadEncoder(taskFolder("next-sentence"));
  });
  afterAll(() => model.dispose());

  test("every run, alone and together", async () => {
    expect(runs).toHaveLength(11);
    const together = await model.nextSentence(runs.map(({ first, second }) => [first, second]));
    for (const [i, { first, second, logits, probabilities }] of runs.entries()) {
      expect(await model.nextSentence([first, second])).toEqual(together[i]);
      // Of a pair whose second text is empty transformers makes the first alone.
      if (second === "") continue;
      expectScores([together[i].isNext, ...together[i].logits], [probabilities[0], ...logits], `run ${i}`);
    }
  });
});

/** What the tasks of heads refuse, and options that every one of them has: calling off, progress, batches. */

import { bestNoAnswerThreshold, type Encoder, squadScores, type TaskOptions } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { taskFolder, taskGoldens } from "../fixtures/tasks/files";
import { loadEncoder } from "../support/load";

const NAMES = {
  fillMask: "mask-uncased",
  classify: "classes-single",
  zeroShotClassify: "nli-bert",
  tokenClassify: "tokens-uncased",
  answer: "answers-uncased",
  nextSentence: "next-sentence",
} as const;
type Task = keyof typeof NAMES;
const TASKS = Object.keys(NAMES) as Task[];

const models = {} as Record<Task, Encoder>;
beforeAll(async () => {
  for (const task of TASKS) models[task] = await loadEncoder(taskFolder(NAMES[task]));
});
afterAll(() => {
  for (const task of TASKS) models[task].dispose();
});

const LONG = "Anna left Berlin and moved to New York. ".repeat(20);

/** Each task on its own kind of input: one text, or several. */
const one = (model: Encoder, task: Task, options: object = {}): Promise<unknown> =>
  ({
    fillMask: () => model.fillMask("Rome is [MASK].", options),
    classify: () => model.classify("Rome", options),
    zeroShotClassify: () => model.zeroShotClassify("Rome", ["city", "river"], options),
    tokenClassify: () => model.tokenClassify(LONG, options),
    answer: () => model.answer({ question: "Who?", context: LONG }, options),
    nextSentence: () => model.nextSentence(["Rome", "Paris"], options),
  })[task]();
const many = (model: Encoder, task: Task, count: number, options: TaskOptions = {}): Promise<unknown[]> => {
  const list = <T>(make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i));
  return {
    fillMask: () =>
      model.fillMask(
        list((i) => `Rome ${"is ".repeat(i)}[MASK].`),
        options,
      ),
    classify: () =>
      model.classify(
        list((i) => `Rome ${i}`),
        options,
      ),
    zeroShotClassify: () =>
      model.zeroShotClassify(
        list((i) => `Rome ${i}`),
        ["city", "river"],
        options,
      ),
    tokenClassify: () =>
      model.tokenClassify(
        list((i) => LONG.slice(40 * i)),
        options,
      ),
    answer: () =>
      model.answer(
        list((i) => ({ question: "Who?", context: LONG.slice(40 * i) })),
        options,
      ),
    nextSentence: () =>
      model.nextSentence(
        list((i) => ["Rome", `Paris ${i}`]),
        options,
      ),
  }[task]();
};

describe.each(TASKS)("%s", (task) => {
  test("a model without the head says what it is, and what is needed", async () => {
    const other = task === "classify" || task === "zeroShotClassify" ? models.tokenClassify : models.classify;
    await expect(one(other, task)).rejects.toThrow(
      new RegExp(
        `^${task} needs .* as checkpoints of a class \\.\\.\\.For\\w+.*; this is a model for \\w+Classification`,
      ),
    );
  });

  test("unknown options, and wrong ones that all tasks have", async () => {
    const run = (options: object) => one(models[task], task, options);
    await expect(run({ top_k: 3 })).rejects.toThrow(/unknown option "top_k"/);
    await expect(run({ batchTokens: 0 })).rejects.toThrow(RangeError);
    await expect(run({ signal: 1 })).rejects.toThrow(TypeError);
    await expect(run({ onProgress: 1 })).rejects.toThrow(TypeError);
  });

  test("a signal calls it off, before and between passes", async () => {
    const reason = new Error("enough");
    await expect(many(models[task], task, 4, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    let reports = 0;
    const onProgress = () => {
      reports++;
      controller.abort(reason);
    };
    const options = { signal: controller.signal, onProgress, batchTokens: 1 };
    await expect(many(models[task], task, 4, options)).rejects.toBe(reason);
    expect(reports).toBe(1);
  });

  test("progress is in texts, whatever they are made into; nothing depends on batches", async () => {
    const done: number[] = [];
    const onProgress = (progress: { done: number; total: number }) => {
      expect(progress.total).toBe(5);
      done.push(progress.done);
    };
    const results = await many(models[task], task, 5, { onProgress, batchTokens: 1 });
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(done.at(-1)).toBe(5);
    expect(results).toEqual(await many(models[task], task, 5));
    expect(await many(models[task], task, 0)).toEqual([]);
  });

  test("a disposed model", async () => {
    const model = await loadEncoder(taskFolder(NAMES[task]));
    model.dispose();
    await expect(one(model, task)).rejects.toThrow(/disposed/);
  });
});

test("fillMask: wrong texts, targets and numbers", async () => {
  const model = models.fillMask;
  const text = "Rome is [MASK].";
  await expect(model.fillMask(1 as never)).rejects.toThrow(/expected a text or an array of texts/);
  await expect(model.fillMask([text, "Rome"])).rejects.toThrow(/texts\[1\] has no mask: write \[MASK\]/);
  await expect(model.fillMask(`${LONG}[MASK]`)).rejects.toThrow(/beyond the 64 tokens/);
  expect(await model.fillMask(`[MASK]${LONG}`)).toHaveLength(1);
  await expect(model.fillMask(text, { topK: 0 })).rejects.toThrow(RangeError);
  await expect(model.fillMask(text, { targets: [] })).rejects.toThrow(RangeError);
  await expect(model.fillMask(text, { targets: [1] as never })).rejects.toThrow(TypeError);
  await expect(model.fillMask(text, { targets: ["dog", "new york"] })).rejects.toThrow(
    /targets\[1\].*whose tokens are new york/,
  );
  await expect(model.fillMask(text, { targets: "☃" })).rejects.toThrow(/single token/);
});

test("fillMask: all of the vocabulary sums up to 1, and targets have their share of it", async () => {
  const model = models.fillMask;
  const text = "Rome is [MASK].";
  const [all] = await model.fillMask(text, { topK: 1e6 });
  expect(all).toHaveLength(model.vocabSize);
  expect(all.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 12);
  const [targets] = await model.fillMask(text, { targets: ["dog", "cat", "Rome", "is", "a", "new", "book"] });
  expect(targets).toHaveLength(7);
  for (const target of targets) expect(all).toContainEqual(target);
});

test("classify and nextSentence: wrong pairs and options", async () => {
  const model = models.classify;
  await expect(model.classify([["a"]] as never)).rejects.toThrow(/texts\[0\]: expected a pair/);
  await expect(model.classify({} as never)).rejects.toThrow(TypeError);
  await expect(model.classify("a", { scores: "argmax" as never })).rejects.toThrow(/softmax, sigmoid, none/);
  await expect(model.classify("a", { topK: 1.5 })).rejects.toThrow(RangeError);
  await expect(models.nextSentence.nextSentence(["a", "b", "c"] as never)).rejects.toThrow(/pair: expected a pair/);
  await expect(models.nextSentence.nextSentence("a" as never)).rejects.toThrow(TypeError);
});

test("zeroShotClassify: labels, templates, and models of other tasks", async () => {
  const model = models.zeroShotClassify;
  await expect(model.zeroShotClassify("a", [])).rejects.toThrow(RangeError);
  await expect(model.zeroShotClassify("a", "sports" as never)).rejects.toThrow(/labels: expected an array/);
  await expect(model.zeroShotClassify("a", ["b"], { multiLabel: 1 as never })).rejects.toThrow(TypeError);
  for (const hypothesisTemplate of ["This is it.", "{0}", "{} {", "{{}}"]) {
    await expect(model.zeroShotClassify("a", ["b"], { hypothesisTemplate })).rejects.toThrow(/expected a \{\}/);
  }
  await expect(models.classify.zeroShotClassify("a", ["b"])).rejects.toThrow(/labels are negative, neutral, positive/);
});

test("zeroShotClassify: entailment and contradiction are found by name, in any order", async () => {
  const config = taskFolder("nli-bert");
  const json = JSON.parse(new TextDecoder().decode((await config.read("config.json", 0, 1e6)) as Uint8Array));
  const wanted = await models.zeroShotClassify.classify([["Rome", "This example is city."]], { scores: "none" });
  const logit = (label: string) => wanted[0].find((each) => each.label === label)?.score as number;
  // The names move to other outputs: what was neutral is now the contradiction.
  const id2label = { 0: "Neutral", 1: "CONTRADICTION", 2: "Entailment" };
  const renamed = await loadEncoder(
    taskFolder("nli-bert", { "config.json": JSON.stringify({ ...json, id2label, label2id: undefined }) }),
  );
  const { scores } = await renamed.zeroShotClassify("Rome", ["city"]);
  expect(scores[0]).toBeCloseTo(1 / (1 + Math.exp(logit("neutral") - logit("entailment"))), 10);
  renamed.dispose();
});

test("tokenClassify: wrong options", async () => {
  const model = models.tokenClassify;
  await expect(model.tokenClassify("a", { aggregation: "mean" as never })).rejects.toThrow(/none, simple, first/);
  await expect(model.tokenClassify("a", { ignoreLabels: "O" as never })).rejects.toThrow(TypeError);
  await expect(model.tokenClassify("a", { stride: -1 })).rejects.toThrow(RangeError);
});

test("answer: wrong questions and options", async () => {
  const model = models.answer;
  const ask = { question: "Who?", context: "Anna met Bob." };
  await expect(model.answer("Who?" as never)).rejects.toThrow(/expected \{ question, context \}/);
  await expect(model.answer([ask, { question: "Who?" }] as never)).rejects.toThrow(/questions\[1\]\.context/);
  for (const wrong of [
    { maxAnswerTokens: 0 },
    { windowTokens: 65 },
    { stride: 64 },
    { noAnswerThreshold: Number.NaN },
  ]) {
    await expect(model.answer(ask, wrong)).rejects.toThrow(RangeError);
  }
  await expect(model.answer(ask, { alignToWords: 1 as never })).rejects.toThrow(TypeError);
  await expect(model.answer({ ...ask, question: LONG })).rejects.toThrow(/leaves none for the context/);
  expect(await model.answer({ question: "Who?", context: "" })).toMatchObject({ answer: null, start: null, spans: [] });
});

test("answer: the threshold that is best for given questions makes the answers that it was chosen for", async () => {
  const { questions } = taskGoldens<{ questions: Record<string, { question: string; context: string }> }>(
    "question-answering.json",
  );
  const asked = Object.entries(questions).flatMap(([key, each]) => (/long|empty|blank/.test(key) ? [] : [each]));
  const results = await models.answer.answer(asked);
  // Every other question is made one without an answer.
  const gold = results.map(({ answer }, i) => (i % 2 === 0 ? [answer as string] : []));
  const { threshold, f1 } = bestNoAnswerThreshold(
    results.map(({ nullScore, bestSpanScore, answer }, i) => {
      return { nullScore, bestSpanScore, prediction: answer as string, answers: gold[i] };
    }),
  );
  const judged = await models.answer.answer(asked, { noAnswerThreshold: threshold });
  const predictions = judged.map(({ answer }) => answer ?? "");
  expect(squadScores(predictions, gold).f1).toBeCloseTo(f1, 10);
  expect(judged.some(({ answer }) => answer === null)).toBe(true);
  expect(judged.some(({ answer }) => answer !== null)).toBe(true);
});

test("tokenizers that cut on the left: windows cover the whole text all the same", async () => {
  const config = await taskFolder("tokens-uncased").read("tokenizer_config.json", 0, 1e6);
  const json = JSON.parse(new TextDecoder().decode(config as Uint8Array));
  const left = await loadEncoder(
    taskFolder("tokens-uncased", { "tokenizer_config.json": JSON.stringify({ ...json, truncation_side: "left" }) }),
  );
  const tokens = await left.tokenClassify(LONG, { aggregation: "none", ignoreLabels: [], stride: 7 });
  const { offsets } = left.tokenizer!.encode(LONG, { addSpecialTokens: false });
  expect(tokens.map(({ start, end }) => [start, end])).toEqual(offsets);
  left.dispose();
});

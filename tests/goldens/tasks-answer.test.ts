/** `answer` against the question answering pipeline of transformers, and against SQuAD 2.0's rule. */

import type { AnswerOptions, AnswerResult, Encoder, QuestionInContext } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { taskFolder, taskGoldens } from "../fixtures/tasks/files";
import { loadEncoder } from "../support/load";

interface Windowing {
  readonly model: string;
  readonly question: string;
  readonly max_seq_len: number;
  readonly doc_stride: number;
}

interface PipelineRun {
  readonly model: string;
  readonly question: string;
  readonly options: {
    readonly top_k?: number;
    readonly max_answer_len?: number;
    readonly doc_stride?: number;
    readonly max_seq_len?: number;
    readonly handle_impossible_answer?: boolean;
    readonly align_to_words?: boolean;
  };
  readonly output?: readonly (readonly [score: number, start: number, end: number, answer: string])[];
  readonly error?: string;
}

interface SquadRun extends Windowing {
  readonly max_answer_length: number;
  readonly s_null: number;
  readonly best_of_all?: {
    readonly text: string;
    readonly start: number;
    readonly end: number;
    readonly score: number;
  };
}

const goldens = taskGoldens<{
  questions: Record<string, QuestionInContext>;
  pipeline: PipelineRun[];
  squad: SquadRun[];
  windows: (Windowing & { readonly windows?: unknown[] })[];
}>("question-answering.json");

/** Where a code point begins, in UTF-16 units. */
function utf16(text: string): (codePoint: number) => number {
  const starts = [0];
  for (const character of text) starts.push(starts[starts.length - 1] + character.length);
  return (codePoint) => starts[codePoint];
}

const defined = (options: Readonly<Record<string, unknown>>): AnswerOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));

describe.each(["answers-uncased", "answers-roberta"])("%s", (name) => {
  let model: Encoder;
  beforeAll(async () => {
    model = await loadEncoder(taskFolder(name));
  });
  afterAll(() => model.dispose());

  test("every run of the pipeline", async () => {
    let compared = 0;
    const blank: string[] = [];
    for (const { question, options, output, error } of goldens.pipeline.filter((run) => run.model === name)) {
      const asked = goldens.questions[question];
      const what = JSON.stringify({ question, ...options });
      const ours = defined({
        topK: options.top_k,
        maxAnswerTokens: options.max_answer_len,
        stride: options.doc_stride,
        windowTokens: options.max_seq_len,
        alignToWords: options.align_to_words,
      });
      if (error !== undefined) {
        // Empty texts are refused by transformers alone.
        if (!error.includes("cannot be empty")) await expect(model.answer(asked, ours)).rejects.toThrow(RangeError);
        continue;
      }
      // transformers' null answer has the score of ours; in its list it pushes out the last of topK.
      const got = await model.answer(asked, { ...ours, noAnswerThreshold: Number.POSITIVE_INFINITY });
      expect(got.answer).toBeNull();
      // White space alone is no answer here; there it takes the place of others.
      if (output!.some(([, , , answer]) => answer !== "" && answer.trim() === "")) {
        expect(got.spans.every(({ answer }) => answer.trim() !== "")).toBe(true);
        blank.push(question);
        continue;
      }
      const unit = utf16(asked.context);
      // Where there are fewer spans than asked for, transformers adds some of probability 0, outside of the context too.
      const wanted = output!.filter(([score, , , answer]) => answer !== "" && score > 0);
      const spans = got.spans.slice(0, wanted.length);
      expect(
        spans.map(({ answer, start, end }) => [start, end, answer]),
        what,
      ).toEqual(wanted.map(([, start, end, answer]) => [unit(start), unit(end), answer]));
      for (const [i, [score]] of wanted.entries()) {
        expect(Math.abs(spans[i].score - score), what).toBeLessThan(1e-5);
        compared++;
      }
      const none = output!.find(([score, , , answer]) => answer === "" && score > 0);
      if (options.handle_impossible_answer && none !== undefined) {
        expect(Math.abs(got.score - none[0]), what).toBeLessThan(1e-5);
      }
    }
    expect(compared).toBeGreaterThan(150);
    expect([...new Set(blank)]).toEqual(name === "answers-roberta" ? ["spaces", "controls", "blank context"] : []);
  });

  test("SQuAD 2.0: s_null, and the best span of all", async () => {
    // For an empty second text transformers leaves out its separator; here a pair stays a pair.
    const runs = goldens.squad.filter((run) => run.model === name && run.question !== "empty context");
    const verdicts = { yes: 0, no: 0 };
    for (const run of runs) {
      const asked = goldens.questions[run.question];
      const options = {
        windowTokens: run.max_seq_len,
        stride: run.doc_stride,
        maxAnswerTokens: run.max_answer_length,
        alignToWords: false,
      };
      const got = await model.answer(asked, options);
      const what = JSON.stringify(run).slice(0, 120);
      expect(Math.abs(got.nullScore - run.s_null), what).toBeLessThan(2e-5);
      const best = run.best_of_all;
      if (best === undefined || best.text.trim() === "") continue;
      expect(Math.abs(got.bestSpanScore - best.score), what).toBeLessThan(2e-5);
      expect(got.nullScoreDiff, what).toBe(got.nullScore - got.bestSpanScore);
      const unit = utf16(asked.context);
      const windows = goldens.windows.find(
        (each) =>
          each.model === name &&
          each.question === run.question &&
          each.max_seq_len === run.max_seq_len &&
          each.doc_stride === run.doc_stride,
      );
      // In one window the probable span is that of the largest logits; over several, transformers compares probabilities.
      if (windows?.windows?.length === 1) {
        expect(got.spans[0], what).toMatchObject({ answer: best.text, start: unit(best.start), end: unit(best.end) });
      }
      for (const tau of [-6, -3, 0, 3, 6]) {
        const { answer } = await model.answer(asked, { ...options, noAnswerThreshold: tau });
        expect(answer !== null, what).toBe(got.bestSpanScore > got.nullScore + tau);
        verdicts[answer === null ? "no" : "yes"]++;
      }
    }
    expect(Math.min(verdicts.yes, verdicts.no)).toBeGreaterThan(15);
  });

  test("a question gives the same bits alone and in any batch", async () => {
    const questions = Object.entries(goldens.questions).flatMap(([key, each]) =>
      key === "long question" ? [] : [each],
    );
    const together = await model.answer(questions, { topK: 3 });
    expect(await model.answer(questions, { topK: 3, batchTokens: 1 })).toEqual(together);
    const alone: AnswerResult[] = [];
    for (const question of questions) alone.push(await model.answer(question, { topK: 3 }));
    expect(alone).toEqual(together);
  });
});

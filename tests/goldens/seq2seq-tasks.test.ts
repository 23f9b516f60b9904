/** Tasks of encoder-decoders against transformers: prefixes, languages, settings of a task, gaps and masks. */

import type { Seq2Seq, TranslateOptions } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { taskBytes, taskFolder, taskGoldens } from "../fixtures/tasks/files";
import { loadSeq2Seq } from "../support/load";

interface Run {
  readonly model: "t5" | "bart" | "mbart" | "marian";
  readonly task: "summarize" | "translate" | "answer" | "text2text" | "fillSpans" | "fillMask";
  readonly text: string;
  readonly context?: string;
  readonly from?: string;
  readonly to?: string;
  readonly style?: "mbart-50" | "mbart";
  readonly numBeams?: number;
  readonly source: readonly number[];
  readonly ids: readonly number[];
  readonly output: string;
}

const { runs } = taskGoldens<{ runs: Run[] }>("generation.json");

/** mBART's tokenizer: as mBART-50's, but the language stands behind the end token. */
function mbartTokenizer(): string {
  const json = JSON.parse(new TextDecoder().decode(taskBytes("models/seq2seq-mbart/tokenizer.json")));
  const [language, text, end] = json.post_processor.single;
  json.post_processor.single = [text, end, language];
  return JSON.stringify(json);
}

const FOLDERS = {
  t5: () => taskFolder("seq2seq-t5"),
  bart: () => taskFolder("seq2seq-bart"),
  "mbart-50": () => taskFolder("seq2seq-mbart"),
  mbart: () => taskFolder("seq2seq-mbart", { "tokenizer.json": mbartTokenizer() }),
  marian: () => taskFolder("seq2seq-marian"),
} as const;

/** What the maker passes where a model's files do not say it. */
const LONGEST: Readonly<Record<Run["model"], number>> = { t5: 20, bart: 36, mbart: 18, marian: 23 };

function optionsOf({ model, task, from, to, numBeams }: Run): TranslateOptions {
  const ofFiles = model === "marian" || task === "summarize" || (task === "translate" && to === "de");
  return {
    scores: true,
    ...(ofFiles ? {} : { maxNewTokens: LONGEST[model] }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(numBeams === undefined ? {} : { numBeams }),
  };
}

function call(model: Seq2Seq, run: Run) {
  const options = optionsOf(run);
  if (run.task === "answer") return model.answer({ question: run.text, context: run.context as string }, options);
  return model[run.task](run.text, options);
}

describe.each(["t5", "bart", "mbart-50", "mbart", "marian"] as const)("%s", (name) => {
  const mine = runs.filter((run) => (run.style ?? run.model) === name);
  let model: Seq2Seq;
  beforeAll(async () => {
    model = await loadSeq2Seq(FOLDERS[name]());
  });
  afterAll(() => model.dispose());

  test.each(mine.map((run) => [run.task, run.text.slice(0, 40), run.to ?? "", run.numBeams ?? 1, run] as const))(
    "%s %j %s, %i beams",
    async (_task, _text, _to, _beams, run) => {
      const result = await call(model, run);
      expect(result.ids).toEqual(run.ids);
      // The same bits: the source has the ids of transformers' own tokenizers, prefix and language included.
      const { from: _from, to, ...given } = optionsOf(run);
      const task = run.task === "summarize" ? "summarization" : `translation_${run.from}_to_${run.to}`;
      const settings = model.generationDefaults.tasks.get(task)?.defaults.settings ?? {};
      const language = to === undefined ? null : (model.tokenizer?.tokenToId(to) ?? null);
      const told =
        run.style === undefined || language === null
          ? {}
          : run.style === "mbart"
            ? { decoderStartTokenId: language }
            : { forcedBosTokenId: language };
      const same = await model.generate(run.source, { ...settings, ...given, ...told, scores: true }).result();
      expect(same.ids).toEqual(run.ids);
      expect(result.tokenScores).toEqual(same.tokenScores);
      if (run.task !== "fillSpans") expect(result.text).toBe(run.output);
    },
  );

  test("a batch gives what each gives alone", async () => {
    for (const task of ["summarize", "translate", "text2text", "fillMask", "fillSpans"] as const) {
      const some = mine.filter((run) => run.task === task && run.numBeams === undefined);
      const kinds = [...new Set(some.map((run) => JSON.stringify(optionsOf(run))))];
      for (const group of kinds.map((kind) => some.filter((run) => JSON.stringify(optionsOf(run)) === kind))) {
        const progress: number[] = [];
        const texts = group.map(({ text }) => text);
        const onProgress = ({ done, total }: { done: number; total: number }) => progress.push(done / total);
        const results = await model[task](texts, { ...optionsOf(group[0]), onProgress });
        expect(results.map(({ ids }) => ids)).toEqual(group.map(({ ids }) => ids));
        expect(progress.at(-1)).toBe(1);
      }
    }
  });
});

describe("many texts", () => {
  let model: Seq2Seq;
  beforeAll(async () => {
    model = await loadSeq2Seq(FOLDERS.t5());
  });
  afterAll(() => model.dispose());

  const texts = Array.from({ length: 70 }, (_, i) => runs[i % runs.length].text);

  test("progress comes with each group that shares passes, and the last is all of them", async () => {
    const done: number[] = [];
    const results = await model.text2text(texts, {
      maxNewTokens: 4,
      onProgress: (progress) => done.push(progress.done),
    });
    expect(results).toHaveLength(70);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(done.length).toBeGreaterThan(1);
    expect(done.at(-1)).toBe(70);
  });

  test("a signal calls it off in between, and all memory comes back", async () => {
    const wanted = await model.text2text(texts.slice(0, 3), { maxNewTokens: 6 });
    await model.text2text(texts, { maxNewTokens: 6 });
    const before = model.memory();
    for (let i = 0; i < 20; i++) {
      const controller = new AbortController();
      const options = {
        maxNewTokens: 6,
        signal: controller.signal,
        onProgress: () => controller.abort(new Error("off")),
      };
      await expect(model.text2text(texts, options)).rejects.toThrow("off");
    }
    expect(model.memory()).toEqual(before);
    expect(await model.text2text(texts.slice(0, 3), { maxNewTokens: 6 })).toEqual(wanted);
  });

  test("options that contradict each other, or the model's settings of the task, are errors", async () => {
    await expect(model.summarize("one", { lengthPenalty: 2, numBeams: null })).rejects.toThrow("without numBeams");
    await expect(model.summarize("one", { topK: 3 })).rejects.toThrow("numBeams 4 (of the model's generation config)");
    await expect(model.translate("one", { numBeams: 2 })).rejects.toThrow("pass from and to");
    await expect(model.fillMask("<mask>")).rejects.toThrow("see fillSpans");
  });
});

test("a source is held against the context of the model", async () => {
  const long = "The quick brown fox <mask> over the lazy dog, and the old bridge over the river.";
  const bart = await loadSeq2Seq(FOLDERS.bart(), { contextLength: 20 });
  await expect(bart.fillMask(long)).rejects.toThrow(
    /do not fit the context of 20: .*or load with a larger contextLength/,
  );
  const { promptTokens } = await bart.fillMask(long, { truncate: true, maxNewTokens: 3 });
  expect(promptTokens).toBe(20);
  bart.dispose();
  await expect(bart.summarize("one")).rejects.toThrow("disposed");
});

test("without a tokenizer there are no tasks", async () => {
  const model = await loadSeq2Seq(taskFolder("seq2seq-t5", { "tokenizer.json": null }));
  await expect(model.summarize("one")).rejects.toThrow(/^summarize needs a tokenizer.*generate takes ids$/);
  await expect(model.translate("one", { from: "en", to: "de" })).rejects.toThrow("translate needs a tokenizer");
  expect(() => model.corruptSpans("one two")).toThrow("corruptSpans needs a tokenizer");
  model.dispose();
});

/** `qkv embed`, `fill-mask`, `classify` and `answer`, as a user runs them: the goldens of the tasks through pipes. */

import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { taskGoldens } from "../fixtures/tasks/files";
import { EXECUTABLE, qkv, qkvJson, start, temporaryFolder } from "./run";
import { copyTaskFolder } from "./task-folders";

/** Of the goldens' README: probabilities and normalized embeddings. */
const TOLERANCE = 1e-5;

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
beforeAll(() => {
  for (const name of ["st-mean", "mask-uncased", "classes-single", "answers-uncased"]) copyTaskFolder(name, at(name));
});

/** The lines that a command answers lines with. */
async function answered<T>(args: readonly string[], lines: readonly unknown[]): Promise<(T & { index: number })[]> {
  const input = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  const { code, stdout, stderr } = await qkv([...args, "--jsonl"], { input });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const answers = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as T & { index: number });
  expect(answers.map(({ index }) => index)).toEqual(lines.map((_, i) => i));
  return answers;
}

function expectClose(got: readonly number[], expected: readonly number[], where: string): void {
  expect(got.length).toBe(expected.length);
  for (const [i, value] of got.entries()) {
    expect(Math.abs(value - expected[i]), `${where}, ${i}`).toBeLessThanOrEqual(TOLERANCE);
  }
}

describe.concurrent("goldens", () => {
  test("qkv embed", async () => {
    interface Run {
      readonly folder: string;
      readonly texts: readonly string[];
      readonly options: Readonly<Record<string, unknown>>;
      readonly output: readonly (readonly number[])[];
    }
    const { texts, runs } = taskGoldens<{ texts: Record<string, string>; runs: Run[] }>("embeddings.json");
    const plain = runs.find((run) => run.folder === "st-mean" && Object.keys(run.options).length === 0) as Run;
    expect(plain.texts.length).toBe(20);
    const lines = plain.texts.map((id) => texts[id]);
    const answers = await answered<{ embedding: number[] }>(["embed", at("st-mean"), "--batch-tokens", "64"], lines);
    for (const [i, { embedding }] of answers.entries()) expectClose(embedding, plain.output[i], plain.texts[i]);
  });

  test("qkv fill-mask", async () => {
    interface Run {
      readonly model: string;
      readonly text: string;
      readonly options: Readonly<Record<string, unknown>>;
      readonly output: readonly (readonly { score: number; token: number }[])[];
    }
    const { runs } = taskGoldens<{ runs: Run[] }>("fill-mask.json");
    const plain = runs.filter(
      ({ model, options, output }) =>
        model === "mask-uncased" && Object.keys(options).length === 0 && output !== undefined,
    );
    expect(plain.length).toBeGreaterThan(2);
    const answers = await answered<{ masks: { id: number; score: number }[][] }>(
      ["fill-mask", at("mask-uncased")],
      plain.map(({ text }) => text),
    );
    for (const [i, { masks }] of answers.entries()) {
      expect(masks.map((each) => each.map(({ id }) => id))).toEqual(
        plain[i].output.map((each) => each.map(({ token }) => token)),
      );
      const scores = (lists: readonly (readonly { score: number }[])[]) => lists.flat().map(({ score }) => score);
      expectClose(scores(masks), scores(plain[i].output), plain[i].text);
    }
  });

  test("qkv classify", async () => {
    interface Run {
      readonly model: string;
      readonly text: string;
      readonly text_pair?: string;
      readonly options: Readonly<Record<string, unknown>>;
      readonly output: readonly (readonly [string, number])[];
    }
    const { texts, runs } = taskGoldens<{ texts: Record<string, string>; runs: Run[] }>("text-classification.json");
    const all = runs.filter(
      ({ model, options, text_pair }) =>
        // Of a pair whose second text is empty the reference makes a single text.
        model === "classes-single" && JSON.stringify(options) === '{"top_k":null}' && text_pair !== "empty",
    );
    expect(all.some(({ text_pair }) => text_pair !== undefined)).toBe(true);
    const answers = await answered<{ labels: { label: string; score: number }[] }>(
      ["classify", at("classes-single")],
      all.map(({ text, text_pair }) => (text_pair === undefined ? texts[text] : [texts[text], texts[text_pair]])),
    );
    for (const [i, { labels }] of answers.entries()) {
      expect(labels.map(({ label }) => label)).toEqual(all[i].output.map(([label]) => label));
      expectClose(
        labels.map(({ score }) => score),
        all[i].output.map(([, score]) => score),
        all[i].text,
      );
    }
  });

  test("qkv answer", async () => {
    interface Run {
      readonly model: string;
      readonly question: string;
      readonly options: Readonly<Record<string, unknown>>;
      readonly output: readonly (readonly [number, number, number, string])[];
    }
    type Question = { readonly question: string; readonly context: string };
    const goldens = taskGoldens<{ questions: Record<string, Question>; pipeline: Run[] }>("question-answering.json");
    const three = goldens.pipeline.filter(
      ({ model, question, options, output }) =>
        model === "answers-uncased" &&
        JSON.stringify(options) === '{"top_k":3}' &&
        output?.length === 3 &&
        // The reference counts code points.
        /^[\0-\uffff]*$/u.test(goldens.questions[question].context),
    );
    expect(three.length).toBeGreaterThan(0);
    const answers = await answered<{ spans: { score: number; start: number; end: number; answer: string }[] }>(
      ["answer", at("answers-uncased"), "--top-k", "3"],
      three.map(({ question }) => goldens.questions[question]),
    );
    for (const [i, { spans }] of answers.entries()) {
      const { output, question } = three[i];
      expect(spans.map(({ start, end, answer }) => [start, end, answer])).toEqual(output.map((row) => row.slice(1)));
      expectClose(
        spans.map(({ score }) => score),
        output.map(([score]) => score),
        question,
      );
    }
  });
});

describe.concurrent("commands for every model take encoders", () => {
  test("qkv inspect", async () => {
    const { runs, architecture, config, memory } = await qkvJson<{
      runs: boolean;
      architecture: string;
      config: { head: string };
      memory: object;
    }>(["inspect", at("mask-uncased")]);
    expect({ runs, architecture, head: config.head }).toEqual({ runs: true, architecture: "bert", head: "maskedLm" });
    expect(Object.keys(memory)).toEqual(["weights", "scratch"]);
  });

  test("qkv trace", async () => {
    const out = at("trace.safetensors");
    const args = ["trace", at("mask-uncased"), "--text", "Rome", "--tap", "layers.*.output", "--tap", "logits"];
    const { code, stderr } = await qkv([...args, "--out", out]);
    expect(stderr).toMatch(/^layers\.0\.output \[3, 32\]\nlayers\.1\.output \[3, 32\]\nlogits \[3, 430\]\n/);
    expect(code).toBe(0);
  });
});

describe.concurrent("streams", () => {
  test("ten thousand lines in, ten thousand out, in order", async () => {
    const input = Array.from({ length: 10_000 }, (_, i) => `${"Anna ".repeat(i % 11)}${i}\n`).join("");
    const { code, stdout, stderr } = await qkv(["embed", at("st-mean"), "--dimensions", "2"], { input });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines = stdout.trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { index: number }).index)).toEqual(lines.map((_, i) => i));
    expect(lines).toHaveLength(10_000);
  });

  test("Ctrl-C: whole lines, exit code 130", async () => {
    // Minutes of work, and more than a pipe holds.
    const input = "Anna left Berlin and moved to New York with all her books. \n".repeat(300_000);
    const { child, ended } = start(process.execPath, [EXECUTABLE, "embed", at("st-mean")], { input });
    child.stdout.once("data", () => child.kill("SIGINT"));
    const { code, stdout, stderr } = await ended;
    expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
    expect(stdout).toMatch(/\n$/);
    expect(stdout.split("\n").length).toBeLessThan(200_000);
  });

  test("a reader that leaves ends it quietly", async () => {
    const command = `yes Rome | "$0" "$1" embed "$2" --dimensions 2 | head -n 3`;
    const { code, stdout, stderr } = await start("sh", ["-c", command, process.execPath, EXECUTABLE, at("st-mean")])
      .ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n")).toHaveLength(4);
  });
});

/** `qkv generate`, as a user runs it. */

import { cpSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

test("- is a prompt that is piped in", async () => {
  const { ids } = STORIES.prompt.greedy;
  for (const args of [["-"], [FORMS.gguf, "-"]]) {
    const { stdout } = await qkv(["generate", ...args, "-n", "9", "--json"], { input: "Once upon a time" });
    expect(JSON.parse(stdout)).toMatchObject({ ids: ids.slice(0, 9), promptTokens: 5 });
  }
  const nothing = await qkv(["generate", "-"], { input: "" });
  expect(nothing).toMatchObject({ code: 2, stdout: "" });
  expect(nothing.stderr).toMatch(/the prompt is empty/);
});

import { FORMS, qkv, qkvJson, STORIES, temporaryFolder } from "./run";

interface Report {
  readonly text: string | null;
  readonly ids: readonly number[];
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly finishReason: string;
  readonly timeToFirstTokenMs: number;
  readonly tokensPerSecond: number;
  readonly seed?: number;
}

const PROMPT = "Once upon a time";
const SPEED = /^(\d+) tokens?, [\d.]+ tok\/s, first token after \d+ ms(, seed \d+)?\n$/;

describe.concurrent("qkv generate", () => {
  test("without arguments tells the story that llama2.c tells, from any folder", async () => {
    const { code, stdout, stderr } = await qkv(["generate"], { cwd: "/" });
    expect(stdout).toBe(`${STORIES.bos.greedy.text}\n`);
    expect(stderr).toMatch(SPEED);
    expect(stderr).toMatch(/^200 tokens/);
    expect(code).toBe(0);
  });

  test.each(Object.entries(FORMS))("continues a text alike from %s", async (_, model) => {
    const report = await qkvJson<Report>(["generate", model, PROMPT]);
    expect(report).toEqual({
      text: STORIES.prompt.greedy.text.slice(PROMPT.length),
      ids: STORIES.prompt.greedy.ids,
      promptTokens: STORIES.prompt.ids.length,
      newTokens: 200,
      finishReason: "length",
      timeToFirstTokenMs: expect.any(Number),
      tokensPerSecond: expect.any(Number),
    });
    expect(report.timeToFirstTokenMs).toBeGreaterThan(0);
    expect(report.tokensPerSecond).toBeGreaterThan(1);
  });

  test("a single argument is the prompt, which is printed and continued; or the model, if there is such a file", async () => {
    const { code, stdout, stderr } = await qkv(["generate", PROMPT, "-n", "10"]);
    expect(stdout).toMatch(/^Once upon a time, there was .*\n$/);
    expect(STORIES.prompt.greedy.text.startsWith(stdout.trimEnd())).toBe(true);
    expect(stderr).toMatch(SPEED);
    expect(code).toBe(0);
    const model = await qkv(["generate", FORMS.gguf, "-n", "10"]);
    expect(STORIES.bos.greedy.text.startsWith(model.stdout.trimEnd())).toBe(true);
  });

  test.each([["--threads", "2"], ["--turbo"], ["--kernels", "reference"], ["--dtype", "f32", "--activations", "f32"]])(
    "tells the same with %s %s",
    async (...flags) => {
      const { ids } = await qkvJson<Report>(["generate", PROMPT, "-n", "20", ...flags]);
      expect(ids).toEqual(STORIES.prompt.greedy.ids.slice(0, 20));
    },
  );

  test.each([
    [["--threads", "0"], /--threads/],
    [["--dtype", "q5"], /--dtype: expected one of auto, f32, q8, q4, got q5/],
    [["--activations", "int4"], /--activations/],
    [["--kernels", "cuda"], /--kernels/],
    [["--kernels", "reference", "--turbo"], /--turbo/],
  ])("%j is a wrong command line", async (flags, message) => {
    const { code, stderr } = await qkv(["generate", PROMPT, ...flags]);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });

  test("--ids continues ids, and prints only what is new", async () => {
    const ids = STORIES.prompt.ids.join(",");
    const { stdout } = await qkv(["generate", "--ids", ids]);
    expect(stdout).toBe(`${STORIES.prompt.greedy.text.slice(PROMPT.length)}\n`);
  });

  test("the same seed gives the same text, and a text without one tells its seed", async () => {
    const sampled = ["generate", PROMPT, "-n", "30", "--temperature", "1.1", "--top-k", "50", "--top-p", "0.95"];
    const first = await qkvJson<Report>(sampled);
    expect(first.seed).toEqual(expect.any(Number));
    const again = await qkv([...sampled, "--seed", `${first.seed}`]);
    expect(again.stdout).toBe(`${PROMPT}${first.text}\n`);
    expect(again.stderr).toContain(`, seed ${first.seed}\n`);
  });

  test("--stop ends before the first of its texts", async () => {
    const report = await qkvJson<Report>(["generate", PROMPT, "--stop", "never said", "--stop", " girl"]);
    expect(report).toMatchObject({ text: ", there was a little", finishReason: "stop" });
    expect(report.newTokens).toBe(report.ids.length);
  });

  test("--stop-ids ends with its token, which is in ids", async () => {
    const [first, second, third] = STORIES.prompt.greedy.ids;
    const report = await qkvJson<Report>(["generate", PROMPT, "--stop-ids", `511,${third}`]);
    expect(report).toMatchObject({ ids: [first, second, third], finishReason: "stop", newTokens: 3 });
  });

  test("--no-repeat-ngram-size is a flag with a value, not a negation", async () => {
    const { ids } = await qkvJson<Report>(["generate", PROMPT, "--no-repeat-ngram-size", "2"]);
    const pairs = ids.slice(1).map((id, i) => `${ids[i]},${id}`);
    expect(new Set(pairs).size).toBe(pairs.length);
  });

  test("a model without a tokenizer takes ids and gives ids", async () => {
    const folder = temporaryFolder();
    for (const name of ["config.json", "model.safetensors"]) {
      cpSync(join(FORMS.safetensors, name), join(folder, name));
    }
    const ids = STORIES.prompt.ids.join(",");
    const expected = STORIES.prompt.greedy.ids.slice(0, 4);
    const plain = await qkv(["generate", folder, "--ids", ids, "-n", "4"]);
    expect(plain.stdout).toBe(`${expected.join(" ")}\n`);
    const report = await qkvJson<Report>(["generate", folder, "--ids", ids, "-n", "4"]);
    expect(report).toMatchObject({ text: null, ids: expected });
    const tokenizer = `${FORMS.safetensors}/tokenizer.json`;
    const given = await qkvJson<Report>(["generate", folder, PROMPT, "-n", "4", "--tokenizer", tokenizer]);
    expect(given).toMatchObject({ ids: expected });
  });

  test("going past the context is noted, not refused", async () => {
    const { code, stdout, stderr } = await qkv(["generate", PROMPT, "-n", "12", "--context", "10"]);
    expect(stderr).toMatch(/^qkv: note: .*17, past the context of 10\n12 tokens/);
    expect(STORIES.prompt.greedy.text.startsWith(stdout.trimEnd())).toBe(true);
    expect(code).toBe(0);
  });
});

/** `qkv tokenize`, as a user runs it. */

import { describe, expect, test } from "vitest";
import { FORMS, qkv, qkvJson, STORIES } from "./run";

const PROMPT = "Once upon a time";
const TABLE = ["  1  <s>", "403  ▁Once", "407  ▁upon", "261  ▁a", "378  ▁time", ""].join("\n");

describe.concurrent("qkv tokenize", () => {
  test("gives ids and tokens, the same ids from every form of a model", async () => {
    const { ids, tokens } = await qkvJson<{ ids: number[]; tokens: string[] }>(["tokenize", FORMS.gguf, PROMPT]);
    expect(ids).toEqual(STORIES.prompt.ids);
    expect(tokens).toEqual(["<s>", "▁Once", "▁upon", "▁a", "▁time"]);
    expect(await qkvJson(["tokenize", FORMS["llama2.c"], PROMPT])).toMatchObject({ ids });
  });

  test("prints a token to a line, from an argument, a pipe or -", async () => {
    const runs = await Promise.all([
      qkv(["tokenize", FORMS.safetensors, PROMPT]),
      qkv(["tokenize", FORMS.safetensors], { input: PROMPT }),
      qkv(["tokenize", FORMS.safetensors, "-"], { input: PROMPT }),
    ]);
    for (const run of runs) expect(run).toMatchObject({ code: 0, stdout: TABLE, stderr: "" });
  });

  test("a text of hundreds of thousands of tokens", async () => {
    const { code, stdout } = await qkv(["tokenize", FORMS.gguf], { input: "a b ".repeat(100_000) });
    expect(code).toBe(0);
    expect(stdout.split("\n").length).toBeGreaterThan(200_000);
  });

  test("a tokenizer file alone, without special tokens; control characters are escaped", async () => {
    const file = `${FORMS.safetensors}/tokenizer.json`;
    const { stdout } = await qkv(["tokenize", file, "--no-special-tokens"], { input: "a\u001b[0m" });
    expect(stdout).toMatch(/^261 {2}▁a\n/);
  });

  test("input that is no text", async () => {
    const run = await qkv(["tokenize", FORMS.safetensors], { input: new Uint8Array([0x61, 0xff]) });
    expect(run).toMatchObject({ code: 1, stdout: "", stderr: "qkv: standard input is not UTF-8 text\n" });
  });
});

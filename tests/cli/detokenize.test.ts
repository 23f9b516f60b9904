/** `qkv detokenize`, as a user runs it. */

import { describe, expect, test } from "vitest";
import { FORMS, qkv, STORIES } from "./run";

const IDS = STORIES.prompt.ids.map(String);

describe.concurrent("qkv detokenize", () => {
  test("prints the text of ids, from arguments, a pipe or -", async () => {
    const runs = await Promise.all([
      qkv(["detokenize", FORMS.gguf, ...IDS]),
      qkv(["detokenize", FORMS["llama2.c"], IDS.join(",")]),
      qkv(["detokenize", FORMS.safetensors], { input: `[${IDS.join(", ")}]\n` }),
      qkv(["detokenize", `${FORMS.safetensors}/tokenizer.json`, "-"], { input: IDS.join("\n") }),
    ]);
    for (const run of runs) expect(run).toMatchObject({ code: 0, stdout: "Once upon a time\n", stderr: "" });
  });

  test("special tokens only if asked for; --json prints a JSON string", async () => {
    const { stdout } = await qkv(["detokenize", FORMS.safetensors, ...IDS, "--keep-special-tokens", "--json"]);
    expect(stdout).toBe('"<s> Once upon a time"\n');
  });

  test("no ids at all are an empty text", async () => {
    expect(await qkv(["detokenize", FORMS.safetensors], { input: "" })).toMatchObject({ code: 0, stdout: "\n" });
  });

  test("--jsonl takes arrays, and what tokenize --jsonl prints", async () => {
    const texts = ["Once upon", "line\nbreak \u{1f600}", ""];
    const input = texts.map((text) => `${JSON.stringify(text)}\n`).join("");
    const tokenized = await qkv(["tokenize", FORMS.gguf, "--jsonl"], { input });
    const { code, stdout } = await qkv(["detokenize", FORMS.gguf, "--jsonl"], { input: `${tokenized.stdout}[1,403]` });
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${input}"Once"\n` });
  });

  test.each<[string, string]>([
    ["[1,403]\nnonsense\n", "line 2 of standard input: not JSON: nonsense"],
    ['[1,403]\n"Once"\n', "line 2 of standard input: expected an array of token ids, or an object with ids"],
    ["[1,403]\n[1.5]\n", "line 2 of standard input: expected token ids, got 1.5"],
    ["[1,403]\n[512]\n", "line 2 of standard input: IDS: they go from 0 to 511, got 512"],
  ])("--jsonl: a broken line has its number: %j", async (input, message) => {
    const run = await qkv(["detokenize", FORMS.gguf, "--jsonl"], { input });
    expect(run).toMatchObject({ code: 1, stdout: '"Once"\n', stderr: `qkv: ${message}\n` });
  });

  test.each<[string[], string]>([
    [["1", "x"], 'IDS: expected token ids such as 1,403,407, got "x"'],
    [["1.5"], 'IDS: expected token ids such as 1,403,407, got "1.5"'],
    [["512"], "IDS: they go from 0 to 511, got 512"],
    [["1", "--jsonl"], "--jsonl reads its ids from standard input, and there are IDS too"],
    [["--json", "--jsonl"], "--json and --jsonl are two forms of output: give one"],
  ])("a wrong command line: %j", async (args, message) => {
    const run = await qkv(["detokenize", FORMS.gguf, ...args]);
    expect(run).toMatchObject({ code: 2, stdout: "", stderr: `qkv: ${message}\n` });
  });
});

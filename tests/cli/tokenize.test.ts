/** `qkv tokenize`, as a user runs it. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { EXECUTABLE, FORMS, qkv, qkvJson, STORIES } from "./run";

const PROMPT = "Once upon a time";
const TABLE = [
  "  1  -       <s>",
  "403  0..4    ▁Once",
  "407  4..9    ▁upon",
  "261  9..11   ▁a",
  "378  11..16  ▁time",
  "",
].join("\n");

interface Tokenized {
  readonly ids: number[];
  readonly tokens: string[];
  readonly offsets: [number, number][];
  readonly typeIds: number[];
  readonly specialTokensMask: number[];
}

const ONCE: Tokenized = {
  ids: [1, 403],
  tokens: ["<s>", "▁Once"],
  offsets: [
    [0, 0],
    [0, 4],
  ],
  typeIds: [0, 0],
  specialTokensMask: [1, 0],
};

describe.concurrent("qkv tokenize", () => {
  test("--json gives ids, tokens, offsets, type ids and mask; the same ids from every form of a model", async () => {
    const { ids, tokens, offsets, ...rest } = await qkvJson<Tokenized>(["tokenize", FORMS.gguf, PROMPT]);
    expect(ids).toEqual(STORIES.prompt.ids);
    expect(tokens).toEqual(["<s>", "▁Once", "▁upon", "▁a", "▁time"]);
    expect(offsets).toEqual([
      [0, 0],
      [0, 4],
      [4, 9],
      [9, 11],
      [11, 16],
    ]);
    expect(rest).toEqual({ typeIds: [0, 0, 0, 0, 0], specialTokensMask: [1, 0, 0, 0, 0] });
    expect(await qkvJson(["tokenize", FORMS["llama2.c"], PROMPT])).toMatchObject({ ids });
  });

  test("prints id, place and token in a line, from an argument, a pipe or -", async () => {
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
    expect(stdout).toMatch(/^261 {2}0\.\.1 {2}▁a\n/);
  });

  test("input that is no text", async () => {
    const run = await qkv(["tokenize", FORMS.safetensors], { input: new Uint8Array([0x61, 0xff]) });
    expect(run).toMatchObject({ code: 1, stdout: "", stderr: "qkv: standard input is not UTF-8 text\n" });
  });

  test("--jsonl answers each line with an object: a text, or a text and its pair", async () => {
    const input = `"Once"\r\n["Once","upon"]\n"\\ud83d\\ude00"`;
    const { code, stdout } = await qkv(["tokenize", FORMS.safetensors, "--jsonl"], { input });
    expect(code).toBe(0);
    const answers = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Tokenized);
    expect(answers).toHaveLength(3);
    expect(answers[0]).toEqual(ONCE);
    expect(answers[1].ids.length).toBeGreaterThan(ONCE.ids.length);
    expect(Object.keys(answers[1])).toEqual(Object.keys(ONCE));
    expect(answers[2].tokens.at(-1)).toBe("<0x80>");
  });

  test("--jsonl answers a line before the next one comes", async () => {
    const child = spawn(process.execPath, [EXECUTABLE, "tokenize", FORMS.gguf, "--jsonl"]);
    const ended = once(child, "close");
    for (let round = 0; round < 2; round++) {
      child.stdin.write('"Once"\n');
      const [answer] = await once(child.stdout, "data");
      expect(JSON.parse(String(answer))).toEqual(ONCE);
    }
    child.stdin.end();
    expect(await ended).toEqual([0, null]);
  });

  test.each<[string, string | Uint8Array, string]>([
    ["a line that is no JSON", '"Once"\n{\n"Once"\n', "line 2 of standard input: not JSON: {"],
    ["an empty line", '"Once"\n\n', "line 2 of standard input: not JSON: an empty line"],
    [
      "another value",
      '"Once"\n[1]\n',
      'line 2 of standard input: expected a JSON text or ["text", "pair"], got an array of 1',
    ],
    [
      "bytes that are no text",
      new Uint8Array([...Buffer.from('"Once"\n'), 0xff, 10]),
      "standard input is not UTF-8 text",
    ],
  ])("--jsonl, %s: what came before is answered, and the error names the line", async (_, input, message) => {
    const { code, stdout, stderr } = await qkv(["tokenize", FORMS.safetensors, "--jsonl"], { input });
    expect({ code, stderr: stderr.slice(0, 5 + message.length) }).toEqual({ code: 1, stderr: `qkv: ${message}` });
    expect(stdout).toBe(`${JSON.stringify(ONCE)}\n`);
  });

  test.each<[string[], string]>([
    [["--json", "--jsonl"], "--json and --jsonl are two forms of output: give one"],
    [["Once", "--jsonl"], "--jsonl reads its texts from standard input, and there is a TEXT too"],
  ])("a wrong command line: %j", async (args, message) => {
    const run = await qkv(["tokenize", FORMS.safetensors, ...args]);
    expect(run).toMatchObject({ code: 2, stdout: "", stderr: `qkv: ${message}\n` });
  });
});

/** `summarize` and `translate` without a process: goldens, forms of output, every kind of mistake, interruption. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { loadSeq2Seq } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { copyTaskFolder } from "../../../tests/cli/task-folders";
import { taskGoldens } from "../../../tests/fixtures/tasks/files";
import { fixture } from "../../../tests/support/fixtures";
import { embeddedModel } from "./embedded-model";
import { type FakeTerminalOptions, runInProcess } from "./testing";

const folder = mkdtempSync(join(tmpdir(), "qkv-seq2seq-"));
const at = (name: string) => join(folder, name);
const [T5, MARIAN, BART, MBART, BERT] = [at("t5"), at("marian"), at("bart"), at("mbart"), at("bert")];
const NO_TOKENIZER = fixture("goldens/seq2seq/t5-beams");

beforeAll(() => {
  for (const name of ["t5", "marian", "bart", "mbart"]) copyTaskFolder(`seq2seq-${name}`, at(name));
  copyTaskFolder("mask-uncased", BERT);
  writeFileSync(at("article.txt"), "The old bridge was closed.\nNobody was hurt.\n");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Run {
  readonly model: string;
  readonly task: string;
  readonly text: string;
  readonly from?: string;
  readonly to?: string;
  readonly output: string;
}

const { runs } = taskGoldens<{ readonly runs: readonly Run[] }>("generation.json");
const runsOf = (model: string, task: string, to?: string) =>
  runs.filter((run) => run.model === model && run.task === task && run.to === to);

const piped = (text: string): Readable => Readable.from([Buffer.from(text)]);

/** What a command printed; fails unless it succeeded. */
async function run(argv: readonly string[], stdin?: string, options: FakeTerminalOptions = {}): Promise<string> {
  const found = await runInProcess(argv, { ...options, ...(stdin !== undefined && { stdin: piped(stdin) }) });
  expect({ code: found.code, stderr: found.stderr }).toEqual({ code: 0, stderr: "" });
  return found.stdout;
}

const parsed = (stdout: string) =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe("what transformers gives", () => {
  test.each([
    ["summarize", T5, runsOf("t5", "summarize"), []],
    ["translate", T5, runsOf("t5", "translate", "de"), ["--from", "en", "--to", "de"]],
    ["translate", T5, runsOf("t5", "translate", "fr"), ["--from", "English", "--to", "fr"]],
    ["translate", MARIAN, runsOf("marian", "translate", "fra"), ["--to", "fra"]],
    ["translate", MARIAN, runsOf("marian", "translate", "ron"), ["--to", "ron"]],
  ] as const)("%s %s", async (command, model, some, flags) => {
    expect(some.length).toBeGreaterThanOrEqual(3);
    const expected = some.map(({ output }) => `${output}\n`).join("");
    const texts = some.map(({ text }) => text);
    expect(await run([command, model, ...flags], `${texts.join("\r\n")}\n`)).toBe(expected);
    expect(await run([command, model, ...texts, ...flags])).toBe(expected);
    const lines = parsed(
      await run([command, model, ...flags, "--jsonl"], texts.map((text) => JSON.stringify(text)).join("\n")),
    );
    expect(lines.map(({ index, text }) => [index, text])).toEqual(some.map(({ output }, i) => [i, output]));
  });
});

const SUMMARIZE = ["summarize", T5, "The old bridge was closed.\nNobody was hurt."];
const GREEDY = ["--num-beams", "1", "-n", "6"];

describe("what is printed", () => {
  test("a line for each text, with its score if asked for; of several texts, so many lines", async () => {
    const beams = ["--num-beams", "3", "--num-return-sequences", "2", "-n", "6", "--num-beam-groups", "1"];
    const plain = await run([...SUMMARIZE, ...beams]);
    expect(plain).toMatch(/^[^\n]+\n[^\n]+\n$/);
    const scored = await run([...SUMMARIZE, ...beams, "--scores"]);
    expect(scored).toMatch(/^(-\d+\.\d{4}\t[^\n]+\n){2}$/);
    expect(scored.replace(/^.*\t/gm, "")).toBe(plain);
    const line = parsed(await run([...SUMMARIZE, ...beams, "--json"]))[0] as Record<string, unknown>;
    expect(Object.keys(line)).toEqual(["index", "text", "finishReason", "score", "sequences"]);
    expect((line.sequences as { text: string }[]).map(({ text }) => `${text}\n`).join("")).toBe(plain);
  });

  test("JSON of greedy text has no scores unless asked for", async () => {
    const keys = async (...flags: string[]) =>
      Object.keys(parsed(await run([...SUMMARIZE, ...flags, "--json"]))[0] ?? {});
    expect(await keys(...GREEDY)).toEqual(["index", "text", "finishReason"]);
    expect(await keys(...GREEDY, "--scores")).toEqual(["index", "text", "finishReason", "score", "tokenScores"]);
    expect(await keys("--num-beams", "1", "--seed", "3", "-n", "4")).toEqual(["index", "text", "finishReason", "seed"]);
  });

  test("a file is one text", async () => {
    const text = await run([...SUMMARIZE.slice(0, 2), `${SUMMARIZE[2]}\n`]);
    expect(await run(["summarize", T5, "--text-file", at("article.txt")])).toBe(text);
    expect(await run(["summarize", T5, "--text-file", "-"], `${SUMMARIZE[2]}\n`)).toBe(text);
  });

  test("what the model's files say gives way to flags", async () => {
    const model = await loadSeq2Seq(T5);
    const given = {
      numBeams: 2,
      lengthPenalty: 0.5,
      earlyStopping: "never",
      maxNewTokens: 7,
      prefix: "",
      minNewTokens: 2,
    } as const;
    const { text } = await model.summarize(SUMMARIZE[2] as string, given);
    const own = await model.summarize(SUMMARIZE[2] as string);
    model.dispose();
    const beams = ["--num-beams", "2", "--length-penalty", "0.5", "--early-stopping", "never"];
    expect(await run([...SUMMARIZE, ...beams, "-n", "7", "--prefix", "", "--min-new-tokens", "2"])).toBe(`${text}\n`);
    expect(await run(SUMMARIZE)).toBe(`${own.text}\n`);
    expect(own.text).not.toBe(text);
  });

  test("many lines come in parts, in order, each as it is alone", async () => {
    const texts = Array.from({ length: 70 }, (_, i) => `The house is ${"small and ".repeat(i % 5)}${i}.`);
    const written: number[] = [];
    const onOutput = (text: string) => written.push(text.split("\n").length - 1);
    const argv = ["summarize", T5, ...GREEDY];
    const lines = (await run(argv, `${texts.join("\n")}\n`, { onOutput })).trimEnd().split("\n");
    expect(written).toEqual([32, 32, 6]);
    const at69 = await run([...argv, texts[69] as string]);
    expect(`${lines[69]}\n`).toBe(at69);
    written.length = 0;
    await run(["summarize", T5, "--num-beams", "8", "-n", "3"], `${texts.slice(0, 9).join("\n")}\n`, { onOutput });
    expect(written).toEqual([4, 4, 1]);
    written.length = 0;
    await run(["summarize", T5], `${texts.slice(0, 9).join("\n")}\n`, { onOutput });
    expect(written).toEqual([8, 1]); // the files ask for four beams
  });

  test("nothing is piped in: nothing is printed, and flags are checked all the same", async () => {
    expect(await run(["summarize", T5], "")).toBe("");
    expect(await runInProcess(["translate", T5])).toMatchObject({ code: 2, stdout: "" });
  });

  test("--truncate cuts what is too long", async () => {
    const long = "The house is small. ".repeat(400);
    expect(await run(["summarize", T5, long, ...GREEDY, "--context", "32", "--truncate"])).toMatch(/^.*\n$/);
  });
});

/** Wrong command lines: exit code 2. */
const USAGE: [argv: string[], message: string | RegExp][] = [
  [["summarize"], "MODEL is missing"],
  [["summarize", T5, "a", "--json", "--jsonl"], "--json and --jsonl are two forms of output: give one"],
  [["summarize", T5, "a", "--jsonl"], "--jsonl reads its texts from standard input, and there is a TEXT too"],
  [["summarize", T5, "a", "--text-file", "x"], "give --text-file or TEXT, not both"],
  [["summarize", T5, "--jsonl", "--text-file", "x"], "give --text-file or --jsonl, not both"],
  [["summarize", T5, "a", "--to", "de"], /^unknown option --to/],
  [["summarize", T5, "a", "--ids", "1"], /^unknown option --ids/],
  [["summarize", T5, "a", "--early-stopping", "1"], '--early-stopping: expected true, false or never, got "1"'],
  [
    ["summarize", T5, "a", "--num-beams", "2", "--num-return-sequences", "3"],
    /^--num-return-sequences 3 is more than --num-beams 2$/,
  ],
  [
    ["summarize", T5, "a", "--temperature", "0.7"],
    /^--num-beams 4 \(of the model's generation config\) and --temperature 0.7: .*; --num-beams 1 turns the beams off/,
  ],
  [
    ["summarize", T5, "a", "--suppress-ids", "100000"],
    /^--suppress-ids: expected an integer from 0 to \d+, got 100000$/,
  ],
  [
    ["summarize", T5, "a ".repeat(20), "--context", "8"],
    /^TEXT: \d+ tokens, .* do not fit the context of 8: --truncate cuts the end of the text, or give a larger --context$/,
  ],
  [["summarize", T5, "a", "b ".repeat(20), "--context", "8", "-n", "2", "--num-beams", "1"], /^TEXT 2: \d+ tokens/],
  [["translate", T5, "a"], 'this model is told both languages: pass --from and --to, such as "en" and "de"'],
  [["translate", T5, "a", "--from", "en", "--to", "en"], "--from and --to are both English"],
  [["translate", T5, "a", "--from", "en", "--to", "xx"], /^--to: expected a language's name in English, .*got "xx"$/],
  [["translate", T5, "a", "--from", ""], "--from needs a value, got an empty one"],
  [
    ["translate", T5, "a", "--from", "en", "--to", "de", "--prefix", "x: "],
    /leave out either --prefix, or --from and --to$/,
  ],
  [["translate", MARIAN, "a"], /^this model's vocabulary has languages to translate to: pass --to, one of .*>>fra<</],
  [["translate", MARIAN, "a", "--from", "en", "--to", "fra"], /: leave out --from$/],
  [["translate", MARIAN, "a", "--to", "deu"], /^--to: expected one of .*>>fra<<.*, got ">>deu<<"$/],
  [["translate", MBART, "a", "--from", "xx_XX", "--to", "fr_XX"], /^--from: expected one of .*, got "xx_XX"$/],
  [["translate", BART, "a", "--to", "fr"], "a bart model is not told languages: leave out --from and --to"],
];

/** Failures: exit code 1. */
const FAILURES: [argv: string[], message: string | RegExp][] = [
  ...(["summarize", "translate"] as const).flatMap((name): [string[], RegExp][] => [
    [
      [name, embeddedModel(), "a"],
      new RegExp(`is a decoder \\(llama\\), and qkv ${name} needs an encoder-decoder: use qkv generate$`),
    ],
    [[name, BERT, "a"], /is an encoder \(bert\), and .* needs an encoder-decoder: use qkv fill-mask or qkv embed$/],
  ]),
  ...(["embed", "fill-mask", "classify"] as const).map((name): [string[], RegExp] => [
    [name, T5, "a"],
    new RegExp(
      `is an encoder-decoder \\(t5\\), and qkv ${name} needs an encoder: use qkv generate, qkv summarize or qkv translate$`,
    ),
  ]),
  [["answer", T5, "a", "-q", "b"], /is an encoder-decoder \(t5\), and qkv answer needs an encoder: use qkv generate/],
  [["summarize", NO_TOKENIZER, "a"], /^summarize needs a tokenizer, and this model has none/],
  [["summarize", T5, "--text-file", "/nothing"], "/nothing: there is no such file"],
  [["summarize", "/nothing", "a"], /^\/nothing: there is no such file/],
];

/** A wrong line: what came before is answered, exit code 1. */
const LINES: [argv: string[], stdin: string, answers: number, message: string | RegExp][] = [
  [["--jsonl"], '"a"\n3\n"b"\n', 1, "line 2 of standard input: expected a JSON string, got a JSON number"],
  [["--jsonl"], '"a"\n{\n', 1, "line 2 of standard input: not JSON: {"],
  [
    ["--context", "12"],
    `a\nb\n${"b ".repeat(20)}\nc\n`,
    2,
    /^line 3 of standard input: \d+ tokens, .*: --truncate cuts/,
  ],
];

const matching = (message: string | RegExp) => (typeof message === "string" ? message : expect.stringMatching(message));

describe("mistakes end with one line on stderr", () => {
  test.each(USAGE)("%j: exit code 2", async (argv, message) => {
    const { code, stdout, stderr } = await runInProcess(argv);
    expect(stderr).toMatch(/^qkv: [^\n]*\n$/);
    expect(stderr.slice(5, -1)).toEqual(matching(message));
    expect(code).toBe(2);
    // What comes before a second text is answered.
    expect(stdout.split("\n").length - 1).toBe(/TEXT 2/.test(String(message)) ? 1 : 0);
  });

  test.each(FAILURES)("%j: exit code 1", async (argv, message) => {
    const { code, stdout, stderr } = await runInProcess(argv);
    expect(stderr).toMatch(/^qkv: [^\n]*\n$/);
    expect(stderr.slice(5, -1)).toEqual(matching(message));
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  });

  test.each(LINES)("%j, %j: %i answers before it", async (flags, stdin, answers, message) => {
    const { code, stdout, stderr } = await runInProcess(["summarize", T5, "--num-beams", "1", "-n", "3", ...flags], {
      stdin: piped(stdin),
    });
    expect(stderr.slice(5, -1)).toEqual(matching(message));
    expect(code).toBe(1);
    expect(stdout.split("\n")).toHaveLength(answers + 1);
  });

  test.each(["summarize", "translate"])("%s asks for a text where nothing is piped in", async (name) => {
    const { code, stderr } = await runInProcess([name, T5], { isTTY: true });
    expect({ code, stderr }).toEqual({ code: 2, stderr: "qkv: TEXT is missing, and nothing is piped in\n" });
  });
});

test("an interruption: what was answered stays, whole lines, exit code 130", async () => {
  const controller = new AbortController();
  const onOutput = () => controller.abort(new Error("interrupted"));
  const stdin = piped("The house is small.\n".repeat(200));
  const argv = ["summarize", T5, ...GREEDY];
  const { code, stdout, stderr } = await runInProcess(argv, { stdin, signal: controller.signal, onOutput });
  expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
  expect(stdout.split("\n")).toHaveLength(33);
});

test("a terminal does not obey what a model says", async () => {
  const { stdout } = await runInProcess([...SUMMARIZE, ...GREEDY], { isTTY: true });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them is what is looked for
  expect(stdout).toMatch(/^[^\u0000-\u0009\u000b-\u001f]+\n$/);
});

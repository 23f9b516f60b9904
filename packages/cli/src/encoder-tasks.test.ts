/** The commands of encoders without a process: order, slices, wrong lines, every kind of mistake, interruption. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { copyStandIns, copyTaskFolder, type STAND_INS } from "../../../tests/cli/task-folders";
import { embeddedModel } from "./embedded-model";
import { type FakeTerminalOptions, runInProcess } from "./testing";

const folder = mkdtempSync(join(tmpdir(), "qkv-tasks-"));
const at = (name: keyof typeof STAND_INS) => join(folder, name);
const [MINILM, BERT, SST2, NLI, SQUAD] = [
  at("all-MiniLM-L6-v2"),
  at("bert-base-uncased"),
  at("sst2"),
  at("nli"),
  at("squad"),
];
const NO_TOKENIZER = join(folder, "no-tokenizer");

beforeAll(() => {
  copyStandIns(folder);
  copyTaskFolder("st-mean", NO_TOKENIZER);
  rmSync(join(NO_TOKENIZER, "tokenizer.json"));
  writeFileSync(join(folder, "context.txt"), "Anna lives in Berlin.\nTom lives in Rome.\n");
  writeFileSync(join(folder, "bytes.bin"), new Uint8Array([0x61, 0xff]));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const piped = (text: string): Readable => Readable.from([Buffer.from(text)]);

/** The lines of JSON that a command printed; fails unless it succeeded. */
async function run(argv: readonly string[], stdin?: string, options: FakeTerminalOptions = {}) {
  const found = await runInProcess(argv, { ...options, ...(stdin !== undefined && { stdin: piped(stdin) }) });
  expect({ code: found.code, stderr: found.stderr }).toEqual({ code: 0, stderr: "" });
  return linesOf(found.stdout);
}

/** The same of a single text. */
async function runOne(argv: readonly string[], stdin?: string): Promise<Record<string, unknown>> {
  const lines = await run(argv, stdin);
  expect(lines).toHaveLength(1);
  return lines[0] as Record<string, unknown>;
}

function linesOf(stdout: string): Record<string, unknown>[] {
  expect(stdout).toMatch(/^(\{.*\}\n)*$/);
  return stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Record<string, unknown>]));
}

describe("texts", () => {
  test("arguments, lines, JSON lines: the same answers, in the order of the texts", async () => {
    const texts = ["Anna left Berlin, and nobody knew.", "", "Rome", "a b c d e f"];
    const expected = await run(["embed", MINILM, ...texts]);
    expect(expected.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(await run(["embed", MINILM], `${texts.join("\n")}\n`)).toEqual(expected);
    expect(await run(["embed", MINILM, "-"], texts.join("\r\n"))).toEqual(expected);
    const json = texts.map((text) => JSON.stringify(text)).join("\n");
    expect(await run(["embed", MINILM, "--jsonl"], json)).toEqual(expected);
    const each = await Promise.all(texts.map((text) => run(["embed", MINILM, text])));
    expect(each.map(([line]) => line.embedding)).toEqual(expected.map(({ embedding }) => embedding));
  });

  test("a JSON text may have several lines, which are one text", async () => {
    const line = await runOne(["embed", MINILM, "--jsonl"], '"two\\nlines"\n');
    expect(line).toEqual((await run(["embed", MINILM, "two\nlines"]))[0]);
  });

  test("thousands of lines come in slices, in order; batches do not matter", async () => {
    const texts = Array.from({ length: 2100 }, (_, i) => `${"Anna ".repeat(i % 7)}${i}`);
    const written: number[] = [];
    const onOutput = (text: string) => written.push(text.trimEnd().split("\n").length);
    const argv = ["embed", MINILM, "--dimensions", "3"];
    const all = await run(argv, texts.join("\n"), { onOutput });
    expect(written).toEqual([1000, 1000, 99, 1]); // the last has no line feed, and is there when the input ends
    expect(all.map(({ index }) => index)).toEqual(texts.map((_, i) => i));
    expect(await run([...argv, "--batch-tokens", "16"], texts.join("\n"))).toEqual(all);
    expect(all[2099]).toEqual({ ...(await run([...argv, texts[2099] as string]))[0], index: 2099 });
  });

  test("nothing is piped in: nothing is printed, and the model is checked all the same", async () => {
    expect(await run(["embed", MINILM], "")).toEqual([]);
    expect(await runInProcess(["classify", SQUAD])).toMatchObject({ code: 1, stdout: "" });
  });

  test("a line is answered before the next one comes", async () => {
    const stdin = new Readable({ read() {} });
    stdin.push("Rome\n");
    const onOutput = (_: string, all: string) => {
      const count = all.split("\n").length - 1;
      stdin.push(count === 1 ? "Berlin\n" : null);
    };
    const { code, stdout } = await runInProcess(["embed", MINILM], { stdin, onOutput });
    expect(code).toBe(0);
    expect(linesOf(stdout)).toHaveLength(2);
  });
});

describe("what is printed", () => {
  test("embed: numbers that are float32 to the bit; of length 1 or not; fewer; quantised with their scale", async () => {
    const numbers = async (...flags: string[]) =>
      (await runOne(["embed", MINILM, "Rome", ...flags])).embedding as number[];
    const length = (vector: readonly number[]) => Math.hypot(...vector);
    const plain = await numbers();
    expect(plain).toHaveLength(32);
    for (const value of plain) expect(Number(Math.fround(value).toPrecision(9))).toBe(value);
    expect(length(plain)).toBeCloseTo(1, 6);
    expect(length(await numbers("--no-normalize"))).toBeGreaterThan(1.1);
    expect(length(await numbers("--dimensions", "5"))).toBeLessThan(0.95);
    expect(length(await numbers("--dimensions", "5", "--normalize"))).toBeCloseTo(1, 6);
    expect(await numbers("--pooling", "cls", "--pooling", "mean")).toHaveLength(64);
    expect(await numbers("--pooling", "cls,mean")).toHaveLength(64);
    expect(await numbers("--prompt", "query: ")).not.toEqual(plain);
    const int8 = await runOne(["embed", MINILM, "Rome", "--precision", "int8"]);
    const scale = int8.scale as number;
    for (const [i, value] of (int8.embedding as number[]).entries()) {
      expect(Math.abs(value * scale - (plain[i] as number))).toBeLessThanOrEqual(scale / 2 + 1e-7);
    }
    expect(await run(["embed", MINILM, "Rome", "--precision", "ubinary"])).toEqual([
      { index: 0, embedding: expect.objectContaining({ length: 4 }) },
    ]);
  });

  test("embed: prompts by name, and none for an empty one", async () => {
    const model = at("snowflake-arctic-embed-s"); // its default prompt is that of queries
    const embed = async (...flags: string[]) => (await runOne(["embed", model, "Rome", ...flags])).embedding;
    expect(await embed()).toEqual(await embed("--prompt-name", "query"));
    expect(await embed("--prompt", "")).not.toEqual(await embed());
    expect(await embed("--prompt=")).toEqual(await embed("--prompt", ""));
  });

  test("fill-mask: a list for each mask", async () => {
    const line = await runOne(["fill-mask", BERT, "Anna [MASK] in [MASK].", "--top-k", "2"]);
    const masks = line.masks as { token: string; score: number }[][];
    expect(masks.map((each) => each.length)).toEqual([2, 2]);
    expect(Object.keys(masks[0]?.[0] ?? {})).toEqual(["token", "id", "score", "text"]);
    const targets = ["--target", "is", "--target", "the"];
    const chosen = await runOne(["fill-mask", BERT, "Rome [MASK] big.", ...targets]);
    const tokens = (chosen.masks as { token: string }[][]).flat().map(({ token }) => token);
    expect(tokens.sort()).toEqual(["is", "the"]);
  });

  test("classify: texts, pairs, and labels of one's own", async () => {
    const line = await runOne(["classify", SST2, "Rome"]);
    const labels = line.labels as { label: string; score: number }[];
    expect(labels.map(({ label }) => label).sort()).toEqual(["negative", "neutral", "positive"]);
    expect(labels.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 6);
    expect((await runOne(["classify", SST2, "Rome", "--top-k", "1"])).labels).toEqual(labels.slice(0, 1));
    const pairs = await run(["classify", SST2, "--jsonl", "--scores", "none"], '["Rome", "Berlin"]\n"Rome"\n');
    expect(pairs[0]?.labels).not.toEqual(pairs[1]?.labels);

    const argv = ["classify", NLI, "The team won the game on Sunday."];
    const zero = async (...flags: string[]) =>
      (await runOne([...argv, ...flags])).labels as { label: string; score: number }[];
    // of tests/fixtures/tasks/zero-shot.json
    const own = await zero("--labels", "sports, politics,science,");
    expect(own.map(({ label }) => label)).toEqual(["politics", "sports", "science"]);
    for (const [i, score] of [0.47199255, 0.4185831, 0.109424405].entries()) {
      expect(own[i]?.score).toBeCloseTo(score, 5);
    }
    expect(await zero("--labels", "sports", "--labels", "politics,science", "--top-k", "2")).toEqual(own.slice(0, 2));
    const many = await zero("--labels", "sports,politics,science", "--multi-label");
    expect(many[0]?.score).toBeCloseTo(0.7820384, 5);
    expect(await zero("--labels", "sports,politics", "--template", "It is {}.")).not.toEqual(
      await zero("--labels", "sports,politics"),
    );
  });

  test("answer: contexts of arguments, lines, JSON, a file", async () => {
    const context = "Anna lives in Berlin.";
    const line = await runOne(["answer", SQUAD, context, "-q", "Where?", "--top-k", "3"]);
    expect(Object.keys(line)).toEqual(
      "index answer start end score spans nullScore bestSpanScore nullScoreDiff".split(" "),
    );
    expect(context.slice(line.start as number, line.end as number)).toBe(line.answer);
    expect(line.spans).toHaveLength(3);
    const argv = ["answer", SQUAD, "--top-k", "3"];
    expect(await run([...argv, "-q", "Where?"], `${context}\n`)).toEqual([line]);
    expect(await run([...argv, "-q", "Where?", "--jsonl"], JSON.stringify(context))).toEqual([line]);
    const question = JSON.stringify({ id: 7, question: "Where?", context });
    expect(await run([...argv, "--jsonl"], `${question}\n${question}\n`)).toEqual([line, { ...line, index: 1 }]);

    const whole = ["answer", SQUAD, "-q", "Who?", "--context-file"];
    const file = await runOne([...whole, join(folder, "context.txt")]);
    expect(await run([...whole, "-"], "Anna lives in Berlin.\nTom lives in Rome.\n")).toEqual([file]);
    expect(file.answer).toEqual(expect.any(String));
  });

  test("answer: none, above the threshold", async () => {
    const none = ["answer", SQUAD, "Anna lives in Berlin.", "-q", "Where?", "--no-answer-threshold"];
    const unsure = await runOne([...none, "1000"]);
    expect(unsure).toMatchObject({ answer: null, start: null, end: null });
    expect((await runOne([...none, "-1000"])).answer).toEqual(expect.any(String));
  });
});

/** A wrong line: what came before is answered, exit code 1. */
const LINES: [argv: string[], stdin: string, answers: number, message: string | RegExp][] = [
  [["embed", MINILM, "--jsonl"], '"a"\n{\n"b"\n', 1, "line 2 of standard input: not JSON: {"],
  [["embed", MINILM, "--jsonl"], '"a"\n\n', 1, "line 2 of standard input: not JSON: an empty line"],
  [["embed", MINILM, "--jsonl"], '["a","b"]', 0, "line 1 of standard input: expected a JSON string, got an array of 2"],
  [
    ["fill-mask", BERT],
    "a [MASK]\nb [MASK]\nno mask\n[MASK]",
    2,
    "line 3 of standard input has no mask: write [MASK] where a word is wanted",
  ],
  [
    ["fill-mask", BERT],
    `[MASK]\n${"Rome ".repeat(100)}[MASK]`,
    1,
    /^line 2 of standard input: a mask lies beyond the 64 tokens/,
  ],
  [
    ["classify", SST2, "--jsonl"],
    '"a"\n["a"]\n',
    1,
    'line 2 of standard input: expected a JSON string or ["text", "pair"], got an array of 1',
  ],
  [
    ["classify", NLI, "--labels", "a,b", "--jsonl"],
    '["a", "b"]\n',
    0,
    "line 1 of standard input: expected a JSON string, got an array of 2",
  ],
  [
    ["answer", SQUAD, "--jsonl"],
    '{"question":"a","context":"b"}\n{"question":"a"}\n',
    1,
    /^line 2 of standard input: expected \{"question", "context"\} with strings/,
  ],
  [["answer", SQUAD, "--jsonl"], "null", 0, /^line 1 .*got null$/],
  [
    ["answer", SQUAD, "-q", "a", "--jsonl"],
    '{"question":"a","context":"b"}',
    0,
    /^line 1 .*the question is --question/,
  ],
  [
    ["answer", SQUAD, "--jsonl"],
    `{"question":"a","context":"b"}\n{"question":"${"Rome ".repeat(70)}","context":"b"}`,
    1,
    /^line 2 of standard input: the question takes \d+ of the 64 tokens/,
  ],
];

/** Wrong command lines: exit code 2. */
const USAGE: [argv: string[], message: string | RegExp][] = [
  [["embed"], "MODEL is missing"],
  [["embed", MINILM, "a", "--jsonl"], "--jsonl reads its texts from standard input, and there is a TEXT too"],
  [["embed", MINILM, "--normalize", "--no-normalize"], "give --normalize or --no-normalize, not both"],
  [["embed", MINILM, "--prompt", "a", "--prompt-name", "query"], "give --prompt or --prompt-name, not both"],
  [["embed", MINILM, "--prompt-name", "x"], "--prompt-name: expected one of query, document, got x"],
  [["embed", MINILM, "--pooling", "sum"], /^--pooling: expected one of mean, cls, max, .*, got sum$/],
  [["embed", MINILM, "--precision", "f16"], /^--precision: expected one of f32, int8, .*, got f16$/],
  [["embed", MINILM, "--dimensions", "33"], /^--dimensions: expected an integer from 1 to 32, got 33$/],
  [["embed", MINILM, "--dimensions", "0"], '--dimensions: expected an integer of at least 1, got "0"'],
  [["embed", MINILM, "--max-tokens", "65"], /^--max-tokens: expected an integer from 1 to 64, got 65$/],
  [["embed", MINILM, "--batch-tokens", "99999999"], /^--batch-tokens: expected an integer from 1 to/],
  [["embed", MINILM, "--batch-tokens", "x"], /^--batch-tokens: expected an integer of at least 1/],
  [["embed", MINILM, "--top-k", "1"], /^unknown option --top-k/],
  [["fill-mask", BERT, "--top-k", "0"], '--top-k: expected an integer of at least 1, got "0"'],
  [["fill-mask", BERT, "--target", "xyzzyq"], /^--target: expected a single token, got "xyzzyq"/],
  [["fill-mask", BERT, "--target", ""], "--target needs a value, got an empty one"],
  [["fill-mask", BERT, "a [MASK]", "b"], "TEXT 2 has no mask: write [MASK] where a word is wanted"],
  [["fill-mask", BERT, "b"], "TEXT has no mask: write [MASK] where a word is wanted"],
  [["classify", SST2, "--scores", "max"], /^--scores: expected one of softmax, sigmoid, none, got max$/],
  [["classify", NLI, "--multi-label"], "--multi-label does nothing without --labels"],
  [["classify", NLI, "--template", "{}"], "--template does nothing without --labels"],
  [["classify", NLI, "--labels", ","], "--labels: expected labels such as sports,politics, got none"],
  [["classify", NLI, "--labels", "a", "--template", "no place"], /^--template: expected a \{\} where the label goes/],
  [["classify", NLI, "--labels", "a", "--scores", "none"], /^--scores is for the model's own labels/],
  [["answer", SQUAD, "a"], /^--question is missing \(with --jsonl/],
  [["answer", SQUAD, "a", "-q", "b", "--window-tokens", "65"], /^--window-tokens: expected an integer from 1 to 64/],
  [["answer", SQUAD, "a", "-q", "b", "--stride", "64"], /^--stride: expected an integer from 0 to 63, got 64$/],
  [["answer", SQUAD, "a", "-q", "b", "--no-answer-threshold", "x"], /^--no-answer-threshold: expected a number/],
  [["answer", SQUAD, "a", "-q", "b", "--context-file", "x"], "give --context-file or TEXT, not both"],
  [["answer", SQUAD, "--jsonl", "-q", "b", "--context-file", "x"], "give --context-file or --jsonl, not both"],
  [["answer", SQUAD, "a", "-q", "b", "--context", "8"], /^unknown option --context; did you mean --context-file\?/],
];

/** Failures: exit code 1. */
const FAILURES: [argv: string[], message: string | RegExp][] = [
  ...(["embed", "fill-mask", "classify"] as const).map((name): [string[], RegExp] => [
    [name, embeddedModel(), "a"],
    new RegExp(`stories260K is a decoder \\(llama\\), and qkv ${name} needs an encoder: use qkv generate$`),
  ]),
  [
    ["generate", BERT, "a"],
    /is an encoder \(bert\), and qkv generate needs a decoder or an encoder-decoder: use qkv fill-mask or qkv embed$/,
  ],
  [["generate", SST2, "a"], /and qkv generate needs a decoder or an encoder-decoder: use qkv classify$/],
  [["generate", SQUAD, "a"], /and qkv generate needs a decoder or an encoder-decoder: use qkv answer$/],
  [["generate", MINILM, "a"], /and qkv generate needs a decoder or an encoder-decoder: use qkv embed$/],
  [["fill-mask", SST2, "a"], /^fillMask needs a masked language model's head.*sequenceClassification$/],
  [["classify", SST2, "a", "--labels", "b"], /^zeroShotClassify needs a model of natural language inference/],
  [["answer", BERT, "a", "-q", "b"], /^answer needs a question answering head/],
  [["embed", NO_TOKENIZER, "a"], /^embed needs a tokenizer, and this model has none/],
  [["embed", "/nothing", "a"], /^\/nothing: there is no such file/],
  [["answer", SQUAD, "-q", "a", "--context-file", "/nothing"], "/nothing: there is no such file"],
  [["answer", SQUAD, "-q", "a", "--context-file", folder], /: there is something that is not a file$/],
  [["answer", SQUAD, "-q", "a", "--context-file", join(folder, "bytes.bin")], /bytes\.bin: is not UTF-8 text$/],
];

const matching = (message: string | RegExp) => (typeof message === "string" ? message : expect.stringMatching(message));

describe("mistakes end with one line on stderr", () => {
  test.each(LINES)("%j, %j: %i answers before it", async (argv, stdin, answers, message) => {
    const { code, stdout, stderr } = await runInProcess(argv, { stdin: piped(stdin) });
    expect(stderr).toMatch(/^qkv: [^\n]*\n$/);
    expect(stderr.slice(5, -1)).toEqual(matching(message));
    expect(code).toBe(1);
    expect(linesOf(stdout).map(({ index }) => index)).toEqual(Array.from({ length: answers }, (_, i) => i));
  });

  test.each(USAGE)("%j: exit code 2", async (argv, message) => {
    const { code, stdout, stderr } = await runInProcess(argv);
    expect(stderr).toMatch(/^qkv: [^\n]*\n$/);
    expect(stderr.slice(5, -1)).toEqual(matching(message));
    expect(code).toBe(2);
    if (!/^TEXT 2/.test(String(message))) expect(stdout).toBe("");
  });

  test.each(FAILURES)("%j: exit code 1", async (argv, message) => {
    const { code, stdout, stderr } = await runInProcess(argv);
    expect(stderr).toMatch(/^qkv: [^\n]*\n$/);
    expect(stderr.slice(5, -1)).toEqual(matching(message));
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  });

  test.each(["embed", "fill-mask", "classify"])("%s asks for a text where nothing is piped in", async (name) => {
    const { code, stderr } = await runInProcess([name, MINILM], { isTTY: true });
    expect({ code, stderr }).toEqual({ code: 2, stderr: "qkv: TEXT is missing, and nothing is piped in\n" });
  });
});

describe("interruption", () => {
  test("between two slices: what was answered stays, exit code 130", async () => {
    const controller = new AbortController();
    const onOutput = () => controller.abort(new Error("interrupted"));
    const stdin = piped("Rome\n".repeat(5000));
    const { code, stdout, stderr } = await runInProcess(["embed", MINILM], {
      stdin,
      signal: controller.signal,
      onOutput,
    });
    expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
    expect(linesOf(stdout)).toHaveLength(1000);
  });

  test("while it waits for a line", async () => {
    const controller = new AbortController();
    const stdin = new Readable({ read: () => setImmediate(() => controller.abort()) });
    const run = await runInProcess(["embed", MINILM], { stdin, signal: controller.signal });
    expect(run).toEqual({ code: 130, stdout: "", stderr: "" });
    expect(stdin.destroyed).toBe(true);
  });
});

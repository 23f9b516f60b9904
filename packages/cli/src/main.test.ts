/** The command line without a process: every kind of mistake, colours, interruption. The real thing is in tests/cli. */

import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { embeddedModel } from "./embedded-model";
import { runInProcess } from "./testing";

const MODEL = embeddedModel();
const folder = mkdtempSync(join(tmpdir(), "qkv-main-"));
const inFolder = (name: string) => join(folder, name);
const OUT = inFolder("out.safetensors");

beforeAll(() => {
  writeFileSync(inFolder("text.bin"), "this is no model\n".repeat(10));
  writeFileSync(inFolder("cut.safetensors"), readFileSync(`${MODEL}/model.safetensors`).subarray(0, 1000));
  copyFileSync(`${MODEL}/config.json`, inFolder("config.json"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Wrong command lines: exit code 2, and one line that says what. */
const USAGE: [argv: string[], message: string | RegExp][] = [
  [["genrate"], "unknown command genrate; did you mean generate?"],
  [
    ["help"],
    "unknown command help; the commands are generate, summarize, translate, embed, fill-mask, classify, answer, inspect, tokenize, detokenize, trace",
  ],
  [["constructor"], /^unknown command constructor/],
  [["--json"], /^unknown option --json/],
  [["generate", "--max-tokens", "3"], "unknown option --max-tokens; did you mean --max-new-tokens?"],
  [["generate", "--maxNewTokens", "3"], "unknown option --maxNewTokens; did you mean --max-new-tokens?"],
  [["generate", "--xyzzy"], "unknown option --xyzzy (a text that begins with a dash goes after --)"],
  [["generate", "--no-json"], /^unknown option --no-json/],
  [["generate", "-x"], /^unknown option -x/],
  [["generate", "--__proto__", "1"], /^unknown option --__proto__/],
  [
    ["trace", MODEL, "--ids", "1", "--decoder-ids", "1", "--tap", "logits", "--out", OUT],
    "--decoder-ids is for encoder-decoders, and this model is a decoder",
  ],
  [["generate", "--json=1"], '--json takes no value, got "1"'],
  [["generate", "--ids"], "--ids needs a value"],
  [["generate", "--ids", "--json"], /^--ids needs a value \(if --json is meant to be one, write --ids=--json\)/],
  [["generate", "--seed", "1", "--seed", "2"], "--seed was given twice"],
  [["generate", MODEL, "two", "words"], 'unexpected argument "words" (put a text of several words in quotes)'],
  [["inspect"], "MODEL is missing"],
  [["inspect", MODEL, "more"], /^unexpected argument "more"/],
  [["generate", "-n", "abc"], '--max-new-tokens: expected an integer of at least 0, got "abc"'],
  [["generate", "-n", "-1"], '--max-new-tokens: expected an integer of at least 0, got "-1"'],
  [["generate", "-n", ""], '--max-new-tokens: expected an integer of at least 0, got ""'],
  [["generate", "-n", "1.5"], '--max-new-tokens: expected an integer of at least 0, got "1.5"'],
  [["generate", "-n", "0x10"], '--max-new-tokens: expected an integer of at least 0, got "0x10"'],
  [["generate", "-n", "\u001b[31m"], /^--max-new-tokens: .*\\u\{1b\}/],
  [["generate", "--temperature", "1e999"], '--temperature: expected a number of at least 0, got "1e999"'],
  [["generate", "--temperature", "NaN"], '--temperature: expected a number of at least 0, got "NaN"'],
  [["generate", "--temperature", "-1"], '--temperature: expected a number of at least 0, got "-1"'],
  [["generate", "--top-p", "0"], '--top-p: expected a number above 0 and up to 1, got "0"'],
  [["generate", "--top-k", "0"], '--top-k: expected an integer of at least 1, got "0"'],
  [["generate", "--seed", "9007199254740992"], /^--seed: expected an integer/],
  [["generate", "--temperature", "0", "--top-k", "3"], /^--top-k does nothing at --temperature 0/],
  [["generate", "--context", "0"], '--context: expected an integer of at least 1, got "0"'],
  [["generate", "--context", "999999999999"], /^--context: expected an integer from 1 to \d+, got 999999999999$/],
  [["generate", "--no-repeat-ngram-size", "0"], /^--no-repeat-ngram-size: expected/],
  [["generate", "--stop", ""], "--stop needs a value, got an empty one"],
  [["generate", "--ids", ""], '--ids: expected token ids such as 1,403,407, got ""'],
  [["generate", "--ids", "1,,2"], '--ids: expected an integer of at least 0, got ""'],
  [["generate", "--ids", "1,512"], "--ids: 512 is no token of this model, which has 0 to 511"],
  [["generate", "--stop-ids", "512"], "--stop-ids: 512 is no token of this model, which has 0 to 511"],
  [["generate", "--stop-ids", "1", "--ignore-eos"], "give --stop-ids or --ignore-eos, not both"],
  [["generate", "Once", "--ids", "1"], "give a prompt or --ids, not both"],
  [["generate", ""], "the prompt is empty: leave it out to let the model begin"],
  [
    ["generate", "Once upon a time", "--context", "3"],
    /^the prompt has 5 tokens, and the context 3 positions: --context/,
  ],
  [["trace", MODEL], "give --ids or --text: what to run"],
  [["trace", MODEL, "--ids", "1", "--text", "a"], "give --ids or --text, not both"],
  [["trace", MODEL, "--ids", "1", "--out", OUT], /^--tap is missing; there are embeddings, layers\.\{i\}\..*, logits$/],
  [["trace", MODEL, "--ids", "1", "--tap", "logits"], "--out is missing: the file to write"],
  [["trace", MODEL, "--ids", "1", "--tap", "logit", "--out", OUT], /^--tap: nothing is called "logit"; there are/],
  [["trace", MODEL, "--ids", "512", "--tap", "logits", "--out", OUT], /^--ids: 512 is no token/],
  [
    ["trace", MODEL, "--text", "Once upon a time", "--context", "3", "--tap", "logits", "--out", OUT],
    /^the prompt has 5/,
  ],
];

/** Failures: exit code 1. */
const FAILURES: [argv: string[], message: string | RegExp][] = [
  [["generate", "/nothing/here", "Once"], "/nothing/here: there is no such file or folder"],
  [["generate", "./nothing"], /^\.\/nothing: there is no such file or folder \(if it is the prompt/],
  [["generate", "nothing.gguf"], /^nothing\.gguf: there is no such file or folder/],
  [["inspect", "/nothing/\u001b[2J"], /^\/nothing\/\\u\{1b\}\[2J: there is no such file/],
  [["tokenize", "/nothing", "text"], /^\/nothing: there is no such file/],
  [["generate", inFolder("text.bin")], /^text\.bin: is of no known format/],
  [["generate", inFolder("cut.safetensors")], /^cut\.safetensors: /],
  [["generate", "--tokenizer", "/nothing"], /^\/nothing: there is no such file/],
  [["generate", "--file", "nothing.gguf", MODEL], /^nothing\.gguf: /],
  [["trace", MODEL, "--ids", "1", "--tap", "logits", "--out", folder], /there is something that is not a file$/],
  [
    ["trace", MODEL, "--ids", "1", "--tap", "logits", "--out", inFolder("a/b")],
    /^cannot write .*: there is no such folder$/,
  ],
];

describe("mistakes end with one line on stderr", () => {
  test.each(USAGE)("%j: exit code 2", async (argv, message) => {
    const { code, stdout, stderr } = await runInProcess(argv);
    expect(stderr).toMatch(/^qkv: [^\n]*\n$/);
    expect(stderr.slice(5, -1)).toEqual(typeof message === "string" ? message : expect.stringMatching(message));
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  test.each(FAILURES)("%j: exit code 1", async (argv, message) => {
    const { code, stdout, stderr } = await runInProcess(argv);
    expect(stderr).toMatch(/^qkv: [^\n]*\n$/);
    expect(stderr.slice(5, -1)).toEqual(typeof message === "string" ? message : expect.stringMatching(message));
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(readdirSync(folder).sort()).toEqual(["config.json", "cut.safetensors", "text.bin"]);
  });
});

describe("terminals", () => {
  test("help without a command goes to stderr, exit code 2", async () => {
    const [asked, bare] = [await runInProcess(["--help"]), await runInProcess([])];
    expect(bare).toEqual({ code: 2, stdout: "", stderr: asked.stdout });
  });

  test("--help wins over whatever else is wrong", async () => {
    const { code, stdout } = await runInProcess(["generate", "--bogus", "-h"]);
    expect(stdout).toContain("USAGE qkv generate [OPTIONS] [MODEL] [PROMPT]");
    expect(code).toBe(0);
  });

  test("the prompt is dim on a terminal, and plain with NO_COLOR", async () => {
    const argv = ["generate", "Once upon a time", "-n", "3"];
    const { stdout } = await runInProcess(argv, { isTTY: true });
    expect(stdout).toBe("\u001b[2mOnce upon a time\u001b[22m, there was\n");
    for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }]) {
      const plain = await runInProcess(argv, { isTTY: true, env });
      expect(plain.stdout).toBe("Once upon a time, there was\n");
      expect(plain.stderr).not.toContain("\u001b");
    }
  });

  test("a text that begins with a dash goes after --", async () => {
    const { code, stdout } = await runInProcess(["generate", "-n", "1", "--", "--json"]);
    expect(stdout).toMatch(/^--json/);
    expect(code).toBe(0);
  });

  test("tokenize asks for a text where nothing is piped in", async () => {
    const { code, stderr } = await runInProcess(["tokenize", MODEL], { isTTY: true });
    expect({ code, stderr }).toEqual({ code: 2, stderr: "qkv: TEXT is missing, and nothing is piped in\n" });
  });
});

describe("interruption", () => {
  test("of a generation ends its line", async () => {
    const controller = new AbortController();
    const onOutput = (_: string, all: string) => all.endsWith("a time") && controller.abort();
    const run = await runInProcess(["generate"], { signal: controller.signal, onOutput });
    expect(run).toEqual({ code: 130, stdout: "Once upon a time\n", stderr: "" });
  });

  test("of a wait for standard input", async () => {
    const controller = new AbortController();
    const stdin = new Readable({ read: () => setImmediate(() => controller.abort()) });
    const run = await runInProcess(["tokenize", MODEL], { stdin, signal: controller.signal });
    expect(run).toEqual({ code: 130, stdout: "", stderr: "" });
    expect(stdin.destroyed).toBe(true);
  });

  test.each([
    ["EPIPE", 141, ""],
    ["ENOSPC", 1, "qkv: cannot write the output: ENOSPC\n"],
  ])("output that fails with %s: exit code %i", async (code, exit, message) => {
    const onOutput = () => {
      throw Object.assign(new Error(code), { code });
    };
    for (const argv of [["generate"], ["inspect", MODEL], ["generate", "--json", "-n", "1"]]) {
      const run = await runInProcess(argv, { onOutput });
      expect(run).toEqual({ code: exit, stdout: "", stderr: message });
    }
  });
});

/** Encoder-decoders, as a user runs them: `qkv generate`, `summarize`, `translate`, `trace` and `inspect`; Ctrl-C and readers that leave. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadSeq2Seq } from "@qkv/models";
import { beforeAll, describe, expect, test } from "vitest";
import { taskGoldens } from "../fixtures/tasks/files";
import { fixture, readJson } from "../support/fixtures";
import { readExpected } from "../support/safetensors";
import { EXECUTABLE, qkv, qkvJson, start, temporaryFolder } from "./run";
import { copyTaskFolder } from "./task-folders";

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const T5 = at("t5");
beforeAll(() => {
  copyTaskFolder("seq2seq-t5", T5);
});

/** No tokenizer, and goldens of transformers. */
const IDS_ONLY = fixture("goldens/seq2seq/t5-beams");

interface Golden {
  readonly input_ids: readonly number[];
  readonly decoder_input_ids: readonly number[];
  readonly generation: {
    readonly prompt: readonly number[];
    readonly greedy: readonly { readonly eos_token_id: number | null; readonly tokens: readonly number[] }[];
  };
}

const golden = () => readJson<{ cases: { short: Golden } }>(`${IDS_ONLY}/expected.json`).cases.short;

describe.concurrent("commands", () => {
  test("qkv generate: what transformers generates", async () => {
    const { prompt, greedy } = golden().generation;
    const { tokens } = greedy.find(({ eos_token_id }) => eos_token_id === null) as { tokens: readonly number[] };
    const argv = ["generate", IDS_ONLY, "--ids", prompt.join(","), "--ignore-eos", "-n", String(tokens.length)];
    expect(await qkv(argv)).toMatchObject({ code: 0, stdout: `${tokens.join(" ")}\n` });
    expect(await qkvJson(argv)).toMatchObject({ ids: tokens, promptTokens: prompt.length, text: null });
  });

  test("qkv generate with beams: the text that the library gives", async () => {
    const text = "translate English to German: The house is small.";
    const model = await loadSeq2Seq(T5);
    const best = await model.generate(text, { numBeams: 3, maxNewTokens: 12 }).result();
    model.dispose();
    const { code, stdout, stderr } = await qkv(["generate", T5, text, "--num-beams", "3", "-n", "12"]);
    expect(stdout).toBe(`${best.text}\n`);
    expect(stderr).toContain(`score ${best.score?.toFixed(4)}\n`);
    expect(code).toBe(0);
  });

  test("qkv summarize and translate: lines in, what transformers gives out", async () => {
    const { runs } = taskGoldens<{
      runs: readonly { model: string; task: string; text: string; to?: string; output: string }[];
    }>("generation.json");
    const of = (task: string, to?: string) =>
      runs.filter((run) => run.model === "t5" && run.task === task && run.to === to);
    for (const [command, some] of [
      [["summarize", T5], of("summarize")],
      [["translate", T5, "--from", "en", "--to", "de"], of("translate", "de")],
    ] as const) {
      expect(some.length).toBeGreaterThan(2);
      const input = some.map(({ text }) => `${text}\n`).join("");
      const stdout = some.map(({ output }) => `${output}\n`).join("");
      expect(await qkv(command, { input })).toEqual({ code: 0, signal: null, stdout, stderr: "" });
    }
  });

  test("qkv trace: the file holds the bits that `run` captures, of encoder, decoder and logits", async () => {
    const { input_ids, decoder_input_ids } = golden();
    const out = at("trace.safetensors");
    const argv = ["trace", IDS_ONLY, "--ids", input_ids.join(","), "--decoder-ids", decoder_input_ids.join(",")];
    const { code, stdout, stderr } = await qkv([...argv, "--tap", "*", "--out", out]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toContain("decoder.layers.0.cross_attention.probs [2, 5, 9]\n");
    const model = await loadSeq2Seq(IDS_ONLY);
    const { captured } = model.run(input_ids, decoder_input_ids, { capture: ["*"] });
    const { taps } = model;
    model.dispose();
    const written = readExpected(out);
    expect([...written.keys()].sort()).toEqual([...taps].sort());
    for (const [name, { shape, data }] of written) {
      expect(shape, name).toEqual(captured[name].shape);
      expect(Buffer.from(data.slice().buffer).equals(Buffer.from(captured[name].data.slice().buffer)), name).toBe(true);
    }
    expect(await qkv(["trace", IDS_ONLY, "--list"])).toMatchObject({ code: 0, stdout: `${taps.join("\n")}\n` });
  });

  test("qkv trace: the decoder is given the start token alone, unless told otherwise", async () => {
    const files = [at("default.safetensors"), at("start.safetensors")];
    const argv = ["trace", T5, "--text", "The house", "--tap", "decoder.*,logits"];
    const runs = await Promise.all([
      qkv([...argv, "--out", files[0]]),
      qkv([...argv, "--decoder-ids", "0", "--out", files[1]]),
    ]);
    for (const run of runs)
      expect(run).toMatchObject({ code: 0, stderr: expect.stringMatching(/^logits \[1, \d+\]$/m) });
    expect(readFileSync(files[0]).equals(readFileSync(files[1]))).toBe(true);
  });

  test.each([
    [["--ids", "40"], "--ids: expected an integer from 0 to 39, got 40"],
    [["--ids", "1", "--decoder-ids", "40"], "--decoder-ids: 40 is no token of this model, which has 0 to 39"],
    [["--text", "a"], "--text needs a tokenizer, and this model has none: give --ids"],
  ])("qkv trace: a wrong command line: %j", async (flags, message) => {
    const run = await qkv(["trace", IDS_ONLY, ...flags, "--tap", "logits", "--out", at("none.safetensors")]);
    expect(run).toMatchObject({ code: 2, stdout: "", stderr: `qkv: ${message}\n` });
  });

  test("qkv inspect says what it is", async () => {
    const { stdout } = await qkv(["inspect", T5]);
    expect(stdout).toMatch(/^architecture: t5\nkind: encoder-decoder\nformat: safetensors\n/);
    const { kind, config, memory } = await qkvJson<Record<string, object>>(["inspect", T5]);
    expect({ kind, config }).toMatchObject({ kind: "seq2seq", config: { numDecoderLayers: 1 } });
    expect(Object.keys(memory).sort()).toEqual(["cache", "scratch", "weights"]);
  });
});

describe.concurrent("signals", () => {
  test("Ctrl-C during beams prints nothing, exit code 130", async () => {
    const argv = ["generate", "-n", "50000", "--ignore-eos", "--num-beams", "4"];
    const { child, ended } = start(process.execPath, [EXECUTABLE, ...argv]);
    await once(child.stderr, "data"); // the note that it goes past the context: generation is about to start
    child.kill("SIGINT");
    const { code, stdout, stderr } = await ended;
    expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
    expect(stderr).toMatch(/^qkv: note: [^\n]*\n$/);
  });

  test("Ctrl-C during a task: whole lines, exit code 130", async () => {
    const input = "The house is small. \n".repeat(100_000);
    const { child, ended } = start(process.execPath, [EXECUTABLE, "summarize", T5], { input });
    child.stdout.once("data", () => child.kill("SIGINT"));
    const { code, stdout, stderr } = await ended;
    expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
    expect(stdout).toMatch(/^([^\n]+\n)+$/);
    expect(stdout.split("\n").length).toBeLessThan(50_000);
  });

  test("a reader that leaves ends it quietly", async () => {
    const command = `yes 'The house is small.' | "$0" "$1" translate "$2" --from en --to de | head -n 3`;
    const { code, stdout, stderr } = await start("sh", ["-c", command, process.execPath, EXECUTABLE, T5]).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n")).toHaveLength(4);
  });
});

/** Generation on the command line without a process: encoder-decoders, beams, several texts; the goldens through flags. */

import { loadDecoder } from "@qkv/models";
import { describe, expect, test } from "vitest";
import { fixture, readJson } from "../../../tests/support/fixtures";
import { embeddedModel } from "./embedded-model";
import { runInProcess } from "./testing";

const golden = (name: string) => fixture(`goldens/seq2seq/${name}`);
const [T5, BART] = [golden("t5-beams"), golden("bart-beams")];
const STORIES = embeddedModel();
const SOURCE = ["--ids", "8,25,26,22"];
/** Of the goldens' README. */
const SCORE_TOLERANCE = 1e-4;

interface Report {
  readonly text: string | null;
  readonly ids: readonly number[];
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly finishReason: string;
  readonly timeToFirstTokenMs: number | null;
  readonly tokensPerSecond: number;
  readonly seed?: number;
  readonly score?: number;
  readonly tokenScores?: readonly number[];
  readonly sequences?: readonly Pick<Report, "text" | "ids" | "finishReason" | "score" | "tokenScores">[];
}

async function json(...argv: readonly string[]): Promise<Report> {
  const { code, stdout, stderr } = await runInProcess(["generate", ...argv, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Report;
}

interface Beams {
  readonly [setting: string]: unknown;
  readonly num_beams: number;
  readonly num_return_sequences: number;
  readonly eos_token_id: number | readonly number[] | null;
  readonly sequences: readonly (readonly number[])[];
  readonly sequences_scores?: readonly number[];
  readonly token_scores?: readonly (readonly number[])[];
}

interface Golden {
  readonly cases: {
    readonly short: {
      readonly generation: {
        readonly prompt: readonly number[];
        readonly greedy: readonly { readonly eos_token_id: number | null; readonly tokens: readonly number[] }[];
        readonly beam: readonly Beams[];
      };
    };
  };
}

const RESULTS = ["sequences", "sequences_scores", "token_scores"];
const NO_FLAGS = [
  "min_length",
  "begin_suppress_tokens",
  "bad_words_ids",
  "forced_eos_token_id",
  "prefix_allowed_tokens",
];
const OTHER_NAMES: Readonly<Record<string, string>> = {
  suppress_tokens: "suppress-ids",
  forced_bos_token_id: "forced-bos-id",
  eos_token_id: "stop-ids",
};

/** transformers' settings as flags. */
function flagsOf(run: Beams): string[] {
  return Object.entries(run).flatMap(([name, value]) => {
    if (RESULTS.includes(name)) return [];
    if (name === "eos_token_id" && value === null) return ["--ignore-eos"];
    return [`--${OTHER_NAMES[name] ?? name.replaceAll("_", "-")}`, String(value)];
  });
}

describe("what transformers gives, by flags", () => {
  const model = T5;
  const { prompt, greedy, beam } = readJson<Golden>(`${model}/expected.json`).cases.short.generation;
  const source = ["--ids", prompt.join(",")];
  const runs = beam.filter((run) => run.num_beams > 1 && !NO_FLAGS.some((each) => each in run));

  test("greedy, streamed", async () => {
    const [run] = greedy.filter(({ eos_token_id }) => eos_token_id !== null);
    const stop = ["--stop-ids", String(run?.eos_token_id)];
    const { code, stdout, stderr } = await runInProcess(["generate", model, ...source, ...stop, "-n", "24"]);
    expect(stdout).toBe(`${run?.tokens.join(" ")}\n`);
    expect(stderr).toMatch(new RegExp(`^${run?.tokens.length} tokens, [\\d.]+ tok/s, first token after \\d+ ms\\n$`));
    expect(code).toBe(0);
  });

  test("there are many with beams", () => expect(runs.length).toBe(11));

  test.each(runs.map((run) => [flagsOf(run), run] as const))("%j", async (flags, run) => {
    const report = await json(model, ...source, ...flags, "--scores");
    const found = report.sequences ?? [report];
    expect(found).toHaveLength(run.num_return_sequences);
    for (const [i, { ids, score, tokenScores }] of found.entries()) {
      const padded = run.sequences[i] as readonly number[];
      expect(padded.slice(0, ids.length)).toEqual(ids);
      expect(Math.abs((score as number) - (run.sequences_scores?.[i] as number))).toBeLessThan(SCORE_TOLERANCE);
      expect(tokenScores).toHaveLength(ids.length);
      for (const [t, value] of (tokenScores as number[]).entries()) {
        expect(Math.abs(value - (run.token_scores?.[i]?.[t] as number))).toBeLessThan(SCORE_TOLERANCE);
      }
    }
    expect(report.ids).toEqual(found[0]?.ids);
  });
});

describe("beams and several texts", () => {
  test("the best text at its end, with its score on standard error", async () => {
    const { code, stdout, stderr } = await runInProcess([
      "generate",
      STORIES,
      "Once upon",
      "-n",
      "9",
      "--num-beams",
      "3",
    ]);
    const model = await loadDecoder(STORIES);
    const { text, score } = await model.generate("Once upon", { maxNewTokens: 9, numBeams: 3 }).result();
    model.dispose();
    expect(stdout).toBe(`Once upon${text}\n`);
    expect(stderr).toMatch(/^9 tokens, [\d.]+ tok\/s, score -[\d.]+\n$/);
    expect(stderr).toContain(`score ${score?.toFixed(4)}\n`);
    expect(code).toBe(0);
  });

  test("several are numbered", async () => {
    const beams = ["--num-beams", "4", "--num-return-sequences", "2", "-n", "4", "--ignore-eos"];
    const { stdout, stderr } = await runInProcess(["generate", T5, ...SOURCE, ...beams]);
    expect(stdout).toMatch(/^1\. \(-\d\.\d{4}\) (\d+ ){3}\d+\n2\. \(-\d\.\d{4}\) (\d+ ){3}\d+\n$/);
    expect(stderr).toMatch(/^2 texts, 8 tokens, [\d.]+ tok\/s\n$/);
  });

  test("samples have a seed, and scores if asked for", async () => {
    const flags = ["-n", "5", "--temperature", "1.5", "--num-return-sequences", "3"];
    const first = await json(STORIES, "Tim", ...flags);
    expect(first.sequences).toHaveLength(3);
    expect(new Set(first.sequences?.map(({ text }) => text)).size).toBeGreaterThan(1);
    expect(first).not.toHaveProperty("score");
    const again = await runInProcess(["generate", STORIES, "Tim", ...flags, "--seed", String(first.seed)]);
    expect(again.stdout).toBe(first.sequences?.map(({ text }, i) => `${i + 1}. Tim${text}\n`).join(""));
    const scored = await json(STORIES, "Tim", ...flags, "--seed", String(first.seed), "--scores");
    expect(scored.sequences?.map(({ tokenScores }) => tokenScores?.length)).toEqual([5, 5, 5]);
  });

  test("JSON: nothing comes before the end, and scores are where they were counted", async () => {
    const beams = await json(T5, ...SOURCE, "--num-beams", "2", "-n", "3");
    expect(beams).toMatchObject({ text: null, timeToFirstTokenMs: null, promptTokens: 4, newTokens: beams.ids.length });
    expect(beams.tokensPerSecond).toBeGreaterThan(0);
    expect(Object.keys(beams)).toEqual(
      "text ids promptTokens newTokens finishReason timeToFirstTokenMs tokensPerSecond score".split(" "),
    );
    const greedy = await json(T5, ...SOURCE, "-n", "3", "--scores");
    expect(greedy.timeToFirstTokenMs).toEqual(expect.any(Number));
    const sum = (greedy.tokenScores as number[]).reduce((total, each) => total + each, 0);
    expect(greedy.score).toBeCloseTo(sum / greedy.newTokens, 10);
    expect(await json(T5, ...SOURCE, "-n", "3")).not.toHaveProperty("score");
  });

  test("without a length: 200 new tokens, and no more than the context has", async () => {
    expect((await json(T5, ...SOURCE, "--ignore-eos")).newTokens).toBe(200);
    expect((await json(BART, ...SOURCE, "--ignore-eos")).newTokens).toBe(27);
  });

  test("the prompt is a source, and not shown", async () => {
    const { stdout } = await runInProcess(["generate", T5, ...SOURCE, "-n", "2", "--decoder-start-id", "5"], {
      isTTY: true,
    });
    expect(stdout).toMatch(/^\d+ \d+\n$/);
    expect(stdout).not.toBe((await runInProcess(["generate", T5, ...SOURCE, "-n", "2"])).stdout);
  });
});

/** Wrong command lines: exit code 2. */
const USAGE: [argv: string[], message: string | RegExp][] = [
  [[T5], "a prompt is needed: an encoder-decoder makes a text of another"],
  [[T5, "--ids", "40"], "--ids: expected an integer from 0 to 39, got 40"],
  [[T5, ...SOURCE, "--stop-ids", "40"], "--stop-ids: 40 is no token of this model, which has 0 to 39"],
  [[T5, ...SOURCE, "--suppress-ids", "40"], /^--suppress-ids: expected an integer from 0 to 39, got 40$/],
  [[T5, ...SOURCE, "--forced-bos-id", "40"], "--forced-bos-id: expected an integer from 0 to 39, got 40"],
  [[T5, ...SOURCE, "--decoder-start-id", "40"], "--decoder-start-id: expected an integer from 0 to 39, got 40"],
  [[T5, ...SOURCE, "--num-beams", "0"], '--num-beams: expected an integer of at least 1, got "0"'],
  [[T5, ...SOURCE, "--num-beams", "2000"], "--num-beams: expected an integer from 1 to 1024, got 2000"],
  [[T5, ...SOURCE, "--length-penalty", "2"], "--length-penalty does nothing without --num-beams above 1"],
  [[T5, ...SOURCE, "--length-penalty", "2", "-n", "5000"], "--length-penalty does nothing without --num-beams above 1"],
  [[T5, ...SOURCE, "--early-stopping", "true"], "--early-stopping does nothing without --num-beams above 1"],
  [[T5, ...SOURCE, "--num-beams", "2", "--length-penalty", "x"], '--length-penalty: expected a number, got "x"'],
  [[T5, ...SOURCE, "--early-stopping", "maybe"], '--early-stopping: expected true, false or never, got "maybe"'],
  [[T5, ...SOURCE, "--early-stopping"], "--early-stopping needs a value"],
  [[T5, ...SOURCE, "--num-beams", "3", "--num-beam-groups", "2"], "--num-beam-groups 2 does not divide --num-beams 3"],
  [
    [T5, ...SOURCE, "--num-beams", "4", "--num-beam-groups", "2"],
    /^--num-beam-groups 2 needs a --diversity-penalty above 0/,
  ],
  [
    [T5, ...SOURCE, "--num-beams", "4", "--diversity-penalty", "-1"],
    /^--diversity-penalty: expected a number of at least 0/,
  ],
  [[T5, ...SOURCE, "--num-return-sequences", "2"], /^--num-return-sequences 2 needs --num-beams or sampling/],
  [
    [T5, ...SOURCE, "--num-beams", "2", "--num-return-sequences", "3"],
    "--num-return-sequences 3 is more than --num-beams 2",
  ],
  [
    [T5, ...SOURCE, "--num-beams", "2", "--top-k", "3"],
    "--num-beams 2 and --top-k 3: sampling with beams is not supported; --num-beams 1 turns the beams off, --temperature 0 the sampling",
  ],
  [
    [STORIES, "a", "--num-beams", "2", "--stop", "b"],
    "--stop and --num-beams 2: beams do not stop at strings; use --stop-ids",
  ],
  [[T5, ...SOURCE, "--min-new-tokens", "3", "-n", "2"], "--min-new-tokens 3 is more than --max-new-tokens 2"],
  [[T5, ...SOURCE, "--min-new-tokens", "3", "--ignore-eos"], "--min-new-tokens does nothing with --ignore-eos"],
  [[T5, ...SOURCE, "--min-p", "2"], '--min-p: expected a number from 0 to 1, got "2"'],
  [[T5, ...SOURCE, "--min-p", "0.1", "--temperature", "0"], /^--min-p does nothing at --temperature 0/],
  [[T5, ...SOURCE, "--repetition-penalty", "0"], '--repetition-penalty: expected a number above 0, got "0"'],
  [
    [STORIES, "a", "--encoder-repetition-penalty", "1.2"],
    "--encoder-repetition-penalty 1.2 is for encoder-decoders; this model is a decoder",
  ],
  [[STORIES, "a", "--encoder-no-repeat-ngram-size", "2"], /^--encoder-no-repeat-ngram-size 2 is for encoder-decoders/],
  [[STORIES, "a", "--decoder-start-id", "2"], /^--decoder-start-id 2 is for encoder-decoders/],
  [[BART, "--ids", Array(29).fill("3").join()], /^the prompt has 29 tokens, and the context 28 positions/],
  [[T5, ...SOURCE, "--from", "en"], /^unknown option --from/],
];

describe("mistakes end with one line on stderr", () => {
  test.each(USAGE)("%j: exit code 2", async (argv, message) => {
    const { code, stdout, stderr } = await runInProcess(["generate", ...argv]);
    expect(stderr).toMatch(/^qkv: [^\n]*\n$/);
    expect(stderr.slice(5, -1)).toEqual(typeof message === "string" ? message : expect.stringMatching(message));
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  test("a text for a model without a tokenizer: exit code 1", async () => {
    const { code, stdout, stderr } = await runInProcess(["generate", T5, "a text"]);
    expect(stderr).toMatch(/^qkv: source as a text needs a tokenizer, and this model has none: .*\n$/);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  });
});

test("an interruption during beams prints nothing, exit code 130", async () => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error("interrupted")), 300);
  // So many tokens take minutes.
  const argv = ["generate", STORIES, "Once", "--num-beams", "4", "--ignore-eos", "-n", "100000", "--json"];
  const { code, stdout, stderr } = await runInProcess(argv, { signal: controller.signal });
  expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
  expect(stderr).toMatch(/^(qkv: note: [^\n]*\n)?$/);
});

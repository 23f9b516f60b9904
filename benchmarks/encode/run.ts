/**
 * How fast embeddings are next to the libraries that people would use instead: all-MiniLM-L6-v2 from the same weights, the
 * same texts, each contender in processes of its own. Needs QKV_MODELS; QKV_EXPORTS adds the peers. See README.md.
 *
 *     npx -y pnpm@10 bench:encode [--quick] [--rounds N] [--only PART-OF-A-NAME]...
 *
 * A whole run writes ../results/encode.json and encode.md; --quick (96 texts) and --only print only.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { externalFolder, options } from "../command";
import { saveResults, thisMachine } from "../page";
import { bundleChild } from "../process";
import { largestStep } from "./batches";
import { type Contender, contenders, type Skipped, waysOf } from "./contender";
import { measure, type Round } from "./process";
import type { Job, Share, Text } from "./protocol";
import { toMarkdown } from "./report";
import { type Report, type Rounds, summarize } from "./summary";
import { makeTexts } from "./texts";

const MODEL = "all-MiniLM-L6-v2";

/** Numbers of texts, and the time for a way in a round, at two threads: who needs longer gets a part of the texts. */
const FULL = { mixed: 2000, equal: 64, budgetMs: 4000 };
const QUICK = { mixed: 96, equal: 32, budgetMs: 500 };
/** At one thread, whose figures no target needs. */
const SINGLE_BUDGET = 0.5;
/** What peers try each way with, and ours the second one; its first is run on all texts, which are compared then. */
const TRIAL_STEP = 16;
/** Ways that are this near to the fastest in the trial are measured, too. */
const NEAR = 0.9;

/** One run of the benchmark. */
class Run {
  readonly #file: string;
  readonly #query: Text;
  readonly #sizes: typeof FULL;
  readonly #skipped: Skipped[];
  readonly #textsPath: string;
  readonly #referencePath: string;
  /** Whose embeddings lie at `#referencePath`. */
  reference: string | null = null;
  /** Null of those that failed. */
  readonly #trials = new Map<string, { readonly trial: Round; readonly threads: number } | null>();
  readonly #rounds = new Map<Contender, Round[]>();

  constructor(
    bundle: { folder: string; file: string },
    texts: ReturnType<typeof makeTexts>,
    sizes: typeof FULL,
    skipped: Skipped[],
  ) {
    this.#file = bundle.file;
    this.#query = texts.query;
    this.#sizes = sizes;
    this.#skipped = skipped;
    this.#textsPath = join(bundle.folder, "texts.json");
    this.#referencePath = join(bundle.folder, "reference.f32");
    writeFileSync(this.#textsPath, JSON.stringify({ mixed: texts.mixed, equal: texts.equal }));
  }

  /** Finds a contender's best way, and whether it does the same work. One that differs in threads only has done it. */
  async try(contender: Contender): Promise<void> {
    if (this.#trials.has(keyOf(contender))) return;
    const whole = contender.library === "qkv";
    const shares = waysOf(contender).map((way): Share => {
      const most = largestStep(way, this.#sizes.mixed);
      return { way, step: way === "all" ? 1 : Math.min(most, TRIAL_STEP) };
    });
    const isReference = whole && this.reference === null && contender.dtype === "f32";
    const trial = await this.#measure(contender, "trial", {
      shares,
      inFull: false,
      neighbours: true,
      referencePath: this.reference === null ? null : this.#referencePath,
      writePath: isReference ? this.#referencePath : null,
    });
    this.#trials.set(keyOf(contender), trial === null ? null : { trial, threads: contender.threads });
    if (isReference && trial !== null) this.reference = contender.name;
  }

  async round(contender: Contender, name: string): Promise<void> {
    const tried = this.#trials.get(keyOf(contender));
    if (tried == null) return;
    const fastest = Math.max(...tried.trial.shares.map(({ rate }) => rate));
    const budget = this.#sizes.budgetMs * (contender.threads === 1 ? SINGLE_BUDGET : 1);
    const slower = Math.max(1, tried.threads / contender.threads);
    const shares = tried.trial.shares
      .filter(({ way, rate }) => way === "32" || rate >= NEAR * fastest)
      .map(({ way, wholeMs }): Share => {
        const step = Math.ceil((wholeMs * slower) / budget);
        return { way, step: Math.min(step, largestStep(way, this.#sizes.mixed)) };
      });
    const round = await this.#measure(contender, name, {
      shares,
      inFull: true,
      neighbours: false,
      referencePath: this.reference === null ? null : this.#referencePath,
      writePath: null,
    });
    if (round !== null) this.#rounds.set(contender, [...(this.#rounds.get(contender) ?? []), round]);
  }

  /** Those who were measured. */
  results(): Rounds[] {
    return [...this.#rounds].map(([{ name, library, dtype, threads, turbo, node, ...rest }, rounds]) => {
      const who = { name, library, dtype, threads, turbo, node };
      return { ...who, trial: this.#trials.get(keyOf({ ...who, ...rest }))!.trial, rounds };
    });
  }

  /** Null if it failed, which is in `skipped` then. */
  async #measure(
    contender: Contender,
    part: string,
    job: Omit<Job, "settings" | "query" | "startedAt" | "textsPath">,
  ): Promise<Round | null> {
    const start = performance.now();
    const { name, node: _, execPath, ...settings } = contender;
    try {
      const common = { settings, query: this.#query, textsPath: this.#textsPath };
      const round = await measure(this.#file, execPath, { ...common, ...job });
      console.error(`${part}: ${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
      return round;
    } catch (error) {
      const because = error instanceof Error ? error.message : String(error);
      console.error(`left out: ${part}: ${name}: ${because}`);
      this.#skipped.push({ name: `${name} (${part})`, because });
      return null;
    }
  }
}

/** What contenders that differ in threads only have in common. */
function keyOf({ library, dtype, turbo, node }: Contender): string {
  return JSON.stringify([library, dtype, turbo, node]);
}

async function main(): Promise<void> {
  const { only, rounds, quick } = options();
  const sizes = quick ? QUICK : FULL;
  const models = externalFolder("QKV_MODELS", join(MODEL, "model.safetensors"));
  if (models === undefined) throw new Error(`QKV_MODELS is not set: name the folder that has ${MODEL}`);
  const model = join(models, MODEL);
  const { all, skipped, versions } = contenders(model, externalFolder("QKV_EXPORTS", "minilm/config.json"));
  const chosen = all.filter(({ name }) => only.length === 0 || only.some((part) => name.includes(part)));
  if (chosen.length === 0) throw new RangeError(`--only: none of ${all.map(({ name }) => `"${name}"`).join(", ")}`);
  for (const { name, because } of skipped) console.error(`left out: ${name}: ${because}`);

  const texts = makeTexts(readFileSync(join(model, "tokenizer.json"), "utf8"), sizes);
  const start = performance.now();
  const bundle = await bundleChild(new URL("child.ts", import.meta.url));
  const run = new Run(bundle, texts, sizes, skipped);
  try {
    for (const contender of chosen) await run.try(contender);
    for (let round = 0; round < rounds; round++) {
      // There and back, so that what drifts in one direction does not favour who comes first.
      for (const contender of round % 2 === 0 ? chosen : [...chosen].reverse()) {
        await run.round(contender, `round ${round + 1}`);
      }
    }
  } finally {
    bundle.remove();
  }

  const results = run.results();
  if (results.length === 0) throw new Error("nothing was measured");
  const report: Report = {
    date: new Date().toISOString().slice(0, 10),
    machine: thisMachine(),
    nodes: [...new Set(all.map(({ node }) => node))],
    versions,
    texts: {
      mixed: sizes.mixed,
      equal: sizes.equal,
      meanWords: texts.meanWords,
      meanTokens: texts.mixed.reduce((sum, { ids }) => sum + ids.length, 0) / sizes.mixed,
    },
    rounds,
    seconds: (performance.now() - start) / 1000,
    reference: run.reference,
    skipped,
    contenders: results.map(summarize),
  };
  const markdown = toMarkdown(report);
  console.log(markdown);
  if (quick || only.length > 0) return; // not the whole picture: the last whole one stays
  saveResults("encode", report, { md: markdown });
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});

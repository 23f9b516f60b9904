/**
 * How fast an encoder-decoder is next to the libraries that people would use instead: t5-titler from the same weights, the
 * same ids, each contender in processes of its own. Needs QKV_MODELS; QKV_EXPORTS adds the peers. See README.md.
 *
 *     npx -y pnpm@10 bench:seq2seq [--quick] [--rounds N] [--only PART-OF-A-NAME]...
 *
 * A whole run writes ../results/seq2seq.json and seq2seq.md; --quick (fewer repeats, one round) and --only print only.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { externalFolder, options } from "../command";
import { OURS } from "../packages";
import { median, saveResults, thisMachine } from "../page";
import { bundleChild } from "../process";
import { stepBytes, type T5Sizes } from "./bound";
import { type Contender, contenders, type Skipped, THREADS } from "./contender";
import { measure, type Watched } from "./process";
import {
  type AccuracyJob,
  type AccuracyMeasured,
  type Coarse,
  type Dtype,
  LENGTHS,
  type LimitJob,
  type LimitMeasured,
  type ModelJob,
  type ModelMeasured,
  type Repeats,
} from "./protocol";
import { toMarkdown } from "./report";
import { type Report, referenceOf, summarize } from "./summary";
import { makeSources, titledTexts } from "./texts";

const MODEL = "t5-titler";

/** Warm: compilers have several stages. */
const FULL: Repeats = { warm: 3, least: 3, leastMs: 1000 };
const QUICK: Repeats = { warm: 1, least: 1, leastMs: 0 };
const LIMIT_MS = { full: 1000, quick: 200 };

/** Does something, and says how long it took, or why it failed, which is in `skipped` then. */
async function attempt<Result>(name: string, part: string, skipped: Skipped[], work: () => Promise<Result>) {
  const start = performance.now();
  try {
    const result = await work();
    console.error(`${part}: ${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
    return result;
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    console.error(`left out: ${part}: ${name}: ${because}`);
    skipped.push({ name: `${name} (${part})`, because });
    return null;
  }
}

/** What was measured in all rounds. */
interface Measured {
  readonly models: Map<Contender, Watched<ModelMeasured>[]>;
  readonly rates: Map<number, number[]>;
  readonly accuracy: AccuracyMeasured | null;
}

async function measureAll(
  chosen: readonly Contender[],
  model: string,
  coarse: Coarse | null,
  { rounds, quick }: ReturnType<typeof options>,
  skipped: Skipped[],
): Promise<Measured> {
  const models = new Map<Contender, Watched<ModelMeasured>[]>();
  const rates = new Map<number, number[]>();
  let accuracy: AccuracyMeasured | null = null;
  const tokenizer = readFileSync(join(model, "tokenizer.json"), "utf8");
  const sources = makeSources(tokenizer);
  const ours = chosen.some(({ library }) => library === "qkv");
  const repeats = quick ? QUICK : FULL;
  const child = await bundleChild(new URL("child.ts", import.meta.url));
  const limit = await bundleChild(new URL("limit.ts", import.meta.url));
  try {
    for (let round = 0; round < rounds; round++) {
      const part = `round ${round + 1}`;
      for (const threads of ours ? THREADS : []) {
        const job: LimitJob = { threads, leastMs: quick ? LIMIT_MS.quick : LIMIT_MS.full };
        const read = await attempt(`memory at ${threads}`, part, skipped, () =>
          measure<LimitMeasured>(limit.file, process.execPath, job),
        );
        if (read !== null) rates.set(threads, [...(rates.get(threads) ?? []), read.rate]);
      }
      // There and back, so that what drifts in one direction does not favour who comes first.
      for (const contender of round % 2 === 0 ? chosen : [...chosen].reverse()) {
        const { name, node: _, execPath, ...settings } = contender;
        const job: ModelJob = { kind: "model", settings, sources, repeats };
        const done = await attempt(name, part, skipped, () => measure<ModelMeasured>(child.file, execPath, job));
        if (done !== null) models.set(contender, [...(models.get(contender) ?? []), done]);
      }
    }
    if (ours) {
      const job: AccuracyJob = {
        kind: "accuracy",
        modulePath: OURS,
        folder: model,
        coarse,
        texts: titledTexts(tokenizer),
      };
      accuracy = await attempt("qkv", "accuracy", skipped, () =>
        measure<AccuracyMeasured>(child.file, process.execPath, job),
      );
    }
  } finally {
    child.remove();
    limit.remove();
  }
  return { models, rates, accuracy };
}

async function main(): Promise<void> {
  const given = options();
  const { only, rounds, quick } = given;
  const models = externalFolder("QKV_MODELS", join(MODEL, "model.safetensors"));
  if (models === undefined) throw new Error(`QKV_MODELS is not set: name the folder that has ${MODEL}`);
  const model = join(models, MODEL);
  const { all, skipped, versions, newer, coarse } = contenders(
    model,
    externalFolder("QKV_EXPORTS", `${MODEL}/config.json`),
  );
  const chosen = all.filter(({ name }) => only.length === 0 || only.some((part) => name.includes(part)));
  if (chosen.length === 0) throw new RangeError(`--only: none of ${all.map(({ name }) => `"${name}"`).join(", ")}`);
  for (const { name, because } of skipped) console.error(`left out: ${name}: ${because}`);

  const start = performance.now();
  const measured = await measureAll(chosen, model, coarse, given, skipped);
  if (measured.models.size === 0) throw new Error("nothing was measured");
  const summaries = chosen.flatMap((contender) => {
    const rounds = measured.models.get(contender);
    if (rounds === undefined) return [];
    const { name, library, dtype, threads, turbo, node } = contender;
    return [summarize({ name, library, dtype, threads, turbo, node, rounds })];
  });
  const sizes = JSON.parse(readFileSync(join(model, "config.json"), "utf8")) as T5Sizes;
  const stepMB = (dtype: Dtype): number[] => LENGTHS.map((length) => stepBytes(sizes, dtype, length) / 1e6);
  const report: Report = {
    date: new Date().toISOString().slice(0, 10),
    machine: thisMachine(),
    nodes: [process.versions.node, ...(newer === null || newer.node === process.versions.node ? [] : [newer.node])],
    versions,
    rounds,
    seconds: (performance.now() - start) / 1000,
    reference: referenceOf(summaries)?.name ?? null,
    limits: [...measured.rates].map(([threads, rates]) => ({ threads, rate: median(rates) })),
    stepMB: { f16: stepMB("f16"), q8: stepMB("q8"), f32: stepMB("f32") },
    accuracy: measured.accuracy,
    skipped,
    contenders: summaries,
  };
  const markdown = toMarkdown(report);
  console.log(markdown);
  if (quick || only.length > 0) return; // not the whole picture: the last whole one stays
  saveResults("seq2seq", report, { md: markdown });
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});

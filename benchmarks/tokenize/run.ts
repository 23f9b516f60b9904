/**
 * How fast tokenizers are: ours, Hugging Face's native library, and two in JavaScript. Each contender has a process of its
 * own for each vocabulary; they take turns, case by case and round by round, with the same texts. See README.md.
 *
 *     npx -y pnpm@10 bench:tokenize [--quick] [--rounds N] [--only PART-OF-A-VOCABULARY-OR-CONTENDER]...
 *
 * A whole run writes ../results/tokenize.json and tokenize.md; --quick (short texts) and --only print only.
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fixtureBytes, fixtureText } from "../../tests/support/tokenizer-fixtures";
import { gpt2Json, t5Json } from "../../tests/tokenizers/files";
import { busyMs, options } from "../command";
import { saveResults, thisMachine } from "../page";
import { bundleChild } from "../process";
import { Child } from "./process";
import { type Case, CONTENDERS, type ContenderName, type Job, KINDS, LONG_TEXTS, type Measured } from "./protocol";
import { type Report, type Result, toMarkdown } from "./report";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, "../..");

/** Where each library is installed. */
const INSTALLED: Readonly<Record<Exclude<ContenderName, "qkv">, { readonly name: string; readonly by: string }>> = {
  "tokenizers (native)": { name: "tokenizers", by: join(ROOT, "tests/tokenizers/package.json") },
  "@huggingface/tokenizers": { name: "@huggingface/tokenizers", by: join(HERE, "../peers/package.json") },
  "@xenova/transformers": { name: "@xenova/transformers", by: join(HERE, "../peers/package.json") },
};

/** The same tokenizer.json for all, with merges in the form that the older library knows too. */
const VOCABULARIES: Readonly<Record<string, () => string>> = {
  "WordPiece, BERT": () => fixtureText("vocab", "bert-base-uncased.tokenizer.json"),
  "byte-level BPE, GPT-2": () =>
    JSON.stringify(gpt2Json(fixtureText("vocab", "gpt2_bpe_encoder.json"), fixtureText("vocab", "gpt2_bpe_vocab.bpe"))),
  "Unigram, T5": () => JSON.stringify(t5Json(fixtureBytes("vocab", "t5.spiece.model"))),
};

const LIBRARY_OF_REFERENCE: ContenderName = "tokenizers (native)";
const FULL_BYTES = 1_000_000;
const QUICK_BYTES = 100_000;

function cases(): Case[] {
  const long = KINDS.flatMap((kind): Case[] => [
    { kind, shape: "documents", output: "ids" },
    { kind, shape: "documents", output: "all" },
    { kind, shape: "one text", output: "ids" },
  ]);
  return [
    ...long,
    { kind: "English", shape: "queries", output: "ids" },
    { kind: "English", shape: "queries", output: "all" },
  ];
}

interface Installed {
  readonly contender: ContenderName;
  readonly modulePath: string;
  readonly version: string | null;
}

function installed(skipped: Report["skipped"][number][]): Installed[] {
  return CONTENDERS.flatMap((contender): Installed[] => {
    if (contender === "qkv") return [{ contender, modulePath: "", version: null }];
    const { name, by } = INSTALLED[contender];
    const file = join(dirname(by), "node_modules", name, "package.json");
    if (!existsSync(file)) {
      skipped.push({ name: contender, because: "not installed; npx -y pnpm@10 bench:tokenize does it" });
      return [];
    }
    const { version } = JSON.parse(readFileSync(file, "utf8")) as { version: string };
    return [{ contender, modulePath: createRequire(by).resolve(name), version }];
  });
}

/** Collects everything; what cannot be measured is left out, with the reason. */
class Run {
  readonly loads: Report["loads"][number][] = [];
  readonly results: Result[] = [];
  readonly growths: Report["growths"][number][] = [];
  readonly skipped: Report["skipped"][number][] = [];
  processorMs = 0;

  constructor(
    readonly file: string,
    readonly folder: string,
    readonly textBytes: number,
    readonly rounds: number,
  ) {}

  async vocabulary(name: string, json: string, who: readonly Installed[]): Promise<void> {
    const vocabularyPath = join(this.folder, "tokenizer.json");
    writeFileSync(vocabularyPath, json);
    const children = new Map(
      who.map(({ contender, modulePath }) => {
        const job: Job = { contender, modulePath, vocabularyPath, textBytes: this.textBytes };
        return [contender, new Child(this.file, job, ROOT)];
      }),
    );
    try {
      for (const [contender, child] of children) {
        const load = await this.#attempt(`${name}, ${contender}`, async () => {
          const answer = await child.ask({ load: true });
          if ("absent" in answer) throw new Error(answer.absent);
          return "load" in answer ? answer.load : null;
        });
        if (load === null) {
          child.end();
          children.delete(contender);
        } else this.loads.push({ vocabulary: name, contender, ...load });
      }
      for (const what of cases()) {
        const start = performance.now();
        await this.#measure(name, what, children);
        const seconds = ((performance.now() - start) / 1000).toFixed(1);
        console.error(`${name}, ${what.kind}, ${what.shape}, ${what.output}: ${seconds} s`);
      }
      for (const contender of ["qkv", LIBRARY_OF_REFERENCE] as const) await this.#grow(name, contender, children);
      for (const child of children.values()) {
        const answer = await child.ask({ processorTime: true }).catch(() => ({ processorMs: 0 }));
        if ("processorMs" in answer) this.processorMs += answer.processorMs;
      }
    } finally {
      for (const child of children.values()) child.end();
    }
  }

  async #measure(vocabulary: string, what: Case, children: ReadonlyMap<ContenderName, Child>): Promise<void> {
    const measured = new Map<ContenderName, Measured[]>();
    // Round 0 warms up, and is what ids are compared by.
    for (let round = 0; round <= this.rounds; round++) {
      // There and back, so that what drifts in one direction does not favour who comes first.
      const order = round === 0 ? [...children.keys()] : [...measured.keys()];
      for (const contender of round % 2 === 0 ? order : order.reverse()) {
        const found = await this.#attempt(`${vocabulary}, ${what.kind}, ${what.shape}: ${contender}`, async () => {
          const answer = await children.get(contender)!.ask({ measure: what, round });
          if ("absent" in answer) {
            if (what.output === "all" && answer.absent === "it gives no offsets") return null;
            throw new Error(answer.absent);
          }
          return "measured" in answer ? answer.measured : null;
        });
        if (found === null) measured.delete(contender);
        else measured.set(contender, [...(measured.get(contender) ?? []), found]);
      }
    }
    const reference = measured.get(LIBRARY_OF_REFERENCE)?.[0];
    for (const contender of CONTENDERS) {
      const [first, ...rounds] = measured.get(contender) ?? [];
      if (first === undefined) continue;
      // A slow library has a part of the texts, the first ones; a part of one text has other ids.
      const comparable = reference !== undefined && (what.shape !== "one text" || first.bytes === reference.bytes);
      const hashes = comparable ? first.hashes.slice(0, reference.hashes.length) : [];
      this.results.push({
        vocabulary,
        contender,
        case: what,
        rates: rounds.map(({ bytes, ms }) => bytes / ms / 1000),
        callMicros: rounds.map(({ ms, calls }) => (1000 * ms) / calls),
        different: hashes.filter((hash, i) => hash !== reference?.hashes[i]).length,
        calls: first.calls,
      });
    }
  }

  async #grow(
    vocabulary: string,
    contender: ContenderName,
    children: ReadonlyMap<ContenderName, Child>,
  ): Promise<void> {
    for (const text of LONG_TEXTS) {
      const child = children.get(contender);
      if (child === undefined) continue;
      const growth = await this.#attempt(`${vocabulary}, ${text}: ${contender}`, async () => {
        const answer = await child.ask({ grow: text });
        if ("absent" in answer) throw new Error(answer.absent);
        return "growth" in answer ? answer.growth : null;
      });
      if (growth !== null) this.growths.push({ vocabulary, contender, text, ...growth });
    }
  }

  async #attempt<T>(name: string, work: () => Promise<T | null>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      const because = error instanceof Error ? error.message : String(error);
      console.error(`left out: ${name}: ${because}`);
      this.skipped.push({ name, because });
      return null;
    }
  }
}

async function main(): Promise<void> {
  const { only, rounds, quick } = options();
  const textBytes = quick ? QUICK_BYTES : FULL_BYTES;
  const bundle = await bundleChild(new URL("child.ts", import.meta.url));
  const run = new Run(bundle.file, bundle.folder, textBytes, rounds);
  const all = installed(run.skipped);
  const names = [...Object.keys(VOCABULARIES), ...all.map(({ contender }) => contender)];
  const wrong = only.find((part) => !names.some((name) => name.includes(part)));
  if (wrong !== undefined)
    throw new RangeError(`--only ${wrong}: in none of ${names.map((name) => `"${name}"`).join(", ")}`);
  // Those that a part names; all, if no part names any.
  const choose = <T>(from: readonly T[], nameOf: (item: T) => string): readonly T[] => {
    const named = from.filter((item) => only.some((part) => nameOf(item).includes(part)));
    return named.length > 0 ? named : from;
  };
  const who = choose(all, ({ contender }) => contender);
  const startMs = performance.now();
  const busyBefore = busyMs();
  try {
    for (const [name, json] of choose(Object.entries(VOCABULARIES), ([key]) => key)) {
      await run.vocabulary(name, json(), who);
    }
  } finally {
    bundle.remove();
  }
  const { user, system } = process.cpuUsage();
  const ownMs = run.processorMs + (user + system) / 1000;
  const report: Report = {
    date: new Date().toISOString().slice(0, 10),
    machine: thisMachine(),
    node: process.versions.node,
    versions: Object.fromEntries(
      who.flatMap(({ contender, version }) => (version === null ? [] : [[contender, version]])),
    ),
    textBytes,
    rounds,
    others: Math.max(0, (busyMs() - busyBefore - ownMs) / (performance.now() - startMs)),
    loads: run.loads,
    results: run.results,
    growths: run.growths,
    skipped: run.skipped,
  };
  const markdown = toMarkdown(report);
  console.log(markdown);
  if (quick || only.length > 0) return; // not the whole picture: the last whole one stays
  saveResults("tokenize", report, { md: markdown });
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});

/** One contender with one vocabulary, in a process of its own. Bundled and started by run.ts. */

import { readFileSync } from "node:fs";
import { type Contender, importContender, type Load } from "./contenders";
import type { Answer, Case, Growth, Job, LongText, Measured, Question } from "./protocol";
import { documentsOf, makeText, queriesOf, readLines } from "./texts";

const QUERIES = 2000;
const RELOADS = 4;
/** Who needs longer for all of a text gets a part of it: the rate is the same, or better. */
const LONGEST_MS = 4000;
const PARTS = 16;

const job = JSON.parse(process.argv[2]) as Job;
const json = readFileSync(job.vocabularyPath, "utf8");
const lines = readLines(process.argv[3]);
const gc = (globalThis as { gc?: () => void }).gc ?? (() => {});
let tokenizer: Contender | null = null;

function memory(): number {
  gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

async function loaded(load: Load): Promise<Answer> {
  const count = entries();
  const before = memory();
  const start = performance.now();
  tokenizer = load(json);
  const firstMs = performance.now() - start;
  // Of the first one: further ones of the same file share strings with it.
  const bytesPerEntry = (memory() - before) / count;
  const times: number[] = [];
  for (let i = 0; i < RELOADS; i++) {
    gc();
    const from = performance.now();
    load(json);
    times.push(performance.now() - from);
  }
  return { load: { firstMs, againMs: Math.min(...times), bytesPerEntry } };
}

function entries(): number {
  const { model } = JSON.parse(json) as { model: { vocab: object } };
  return Array.isArray(model.vocab) ? model.vocab.length : Object.keys(model.vocab).length;
}

/** Texts of a case. They are flattened, so that nobody's first look at one pays for it. */
function textsOf({ kind, shape }: Case, round: number): string[] {
  const text = makeText(kind, lines[kind], job.textBytes, round);
  const texts =
    shape === "one text" ? [text] : shape === "queries" ? queriesOf(text, QUERIES) : documentsOf(text, round);
  return texts.map((each) => Buffer.from(each).toString());
}

async function encodeAll(texts: readonly string[], output: Case["output"]): Promise<Measured> {
  const results: (readonly number[])[] = [];
  const start = performance.now();
  for (const text of texts) {
    const ids = tokenizer!.encode(text, output);
    results.push(ids instanceof Promise ? await ids : ids);
  }
  const ms = performance.now() - start;
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  return { ms, bytes, calls: texts.length, hashes: results.map(hash) };
}

async function measure(what: Case, round: number): Promise<Measured> {
  const texts = textsOf(what, round);
  const part = texts.length === 1 ? [texts[0].slice(0, texts[0].length / PARTS)] : texts.slice(0, texts.length / PARTS);
  const first = await encodeAll(part, what.output);
  return first.ms * PARTS > LONGEST_MS ? first : encodeAll(texts, what.output);
}

function hash(ids: readonly number[]): number {
  return ids.reduce((sum, id) => (Math.imul(sum, 31) + id) | 0, ids.length);
}

function longText(which: LongText, share: number): string {
  const letters = (count: number): string =>
    Array.from({ length: count }, (_, i) => "etaoinshrdlu"[(i * i + i) % 12]).join("");
  switch (which) {
    case "a word of 300 letters":
      // Many of them: one is over before a clock sees it.
      return `${letters(300 * share)} `.repeat(200);
    case "10 MB of a":
      return "a".repeat(1e7 * share);
    case "1 MB without a space":
      return letters(1e6 * share);
  }
}

async function grow(which: LongText): Promise<Growth> {
  const time = async (text: string): Promise<number> => {
    const times: number[] = [];
    // The fastest of three: what else the machine does only adds.
    for (let i = 0; i < 3 && times.reduce((sum, ms) => sum + ms, 0) < LONGEST_MS; i++)
      times.push((await encodeAll([text], "ids")).ms);
    return Math.min(...times);
  };
  const quarter = await time(longText(which, 0.25));
  const ms = await time(longText(which, 1));
  return { ms, ratio: ms / quarter };
}

async function answer(question: Question): Promise<Answer> {
  if ("load" in question) return loaded(await importContender(job.contender, job.modulePath));
  if ("measure" in question) return { measured: await measure(question.measure, question.round) };
  if ("grow" in question) return { growth: await grow(question.grow) };
  const { user, system } = process.cpuUsage();
  return { processorMs: (user + system) / 1000 };
}

process.on("message", (question: Question) => {
  answer(question).then(
    (result) => process.send!(result),
    (error: unknown) => process.send!({ absent: error instanceof Error ? error.message : String(error) }),
  );
});

/** One contender, in a process of its own, for one round: so are its start-up and its memory. Bundled and started by run.ts. */

import { readFileSync, writeFileSync } from "node:fs";
import { peakRssMB } from "../memory";
import { median } from "../page";
import { planOf } from "./batches";
import { type Embed, importContender } from "./contenders";
import {
  DIMENSIONS,
  type Job,
  type Measurement,
  type Nearness,
  type Share,
  type ShareMeasured,
  type Text,
  type Texts,
} from "./protocol";

/** Calls of the query before it is timed, and how long at least: compilers have several stages. */
const WARM_CALLS = 20;
const WARM_MS = 400;
const LATENCY_MS = 800;
const LEAST_CALLS = 5;

const EQUAL_BATCH = 32;
/** Who needs longer for a batch of the equal texts runs one only. */
const SLOW_BATCH_MS = 1500;

/** A batch that is compared with its texts alone. */
const NEIGHBOURS = 32;

/** Processor time of all threads, in ms. */
function cpuMs(since?: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

async function latency(embed: Embed, query: Text): Promise<number> {
  const repeat = async (leastCalls: number, leastMs: number): Promise<number[]> => {
    const times: number[] = [];
    for (let total = 0; times.length < leastCalls || total < leastMs; ) {
      const start = performance.now();
      await embed([query]);
      times.push(performance.now() - start);
      total += times[times.length - 1];
    }
    return times;
  };
  await repeat(WARM_CALLS, WARM_MS);
  return median(await repeat(LEAST_CALLS, LATENCY_MS));
}

async function equalRate(embed: Embed, texts: readonly Text[]): Promise<number> {
  let done = 0;
  const start = performance.now();
  while (done < texts.length) {
    await embed(texts.slice(done, done + EQUAL_BATCH));
    done += EQUAL_BATCH;
    if (performance.now() - start > SLOW_BATCH_MS) break;
  }
  return (1000 * Math.min(done, texts.length)) / (performance.now() - start);
}

async function share(
  embed: Embed,
  what: Share,
  texts: readonly Text[],
  padded: boolean,
): Promise<ShareMeasured & { readonly embeddings: ReadonlyMap<number, Float32Array> }> {
  const lengths = texts.map(({ ids }) => ids.length);
  const { batches, scale } = planOf(what, lengths, padded);
  const embeddings = new Map<number, Float32Array>();
  await embed(batches[0].slice(0, 32).map((i) => texts[i])); // sizes of memory, and what is compiled late
  const cpu = process.cpuUsage();
  const start = performance.now();
  for (const batch of batches) {
    const made = await embed(batch.map((i) => texts[i]));
    batch.forEach((i, row) => {
      embeddings.set(i, made[row]);
    });
  }
  const ms = performance.now() - start;
  const cores = cpuMs(cpu) / ms;
  return {
    ...what,
    wholeMs: ms * scale,
    rate: (1000 * texts.length) / (ms * scale),
    cores,
    nearness: null,
    embeddings,
  };
}

/** Cosines with the reference. `cutsAlike`: the contender has our ids, those of texts that are cut off too. */
function nearness(
  embeddings: ReadonlyMap<number, Float32Array>,
  reference: Float32Array,
  texts: readonly Text[],
  cutsAlike: boolean,
): Nearness {
  const cosines = [...embeddings].map(([i, embedding]) => {
    if (embedding.length !== DIMENSIONS) throw new Error(`an embedding of ${embedding.length} components`);
    const other = reference.subarray(i * DIMENSIONS, (i + 1) * DIMENSIONS);
    const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, k) => sum + value * b[k], 0);
    const cosine = dot(embedding, other) / Math.sqrt(dot(embedding, embedding) * dot(other, other));
    return { cosine: Number.isNaN(cosine) ? -1 : cosine, cut: texts[i].cut && !cutsAlike };
  });
  const least = (cut: boolean) => Math.min(...cosines.flatMap((each) => (each.cut === cut ? each.cosine : [])));
  return {
    texts: cosines.length,
    mean: cosines.reduce((sum, { cosine }) => sum + cosine, 0) / cosines.length,
    least: least(false),
    leastCut: cosines.some(({ cut }) => cut) ? least(true) : null,
  };
}

async function neighbours(embed: Embed, texts: readonly Text[]): Promise<number> {
  const batch = texts.slice(0, NEIGHBOURS);
  const together = await embed(batch);
  let largest = 0;
  for (const [row, text] of batch.entries()) {
    const [alone] = await embed([text]);
    alone.forEach((value, i) => {
      largest = Math.max(largest, Math.abs(value - together[row][i]));
    });
  }
  return largest;
}

async function measure(job: Job): Promise<Measurement> {
  const load = await importContender(job.settings);
  const loadStart = performance.now();
  const embed = await load();
  const loadMs = performance.now() - loadStart;
  await embed([job.query]);
  const firstMs = performance.timeOrigin + performance.now() - job.startedAt;
  const firstRssMB = peakRssMB();

  const { mixed, equal } = JSON.parse(readFileSync(job.textsPath, "utf8")) as Texts;
  const latencyMs = job.inFull ? await latency(embed, job.query) : null;
  const equalTexts = job.inFull ? await equalRate(embed, equal) : null;
  const shares: Awaited<ReturnType<typeof share>>[] = [];
  for (const each of job.shares) shares.push(await share(embed, each, mixed, job.settings.library !== "qkv"));
  const peak = peakRssMB();

  if (job.writePath !== null) {
    const all = new Float32Array(mixed.length * DIMENSIONS);
    for (const [i, embedding] of shares[0].embeddings) all.set(embedding, i * DIMENSIONS);
    writeFileSync(job.writePath, all);
  }
  const path = job.referencePath;
  const cutsAlike = !job.settings.library.includes("transformers"); // they cut off [SEP]
  const reference = path === null ? null : new Float32Array(new Uint8Array(readFileSync(path)).buffer);
  return {
    loadMs,
    firstMs,
    firstRssMB,
    peakRssMB: peak,
    latencyMs,
    equalRate: equalTexts,
    shares: shares.map(({ embeddings, ...measured }) => ({
      ...measured,
      nearness: reference === null ? null : nearness(embeddings, reference, mixed, cutsAlike),
    })),
    neighbours: job.neighbours ? await neighbours(embed, mixed) : null,
    cpuMs: cpuMs(),
  };
}

measure(JSON.parse(process.argv[2]) as Job).then(
  (measurement) => process.send!(measurement, () => process.exit()), // some contenders leave threads and timers behind
  (error: unknown) => {
    console.error(error);
    const because = error instanceof Error ? error.message : String(error);
    process.send!({ failed: because }, () => process.exit(1));
  },
);

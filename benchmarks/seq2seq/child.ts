/** One contender, in a process of its own, for one round: so are its start-up and its memory. Bundled and started by run.ts. */

import { peakRssMB } from "../memory";
import { median } from "../page";
import { accuracy } from "./accuracy";
import { answer, cpuMs } from "./answer";
import { importContender, type Seq2Seq } from "./contenders";
import {
  BEAMS,
  type Job,
  type ModelJob,
  type ModelMeasured,
  NEW_TOKENS,
  type Repeats,
  type SourceMeasured,
  type Started,
} from "./protocol";

/** Median time of a call, in ms; of all calls after the warm ones, their number, time and processor time. */
async function timed(
  call: () => Promise<unknown>,
  { warm, least, leastMs }: Repeats,
): Promise<{ readonly ms: number; readonly cpu: number; readonly total: number; readonly calls: number }> {
  for (let i = 0; i < warm; i++) await call();
  const times: number[] = [];
  const usage = process.cpuUsage();
  let total = 0;
  while (times.length < least || total < leastMs) {
    const start = performance.now();
    await call();
    times.push(performance.now() - start);
    total += times[times.length - 1];
  }
  return { ms: median(times), cpu: cpuMs(usage), total, calls: times.length };
}

/** Greedy texts of one source. */
async function greedy(
  model: Seq2Seq,
  source: readonly number[],
  repeats: Repeats,
): Promise<Omit<SourceMeasured, "beam"> & { readonly cpu: number; readonly total: number }> {
  const encoding = model.encode === null ? null : await timed(() => model.encode!(source), repeats);
  const firsts: number[] = [];
  const steps: number[] = [];
  const means: number[] = [];
  const wholes: number[] = [];
  let ids: number[] = [];
  let calls = 0;
  const { cpu, total } = await timed(async () => {
    const at: number[] = [];
    ids = [];
    const start = performance.now();
    await model.greedy(source, NEW_TOKENS, (id) => {
      at.push(performance.now());
      ids.push(id);
    });
    if (ids.length !== NEW_TOKENS) throw new Error(`${ids.length} tokens in place of ${NEW_TOKENS}`);
    if (calls++ < repeats.warm) return;
    firsts.push(at[0] - start);
    wholes.push(at[NEW_TOKENS - 1] - start);
    means.push((at[NEW_TOKENS - 1] - at[0]) / (NEW_TOKENS - 1));
    for (let i = 1; i < NEW_TOKENS; i++) steps.push(at[i] - at[i - 1]);
  }, repeats);
  return {
    encodeMs: encoding?.ms ?? null,
    firstMs: median(firsts),
    stepMs: median(steps),
    meanStepMs: median(means),
    wholeMs: median(wholes),
    ids,
    cpu,
    total,
  };
}

async function beam(model: Seq2Seq, source: readonly number[], repeats: Repeats): Promise<SourceMeasured["beam"]> {
  if (model.beam === null) return null;
  const decodes: number[] = [];
  let ids: readonly number[] = [];
  const { ms, calls } = await timed(async () => {
    const best = await model.beam!(source, NEW_TOKENS, BEAMS);
    decodes.push(best.decodeMs);
    ids = best.ids;
  }, repeats);
  if (ids.length !== NEW_TOKENS) throw new Error(`beams of ${ids.length} tokens in place of ${NEW_TOKENS}`);
  return { wholeMs: ms, stepMs: median(decodes.slice(-calls)) / NEW_TOKENS, ids };
}

async function model({ settings, sources, repeats, startedAt }: ModelJob & Started): Promise<ModelMeasured> {
  const load = await importContender(settings);
  const loadStart = performance.now();
  const loaded = await load();
  const loadMs = performance.now() - loadStart;
  const readyMs = performance.timeOrigin + performance.now() - startedAt;
  const readyRssMB = peakRssMB();
  const texts: Awaited<ReturnType<typeof greedy>>[] = [];
  for (const source of sources) texts.push(await greedy(loaded, source, repeats));
  const peak = peakRssMB(); // without beams, which not all have
  const measured: SourceMeasured[] = [];
  for (const [i, { cpu: _, total: __, ...text }] of texts.entries()) {
    measured.push({ ...text, beam: await beam(loaded, sources[i], { ...repeats, warm: Math.min(1, repeats.warm) }) });
  }
  const sum = (value: (text: (typeof texts)[number]) => number): number => texts.reduce((all, t) => all + value(t), 0);
  const cores = sum(({ cpu }) => cpu) / sum(({ total }) => total);
  return { loadMs, readyMs, readyRssMB, peakRssMB: peak, cores, sources: measured };
}

answer(async () => {
  const job = JSON.parse(process.argv[2]) as Job & Started;
  return job.kind === "model" ? model(job) : accuracy(job);
});

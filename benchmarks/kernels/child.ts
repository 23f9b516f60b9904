/** One contender, in a process of its own: its flags and its memory are its own. Bundled and started by run.ts. */

import { CASES } from "./cases";
import { limits } from "./contenders/limits";
import { onnx } from "./contenders/onnxruntime";
import { qkv, reference } from "./contenders/ours";
import type { Answer, Contender, Job, Question, Ready } from "./protocol";
import { sample } from "./sample";

const CONTENDERS: Readonly<Record<Job["contender"], (job: Job) => Promise<Contender>>> = {
  qkv,
  reference,
  onnxruntime: onnx,
  limit: limits,
};

/** A way that takes so many times as long as the fastest is not timed any further. */
const HOPELESS = 4;
const REST_MS = 5;
const MOST_REST_MS = 400;

const job = JSON.parse(process.argv[2]) as Job;
let contender: Contender | null = null;
let amount = 0;
let ready: Ready | null = null;

async function answer(question: Question): Promise<Answer> {
  if ("prepare" in question) {
    contender ??= await CONTENDERS[job.contender](job);
    const kernelCase = CASES.find(({ name }) => name === question.prepare)!;
    const prepared = await contender(kernelCase);
    if (typeof prepared === "string") return { absent: prepared };
    amount = kernelCase.amount;
    ready = await warm(prepared, question.warmMs);
    await rest();
    return { ready: true };
  }
  if ("round" in question) {
    const { ways, overheadMs } = ready!;
    const figures = [];
    for (const { operation, run, amount: own = amount } of ways) {
      const ms = Math.max(1e-6, (await sample(run, question.round)) - overheadMs);
      figures.push({ operation, ms, rate: own / ms / 1e6 });
    }
    await rest();
    return { figures };
  }
  if ("release" in question) {
    await ready?.release();
    ready = null;
    (globalThis as { gc?: () => void }).gc?.(); // memory shared between threads lives until it is collected
    return { released: true };
  }
  return { processorMs: processorMs() };
}

/** Calls every way until a compiler had time to replace the first, slow code, and gives up those that are far behind. */
async function warm(prepared: Ready, ms: number): Promise<Ready> {
  const times: number[] = [];
  for (const { run } of prepared.ways) times.push(await sample(run, ms));
  const fastest = Math.min(...times);
  return { ...prepared, ways: prepared.ways.filter((_, i) => times[i] < HOPELESS * fastest) };
}

/** Waits until the process does nothing: the threads of onnxruntime go on looking for work for tens of milliseconds. */
async function rest(): Promise<void> {
  for (let waited = 0; waited < MOST_REST_MS; waited += REST_MS) {
    const before = processorMs();
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
    if (processorMs() - before < REST_MS / 4) return;
  }
}

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

process.on("message", (question: Question) => {
  answer(question).then(
    (result) => process.send!(result),
    (error: unknown) => process.send!({ absent: error instanceof Error ? error.message : String(error) }),
  );
});

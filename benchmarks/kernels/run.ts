/**
 * How fast the kernels are: named shapes, against onnxruntime and the machine's own limits in the same run. Each contender
 * has a process of its own; for each case all get ready, and are then timed in turns.
 *
 *     npx -y pnpm@10 bench [--quick] [--rounds N] [--only PART-OF-A-CASE-OR-CONTENDER]...
 *
 * A whole run writes ../results/kernels.json, kernels.md and kernels.svg; --quick (short, without the largest weights) and
 * --only print only.
 */

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { busyMs, options } from "../command";
import { saveResults, thisMachine } from "../page";
import { bundleChild } from "../process";
import { CASES, type KernelCase } from "./cases";
import { toSvg } from "./plot";
import { Child } from "./process";
import type { Figure, Job } from "./protocol";
import { toMarkdown } from "./report";
import { type CaseResults, type Contender, type Report, type Skipped, toResult } from "./results";

const HERE = dirname(fileURLToPath(import.meta.url));
const ONNX = join(HERE, "../../tests/onnx/package.json");
const PEERS = join(HERE, "../peers/package.json");

const THREADS = [1, 2];
/** Longer than a compiler takes to replace the first, slow code. */
const WARM_MS = 60;
const ROUND_MS = 50;
const QUICK_MS = 20;

interface Entry extends Contender {
  readonly execPath: string;
  readonly job: Job;
}

/** The version of a package, as it is installed next to a package.json; null if it is not. */
function versionOf(name: string, from: string): string | null {
  const file = join(dirname(from), "node_modules", name, "package.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version : null;
}

/** The Node that runs this, and the newer one from npm, where there is one for this platform. */
function runtimes(skipped: Skipped[]): { version: string; execPath: string }[] {
  const running = { version: process.versions.node, execPath: process.execPath };
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  const version = versionOf(name, PEERS);
  if (version === null) {
    skipped.push({
      name: "the newer Node",
      because: `no package ${name} in benchmarks/peers; pnpm bench:peers installs it`,
    });
    return [running];
  }
  const file = process.platform === "win32" ? "node.exe" : "node";
  const newer = { version, execPath: join(dirname(PEERS), "node_modules", name, "bin", file) };
  return newer.version === running.version ? [running] : [running, newer];
}

function entries(nodes: ReturnType<typeof runtimes>, skipped: Skipped[]): Entry[] {
  const found: Entry[] = [];
  const newest = nodes[nodes.length - 1];
  const add = (library: Contender["library"], node: (typeof nodes)[number], job: Job): void => {
    const { threads } = job;
    const name = `${library}, Node ${node.version.split(".")[0]}, ${threads} thread${threads === 1 ? "" : "s"}`;
    found.push({ name, library, node: node.version, threads, execPath: node.execPath, job });
  };
  const plain = { turbo: false, modulePath: "" };
  for (const threads of THREADS) {
    add("limit", newest, { ...plain, contender: "limit", threads });
    for (const node of nodes) {
      add("qkv", node, { ...plain, contender: "qkv", threads });
      add("qkv turbo", node, { ...plain, contender: "qkv", threads, turbo: true });
    }
  }
  for (const [library, from, where] of [
    ["onnxruntime-web", PEERS, nodes],
    ["onnxruntime-node", ONNX, [nodes[0]]],
  ] as const) {
    if (versionOf(library, from) === null) {
      const installer = from === PEERS ? "bench:peers" : "onnx";
      skipped.push({ name: library, because: `not installed; npx -y pnpm@10 ${installer} does it` });
      continue;
    }
    const modulePath = createRequire(from).resolve(library);
    for (const threads of THREADS) {
      for (const node of where) add(library, node, { ...plain, contender: "onnxruntime", threads, modulePath });
    }
  }
  add("reference", nodes[0], { ...plain, contender: "reference", threads: 1 });
  return found;
}

interface Timing {
  readonly rounds: number;
  readonly roundMs: number;
  readonly warmMs: number;
}

/** All contenders on one case, in turns. */
async function measure(
  kernelCase: KernelCase,
  children: ReadonlyMap<Entry, Child>,
  { rounds, roundMs, warmMs }: Timing,
  skipped: Skipped[],
): Promise<CaseResults> {
  const { name, group, unit, multiplyAdds, bound, dram, yardstick = null } = kernelCase;
  const figures = new Map<Entry, Figure[]>();
  const leave = (entry: Entry, because: string): void => {
    figures.delete(entry);
    if (because !== "no limit") skipped.push({ name: `${name}: ${entry.name}`, because });
  };
  const attempt = async (entry: Entry, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      leave(entry, error instanceof Error ? error.message : String(error));
    }
  };
  for (const [entry, child] of children) {
    await attempt(entry, async () => {
      const answer = await child.ask({ prepare: name, warmMs });
      if ("absent" in answer) leave(entry, answer.absent);
      else figures.set(entry, []);
    });
  }
  for (let round = 0; round < rounds; round++) {
    // There and back, so that what drifts in one direction does not favour who comes first.
    const order = [...figures.keys()];
    for (const entry of round % 2 === 0 ? order : order.reverse()) {
      await attempt(entry, async () => {
        const answer = await children.get(entry)!.ask({ round: roundMs });
        if ("absent" in answer) leave(entry, answer.absent);
        else if ("figures" in answer) figures.get(entry)!.push(...answer.figures);
      });
    }
  }
  for (const [entry, child] of children) await attempt(entry, async () => void (await child.ask({ release: true })));
  const results = [...figures].flatMap(([{ name, library, node, threads }, all]) => {
    const operations = [...new Set(all.map(({ operation }) => operation))];
    return operations.map((operation) =>
      toResult(
        { name, library, node, threads },
        operation,
        all.filter((figure) => figure.operation === operation),
      ),
    );
  });
  return { name, group, unit, multiplyAdds, bound, dram, yardstick, results };
}

async function processorMs(children: Iterable<Child>): Promise<number> {
  const { user, system } = process.cpuUsage();
  let sum = (user + system) / 1000;
  for (const child of children) {
    const answer = await child.ask({ processorTime: true });
    if ("processorMs" in answer) sum += answer.processorMs;
  }
  return sum;
}

/** Those that a part names; all, if no part names any. */
function choose<T extends { readonly name: string }>(all: readonly T[], parts: readonly string[]): readonly T[] {
  const named = all.filter(({ name }) => parts.some((part) => name.includes(part)));
  return named.length > 0 ? named : all;
}

async function main(): Promise<void> {
  const { only, rounds, quick } = options();
  const skipped: Skipped[] = [];
  const nodes = runtimes(skipped);
  const all = entries(nodes, skipped);
  const wrong = only.find((part) => ![...all, ...CASES].some(({ name }) => name.includes(part)));
  if (wrong !== undefined) {
    const names = [...CASES, ...all].map(({ name }) => `"${name}"`).join(", ");
    throw new RangeError(`--only ${wrong}: in none of ${names}`);
  }
  for (const { name, because } of skipped) console.error(`skipped: ${name}: ${because}`);
  const cases = choose(CASES, only).filter(({ dram }) => !quick || !dram);
  const timing = { rounds, roundMs: quick ? QUICK_MS : ROUND_MS, warmMs: quick ? QUICK_MS : WARM_MS };

  const bundle = await bundleChild(new URL("child.ts", import.meta.url));
  const children = new Map(
    choose(all, only).map((entry) => [entry, new Child(bundle.file, entry.execPath, entry.job)]),
  );
  const measured: CaseResults[] = [];
  let others = 0;
  try {
    const startMs = performance.now();
    const busyBefore = busyMs();
    for (const kernelCase of cases) {
      const start = performance.now();
      measured.push(await measure(kernelCase, children, timing, skipped));
      console.error(`${kernelCase.name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
    }
    const ownMs = await processorMs(children.values());
    others = Math.max(0, (busyMs() - busyBefore - ownMs) / (performance.now() - startMs));
  } finally {
    for (const child of children.values()) child.end();
    bundle.remove();
  }

  const report: Report = {
    date: new Date().toISOString().slice(0, 10),
    machine: thisMachine(),
    nodes: { running: nodes[0].version, newer: nodes[nodes.length - 1].version },
    versions: {
      "onnxruntime-web": versionOf("onnxruntime-web", PEERS) ?? "none",
      "onnxruntime-node": versionOf("onnxruntime-node", ONNX) ?? "none",
    },
    rounds,
    roundMs: timing.roundMs,
    others,
    cases: measured,
    skipped,
  };
  const markdown = toMarkdown(report);
  console.log(markdown);
  if (quick || only.length > 0) return; // not the whole picture: the last whole one stays
  saveResults("kernels", report, { md: markdown, svg: toSvg(report) });
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});

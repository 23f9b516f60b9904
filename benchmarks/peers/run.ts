/**
 * How fast a whole model is next to the libraries that people would use instead: SmolLM2-135M, the same token ids for all,
 * each contender in processes of its own. Needs QKV_MODELS; QKV_EXPORTS adds transformers.js. See README.md.
 *
 *     npx -y pnpm@10 bench:peers [--quick] [--rounds N] [--only PART-OF-A-NAME]...
 */

import { fork } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { busyMs, externalFolder, options } from "../command";
import { saveResults, thisMachine } from "../page";
import type { Job, Measurement, Settings } from "./contender";
import { type Contender, type Report, type Round, type Skipped, summarize, toMarkdown } from "./report";

/** How a contender is run. */
interface Entry extends Contender {
  readonly adapter: Job["contender"];
  /** The Node that runs it. */
  readonly execPath: string;
  readonly settings: Settings;
}

const THIS_FILE = fileURLToPath(import.meta.url);
const HERE = dirname(THIS_FILE);
const MODEL = "SmolLM2-135M-Instruct-Q4_1.gguf";

/** "The clerk of a small harbour works out": text, because all contenders should continue it alike for a while. */
const SHORT_PROMPT = [504, 31700, 282, 253, 1165, 28899, 1806, 578];

/** Prompt lengths, and how many tokens are timed after each. */
const FULL = { short: SHORT_PROMPT.length, long: 512, decode: 64 };
const QUICK = { short: SHORT_PROMPT.length, long: 64, decode: 8 };

/** Room for the long prompt and what follows, and what a chat would ask for at least. */
const CONTEXT = 1024;

/** A measurement takes seconds, on a busy machine half a minute: who takes this long hangs. */
const TIMEOUT_MS = 120_000;

const THREADS = [1, 2];

/** What transformers.js calls an export, and the file that it reads for it. */
const EXPORTED = [
  ["q4", "model_q4.onnx"],
  ["q8", "model_quantized.onnx"],
  ["fp32", "model.onnx"],
] as const;

/** Ids of ordinary tokens, for the long prompt: below 20 are the special ones, from 49152 on none. mulberry32, seeded. */
function randomIds(length: number): number[] {
  let state = 20;
  return Array.from({ length }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return 20 + (((x ^ (x >>> 14)) >>> 0) % (49152 - 20));
  });
}

/** The version of a package in a node_modules folder, as it was installed. */
function versionOf(name: string, from: string): string {
  const folder = createRequire(from)
    .resolve.paths(name)!
    .find((path) => existsSync(join(path, name, "package.json")));
  if (folder === undefined) throw new Error(`${name} is not installed; run: npx -y pnpm@10 bench:peers`);
  return (JSON.parse(readFileSync(join(folder, name, "package.json"), "utf8")) as { version: string }).version;
}

/** The Node that runs this, and the newer one from npm, where there is one for this platform. */
function runtimes(skipped: Skipped[]): { version: string; execPath: string }[] {
  const running = { version: process.versions.node, execPath: process.execPath };
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  const execPath = join(HERE, "node_modules", name, "bin", process.platform === "win32" ? "node.exe" : "node");
  if (!existsSync(execPath)) {
    skipped.push({ name: "qkv on the newer Node", because: `no package ${name} in benchmarks/peers` });
    return [running];
  }
  const newer = { version: versionOf(name, THIS_FILE), execPath };
  return newer.version === running.version ? [running] : [running, newer];
}

function entries(gguf: string, exports: string | undefined, skipped: Skipped[]): Entry[] {
  const common = { gguf, exports: exports ?? "", contextLength: CONTEXT, turbo: false, dtype: "fp32" as const };
  const running = { version: process.versions.node, execPath: process.execPath };
  const found: Entry[] = [];
  const add = (library: string, adapter: Entry["adapter"], node: typeof running, settings: Settings): void => {
    const { threads } = settings;
    const where = adapter === "qkv" ? `Node ${node.version.split(".")[0]}, ` : "";
    const name = `${library}, ${where}${threads} thread${threads === 1 ? "" : "s"}`;
    found.push({ name, library, threads, adapter, node: node.version, execPath: node.execPath, settings });
  };
  for (const node of runtimes(skipped)) {
    for (const turbo of [false, true]) {
      for (const threads of THREADS) add(turbo ? "qkv turbo" : "qkv", "qkv", node, { ...common, threads, turbo });
    }
  }
  for (const threads of THREADS) add("node-llama-cpp", "node-llama-cpp", running, { ...common, threads });
  for (const [dtype, file] of EXPORTED) {
    const library = `transformers.js ${dtype}`;
    if (exports === undefined) {
      skipped.push({ name: library, because: "QKV_EXPORTS is not set; benchmarks/peers/README.md says what it is" });
    } else if (!existsSync(join(exports, "smollm2/onnx", file))) {
      skipped.push({ name: library, because: `QKV_EXPORTS has no smollm2/onnx/${file}` });
    } else {
      for (const threads of THREADS) add(library, "transformers", running, { ...common, threads, dtype });
    }
  }
  return found;
}

/** Runs a contender once, and watches what other processes take meanwhile. Its own output goes to stderr. */
function measure({ adapter, execPath, settings, name }: Entry, { long, decode }: typeof FULL): Promise<Round> {
  return new Promise((resolve, reject) => {
    const busyBefore = busyMs();
    const startedAt = Date.now();
    const longPrompt = randomIds(long);
    const job: Job = { contender: adapter, settings, shortPrompt: SHORT_PROMPT, longPrompt, decode, startedAt };
    const child = fork(join(HERE, "measure.mjs"), [JSON.stringify(job)], {
      execPath,
      execArgv: [], // not this process's TypeScript loader
      stdio: ["ignore", 2, 2, "ipc"],
      timeout: TIMEOUT_MS,
    });
    let measurement: Measurement | null = null;
    child.on("message", (message) => {
      measurement = message as Measurement;
    });
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      if (measurement === null) {
        const late = Date.now() - startedAt >= TIMEOUT_MS ? `, stopped after ${TIMEOUT_MS / 1000} s` : "";
        reject(new Error(`${name}: nothing measured, ended with ${signal ?? `exit code ${code}`}${late}`));
        return;
      }
      const others = (busyMs() - busyBefore - measurement.cpuMs) / (Date.now() - startedAt);
      resolve({ ...measurement, others: Math.max(0, others) });
    });
  });
}

async function main(): Promise<void> {
  const { only, rounds, quick } = options();
  const sizes = quick ? QUICK : FULL;
  const models = externalFolder("QKV_MODELS", MODEL);
  if (models === undefined) throw new Error(`QKV_MODELS is not set: name the folder that has ${MODEL}`);
  const exports = externalFolder("QKV_EXPORTS", "smollm2/config.json");
  const skipped: Skipped[] = [];
  const all = entries(join(models, MODEL), exports, skipped);
  const chosen = all.filter(({ name }) => only.length === 0 || only.some((part) => name.includes(part)));
  if (chosen.length === 0) throw new RangeError(`--only: none of ${all.map(({ name }) => `"${name}"`).join(", ")}`);
  for (const { name, because } of skipped) console.error(`skipped: ${name}: ${because}`);

  const measured = new Map<Entry, Round[]>(chosen.map((entry) => [entry, []]));
  for (let round = 0; round < rounds; round++) {
    // There and back, so that what drifts in one direction does not favour who comes first.
    for (const entry of round % 2 === 0 ? chosen : [...chosen].reverse()) {
      const start = performance.now();
      measured.get(entry)!.push(await measure(entry, sizes));
      console.error(`round ${round + 1}: ${entry.name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
    }
  }

  const transformers = createRequire(THIS_FILE).resolve("@huggingface/transformers");
  const report: Report = {
    date: new Date().toISOString().slice(0, 10),
    machine: thisMachine(),
    versions: {
      "node-llama-cpp": versionOf("node-llama-cpp", THIS_FILE),
      "@huggingface/transformers": versionOf("@huggingface/transformers", THIS_FILE),
      "onnxruntime-node": versionOf("onnxruntime-node", transformers),
    },
    model: MODEL,
    sizes,
    rounds,
    skipped,
    contenders: summarize(
      [...measured].map(([{ name, library, node, threads }, each]) => [{ name, library, node, threads }, each]),
    ),
  };
  const markdown = toMarkdown(report);
  console.log(markdown);
  if (quick || only.length > 0) return; // not the whole picture: the last whole one stays
  saveResults("peers", report, { md: markdown });
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});

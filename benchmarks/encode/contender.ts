/** Who is measured: libraries as they are installed, with each dtype and number of threads. */

import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { installed, NOT_INSTALLED, newerNode, OURS, type Runtime } from "../packages";
import type { Dtype, Library, Settings, Way } from "./protocol";

/** A contender. */
export interface Contender extends Settings, Runtime {
  readonly name: string;
}

/** What did not run, and why. */
export interface Skipped {
  readonly name: string;
  readonly because: string;
}

const THREADS = [2, 1];
const DTYPES = ["f32", "q8"] as const;
const FILES: Readonly<Record<Dtype, string>> = { f32: "model.onnx", q8: "model_quantized.onnx" };

/** Each library but ours, and its package. */
const PACKAGES: readonly (readonly [Library, string])[] = [
  ["onnxruntime-node", "onnxruntime-node"],
  ["transformers.js", "@huggingface/transformers"],
  ["@xenova/transformers", "@xenova/transformers"],
  ["onnxruntime-web", "onnxruntime-web"],
];

/** How texts may be handed to it. Ours makes its own batches. */
export function waysOf({ library }: Settings): readonly Way[] {
  return library === "qkv" ? ["all", "32"] : ["1", "8", "32", "32 sorted"];
}

/** The newer Node from npm, where there is one for this platform; else the one that runs this. */
function newestNode(skipped: Skipped[]): Runtime {
  const running = { node: process.versions.node, execPath: process.execPath };
  const newer = newerNode();
  if (typeof newer !== "string") return newer;
  skipped.push({ name: "Node 24", because: `${newer}; turbo is measured with Node ${running.node}` });
  return running;
}

/**
 * All contenders, by threads, our own first.
 *
 * @param model the folder of all-MiniLM-L6-v2
 * @param exports the folder of its ONNX export as `minilm/`, if there is one
 */
export function contenders(
  model: string,
  exports: string | undefined,
): {
  readonly all: readonly Contender[];
  readonly skipped: Skipped[];
  readonly versions: Readonly<Record<string, string>>;
} {
  const skipped: Skipped[] = [];
  const versions: Record<string, string> = {};
  const running = { node: process.versions.node, execPath: process.execPath };
  const all: Contender[] = [];
  const add = (settings: Omit<Settings, "threads">, node: typeof running, threads: readonly number[]): void => {
    const { library, dtype, turbo } = settings;
    const kind = `${library} ${dtype}${turbo ? " turbo" : ""}${library === "qkv" ? `, Node ${node.node.split(".")[0]}` : ""}`;
    for (const count of threads) {
      all.push({ ...settings, ...node, threads: count, name: `${kind}, ${count} thread${count === 1 ? "" : "s"}` });
    }
  };
  const newest = newestNode(skipped);
  for (const turbo of [false, true]) {
    for (const dtype of DTYPES) {
      const settings = { library: "qkv", modulePath: OURS, folder: model, dtype, turbo } as const;
      add(settings, turbo ? newest : running, THREADS);
    }
  }
  for (const [library, name] of PACKAGES) {
    const found = installed(name);
    if (found !== null) versions[name] = found.version;
    for (const dtype of DTYPES) {
      const file = `minilm/onnx/${FILES[dtype]}`;
      const because =
        found === null
          ? NOT_INSTALLED
          : exports === undefined
            ? "QKV_EXPORTS is not set; benchmarks/encode/README.md says what it is"
            : existsSync(join(exports, file))
              ? null
              : `QKV_EXPORTS has no ${file}`;
      if (because !== null) skipped.push({ name: `${library} ${dtype}`, because });
      else {
        // The older transformers.js takes as many threads as there are cores.
        const threads = library === "@xenova/transformers" ? [cpus().length] : THREADS;
        add({ library, modulePath: found!.file, folder: exports!, dtype, turbo: false }, running, threads);
      }
    }
  }
  // Those at two threads first: what is found with them is used for one, too; and those that are compared stand together.
  return { all: all.sort((a, b) => b.threads - a.threads), skipped, versions };
}

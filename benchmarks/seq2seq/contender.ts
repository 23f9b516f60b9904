/** Who is measured: libraries as they are installed, with each dtype and number of threads. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { installed, NOT_INSTALLED, newerNode, OURS, type Runtime } from "../packages";
import type { Coarse, Library, Settings } from "./protocol";

/** A contender. */
export interface Contender extends Settings, Runtime {
  readonly name: string;
}

/** What did not run, and why. */
export interface Skipped {
  readonly name: string;
  readonly because: string;
}

/** Those that are compared first. */
export const THREADS = [2, 1] as const;
const DTYPES = ["f16", "q8", "f32"] as const;

/** Each library but ours, and its package. */
const PACKAGES: readonly (readonly [Exclude<Library, "qkv">, string])[] = [
  ["onnxruntime-node", "onnxruntime-node"],
  ["transformers.js", "@huggingface/transformers"],
];
const FILES = ["encoder_model.onnx", "decoder_model_merged.onnx"] as const;

/**
 * All contenders, by threads, our own first.
 *
 * @param model the folder of t5-titler
 * @param exports the folder of its ONNX export as `t5-titler/`, if there is one
 */
export function contenders(
  model: string,
  exports: string | undefined,
): {
  readonly all: readonly Contender[];
  readonly skipped: Skipped[];
  readonly versions: Readonly<Record<string, string>>;
  readonly newer: Runtime | null;
  readonly coarse: Coarse | null;
} {
  const skipped: Skipped[] = [];
  const versions: Record<string, string> = {};
  const running = { node: process.versions.node, execPath: process.execPath };
  const all: Contender[] = [];
  const add = (settings: Omit<Settings, "threads">, runtime: Runtime): void => {
    const { library, dtype, turbo } = settings;
    const where = library === "qkv" ? `, Node ${runtime.node.split(".")[0]}` : "";
    const kind = `${library} ${dtype}${turbo ? " turbo" : ""}${where}`;
    for (const threads of THREADS) {
      all.push({ ...settings, ...runtime, threads, name: `${kind}, ${threads} thread${threads === 1 ? "" : "s"}` });
    }
  };
  const newer = newerNode();
  if (typeof newer === "string") skipped.push({ name: "qkv on the newer Node", because: newer });
  const ways: (readonly [Runtime, boolean])[] = [[running, false]];
  if (typeof newer !== "string") {
    if (newer.node !== running.node) ways.push([newer, false]);
    ways.push([newer, true]);
  }
  for (const [runtime, turbo] of ways) {
    for (const dtype of DTYPES) add({ library: "qkv", modulePath: OURS, folder: model, dtype, turbo }, runtime);
  }
  for (const [library, name] of PACKAGES) {
    const found = installed(name);
    if (found !== null) versions[name] = found.version;
    const missing = FILES.find((file) => exports === undefined || !existsSync(join(exports, "t5-titler/onnx", file)));
    const because =
      found === null
        ? NOT_INSTALLED
        : exports === undefined
          ? "QKV_EXPORTS is not set; benchmarks/seq2seq/README.md says what it is"
          : missing !== undefined
            ? `QKV_EXPORTS has no t5-titler/onnx/${missing}`
            : null;
    if (because !== null) skipped.push({ name: `${library} f32`, because });
    else add({ library, modulePath: found!.file, folder: exports!, dtype: "f32", turbo: false }, running);
  }
  const coarse = coarseEncoder(exports);
  if (coarse === null && exports !== undefined) {
    const because = "onnxruntime-node, or QKV_EXPORTS' t5-titler/onnx/encoder_model_quantized.onnx, is missing";
    skipped.push({ name: "an encoder with one scale a tensor", because });
  }
  // Those that are compared stand together.
  return {
    all: all.sort((a, b) => b.threads - a.threads),
    skipped,
    versions,
    newer: typeof newer === "string" ? null : newer,
    coarse,
  };
}

/** Plain onnxruntime and the encoder in int8, for what one scale a tensor costs; null where either is missing. */
function coarseEncoder(exports: string | undefined): Coarse | null {
  const encoderPath = exports === undefined ? "" : join(exports, "t5-titler/onnx/encoder_model_quantized.onnx");
  const library = installed("onnxruntime-node");
  return library === null || !existsSync(encoderPath) ? null : { modulePath: library.file, encoderPath };
}

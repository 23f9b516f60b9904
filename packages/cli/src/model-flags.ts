/** The flags by which every command says how a model is opened. */

import type { LoadOptions } from "@qkv/models";
import { type Arguments, type Definitions, given } from "./arguments";

export const MODEL_FLAGS = {
  context: {
    type: "string",
    valueHint: "N",
    description: "Positions to make room for (default: the model's own, at most 4096)",
  },
  tokenizer: { type: "string", valueHint: "FILE", description: "A tokenizer to use in place of the model's own" },
  file: { type: "string", valueHint: "NAME", description: "Which file of a folder with several models" },
  dtype: { type: "string", valueHint: "D", description: "Weights in memory: auto (as in the file), f32, q8 or q4" },
  activations: { type: "string", valueHint: "A", description: "What quantised weights meet: int8 (default) or f32" },
  threads: { type: "string", valueHint: "N", description: "Threads, or auto (default)" },
  turbo: { type: "boolean", description: "Use V8's experimental flags: faster, the same results" },
  kernels: { type: "string", valueHint: "K", description: "wasm (default), or reference: plain and slow" },
} satisfies Definitions;

/** The options of `load` that these flags give; those that were not given are left out. `load` checks their values. */
export function modelOptions(args: Arguments<typeof MODEL_FLAGS>): LoadOptions {
  const threads = args.text("threads");
  return given({
    contextLength: args.integer("context", 1),
    tokenizer: args.text("tokenizer"),
    file: args.text("file"),
    dtype: args.text("dtype") as LoadOptions["dtype"],
    activations: args.text("activations") as LoadOptions["activations"],
    threads: threads === undefined || threads === "auto" ? (threads as "auto" | undefined) : args.integer("threads", 1),
    turbo: args.has("turbo") ? true : undefined,
    kernels: args.text("kernels") as LoadOptions["kernels"],
  }) as LoadOptions;
}

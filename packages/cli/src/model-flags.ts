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
} satisfies Definitions;

/** The options of `load` that these flags give; those that were not given are left out. */
export function modelOptions(
  args: Arguments<typeof MODEL_FLAGS>,
): Pick<LoadOptions, "contextLength" | "tokenizer" | "file"> {
  return given({
    contextLength: args.integer("context", 1),
    tokenizer: args.text("tokenizer"),
    file: args.text("file"),
  });
}

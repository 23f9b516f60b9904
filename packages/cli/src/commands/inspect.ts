/** `qkv inspect`: what a model is, what it takes, and whether it runs. */

import { type Inspection, inspect } from "@qkv/models";
import type { Definitions } from "../arguments";
import { command } from "../command";
import { MODEL_FLAGS, modelOptions } from "../model-flags";
import { KINDS } from "../model-kind";
import { coloursFor, formatBytes, formatCount, jsonLine, oneLine } from "../output";
import { write } from "../terminal";

const ARGS = {
  model: { type: "positional", description: "A folder or a file (.gguf, .safetensors, llama2.c's .bin)" },
  ...MODEL_FLAGS,
  context: {
    ...MODEL_FLAGS.context,
    description: "Positions to count memory for (default: the model's own, at most 4096)",
  },
  json: { type: "boolean", description: "Print one JSON object, with the parsed config" },
} satisfies Definitions;

/** See the file's first line. */
export const inspectCommand = command({
  name: "inspect",
  description: "Say what a model is, what memory it needs, and whether it runs; without reading its weights",
  args: ARGS,
  examples: ["qkv inspect ./model.gguf", "qkv inspect ./llama --context 2048", "qkv inspect ./llama --json"],
  notes: [
    "The exit code is 0 for a model that does not run, too: the question was answered. JSON has runs and because.",
  ],
  async run(args, { stdout, env, signal }) {
    const found = await inspect(args.positional("model") as string, { ...modelOptions(args), signal });
    if (args.has("json")) return write(stdout, jsonLine({ ...found, memoryTotal: totalMemory(found) }));
    const { bold } = coloursFor(stdout, env);
    const lines = describe(found).map(([name, text]) => `${bold(name)}: ${oneLine(text)}\n`);
    return write(stdout, lines.join(""));
  },
});

function totalMemory({ memory }: Inspection): number | null {
  return memory === null ? null : sum(memory);
}

function sum(parts: Readonly<Record<string, number>>): number {
  return Object.values(parts).reduce((total, bytes) => total + bytes, 0);
}

/** Name and text of each line; what could not be found out has none. */
function describe(found: Inspection): [name: string, text: string][] {
  const { architecture, kind, format, parameters, tensors, bytesByDtype, memory, contextLength, tokenizer } = found;
  const lines: [string, string | null][] = [
    ["architecture", architecture],
    ["kind", kind === null ? null : KINDS[kind].replace(/^an? /, "")],
    ["format", format],
    ["parameters", parameters === null ? null : `${formatCount(parameters)} in ${tensors} tensors`],
    ["weights", bytesByDtype === null ? null : sizes(bytesByDtype)],
    ["memory", memory === null ? null : sizes(memory)],
    ["context", contextLength === null ? null : `${formatCount(contextLength)} tokens`],
    ["tokenizer", tokenizer === null ? null : describeTokenizer(tokenizer)],
    ["runs", found.runs ? "yes" : `no, because ${found.because}`],
  ];
  return lines.filter((line): line is [string, string] => line[1] !== null);
}

function sizes(parts: Readonly<Record<string, number>>): string {
  const each = Object.entries(parts).map(([name, bytes]) => `${name} ${formatBytes(bytes)}`);
  return `${formatBytes(sum(parts))} (${each.join(", ")})`;
}

function describeTokenizer(tokenizer: NonNullable<Inspection["tokenizer"]>): string {
  if ("problem" in tokenizer) return `none: ${tokenizer.problem}`;
  return `${tokenizer.kind}, ${formatCount(tokenizer.vocabSize)} tokens`;
}

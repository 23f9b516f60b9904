/** `qkv detokenize`: the text of token ids. */

import { loadTokenizer } from "@qkv/models";
import type { Definitions } from "../arguments";
import { command } from "../command";
import { UsageError } from "../errors";
import { answerLines } from "../lines";
import { forTerminal, jsonLine, oneLine } from "../output";
import { readStdin, write } from "../terminal";

const ARGS = {
  model: { type: "positional", description: "A model's folder or file, whether it runs or not; or a tokenizer file" },
  ids: {
    type: "positional",
    required: false,
    repeatable: true,
    description: "Token ids, with commas or spaces between them; - or nothing: what is piped in",
  },
  "keep-special-tokens": { type: "boolean", description: "Print special tokens too, such as </s>" },
  json: { type: "boolean", description: "Print the text as one JSON string" },
  jsonl: {
    type: "boolean",
    description:
      "Read an array of ids, or an object with ids, from each line piped in, and print a JSON string for each",
  },
} satisfies Definitions;

/** See the file's first line. */
export const detokenizeCommand = command({
  name: "detokenize",
  description: "Show the text of token ids",
  args: ARGS,
  examples: [
    "qkv detokenize ./model.gguf 1 403 407 261 378",
    "qkv detokenize ./llama 1,403,407 --keep-special-tokens --json",
    "qkv tokenize ./llama 'Once upon a time' --json | qkv detokenize ./llama --jsonl",
  ],
  async run(args, terminal) {
    const { stdin, stdout, signal } = terminal;
    const given = args.positionals("ids");
    const [asJson, asLines] = [args.has("json"), args.has("jsonl")];
    const isPiped = given.length === 0 || (given.length === 1 && given[0] === "-");
    if (asJson && asLines) throw new UsageError("--json and --jsonl are two forms of output: give one");
    if (asLines && !isPiped) throw new UsageError("--jsonl reads its ids from standard input, and there are IDS too");
    if (given.length === 0 && stdin.isTTY) throw new UsageError("IDS are missing, and nothing is piped in");
    // Before the tokenizer is read, so that a slip costs no time.
    const fromArguments = isPiped ? null : readIds(given.join(" "), UsageError);
    const tokenizer = await loadTokenizer(args.positional("model") as string, { signal });
    const decode = (ids: readonly number[], Kind: new (message: string) => Error = Error): string => {
      const wrong = ids.find((id) => id >= tokenizer.vocabSize);
      if (wrong !== undefined) throw new Kind(`IDS: they go from 0 to ${tokenizer.vocabSize - 1}, got ${wrong}`);
      return tokenizer.decode([...ids], { skipSpecialTokens: !args.has("keep-special-tokens") });
    };
    if (asLines) return answerLines(terminal, (value) => decode(idsOf(value)));
    const text =
      fromArguments === null ? decode(readIds(await readStdin(terminal), Error)) : decode(fromArguments, UsageError);
    return write(stdout, asJson ? jsonLine(text) : `${stdout.isTTY ? forTerminal(text) : text}\n`);
  },
});

/** Ids in digits: "1,403 407" or, as JSON has them, "[1, 403, 407]". */
function readIds(text: string, Kind: new (message: string) => Error): number[] {
  const words = text.replace(/^\s*\[([^[\]]*)\]\s*$/, "$1").split(/[\s,]+/);
  const ids = words.filter((word) => word !== "");
  const wrong = ids.find((word) => !/^\d{1,9}$/.test(word));
  if (wrong !== undefined)
    throw new Kind(`IDS: expected token ids such as 1,403,407, got "${oneLine(wrong.slice(0, 60))}"`);
  return ids.map(Number);
}

/** A line's value: an array of ids, or what `tokenize --jsonl` prints. */
function idsOf(value: unknown): number[] {
  const ids: unknown = typeof value === "object" && value !== null && "ids" in value ? value.ids : value;
  const isId = (id: unknown): id is number => typeof id === "number" && Number.isSafeInteger(id) && id >= 0;
  if (!Array.isArray(ids)) throw new Error("expected an array of token ids, or an object with ids");
  const wrong: unknown = ids.find((id) => !isId(id));
  if (wrong !== undefined) throw new Error(`expected token ids, got ${JSON.stringify(wrong).slice(0, 60)}`);
  return ids as number[];
}

/** `qkv tokenize`: the tokens of a text. */

import { loadTokenizer } from "@qkv/models";
import type { Definitions } from "../arguments";
import { command } from "../command";
import { UsageError } from "../errors";
import { coloursFor, jsonLine, oneLine } from "../output";
import { readStdin, write } from "../terminal";

const ARGS = {
  model: { type: "positional", description: "A model's folder or file, whether it runs or not; or a tokenizer file" },
  text: {
    type: "positional",
    required: false,
    description: "The text; - or nothing: what is piped in, to the last byte",
  },
  "no-special-tokens": { type: "boolean", description: "Leave out what the tokenizer adds to every text" },
  json: { type: "boolean", description: "Print one JSON object: ids and tokens" },
} satisfies Definitions;

/** See the file's first line. */
export const tokenizeCommand = command({
  name: "tokenize",
  description: "Show the tokens of a text",
  args: ARGS,
  examples: [
    "qkv tokenize ./model.gguf 'Once upon a time'",
    "qkv tokenize ./llama 'Once upon a time' --no-special-tokens --json",
    "printf 'Once upon a time' | qkv tokenize ./llama",
  ],
  async run(args, terminal) {
    const given = args.positional("text");
    if (given === undefined && terminal.stdin.isTTY) throw new UsageError("TEXT is missing, and nothing is piped in");
    const tokenizer = await loadTokenizer(args.positional("model") as string, { signal: terminal.signal });
    const text = given === undefined || given === "-" ? await readStdin(terminal) : given;
    const { ids, tokens } = tokenizer.encode(text, { addSpecialTokens: !args.has("no-special-tokens") });
    const { stdout, env } = terminal;
    if (args.has("json")) return write(stdout, jsonLine({ ids, tokens }));
    const { cyan, dim } = coloursFor(stdout, env);
    const width = String(ids.reduce((max, id) => Math.max(max, id), 0)).length;
    const line = (id: number, i: number) => {
      const token = oneLine(tokens[i] as string);
      return `${dim(String(id).padStart(width))}  ${tokenizer.isSpecial(id) ? cyan(token) : token}\n`;
    };
    return write(stdout, ids.map(line).join(""));
  },
});

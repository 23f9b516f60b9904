/** `qkv tokenize`: the tokens of a text. */

import { loadTokenizer } from "@qkv/models";
import type { Definitions } from "../arguments";
import { command } from "../command";
import { UsageError } from "../errors";
import { answerLines } from "../lines";
import { coloursFor, jsonLine, oneLine } from "../output";
import { readStdin, write } from "../terminal";

type Tokenizer = Awaited<ReturnType<typeof loadTokenizer>>;
type Encoding = ReturnType<Tokenizer["encode"]>;

const ARGS = {
  model: { type: "positional", description: "A model's folder or file, whether it runs or not; or a tokenizer file" },
  text: {
    type: "positional",
    required: false,
    description: "The text; - or nothing: what is piped in, to the last byte",
  },
  "no-special-tokens": { type: "boolean", description: "Leave out what the tokenizer adds to every text" },
  json: {
    type: "boolean",
    description: "Print one JSON object: ids, tokens, offsets, typeIds, specialTokensMask",
  },
  jsonl: {
    type: "boolean",
    description: 'Read a JSON text, or ["text", "pair"], from each line piped in, and print such an object for each',
  },
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
    `printf '"Once"\\n"upon a time"\\n' | qkv tokenize ./llama --jsonl`,
  ],
  notes: ["A line for each token: its id, where it stands in the text (in UTF-16 units, as in JavaScript), its text."],
  async run(args, terminal) {
    const { stdin, stdout, env, signal } = terminal;
    const given = args.positional("text");
    const [asJson, asLines] = [args.has("json"), args.has("jsonl")];
    if (asJson && asLines) throw new UsageError("--json and --jsonl are two forms of output: give one");
    if (asLines && given !== undefined && given !== "-") {
      throw new UsageError("--jsonl reads its texts from standard input, and there is a TEXT too");
    }
    if (given === undefined && stdin.isTTY) throw new UsageError("TEXT is missing, and nothing is piped in");
    const tokenizer = await loadTokenizer(args.positional("model") as string, { signal });
    const options = { addSpecialTokens: !args.has("no-special-tokens") };
    if (asLines) {
      return answerLines(terminal, (value) => {
        const [text, pair] = readTexts(value);
        return plain(tokenizer.encode(text, pair, options));
      });
    }
    const text = given === undefined || given === "-" ? await readStdin(terminal) : given;
    const encoding = tokenizer.encode(text, null, options);
    return write(stdout, asJson ? jsonLine(plain(encoding)) : table(encoding, tokenizer, coloursFor(stdout, env)));
  },
});

/** A line's value: a text, or a text and its pair. */
function readTexts(value: unknown): [text: string, pair: string | null] {
  if (typeof value === "string") return [value, null];
  if (Array.isArray(value) && value.length === 2 && value.every((each) => typeof each === "string")) {
    return [value[0], value[1]];
  }
  const got = value === null ? "null" : Array.isArray(value) ? `an array of ${value.length}` : `a JSON ${typeof value}`;
  throw new Error(`expected a JSON text or ["text", "pair"], got ${got}`);
}

function plain({ ids, tokens, offsets, typeIds, specialTokensMask }: Encoding): Record<string, unknown> {
  return { ids, tokens, offsets, typeIds, specialTokensMask };
}

/** Id, place and text of each token, in columns; in colours, neighbours differ. */
function table(encoding: Encoding, tokenizer: Tokenizer, colours: ReturnType<typeof coloursFor>): string {
  const { ids, tokens, offsets, specialTokensMask } = encoding;
  const { cyan, dim, green, yellow } = colours;
  // What the tokenizer added stands nowhere in the text.
  const places = offsets.map(([start, end], i) => (specialTokensMask[i] === 1 ? "-" : `${start}..${end}`));
  const width = (texts: readonly (string | number)[]) =>
    texts.reduce<number>((max, text) => Math.max(max, String(text).length), 0);
  const [idWidth, placeWidth] = [width(ids), width(places)];
  const line = (id: number, i: number): string => {
    const colour = tokenizer.isSpecial(id) ? cyan : i % 2 === 0 ? green : yellow;
    const place = (places[i] as string).padEnd(placeWidth);
    return `${dim(String(id).padStart(idWidth))}  ${dim(place)}  ${colour(oneLine(tokens[i] as string))}\n`;
  };
  return ids.map(line).join("");
}

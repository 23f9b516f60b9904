/** `qkv embed`: embeddings of texts. */

import type { EmbeddingPrecision, EmbedOptions, Pooling } from "@qkv/models";
import { type Arguments, type Definitions, given } from "../arguments";
import { command } from "../command";
import { runTask, TASK_ARGS, TASK_FLAGS } from "../encoder-tasks";
import { UsageError } from "../errors";
import { stringOf } from "../text-tasks";

/** So many digits give a float32 back to the bit. */
const FLOAT_DIGITS = 9;

const ARGS = {
  ...TASK_ARGS,
  pooling: {
    type: "string",
    repeatable: true,
    valueHint: "NAME",
    description:
      "mean, cls, max, weightedMean, lastToken or meanSqrtLength, in place of the model's; several one behind the other",
  },
  normalize: { type: "boolean", description: "Vectors of length 1, after --dimensions has cut them" },
  "no-normalize": { type: "boolean", description: "Not of length 1, even where the model's files say so" },
  prompt: { type: "string", valueHint: "TEXT", description: "To put in front of each text; '' for none" },
  "prompt-name": { type: "string", valueHint: "NAME", description: "One of the model's prompts: query, document, ..." },
  dimensions: { type: "string", valueHint: "N", description: "Only the first N numbers (Matryoshka)" },
  precision: { type: "string", valueHint: "P", description: "f32 (default), int8, uint8, binary or ubinary" },
  "max-tokens": { type: "string", valueHint: "N", description: "Most tokens of a text (default: as the files say)" },
  ...TASK_FLAGS,
} satisfies Definitions;

type Options = EmbedOptions<EmbeddingPrecision | "f32">;

/** See the file's first line. */
export const embedCommand = command({
  name: "embed",
  description: "Embed texts: a vector for each, as sentence-transformers computes it",
  args: ARGS,
  examples: [
    "qkv embed ./all-MiniLM-L6-v2 'How tall is K2?' 'K2 is 8611 m tall.'",
    "printf 'a line\\nanother line\\n' | qkv embed ./all-MiniLM-L6-v2 --dimensions 16 --normalize",
    `printf '"two\\\\nlines"\\n' | qkv embed ./all-MiniLM-L6-v2 --jsonl --precision int8`,
  ],
  notes: [
    "Prints a line for each text, in their order: { index, embedding }, and with --precision int8 or uint8 the scale.",
    "Float32 numbers have nine digits, which give them back to the bit.",
  ],
  async run(args, terminal) {
    const options = embedOptions(args);
    return runTask(args, terminal, {
      name: "embed",
      fromText: (text) => text,
      fromJson: stringOf,
      run: async (model, texts, taskOptions) => {
        const embeddings = await model.embed(texts, { ...options, ...taskOptions });
        return embeddings.map((each) => {
          if (each instanceof Float32Array) return { embedding: Array.from(each, shortened) };
          const { values, scale } = each;
          return { embedding: Array.from<number>(values), ...(scale !== null && { scale }) };
        });
      },
    });
  },
});

function embedOptions(args: Arguments<typeof ARGS>): Options {
  if (args.has("normalize") && args.has("no-normalize")) {
    throw new UsageError("give --normalize or --no-normalize, not both");
  }
  if (args.has("prompt") && args.has("prompt-name")) throw new UsageError("give --prompt or --prompt-name, not both");
  const pooling = args.texts("pooling").flatMap((names) => names.split(","));
  return given({
    pooling: pooling.length === 0 ? undefined : (pooling as Pooling[]),
    normalize: args.has("normalize") ? true : args.has("no-normalize") ? false : undefined,
    prompt: args.positional("prompt"), // as it is given: an empty one turns the model's own off
    promptName: args.text("prompt-name"),
    dimensions: args.integer("dimensions", 1),
    precision: args.text("precision") as Options["precision"],
    maxTokens: args.integer("max-tokens", 1),
  }) as Options;
}

function shortened(value: number): number {
  return Number(value.toPrecision(FLOAT_DIGITS));
}

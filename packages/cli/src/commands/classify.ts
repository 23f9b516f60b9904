/** `qkv classify`: the labels of texts, those of the model or, by an NLI model, labels of the user's own. */

import type { Classification, ClassifyOptions, Encoder, TaskOptions, TextOrPair, ZeroShotOptions } from "@qkv/models";
import { type Arguments, type Definitions, given } from "../arguments";
import { command } from "../command";
import { runTask, TASK_ARGS, TASK_FLAGS } from "../encoder-tasks";
import { UsageError } from "../errors";
import { kindOf } from "../text-tasks";

const ARGS = {
  ...TASK_ARGS,
  "top-k": { type: "string", valueHint: "K", description: "Most labels of a text (default: all)" },
  scores: {
    type: "string",
    valueHint: "S",
    description: "softmax, sigmoid or none (default: what the model was made for)",
  },
  labels: {
    type: "string",
    repeatable: true,
    valueHint: "A,B",
    description: "Zero-shot: labels of your own, for a model of natural language inference",
  },
  "multi-label": { type: "boolean", description: "With --labels: each by itself; several may hold" },
  template: {
    type: "string",
    valueHint: "TEXT",
    description: "With --labels: the hypothesis, {} for the label (default 'This example is {}.')",
  },
  ...TASK_FLAGS,
} satisfies Definitions;

type ClassifyArguments = Arguments<typeof ARGS>;
type Classify = (
  model: Encoder,
  texts: readonly TextOrPair[],
  options: TaskOptions,
) => Promise<readonly (readonly Classification[])[]>;

/** See the file's first line. */
export const classifyCommand = command({
  name: "classify",
  description: "Classify texts or pairs of texts",
  args: ARGS,
  examples: [
    "qkv classify ./sst2 'I love this film.' 'It is far too long.'",
    'printf \'["It rains.", "The street is wet."]\\n\' | qkv classify ./nli --jsonl --top-k 1',
    "qkv classify ./nli 'The team won on Sunday.' --labels sports,politics",
  ],
  notes: [
    'Pairs of texts come as JSON, ["text", "pair"] a line, with --jsonl.',
    "Prints a line for each text, in their order: { index, labels }, a list of { label, score }, best first.",
  ],
  async run(args, terminal) {
    const isZeroShot = args.has("labels");
    const classify = isZeroShot ? zeroShot(args) : ownLabels(args);
    return runTask<TextOrPair>(args, terminal, {
      name: "classify",
      fromText: (text) => text,
      fromJson: (value) => readText(value, !isZeroShot),
      run: async (model, texts, options) => (await classify(model, texts, options)).map((labels) => ({ labels })),
    });
  },
});

function ownLabels(args: ClassifyArguments): Classify {
  const alone = (["multi-label", "template"] as const).find((name) => args.has(name));
  if (alone !== undefined) throw new UsageError(`--${alone} does nothing without --labels`);
  const options = given({
    topK: args.integer("top-k", 1),
    scores: args.text("scores") as ClassifyOptions["scores"],
  }) as ClassifyOptions;
  return (model, texts, taskOptions) => model.classify(texts, { ...options, ...taskOptions });
}

function zeroShot(args: ClassifyArguments): Classify {
  if (args.has("scores")) throw new UsageError("--scores is for the model's own labels, and --labels for others");
  const names = args.texts("labels").flatMap((names) => names.split(","));
  const labels = names.map((name) => name.trim()).filter((name) => name !== "");
  if (labels.length === 0) throw new UsageError("--labels: expected labels such as sports,politics, got none");
  const topK = args.integer("top-k", 1);
  const options = given({
    multiLabel: args.has("multi-label") ? true : undefined,
    hypothesisTemplate: args.text("template"),
  }) as ZeroShotOptions;
  return async (model, texts, taskOptions) => {
    const results = await model.zeroShotClassify(texts as readonly string[], labels, { ...options, ...taskOptions });
    const best = results.map((result) =>
      result.labels.map((label, i) => ({ label, score: result.scores[i] as number })),
    );
    return best.map((each) => each.slice(0, topK));
  };
}

/** A line's value: a text, or a text and its pair. */
function readText(value: unknown, mayBePair: boolean): TextOrPair {
  if (typeof value === "string") return value;
  if (mayBePair && Array.isArray(value) && value.length === 2 && value.every((text) => typeof text === "string")) {
    return [value[0] as string, value[1] as string];
  }
  throw new Error(`expected a JSON string${mayBePair ? ' or ["text", "pair"]' : ""}, got ${kindOf(value)}`);
}

/** `qkv fill-mask`: the words that fit where texts have masks. */

import { type Definitions, given } from "../arguments";
import { command } from "../command";
import { runTask, TASK_ARGS, TASK_FLAGS } from "../encoder-tasks";
import { stringOf } from "../text-tasks";

const ARGS = {
  ...TASK_ARGS,
  "top-k": { type: "string", valueHint: "K", description: "Words for each mask (default 5, or all targets)" },
  target: {
    type: "string",
    repeatable: true,
    valueHint: "WORD",
    description: "A word to choose from, a single token; can be repeated",
  },
  ...TASK_FLAGS,
} satisfies Definitions;

/** See the file's first line. */
export const fillMaskCommand = command({
  name: "fill-mask",
  description: "Fill the masks of texts, by a masked language model",
  args: ARGS,
  examples: [
    "qkv fill-mask ./bert-base-uncased 'The capital of France is [MASK].'",
    "qkv fill-mask ./bert-base-uncased 'Rome is a [MASK].' --target city --target river",
    "printf 'He is [MASK].\\nShe is [MASK].\\n' | qkv fill-mask ./bert-base-uncased --top-k 1",
  ],
  notes: [
    "A mask is written as the model's tokenizer has it: [MASK] in BERT's family, <mask> in RoBERTa's.",
    "Prints a line for each text, in their order: { index, masks }, where each mask has a list of { token, id, score, text }.",
  ],
  async run(args, terminal) {
    const targets = args.texts("target");
    const options = given({
      topK: args.integer("top-k", 1),
      targets: targets.length === 0 ? undefined : targets,
    });
    return runTask(args, terminal, {
      name: "fill-mask",
      fromText: (text) => text,
      fromJson: stringOf,
      run: async (model, texts, taskOptions) => {
        const filled = await model.fillMask(texts, { ...options, ...taskOptions });
        return filled.map((masks) => ({ masks }));
      },
    });
  },
});

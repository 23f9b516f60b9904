/** `qkv summarize`: the gist of texts. */

import type { Definitions } from "../arguments";
import { command } from "../command";
import {
  GENERATION_TASK_ARGS,
  GENERATION_TASK_FLAGS,
  GENERATION_TASK_NOTES,
  runGenerationTask,
} from "../generation-tasks";

const ARGS = { ...GENERATION_TASK_ARGS, ...GENERATION_TASK_FLAGS } satisfies Definitions;

/** See the file's first line. */
export const summarizeCommand = command({
  name: "summarize",
  description: "Summarize texts, by an encoder-decoder",
  args: ARGS,
  examples: [
    "qkv summarize ./t5 'It rained all day, and the river rose to the bridge.' --num-beams 4",
    "qkv summarize ./t5 --text-file article.txt --truncate --max-new-tokens 40",
    "printf 'A text.\\nAnother text.\\n' | qkv summarize ./t5 --num-beams 2 --num-return-sequences 2 --scores",
    `printf '"two\\\\nlines"\\n' | qkv summarize ./t5 --jsonl`,
  ],
  notes: GENERATION_TASK_NOTES,
  async run(args, terminal) {
    return runGenerationTask(args, terminal, "summarize", (model, texts, options) => model.summarize(texts, options));
  },
});

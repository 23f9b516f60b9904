/** `qkv translate`: texts in another language. */

import { type Definitions, given } from "../arguments";
import { command } from "../command";
import {
  GENERATION_TASK_ARGS,
  GENERATION_TASK_FLAGS,
  GENERATION_TASK_NOTES,
  runGenerationTask,
} from "../generation-tasks";

const ARGS = {
  ...GENERATION_TASK_ARGS,
  from: {
    type: "string",
    valueHint: "LANG",
    description: "The language of the texts: en or English for T5, en_XX for mBART; no Marian model is told it",
  },
  to: {
    type: "string",
    valueHint: "LANG",
    description: "The language that is wanted: de, German or de_DE; fra for a Marian model of several",
  },
  ...GENERATION_TASK_FLAGS,
} satisfies Definitions;

/** See the file's first line. */
export const translateCommand = command({
  name: "translate",
  description: "Translate texts, by an encoder-decoder",
  args: ARGS,
  examples: [
    "qkv translate ./t5 'The house is small.' --from en --to de",
    "printf 'A text.\\nAnother text.\\n' | qkv translate ./t5 --from English --to French --num-beams 4",
    "qkv translate ./t5 'The house is small.' --from en --to ro --num-beams 4 --json",
  ],
  notes: GENERATION_TASK_NOTES,
  async run(args, terminal) {
    const languages = given({ from: args.text("from"), to: args.text("to") });
    return runGenerationTask(args, terminal, "translate", (model, texts, options) =>
      model.translate(texts, { ...options, ...languages }),
    );
  },
});

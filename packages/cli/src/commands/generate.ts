/** `qkv generate`: continues a text, or makes one of another. */

import { existsSync } from "node:fs";
import type { Decoder, GenerateOptions, Seq2Seq } from "@qkv/models";
import type { Arguments, Definitions } from "../arguments";
import { command } from "../command";
import { embeddedModel } from "../embedded-model";
import { UsageError } from "../errors";
import { runGeneration } from "../generation";
import { GENERATION_FLAGS, generationOptions, withLength } from "../generation-flags";
import { MODEL_FLAGS, modelOptions } from "../model-flags";
import { loadGeneratorFor } from "../model-kind";
import { oneLine } from "../output";
import { checkIds, checkLength } from "../prompt";
import { readStdin, type Terminal, write } from "../terminal";

const ARGS = {
  model: {
    type: "positional",
    required: false,
    description:
      "A folder or a file (.gguf, .safetensors, llama2.c's .bin); stories260K, which is built in, if left out",
  },
  prompt: {
    type: "positional",
    required: false,
    description:
      "The text to continue, or an encoder-decoder's source; - for what is piped in; a decoder begins a text if left out",
  },
  ids: { type: "string", valueHint: "1,2,3", description: "Token ids in place of a prompt" },
  ...GENERATION_FLAGS,
  scores: { type: "boolean", description: "Tell the score of each text, and in JSON of each token" },
  ...MODEL_FLAGS,
  json: { type: "boolean", description: "Print one JSON object, and nothing else" },
} satisfies Definitions;

type GenerateArguments = Arguments<typeof ARGS>;

/** See the file's first line. */
export const generateCommand = command({
  name: "generate",
  description: "Continue a text with a decoder, or make one of another with an encoder-decoder",
  args: ARGS,
  examples: [
    'qkv generate "Once upon a time"',
    "qkv generate ./model.gguf 'Lily and Tom' --max-new-tokens 50",
    "qkv generate ./llama 'The dog' --temperature 0.8 --top-p 0.9 --seed 7",
    "qkv generate ./llama --ids 1,403,407 -n 20 --json",
    "qkv generate 'Tim said' --stop . --stop '!'",
    "qkv generate ./t5 'translate English to German: The house is small.' --num-beams 4",
    "qkv generate ./t5 'summarize: It rained all day.' --num-beams 4 --num-return-sequences 2 --json",
  ],
  notes: [
    "The text goes to standard output, the speed to standard error. A single argument is the MODEL if there is a file or",
    "folder of that name, else the PROMPT. JSON has text, ids (the new ones), promptTokens, newTokens, finishReason,",
    "timeToFirstTokenMs, tokensPerSecond, and the seed when sampled; score with beams or --scores, tokenScores with",
    "--scores, and sequences where there are several. Beams and several texts are shown at their end, numbered if several.",
    "What no flag says, an encoder-decoder's own generation config does: beams, lengths, tokens that are forced.",
  ],
  async run(args, terminal) {
    const given = { ...generationOptions(args), ...(args.has("scores") && { scores: true }) };
    const ids = args.ids("ids");
    const { source, prompt } = await withStdin(chooseModel(args), terminal);
    if (ids !== undefined && prompt !== undefined) throw new UsageError("give a prompt or --ids, not both");
    if (prompt === "") throw new UsageError("the prompt is empty: leave it out to let the model begin");
    const { signal } = terminal;
    const model = await loadGeneratorFor(source, { ...modelOptions(args), signal });
    try {
      const start = ids ?? startOf(model, prompt);
      const options = withLength(model, given);
      checkIds(model, "--stop-ids", options.stopIds ?? []);
      if (typeof start !== "string") {
        // An encoder-decoder checks the ids of a source itself: they may be of another vocabulary.
        if (model.kind === "decoder") checkIds(model, "--ids", start);
        checkLength(model, start);
      }
      const generation = model.generate(start, { ...options, signal }); // which checks the options, and waits
      await noteLength(model, start.length, options, terminal);
      // A source is no part of what comes out.
      const shown = model.kind === "decoder" ? (prompt ?? "") : "";
      await runGeneration(model, { generation, options, prompt: shown, json: args.has("json") }, terminal);
    } finally {
      model.dispose();
    }
  },
});

/** One positional is a model if it exists, and else a prompt for the embedded one. */
function chooseModel(args: GenerateArguments): { source: string; prompt: string | undefined } {
  const first = args.positional("model");
  if (args.has("prompt")) return { source: first as string, prompt: args.positional("prompt") };
  if (first === undefined) return { source: embeddedModel(), prompt: undefined };
  if (first !== "" && existsSync(first)) return { source: first, prompt: undefined };
  // A mistyped path would be continued as if it were a story.
  if (/^(\.{0,2}|~)\/\S*$|^\S+\.(gguf|safetensors|bin)$/.test(first)) {
    const advice = "if it is the prompt, name the model before it";
    throw new Error(`${oneLine(first)}: there is no such file or folder (${advice})`);
  }
  return { source: embeddedModel(), prompt: first };
}

/** "-" is a prompt that is piped in, to the last byte. */
async function withStdin({ source, prompt }: ReturnType<typeof chooseModel>, terminal: Terminal) {
  return { source, prompt: prompt === "-" ? await readStdin(terminal) : prompt };
}

/**
 * The prompt's ids; without a prompt, what a decoder's tokenizer puts in front of every text. A text without a tokenizer is
 * left to `generate`.
 */
function startOf({ kind, tokenizer }: Decoder | Seq2Seq, prompt: string | undefined): readonly number[] | string {
  if (kind === "seq2seq" && prompt === undefined) {
    throw new UsageError("a prompt is needed: an encoder-decoder makes a text of another");
  }
  if (tokenizer === null && prompt !== undefined) return prompt;
  const ids = tokenizer?.encode(prompt ?? "").ids ?? [];
  if (ids.length > 0) return ids;
  const why = tokenizer === null ? "has no tokenizer" : "has no token that begins a text";
  throw new UsageError(`a prompt is needed: this model ${why}`);
}

/** Says so where the text may outgrow the context; its quality suffers, and the user asked for it. */
async function noteLength(
  { kind, contextLength }: Decoder | Seq2Seq,
  promptLength: number,
  { maxNewTokens }: GenerateOptions,
  { stderr }: Terminal,
): Promise<void> {
  const [what, before] = kind === "decoder" ? ["prompt and new tokens", promptLength] : ["start and new tokens", 1];
  const length = before + (maxNewTokens ?? 0);
  if (length <= contextLength) return;
  await write(stderr, `qkv: note: ${what} may come to ${length}, past the context of ${contextLength}\n`);
}

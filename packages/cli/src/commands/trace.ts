/** `qkv trace`: runs a model once and saves what happened inside of it. */

import { load, type Model, type Seq2Seq, summarizeTaps, type Tensor, writeSafetensors } from "@qkv/models";
import type { Arguments, Definitions } from "../arguments";
import { command } from "../command";
import { UsageError } from "../errors";
import { checkOutsideModel, checkReplaceable, replaceFile } from "../files";
import { MODEL_FLAGS, modelOptions } from "../model-flags";
import { KINDS } from "../model-kind";
import { coloursFor, formatBytes, oneLine } from "../output";
import { checkIds, checkLength } from "../prompt";
import { write } from "../terminal";

const ARGS = {
  model: { type: "positional", description: "A folder or a file (.gguf, .safetensors, llama2.c's .bin)" },
  ids: { type: "string", valueHint: "1,2,3", description: "Token ids to run" },
  text: { type: "string", valueHint: "TEXT", description: "A text to run, in place of ids" },
  "decoder-ids": {
    type: "string",
    valueHint: "1,2,3",
    description: "Encoder-decoders: what the decoder is given, its start token first (default: the start token alone)",
  },
  tap: {
    type: "string",
    repeatable: true,
    valueHint: "NAME",
    description: "What to save: names with * for any part; can be repeated, or a list with commas",
  },
  out: { type: "string", valueHint: "FILE", description: "The safetensors file to write" },
  list: { type: "boolean", description: "Print the names of all taps, and run nothing" },
  ...MODEL_FLAGS,
} satisfies Definitions;

type TraceArguments = Arguments<typeof ARGS>;

/** See the file's first line. */
export const traceCommand = command({
  name: "trace",
  description: "Run a model once and save what its layers computed, as float32 tensors named by their taps",
  args: ARGS,
  examples: [
    "qkv trace ./model.gguf --text 'Once upon a time' --tap 'layers.*.output' --tap logits --out trace.safetensors",
    "qkv trace ./llama --ids 1,403,407 --tap 'layers.0.*' --out layer0.safetensors",
    "qkv trace ./llama --list",
    "qkv trace ./t5 --text 'A text.' --decoder-ids 0,71 --tap 'decoder.*.cross_attention.probs' --out trace.safetensors",
  ],
  async run(args, { stdout, stderr, env, signal, blocking }) {
    const request = readRequest(args);
    const model = await load(args.positional("model") as string, { ...modelOptions(args), signal });
    try {
      if (request.list) return await write(stdout, model.taps.map((name) => `${name}\n`).join(""));
      const { out, capture } = request;
      if (capture.length === 0) throw new UsageError(`--tap is missing; there are ${summarizeTaps(model.taps)}`);
      if (out === undefined) throw new UsageError("--out is missing: the file to write");
      await checkReplaceable(out);
      await checkOutsideModel(out, args.positional("model") as string);
      const input = inputOf(model, request);
      const captured = blocking(() => captureOf(model, input, capture));
      const tensors = Object.entries(captured).map(([name, tensor]) => ({ name, ...tensor }));
      const { ids, decoderIds } = input;
      const file = writeSafetensors(tensors, {
        ids: ids.join(","),
        ...(decoderIds !== null && { decoderIds: decoderIds.join(",") }),
      });
      await replaceFile(out, file, signal);
      const { dim } = coloursFor(stderr, env);
      const lines = tensors.map(({ name, shape }) => `${name} ${dim(`[${shape.join(", ")}]`)}\n`);
      await write(
        stderr,
        `${lines.join("")}${oneLine(out)}: ${tensors.length} ${tensors.length === 1 ? "tensor" : "tensors"}, ${formatBytes(file.length)}\n`,
      );
    } finally {
      model.dispose();
    }
  },
});

/** What the flags ask for, checked before a model is loaded. */
function readRequest(args: TraceArguments) {
  const ids = args.ids("ids");
  const text = args.text("text");
  const list = args.has("list");
  if (ids !== undefined && text !== undefined) throw new UsageError("give --ids or --text, not both");
  if (!list && ids === undefined && text === undefined) throw new UsageError("give --ids or --text: what to run");
  const capture = args.texts("tap").flatMap((names) => names.split(","));
  return { ids, text, decoderIds: args.ids("decoder-ids"), list, capture, out: args.text("out") };
}

/** What a model is run on. */
interface Input {
  /** Of an encoder-decoder, the source. */
  readonly ids: readonly number[];
  /** null but for encoder-decoders. */
  readonly decoderIds: readonly number[] | null;
}

function inputOf(model: Model, request: Pick<ReturnType<typeof readRequest>, "ids" | "text" | "decoderIds">): Input {
  const ids = request.ids ?? encode(model, request.text as string);
  if (model.kind === "seq2seq") {
    const decoderIds = request.decoderIds ?? startOf(model);
    checkIds(model, "--decoder-ids", decoderIds);
    checkLength(model, ids); // whose values the model checks: a source may have a vocabulary of its own
    return { ids, decoderIds };
  }
  if (request.decoderIds !== undefined) {
    throw new UsageError(`--decoder-ids is for encoder-decoders, and this model is ${KINDS[model.kind]}`);
  }
  checkIds(model, "--ids", ids);
  checkLength(model, ids);
  return { ids, decoderIds: null };
}

function startOf({ generationDefaults: { decoderStartTokenId } }: Seq2Seq): readonly number[] {
  if (decoderStartTokenId !== null) return [decoderStartTokenId];
  throw new UsageError("--decoder-ids is missing: the model's files do not say which token a text starts from");
}

/** What is not captured need not be computed either. */
function captureOf(
  model: Model,
  { ids, decoderIds }: Input,
  capture: readonly string[],
): Readonly<Record<string, Tensor>> {
  if (model.kind === "encoder") return model.run(ids, { capture, outputs: [] }).captured;
  if (model.kind === "decoder") return model.run(ids, { capture, logitsToKeep: 0 }).captured;
  return model.run(ids, decoderIds as readonly number[], { capture, logitsToKeep: 0 }).captured;
}

function encode({ tokenizer }: Model, text: string): readonly number[] {
  if (tokenizer === null) throw new UsageError("--text needs a tokenizer, and this model has none: give --ids");
  return tokenizer.encode(text).ids;
}

/** Loading the kind of model that a command needs; who gives it another kind is told which commands take that. */

import {
  type Decoder,
  type Encoder,
  inspect,
  type LoadOptions,
  loadEncoder,
  loadGenerator,
  loadSeq2Seq,
  type ModelConfig,
  ModelKindError,
  type Seq2Seq,
} from "@qkv/models";
import { oneLine } from "./output";

type Kind = ModelKindError["kind"];

/** Kinds of models, as messages call them. */
export const KINDS: Readonly<Record<Kind, string>> = {
  decoder: "a decoder",
  encoder: "an encoder",
  seq2seq: "an encoder-decoder",
};

/** Commands for what an encoder was trained for, by the head that its config names; each of them can be embedded with. */
const ENCODER_COMMANDS: Readonly<Record<string, string>> = {
  pretraining: "qkv fill-mask or qkv embed",
  maskedLm: "qkv fill-mask or qkv embed",
  sequenceClassification: "qkv classify",
  questionAnswering: "qkv answer",
};

/** The commands that take a model. */
function commandsFor(kind: Kind, config: ModelConfig | null): string {
  if (kind === "decoder") return "qkv generate";
  if (kind === "seq2seq") return "qkv generate, qkv summarize or qkv translate";
  return ENCODER_COMMANDS[config !== null && "head" in config ? config.head : "none"] ?? "qkv embed";
}

/**
 * An encoder.
 *
 * @param command that needs it
 * @throws Error for another kind, before its weights are read; whatever `load` throws
 */
export async function loadEncoderFor(command: string, source: string, options: LoadOptions): Promise<Encoder> {
  return loadEncoder(source, options).catch((error) => wrongKind(error, command, source, options, "an encoder"));
}

/**
 * An encoder-decoder.
 *
 * @param command that needs it
 * @throws Error for another kind, before its weights are read; whatever `load` throws
 */
export async function loadSeq2SeqFor(command: string, source: string, options: LoadOptions): Promise<Seq2Seq> {
  return loadSeq2Seq(source, options).catch((error) =>
    wrongKind(error, command, source, options, "an encoder-decoder"),
  );
}

async function wrongKind(
  error: unknown,
  command: string,
  source: string,
  options: LoadOptions,
  needed: string,
): Promise<never> {
  if (!(error instanceof ModelKindError)) throw error;
  const { kind, architecture } = error;
  const { config } = kind === "encoder" ? await inspect(source, options) : { config: null };
  const what = `${oneLine(source)} is ${KINDS[kind]} (${architecture}), and qkv ${command} needs ${needed}`;
  throw new Error(`${what}: use ${commandsFor(kind, config)}`, { cause: error });
}

/**
 * A model that generates.
 *
 * @throws Error for an encoder, before its weights are read; whatever `load` throws
 */
export async function loadGeneratorFor(source: string, options: LoadOptions): Promise<Decoder | Seq2Seq> {
  return loadGenerator(source, options).catch((error) =>
    wrongKind(error, "generate", source, options, "a decoder or an encoder-decoder"),
  );
}

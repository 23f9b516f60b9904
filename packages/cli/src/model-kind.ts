/** Loading the kind of model that a command needs; who gives it another kind is told which commands take that. */

import {
  type Decoder,
  type Encoder,
  inspect,
  type LoadOptions,
  loadDecoder,
  loadEncoder,
  ModelKindError,
} from "@qkv/models";
import { oneLine } from "./output";

/** Commands for what an encoder was trained for, by the head that its config names; each of them can be embedded with. */
const COMMANDS: Readonly<Record<string, string>> = {
  pretraining: "qkv fill-mask or qkv embed",
  maskedLm: "qkv fill-mask or qkv embed",
  sequenceClassification: "qkv classify",
  questionAnswering: "qkv answer",
};

/**
 * An encoder.
 *
 * @param command that needs it
 * @throws Error for a decoder, before its weights are read; whatever `load` throws
 */
export async function loadEncoderFor(command: string, source: string, options: LoadOptions): Promise<Encoder> {
  try {
    return await loadEncoder(source, options);
  } catch (error) {
    if (!(error instanceof ModelKindError)) throw error;
    const message = `${oneLine(source)} is a decoder (${error.architecture}), and qkv ${command} needs an encoder: use qkv generate`;
    throw new Error(message, { cause: error });
  }
}

/**
 * A decoder.
 *
 * @throws Error for an encoder, before its weights are read; whatever `load` throws
 */
export async function loadDecoderFor(source: string, options: LoadOptions): Promise<Decoder> {
  try {
    return await loadDecoder(source, options);
  } catch (error) {
    if (!(error instanceof ModelKindError)) throw error;
    const { config } = await inspect(source, options);
    const fitting = COMMANDS[config !== null && "head" in config ? config.head : "none"] ?? "qkv embed";
    const message = `${oneLine(source)} is an encoder (${error.architecture}), which generates no text: use ${fitting}`;
    throw new Error(message, { cause: error });
  }
}

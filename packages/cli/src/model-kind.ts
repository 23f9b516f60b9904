/** Loading the kind of model that a command needs; who gives it another kind is told which commands take that. */

import { type Decoder, type Encoder, inspect, type LoadOptions, loadDecoder, loadEncoder } from "@qkv/models";
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
    const other = otherKind(error, "decoder");
    if (other === null) throw error;
    const message = `${other.name} is a decoder (${other.architecture}), and qkv ${command} needs an encoder: use qkv generate`;
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
    const other = otherKind(error, "encoder");
    if (other === null) throw error;
    const { config } = await inspect(source, options);
    const fitting = COMMANDS[config !== null && "head" in config ? config.head : "none"] ?? "qkv embed";
    const message = `${other.name} is an encoder (${other.architecture}), which generates no text: use ${fitting}`;
    throw new Error(message, { cause: error });
  }
}

/** What a model is that `load` read to the end of its config, and found to be of another kind; null for other errors. */
function otherKind(error: unknown, kind: "encoder" | "decoder"): { name: string; architecture: string } | null {
  if (!(error instanceof TypeError)) return null;
  const match = /^load\w+: (.+) is an? (\S+), which is an? (\w+)$/s.exec(error.message);
  if (match === null || match[3] !== kind) return null;
  return { name: oneLine(match[1] as string), architecture: match[2] as string };
}

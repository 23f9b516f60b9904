/** Summaries, and whatever else a model makes of a text. */

import { checkTexts } from "../host";
import {
  type GenerationTaskHost,
  isT5,
  splitOptions,
  type TextResult,
  type TextToTextOptions,
  taskSettings,
} from "./host";
import { generateTexts } from "./texts";

/** See `Seq2Seq.summarize`. */
export async function summarize(
  host: GenerationTaskHost,
  given: string | readonly string[],
  options: TextToTextOptions,
): Promise<TextResult | TextResult[]> {
  return textToText(host, "summarize", given, options, ["summarization"], isT5(host) ? "summarize: " : "");
}

/** See `Seq2Seq.text2text`. */
export async function text2text(
  host: GenerationTaskHost,
  given: string | readonly string[],
  options: TextToTextOptions,
): Promise<TextResult | TextResult[]> {
  return textToText(host, "text2text", given, options, ["text2text-generation"], "");
}

async function textToText(
  host: GenerationTaskHost,
  call: string,
  given: string | readonly string[],
  options: TextToTextOptions,
  tasks: readonly string[],
  usualPrefix: string,
): Promise<TextResult | TextResult[]> {
  const split = splitOptions(call, options);
  const texts = checkTexts(call, given);
  const settings = taskSettings(host, tasks, usualPrefix);
  const results = await generateTexts(host, { call, texts, options: split, settings });
  return typeof given === "string" ? results[0] : results;
}

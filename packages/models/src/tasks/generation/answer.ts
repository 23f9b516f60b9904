/** Answers to questions, in the model's own words (Raffel et al. 2020, appendix D.15). */

import { checkOptions } from "@qkv/core";
import type { QuestionInContext } from "../answer";
import { kindOf } from "../host";
import { type GenerationTaskHost, splitOptions, type TextResult, type TextToTextOptions, taskSettings } from "./host";
import { generateTexts } from "./texts";

/** See `Seq2Seq.answer`. */
export async function generateAnswer(
  host: GenerationTaskHost,
  given: QuestionInContext | readonly QuestionInContext[],
  options: TextToTextOptions,
): Promise<TextResult | TextResult[]> {
  const call = "answer";
  const split = splitOptions(call, options);
  const isOne = !Array.isArray(given);
  const texts = (isOne ? [given] : given).map((each: unknown, i) => textOf(`${call}: questions[${i}]`, each));
  const settings = taskSettings(host, ["question-answering"], "");
  const results = await generateTexts(host, { call, texts, options: split, settings });
  return isOne ? results[0] : results;
}

function textOf(where: string, given: unknown): string {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new TypeError(`${where}: expected { question, context }, got ${kindOf(given)}`);
  checkOptions(where, given, ["question", "context"]);
  const { question, context } = given as Readonly<Record<string, unknown>>;
  for (const [name, text] of Object.entries({ question, context }))
    if (typeof text !== "string") throw new TypeError(`${where}.${name}: expected a string, got ${kindOf(text)}`);
  return `question: ${question} context: ${context}`;
}

/** What the tasks of heads have in common: the head that they need, texts to ids without blocking, progress by text. */

import { checkInteger, checkOptions } from "@qkv/core";
import type { HeadName } from "../encoder/heads";
import type { OutputName } from "../encoder/outputs";
import type { EncoderOutput } from "../encoder/pass";
import { Pacer } from "../pace";
import {
  type Cutting,
  checkTaskOptions,
  kindOf,
  TASK_OPTIONS,
  type TaskHost,
  type TaskOptions,
  type TextOrPair,
  type TokenizedText,
} from "./host";

/** What a head is for, and the end of the name of transformers' classes that have it. */
const HEADS: Readonly<Partial<Record<HeadName, readonly [what: string, className: string]>>> = {
  maskedLm: ["a masked language model's head", "ForMaskedLM"],
  nextSentence: ["a next sentence head", "ForNextSentencePrediction or ForPreTraining"],
  sequenceClassification: ["a classifier of texts", "ForSequenceClassification"],
  tokenClassification: ["a classifier of tokens", "ForTokenClassification"],
  questionAnswering: ["a question answering head", "ForQuestionAnswering"],
};

/** @throws Error where the model lacks the head of a task */
export function checkHead(call: string, host: TaskHost, name: HeadName): void {
  if (host.heads[name] !== null) return;
  const [what, className] = HEADS[name] as readonly [string, string];
  const there = (Object.keys(host.heads) as HeadName[]).filter((each) => host.heads[each] !== null);
  const saved = host.config.head === "none" ? "an encoder without a task" : `a model for ${host.config.head}`;
  throw new Error(
    `${call} needs ${what}, as checkpoints of a class ...${className} have; ` +
      `this is ${saved}, with ${there.length === 0 ? "no heads" : `the heads ${there.join(", ")}`}`,
  );
}

/** Checks the options' names, and those that every task takes. @throws TypeError, RangeError */
export function checkOptionsOf<O extends TaskOptions>(
  call: string,
  options: O,
  own: readonly (keyof O & string)[],
): void {
  checkOptions(call, options, [...own, ...TASK_OPTIONS]);
  checkTaskOptions(options);
}

/** @throws RangeError for a number of results that is none */
export function checkTopK(topK: number | undefined): void {
  if (topK !== undefined) checkInteger("topK", topK, 1);
}

/** @throws TypeError for what is neither true nor false */
export function checkFlag(name: string, value: boolean): void {
  if (typeof value !== "boolean") throw new TypeError(`${name}: expected true or false, got ${String(value)}`);
}

/** A text and its pair. @throws TypeError */
export function checkPair(name: string, given: unknown): readonly [string, string] {
  if (!Array.isArray(given) || given.length !== 2 || !given.every((text) => typeof text === "string")) {
    throw new TypeError(`${name}: expected a pair of strings, got ${kindOf(given)}`);
  }
  return given as unknown as readonly [string, string];
}

/** Makes something of each item, in order; others may run in between. @throws the signal's reason */
export async function paced<T, R>(
  items: readonly T[],
  signal: AbortSignal | undefined,
  make: (item: T, index: number) => R,
): Promise<R[]> {
  const made: R[] = [];
  const pacer = new Pacer();
  for (const [i, item] of items.entries()) {
    signal?.throwIfAborted();
    made.push(make(item, i));
    if (pacer.due()) await pacer.rest();
  }
  return made;
}

/** Ids of all texts. @throws the signal's reason */
export function tokenizeAll(
  host: TaskHost,
  call: string,
  texts: readonly TextOrPair[],
  { signal }: TaskOptions,
  cutting: Cutting = {},
): Promise<TokenizedText[]> {
  return paced(texts, signal, (text) => host.tokenize(call, [text], cutting)[0]);
}

/**
 * Runs the inputs that each text was made into, and reports progress in texts.
 *
 * @param each told about every input once, in any order
 * @throws as `host.encode`
 */
export async function encodeParts(
  host: TaskHost,
  texts: readonly (readonly TokenizedText[])[],
  outputs: readonly OutputName[],
  each: (text: number, part: number, output: EncoderOutput) => void,
  options: TaskOptions,
): Promise<void> {
  const places = texts.flatMap((parts, text) => parts.map((input, part) => ({ text, part, input })));
  const left = texts.map((parts) => parts.length);
  let done = left.filter((parts) => parts === 0).length;
  const handle = (index: number, output: EncoderOutput): void => {
    const { text, part } = places[index];
    each(text, part, output);
    if (--left[text] === 0) done++;
  };
  const inputs = places.map(({ input }) => input);
  const onProgress = () => options.onProgress?.({ done, total: texts.length });
  await host.encode(inputs, outputs, handle, { ...options, onProgress });
}

/** What a task needs of a loaded encoder: texts to ids, ids through the model, without blocking the event loop. */

import { checkInteger, type Kernels } from "@qkv/core";
import type { Encoding, Tokenizer, TruncationStrategy } from "@qkv/tokenize";
import type { SentenceSettings } from "../embeddings/sentence-settings";
import type { EncoderConfig } from "../encoder/config";
import type { Heads } from "../encoder/heads";
import type { OutputName } from "../encoder/outputs";
import type { EncoderInput, EncoderOutput } from "../encoder/pass";

/** Options that every task takes. */
export interface TaskOptions {
  /**
   * Most tokens that go through the model at once; a single text may have more. Texts are sorted by length and packed,
   * not padded: results do not depend on it, memory and speed do. 512 if left out.
   */
  readonly batchTokens?: number;
  /** Calls the task off. */
  readonly signal?: AbortSignal;
  /** Told how many of the texts are done. */
  readonly onProgress?: (progress: TaskProgress) => void;
}

export const TASK_OPTIONS = ["batchTokens", "signal", "onProgress"] as const;

export interface TaskProgress {
  readonly done: number;
  readonly total: number;
}

/** A text, or a text and its pair. */
export type TextOrPair = string | readonly [text: string, pair: string];

/** How texts are cut where they are longer than the model takes. */
export interface Cutting {
  /** Most tokens, special ones included; `host.maxTokens` if left out. */
  readonly maxTokens?: number;
  /** Of a pair, what is cut: "longestFirst" if left out. */
  readonly strategy?: TruncationStrategy;
  /** Tokens that the windows in `encoding.overflowing` share with the one before. */
  readonly stride?: number;
  /** In place of the model's own. */
  readonly tokenizer?: Tokenizer;
}

/** A text as the model takes it. */
export interface TokenizedText extends EncoderInput {
  readonly encoding: Encoding;
}

/** What an encoder lends to its tasks. */
export interface TaskHost {
  readonly kernels: Kernels;
  readonly config: EncoderConfig;
  readonly heads: Heads;
  /** D */
  readonly hiddenSize: number;
  /** Most tokens of a text. */
  readonly maxTokens: number;
  readonly sentence: SentenceSettings;

  /**
   * The tokenizer.
   *
   * @param task for the message
   * @throws Error for a model without one
   */
  tokenizer(task: string): Tokenizer;

  /** Ids and token types of texts or pairs, with special tokens. `call` is for messages. */
  tokenize(call: string, texts: readonly TextOrPair[], cutting?: Cutting): TokenizedText[];

  /**
   * Runs inputs through the model, in passes of at most `batchTokens` rows, the longest first. Each gives the bits that it
   * gives alone.
   *
   * @param each told about every input once, in any order; what it is given is valid during the call only
   * @throws the signal's reason; OutOfMemoryError; Error once the model was disposed
   */
  encode(
    inputs: readonly EncoderInput[],
    outputs: readonly OutputName[],
    each: (index: number, output: EncoderOutput) => void,
    options: TaskOptions,
  ): Promise<void>;
}

/** @throws TypeError and RangeError for options of the wrong type or value */
export function checkTaskOptions({ batchTokens, signal, onProgress }: TaskOptions): void {
  if (batchTokens !== undefined) checkInteger("batchTokens", batchTokens, 1, MAX_BATCH_TOKENS);
  if (signal !== undefined && typeof signal?.throwIfAborted !== "function")
    throw new TypeError("signal: expected an AbortSignal");
  if (onProgress !== undefined && typeof onProgress !== "function")
    throw new TypeError("onProgress: expected a function");
}

/** More rows than any memory here holds for the smallest model. */
const MAX_BATCH_TOKENS = 2 ** 22;

/** A text, or a list of them. @throws TypeError */
export function checkTexts(call: string, given: unknown): readonly string[] {
  const texts: unknown = typeof given === "string" ? [given] : given;
  if (!Array.isArray(texts)) throw new TypeError(`${call}: expected a text or an array of texts, got ${kindOf(given)}`);
  texts.forEach((text: unknown, i) => {
    if (typeof text !== "string") throw new TypeError(`${call}: texts[${i}]: expected a string, got ${kindOf(text)}`);
  });
  return texts;
}

export function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "an array" : `a value of type ${typeof value}`;
}

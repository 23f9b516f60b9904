/** Showing a generation as it comes, or reporting it as JSON at its end, with its speed. */

import type { Decoder, GeneratedSequence, GenerateOptions, Generation, GenerationResult, Seq2Seq } from "@qkv/models";
import { OutputError } from "./errors";
import { widthOf } from "./generation-flags";
import { coloursFor, forTerminal, jsonLine } from "./output";
import { type Terminal, write } from "./terminal";

/** A generation and how to show it. */
export interface GenerationRequest {
  /** Not started yet. */
  readonly generation: Generation;
  /** Its options. */
  readonly options: GenerateOptions;
  /** Shown before the new text; "" for nothing. */
  readonly prompt: string;
  readonly json: boolean;
}

/** Runs a generation: text to stdout and its speed to stderr, or one JSON object to stdout. */
export async function runGeneration(
  model: Decoder | Seq2Seq,
  request: GenerationRequest,
  terminal: Terminal,
): Promise<void> {
  const { generation, options, prompt, json } = request;
  const clock = new Clock();
  // Beams, and several texts, have no tokens before their end.
  const streams = widthOf(model, options) === 1;
  const { stdout, stderr, env } = terminal;
  // A pipe gets the text as it is; a terminal would obey what is in it.
  const visible = stdout.isTTY === true ? forTerminal : (text: string) => text;
  const before = prompt && coloursFor(stdout, env).dim(visible(prompt));
  if (streams) {
    if (json) for await (const _ of generation) clock.tick();
    else await stream(generation, model.tokenizer === null ? null : visible, before, stdout, clock);
  }
  const result = await generation.result();
  if (!streams) clock.end(result);
  if (json) return write(stdout, jsonLine(report(result, clock)));
  if (!streams) {
    const { sequences } = result;
    const lines = sequences.map((each, i) => {
      const score = each.score === null ? "" : `(${each.score.toFixed(4)}) `;
      return `${sequences.length > 1 ? `${i + 1}. ${score}` : ""}${before}${visible(textOf(each))}\n`;
    });
    await write(stdout, lines.join(""));
  }
  await write(stderr, `${coloursFor(stderr, env).dim(summary(result, clock))}\n`);
}

/** @param visible null: a model without a tokenizer, whose ids are shown */
async function stream(
  generation: Generation,
  visible: ((text: string) => string) | null,
  before: string,
  stdout: Terminal["stdout"],
  clock: Clock,
): Promise<void> {
  let shown = false;
  const show = async (text: string) => {
    if (text === "") return;
    shown = true;
    await write(stdout, text);
  };
  try {
    await show(before);
    for await (const { id, text } of generation) {
      clock.tick();
      await show(visible === null ? `${shown ? " " : ""}${id}` : visible(text));
    }
  } catch (error) {
    // An interrupted text ends its line, for the shell's prompt to start on one of its own.
    if (shown && !(error instanceof OutputError)) await write(stdout, "\n");
    throw error;
  }
  await write(stdout, "\n");
}

/** A sequence's text, or its ids where there is no tokenizer. */
export function textOf({ text, ids }: GeneratedSequence): string {
  return text ?? ids.join(" ");
}

/** When tokens came. */
class Clock {
  readonly #start = performance.now();
  #first: number | null = null;
  #last = this.#start;
  #tokens = 0;

  tick(): void {
    this.#last = performance.now();
    this.#first ??= this.#last;
    this.#tokens++;
  }

  /** Tokens that all came at the end. */
  end({ sequences }: GenerationResult): void {
    this.#last = performance.now();
    this.#tokens = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
  }

  /** From the call to the first token, the prompt's pass included and loading not; null where tokens did not come one by one. */
  get timeToFirstTokenMs(): number | null {
    return this.#first === null ? null : thousandths(this.#first - this.#start);
  }

  /** Of the tokens after the first, which no prompt delays; of a single one, and of those that came together, from the call on. null without tokens. */
  get tokensPerSecond(): number | null {
    if (this.#tokens === 0) return null;
    const [tokens, from] =
      this.#first === null || this.#tokens === 1 ? [this.#tokens, this.#start] : [this.#tokens - 1, this.#first];
    const ms = Math.max(this.#last - from, 1e-3);
    return thousandths((1000 * tokens) / ms);
  }
}

function thousandths(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function report(result: GenerationResult, { timeToFirstTokenMs, tokensPerSecond }: Clock): object {
  const { text, ids, promptTokens, finishReason, seed } = result;
  return {
    text,
    ids,
    promptTokens,
    newTokens: ids.length,
    finishReason,
    timeToFirstTokenMs,
    tokensPerSecond,
    ...extrasOf(result),
    ...(seed !== null && { seed }),
  };
}

/** What only some generations have: scores where they were counted, and all sequences where there are several. */
export function extrasOf(result: GenerationResult): object {
  const scores = ({ score, tokenScores }: GeneratedSequence) => ({
    ...(score !== null && { score }),
    ...(tokenScores !== null && { tokenScores }),
  });
  const sequences = result.sequences.map((each) => {
    const { text, ids, finishReason } = each;
    return { text, ids, finishReason, ...scores(each) };
  });
  return { ...scores(result), ...(sequences.length > 1 && { sequences }) };
}

function summary({ sequences, score, seed }: GenerationResult, { timeToFirstTokenMs, tokensPerSecond }: Clock): string {
  const tokens = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
  const parts = sequences.length > 1 ? [`${sequences.length} texts`] : [];
  parts.push(`${tokens} ${tokens === 1 ? "token" : "tokens"}`);
  if (tokensPerSecond !== null) parts.push(`${tokensPerSecond.toFixed(tokensPerSecond < 10 ? 2 : 0)} tok/s`);
  if (timeToFirstTokenMs !== null) parts.push(`first token after ${timeToFirstTokenMs.toFixed(0)} ms`);
  if (score !== null && sequences.length === 1) parts.push(`score ${score.toFixed(4)}`);
  if (seed !== null) parts.push(`seed ${seed}`);
  return parts.join(", ");
}

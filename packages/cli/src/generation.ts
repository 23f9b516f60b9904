/** Showing a generation as it comes, or reporting it as JSON at its end, with its speed. */

import type { Decoder, GenerateOptions, GenerationResult } from "@qkv/models";
import { OutputError } from "./errors";
import { coloursFor, forTerminal, jsonLine } from "./output";
import { type Terminal, write } from "./terminal";

/** What to generate and how to show it. */
export interface GenerationRequest {
  /** Ids to continue; or a text, for a model that will say why it cannot take one. */
  readonly start: readonly number[] | string;
  readonly options: GenerateOptions;
  /** Shown before the new text; "" for nothing. */
  readonly prompt: string;
  readonly json: boolean;
}

/** Runs a generation: text to stdout and its speed to stderr, or one JSON object to stdout. */
export async function runGeneration(model: Decoder, request: GenerationRequest, terminal: Terminal): Promise<void> {
  const generation = model.generate(request.start, request.options);
  const clock = new Clock();
  if (request.json) {
    for await (const _ of generation) clock.tick();
    await write(terminal.stdout, jsonLine(report(await generation.result(), clock)));
    return;
  }
  const { stdout, stderr, env } = terminal;
  let shown = false;
  const show = async (text: string) => {
    if (text === "") return;
    shown = true;
    await write(stdout, text);
  };
  // A pipe gets the text as it is; a terminal would obey what is in it.
  const visible = stdout.isTTY === true ? forTerminal : (text: string) => text;
  try {
    await show(request.prompt && coloursFor(stdout, env).dim(visible(request.prompt)));
    for await (const { id, text } of generation) {
      clock.tick();
      await show(model.tokenizer === null ? `${shown ? " " : ""}${id}` : visible(text));
    }
  } catch (error) {
    // An interrupted text ends its line, for the shell's prompt to start on one of its own.
    if (shown && !(error instanceof OutputError)) await write(stdout, "\n");
    throw error;
  }
  await write(stdout, "\n");
  await write(stderr, `${coloursFor(stderr, env).dim(summary(await generation.result(), clock))}\n`);
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

  /** From the call to the first token, the prompt's pass included and loading not; null without tokens. */
  get timeToFirstTokenMs(): number | null {
    return this.#first === null ? null : thousandths(this.#first - this.#start);
  }

  /** Of the tokens after the first, which no prompt delays; of a single one, that one's. null without tokens. */
  get tokensPerSecond(): number | null {
    if (this.#first === null) return null;
    const [tokens, from] = this.#tokens > 1 ? [this.#tokens - 1, this.#first] : [1, this.#start];
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
    ...(seed !== null && { seed }),
  };
}

function summary({ ids, seed }: GenerationResult, { timeToFirstTokenMs, tokensPerSecond }: Clock): string {
  const parts = [`${ids.length} ${ids.length === 1 ? "token" : "tokens"}`];
  if (tokensPerSecond !== null) parts.push(`${tokensPerSecond.toFixed(tokensPerSecond < 10 ? 2 : 0)} tok/s`);
  if (timeToFirstTokenMs !== null) parts.push(`first token after ${timeToFirstTokenMs.toFixed(0)} ms`);
  if (seed !== null) parts.push(`seed ${seed}`);
  return parts.join(", ");
}

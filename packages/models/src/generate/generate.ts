/** The loop of generation: prompt in, tokens and text out, one at a time. */

import type { KvCache } from "@qkv/core";
import type { Tokenizer } from "@qkv/tokenize";
import type { GenerationPlan } from "./options";
import { pacer } from "./pace";
import { seededRandom } from "./random";
import { applyTemperature, argmax, forbidRepeatedNgrams, keepTopK, keepTopP, sample } from "./sampling";
import { StopStrings } from "./stop-strings";

/** One new token. */
export interface GeneratedToken {
  readonly id: number;
  /** What it adds to the text: "" while a character or a possible stop string is incomplete, or without a tokenizer. */
  readonly text: string;
}

/** Why a generation ended: an end token or a stop string; or maxNewTokens or the end of the context. */
export type FinishReason = "stop" | "length";

/** What a generation has come to. */
export interface GenerationResult {
  /** The new text; null if the model has no tokenizer. */
  readonly text: string | null;
  /** The new ids, the end token included if it came. */
  readonly ids: readonly number[];
  readonly promptTokens: number;
  readonly finishReason: FinishReason;
  /** Where sampling started: pass it to get the same text again. null when greedy. */
  readonly seed: number | null;
}

/**
 * A generation: iterate over it for tokens as they come, or await `result()`. It starts with the first of the two,
 * and can be iterated over once. Leaving the loop ends it and frees its cache.
 */
export class Generation implements AsyncIterable<GeneratedToken> {
  readonly #tokens: AsyncGenerator<GeneratedToken, GenerationResult, void>;
  #result: GenerationResult | null = null;

  constructor(tokens: AsyncGenerator<GeneratedToken, GenerationResult, void>) {
    this.#tokens = tokens;
  }

  [Symbol.asyncIterator](): AsyncIterator<GeneratedToken, GenerationResult, void> {
    return {
      next: () => this.#next(),
      return: async (value) => this.#tokens.return(await (value as PromiseLike<GenerationResult>)),
      throw: (error: unknown) => this.#tokens.throw(error),
    };
  }

  /** Runs to the end, from wherever it is. @throws the signal's reason if it was aborted; an Error if it was left early */
  async result(): Promise<GenerationResult> {
    while (this.#result === null) {
      const { done } = await this.#next();
      if (done && this.#result === null) throw new Error("the generation was ended before it was complete");
    }
    return this.#result;
  }

  async #next(): Promise<IteratorResult<GeneratedToken, GenerationResult>> {
    const step = await this.#tokens.next();
    if (step.done && step.value !== undefined) this.#result = step.value;
    return step;
  }
}

/** What the loop needs of a model: a place of its own for one sequence, and the two kinds of pass. */
export interface GenerationHost {
  readonly tokenizer: Tokenizer | null;
  /** A cache and buffers for this many positions, until `release`. */
  acquire(positions: number): GenerationLane;
}

/** One sequence under way. */
export interface GenerationLane {
  readonly cache: KvCache;
  /** Passes new ids in chunks; yields when others may run. Leaves the logits of the last id. */
  advance(ids: readonly number[]): Generator<void, void>;
  /** Logits [V] after the last id: a copy that the caller may change. */
  logits(): Float32Array;
  release(): void;
}

/**
 * @param prompt ids, at least one
 * @param positions how many positions prompt and new tokens may take together
 */
export async function* generateTokens(
  host: GenerationHost,
  prompt: readonly number[],
  positions: number,
  plan: GenerationPlan,
): AsyncGenerator<GeneratedToken, GenerationResult, void> {
  const { signal, sampling, stopIds } = plan;
  signal?.throwIfAborted();
  const limit = Math.min(plan.maxNewTokens ?? Number.POSITIVE_INFINITY, positions - prompt.length);
  const finish = (finishReason: FinishReason): GenerationResult => ({
    text: decoder === null ? null : text,
    ids,
    promptTokens: prompt.length,
    finishReason,
    seed: sampling?.seed ?? null,
  });
  const ids: number[] = [];
  let text = "";
  const decoder = host.tokenizer?.decodeStream({ prefix: prompt }) ?? null;
  if (limit <= 0) return finish("length");

  const choose = chooser(plan, prompt);
  const stopStrings = new StopStrings(plan.stop);
  const pause = pacer();
  const lane = host.acquire(positions);
  try {
    let next = prompt;
    while (true) {
      for (const _ of lane.advance(next)) {
        await pause();
        signal?.throwIfAborted();
      }
      const id = choose(lane.logits());
      ids.push(id);
      let piece = decoder === null ? "" : stopStrings.push(decoder.push(id));
      const ended = stopIds.has(id) || stopStrings.stopped;
      const last = ended || ids.length === limit;
      if (last && decoder !== null) piece += stopStrings.push(decoder.flush()) + stopStrings.flush();
      text += piece;
      yield { id, text: piece };
      if (last) return finish(ended || stopStrings.stopped ? "stop" : "length");
      signal?.throwIfAborted();
      next = [id];
    }
  } finally {
    lane.release();
  }
}

/** How the next id is chosen from a row of logits, which is used up; it remembers what it chose. */
function chooser(plan: GenerationPlan, prompt: readonly number[]): (logits: Float32Array) => number {
  const { sampling, noRepeatNgramSize } = plan;
  const history = [...prompt];
  const random = sampling === null ? null : seededRandom(sampling.seed);
  return (logits) => {
    if (noRepeatNgramSize !== null) forbidRepeatedNgrams(logits, history, noRepeatNgramSize);
    if (sampling !== null) {
      applyTemperature(logits, sampling.temperature);
      if (sampling.topK !== null) keepTopK(logits, sampling.topK);
      keepTopP(logits, sampling.topP);
    }
    const id = random === null ? argmax(logits) : sample(logits, random);
    history.push(id);
    return id;
  };
}

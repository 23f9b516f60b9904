/** The loop of generation: prompt in, tokens and text out, one at a time. */

import type { Tokenizer } from "@qkv/tokenize";
import { Pacer } from "../pace";
import type { GenerationPlan } from "./options";
import { seededRandom } from "./random";
import { applyTemperature, argmax, forbidRepeatedNgrams, keepTopK, keepTopP, sample, subtractMax } from "./sampling";
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

/** What a generation tells when its last token is chosen. */
export type Finished = (result: GenerationResult) => void;

type Tokens = AsyncGenerator<GeneratedToken, void, void>;

/**
 * A generation: iterate over it once for tokens as they come, or await `result()`, or both. It starts with the first of
 * the two. Leaving the loop ends it and frees its cache.
 */
export class Generation implements AsyncIterable<GeneratedToken> {
  readonly #tokens: Tokens;
  readonly #outcome: Promise<GenerationResult>;
  #finished: Finished = () => {};
  #failed: (reason: unknown) => void = () => {};
  #started = false;

  /** @param start makes the tokens, and calls back before it gives the last one */
  constructor(start: (finished: Finished) => Tokens) {
    this.#outcome = new Promise((resolve, reject) => {
      this.#finished = resolve;
      this.#failed = reject;
    });
    this.#outcome.catch(() => {}); // who iterates and never asks for the result has seen the error in the loop
    this.#tokens = start(this.#finished);
  }

  /** @throws Error if it is being iterated over, or was */
  [Symbol.asyncIterator](): AsyncIterableIterator<GeneratedToken, void, void> {
    if (this.#started) throw new Error("a generation can be iterated over once");
    this.#started = true;
    const iterator: AsyncIterableIterator<GeneratedToken, void, void> = {
      next: () => this.#step(() => this.#tokens.next()),
      return: () => this.#step(() => this.#tokens.return()),
      throw: (error: unknown) => this.#step(() => this.#tokens.throw(error)),
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /**
   * The whole result. Runs the generation if nobody iterates over it, else waits for who does.
   *
   * @throws the signal's reason if it was aborted, what failed if it failed, an Error if the loop was left early
   */
  async result(): Promise<GenerationResult> {
    if (!this.#started) {
      for await (const _ of this) {
        // only the result is wanted
      }
    }
    return this.#outcome;
  }

  async #step(
    step: () => Promise<IteratorResult<GeneratedToken, void>>,
  ): Promise<IteratorResult<GeneratedToken, void>> {
    try {
      const result = await step();
      if (result.done) this.#failed(new Error("the generation was ended before it was complete"));
      return result;
    } catch (error) {
      this.#failed(error);
      throw error;
    }
  }
}

/** What the loop needs of a model. */
export interface GenerationHost {
  readonly tokenizer: Tokenizer | null;
  /** A cache and buffers, until `release`. */
  acquire(): GenerationLane;
}

/** One sequence under way. */
export interface GenerationLane {
  /** Passes new ids in chunks; yields between layers where `due` says so. Leaves the logits of the last id. */
  advance(ids: readonly number[], due: () => boolean): Generator<void, void>;
  /** Logits [V] after the last id: a view that the caller may change, valid until the next pass. */
  logits(): Float32Array;
  release(): void;
}

/**
 * @param prompt ids, at least one
 * @param positions how many positions prompt and new tokens may take together
 * @param finished told the result before the last token is given
 */
export async function* generateTokens(
  host: GenerationHost,
  prompt: readonly number[],
  positions: number,
  plan: GenerationPlan,
  finished: Finished,
): Tokens {
  const { signal, sampling, stopIds } = plan;
  signal?.throwIfAborted();
  const ids: number[] = [];
  const text = textStream(host.tokenizer, prompt, plan.stop);
  const finish = (finishReason: FinishReason) =>
    finished({ text: text.whole(), ids, promptTokens: prompt.length, finishReason, seed: sampling?.seed ?? null });
  const limit = positions - prompt.length;
  if (limit <= 0) return finish("length");

  const choose = chooser(plan, prompt);
  const pacer = new Pacer();
  const lane = host.acquire();
  try {
    for (let next = prompt; ids.length < limit; next = [ids[ids.length - 1]]) {
      for (const _ of lane.advance(next, pacer.due)) {
        await pacer.rest();
        signal?.throwIfAborted();
      }
      const id = choose(lane.logits());
      ids.push(id);
      let piece = text.push(id);
      const last = stopIds.has(id) || text.stopped() || ids.length === limit;
      if (last) {
        piece += text.flush();
        finish(stopIds.has(id) || text.stopped() ? "stop" : "length");
      }
      yield { id, text: piece };
      if (last) return;
      signal?.throwIfAborted();
    }
  } finally {
    lane.release();
  }
}

/** The new text as it comes: ids decoded, and cut at a stop string. */
function textStream(tokenizer: Tokenizer | null, prompt: readonly number[], stop: readonly string[]) {
  // Embeddings are often padded to a round number of rows: ids past the vocabulary have no text.
  const known = (id: number) => tokenizer !== null && id < tokenizer.vocabSize;
  const decoder = tokenizer?.decodeStream({ prefix: prompt.filter(known) }) ?? null;
  const stopStrings = new StopStrings(stop);
  let text = "";
  const shown = (piece: string) => {
    text += piece;
    return piece;
  };
  return {
    push: (id: number) => (decoder !== null && known(id) ? shown(stopStrings.push(decoder.push(id))) : ""),
    flush: () => (decoder === null ? "" : shown(stopStrings.push(decoder.flush()) + stopStrings.flush())),
    stopped: () => stopStrings.stopped,
    /** All so far; null without a tokenizer. */
    whole: () => (decoder === null ? null : text),
  };
}

/** How the next id is chosen from a row of logits, which is used up; it remembers what it chose. */
function chooser(plan: GenerationPlan, prompt: readonly number[]): (logits: Float32Array) => number {
  const { sampling, noRepeatNgramSize } = plan;
  const history = [...prompt];
  const random = sampling === null ? null : seededRandom(sampling.seed);
  return (logits) => {
    if (noRepeatNgramSize !== null) forbidRepeatedNgrams(logits, history, noRepeatNgramSize);
    if (sampling !== null) {
      subtractMax(logits);
      applyTemperature(logits, sampling.temperature);
      if (sampling.topK !== null) keepTopK(logits, sampling.topK);
      keepTopP(logits, sampling.topP);
    }
    const id = random === null ? argmax(logits) : sample(logits, random);
    history.push(id);
    return id;
  };
}

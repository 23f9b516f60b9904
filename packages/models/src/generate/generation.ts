/** A generation as its caller holds it: tokens as they come, and the whole result. */

import type { FinishReason } from "./search";

/** One new token. */
export interface GeneratedToken {
  readonly id: number;
  /** What it adds to the text: "" while a character or a possible stop string is incomplete, or without a tokenizer. */
  readonly text: string;
}

/** One of the sequences of a generation. */
export interface GeneratedSequence {
  /** The new text; null if the model has no tokenizer. */
  readonly text: string | null;
  /** The new ids, the end token included if it came. */
  readonly ids: readonly number[];
  readonly finishReason: FinishReason;
  /**
   * Of beams the sum of `tokenScores` divided by their number to the power of `lengthPenalty`, as Hugging Face ranks them;
   * otherwise their mean. null unless `scores` was asked for, or beams were searched.
   */
  readonly score: number | null;
  /** ln of each new token's probability, as the search counted it; null unless `scores` was asked for. */
  readonly tokenScores: readonly number[] | null;
}

/** What a generation has come to: the first, and with beams the best, of its sequences. */
export interface GenerationResult extends GeneratedSequence {
  /** `numReturnSequences` of them: with beams the best first, else as they were drawn. */
  readonly sequences: readonly GeneratedSequence[];
  readonly promptTokens: number;
  /** Where sampling started: pass it to get the same text again. null when nothing was drawn. */
  readonly seed: number | null;
}

/** What a generation tells when its last token is chosen. */
export type Finished = (result: GenerationResult) => void;

/** Tokens of a generation as they come. */
export type Tokens = AsyncGenerator<GeneratedToken, void, void>;

/**
 * A generation: iterate over it once for tokens as they come, or await `result()`, or both. It starts with the first of
 * the two. Leaving the loop ends it and frees its cache. Beams, and several sequences, have no tokens before their end:
 * they give a result only.
 */
export class Generation implements AsyncIterable<GeneratedToken> {
  readonly #tokens: Tokens;
  readonly #streams: boolean;
  readonly #outcome: Promise<GenerationResult>;
  #finished: Finished = () => {};
  #failed: (reason: unknown) => void = () => {};
  #started = false;

  /**
   * @param start makes the tokens, and calls back before it gives the last one
   * @param streams whether tokens come one by one
   */
  constructor(start: (finished: Finished) => Tokens, streams = true) {
    this.#outcome = new Promise((resolve, reject) => {
      this.#finished = resolve;
      this.#failed = reject;
    });
    this.#outcome.catch(() => {}); // who iterates and never asks for the result has seen the error in the loop
    this.#streams = streams;
    this.#tokens = start(this.#finished);
  }

  /** @throws Error if it is being iterated over, or was; and where there are several sequences, which have no order in time */
  [Symbol.asyncIterator](): AsyncIterableIterator<GeneratedToken, void, void> {
    if (!this.#streams) {
      throw new Error(
        "beams and several sequences have no tokens before their end: await result(), or take one sequence",
      );
    }
    return this.#iterate();
  }

  /**
   * The whole result. Runs the generation if nobody iterates over it, else waits for who does.
   *
   * @throws the signal's reason if it was aborted, what failed if it failed, an Error if the loop was left early
   */
  async result(): Promise<GenerationResult> {
    if (!this.#started) {
      const tokens = this.#iterate();
      while (!(await tokens.next()).done) {
        // only the result is wanted
      }
    }
    return this.#outcome;
  }

  #iterate(): AsyncIterableIterator<GeneratedToken, void, void> {
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

/** How a text is searched for: which tokens are passed next, given the logits after those that were passed before. */

/** A token to pass next, after what one of the rows of the last pass belongs to. */
export interface Branch {
  /** Which row of the last pass it continues; 0 after the prompt, which leaves one row. */
  readonly parent: number;
  readonly id: number;
}

/** Why a sequence ended: an end token or a stop string; or the most tokens that were asked for, or the context's end. */
export type FinishReason = "stop" | "length";

/** A sequence that a search came to. */
export interface FoundSequence {
  /** The new ids, the end token included if it came. */
  readonly ids: readonly number[];
  readonly finishReason: FinishReason;
  /** What the search ranks by, in nats; null where nobody asked for scores. */
  readonly score: number | null;
  /** ln of each new token's probability as the search counted it; null where nobody asked for scores. */
  readonly tokenScores: readonly number[] | null;
}

/** A search under way. It knows no model: logits go in, tokens come out. */
export interface Search {
  /**
   * Takes the logits [V] after each row of the last pass, and gives the rows of the next; none once it is over. The
   * first pass, of the prompt, has the one row 0.
   *
   * @param logits views that may be changed, and are valid during the call
   */
  advance(logits: (row: number) => Float32Array): readonly Branch[];
  /** What was found, best first, once `advance` gave no more rows. */
  found(): readonly FoundSequence[];
}

/** Changes the scores [V] of the next token in place. `ids`: all so far, those of the prompt or the start token first. */
export type LogitsProcessor = (scores: Float32Array, ids: readonly number[]) => void;

/** One token after the other: the likeliest, or one that is drawn. */

import { seededRandom } from "./random";
import { argmax, crossEntropy, sample } from "./sampling";
import type { Branch, FinishReason, FoundSequence, LogitsProcessor, Search } from "./search";

export interface TokenSearchOptions {
  /** Ids before the first new one, which processors see too. */
  readonly prompt: readonly number[];
  /** At least 1. */
  readonly maxNewTokens: number;
  readonly endIds: ReadonlySet<number>;
  readonly processors: readonly LogitsProcessor[];
  /** Where drawing starts, for each sequence; a single null for the likeliest token. */
  readonly seeds: readonly (number | null)[];
  /** Whether to count scores. */
  readonly scores: boolean;
  /** Told each token as it is chosen. @returns whether the text has come to a stop string */
  readonly onToken: (sequence: number, id: number) => boolean;
}

/** A sequence under way. */
interface Line {
  readonly ids: number[];
  /** The prompt and the new ids. */
  readonly history: number[];
  readonly random: (() => number) | null;
  readonly tokenScores: number[];
  finishReason: FinishReason | null;
}

/**
 * Greedy decoding or sampling of one or more sequences, each by itself.
 *
 * A token's score is ln of its probability after all processors; what was filtered has none. A sequence's is their mean.
 */
export class TokenSearch implements Search {
  readonly #options: TokenSearchOptions;
  readonly #lines: readonly Line[];
  /** Which line each row of the last pass belongs to. */
  #rows: readonly number[];

  constructor(options: TokenSearchOptions) {
    this.#options = options;
    this.#lines = options.seeds.map((seed) => ({
      ids: [],
      history: [...options.prompt],
      random: seed === null ? null : seededRandom(seed),
      tokenScores: [],
      finishReason: null,
    }));
    this.#rows = this.#lines.map((_, line) => line);
  }

  advance(logits: (row: number) => Float32Array): readonly Branch[] {
    const first = this.#lines[0].ids.length === 0;
    // All of them start from the prompt's row, which processors change.
    const copies = first && this.#rows.length > 1 ? this.#rows.map(() => logits(0).slice()) : null;
    const branches: Branch[] = [];
    const rows: number[] = [];
    for (const [row, index] of this.#rows.entries()) {
      const line = this.#lines[index];
      const id = this.#choose(line, copies?.[row] ?? logits(row));
      line.finishReason = this.#finish(index, line, id);
      if (line.finishReason !== null) continue;
      branches.push({ parent: first ? 0 : row, id });
      rows.push(index);
    }
    this.#rows = rows;
    return branches;
  }

  found(): readonly FoundSequence[] {
    const { scores } = this.#options;
    return this.#lines.map(({ ids, finishReason, tokenScores }) => {
      const sum = tokenScores.reduce((total, score) => total + score, 0);
      return {
        ids,
        finishReason: finishReason ?? "length",
        score: scores ? sum / ids.length : null,
        tokenScores: scores ? tokenScores : null,
      };
    });
  }

  #choose(line: Line, scores: Float32Array): number {
    for (const process of this.#options.processors) process(scores, line.history);
    const id = line.random === null ? argmax(scores) : sample(scores, line.random);
    if (this.#options.scores) line.tokenScores.push(-crossEntropy(scores, id));
    line.ids.push(id);
    line.history.push(id);
    return id;
  }

  #finish(index: number, { ids }: Line, id: number): FinishReason | null {
    const { endIds, maxNewTokens, onToken } = this.#options;
    const stopped = onToken(index, id);
    if (stopped || endIds.has(id)) return "stop";
    return ids.length === maxNewTokens ? "length" : null;
  }
}

/** Beam search and diverse (group) beam search, as a machine that takes logits and gives tokens. */

import { checkInteger, checkOptions, pow } from "@qkv/core";
import { BeamGroup, type Hypothesis, type Step } from "./beam-search-group";
import { logSoftmax } from "./beam-search-scores";
import type { Branch, FoundSequence, LogitsProcessor, Search } from "./search";

/** What a beam search goes by. Nothing has a default: who makes one has the model's. */
export interface BeamSearchOptions {
  /** Sequences kept under way at once, at least 1. */
  readonly numBeams: number;
  /** How many sequences `found` gives, up to `numBeams`. */
  readonly numReturnSequences: number;
  /** A finished sequence ranks by the sum of its log-probabilities divided by length ^ lengthPenalty. */
  readonly lengthPenalty: number;
  /**
   * When `numBeams` sequences are finished: true ends the search; false ends it if the best under way would not rank
   * among them at its present length; "never" only if it would not at the length that favours it most.
   */
  readonly earlyStopping: boolean | "never";
  /** Tokens that end a sequence; it contains them. */
  readonly endIds: ReadonlySet<number>;
  /** Most new tokens of a sequence, at least 1. */
  readonly maxNewTokens: number;
  /** The ids before the first new one, as the processors are to see them. */
  readonly prompt: readonly number[];
  /** Applied in turn to each row's log-probabilities, before those before it are added. */
  readonly processors: readonly LogitsProcessor[];
  /** Whether the found sequences come with scores. */
  readonly scores: boolean;
  /** Groups of numBeams / numBeamGroups beams that search one after the other; 1 is plain beam search. */
  readonly numBeamGroups: number;
  /** What a token's log-probability loses for each time that an earlier group chose it in the same step. */
  readonly diversityPenalty: number;
}

const KNOWN: readonly (keyof BeamSearchOptions)[] = [
  "numBeams",
  "numReturnSequences",
  "lengthPenalty",
  "earlyStopping",
  "endIds",
  "maxNewTokens",
  "prompt",
  "processors",
  "scores",
  "numBeamGroups",
  "diversityPenalty",
];

/**
 * A beam search under way. It ranks and stops as Hugging Face transformers does: as `_beam_search` of version 5, or with
 * groups (Vijayakumar et al. 2016, "Diverse Beam Search") as `_group_beam_search` of version 4. A pass may have fewer
 * rows than `width`: the first step forks one beam, and a group that is done has none.
 *
 * Where it goes its own way:
 * - Of equal scores, that of the lower beam ranks first, then the lower id; a sequence finished earlier ranks before one
 *   finished later, one of an earlier group before one of a later. transformers leaves that to a sort.
 * - A token of probability 0 is never chosen, and a sequence that ended never goes on. Where processors leave fewer
 *   tokens than beams, transformers fills the beams with such, at scores about -1e9; here the search has fewer beams,
 *   and `found` may give fewer sequences than were asked for.
 * - A group that is done takes no token from later groups; in transformers they are penalized for its padding.
 *
 * @throws TypeError for an option of the wrong type or name, RangeError for one that is out of range
 *
 * @example
 * const search = new BeamSearch({ numBeams: 4, numReturnSequences: 1, lengthPenalty: 1, earlyStopping: false,
 *   endIds: new Set([1]), maxNewTokens: 32, prompt: [0], processors: [], scores: true, numBeamGroups: 1,
 *   diversityPenalty: 0 });
 * let rows = search.advance(() => logitsAfterPrompt);
 * while (rows.length > 0) rows = search.advance(pass(rows));
 * const [{ ids, score }] = search.found();
 */
export class BeamSearch implements Search {
  readonly width: number;
  readonly #options: BeamSearchOptions;
  readonly #groups: readonly BeamGroup[];
  #length = 0;
  #over = false;

  constructor(options: BeamSearchOptions) {
    checkBeamSearchOptions(options);
    this.width = options.numBeams;
    this.#options = options;
    this.#groups = Array.from({ length: options.numBeamGroups }, () => new BeamGroup(options));
  }

  /**
   * @throws RangeError if a logit or a score is NaN, or if no sequence was finished and none can go on, because the
   * processors left no token
   */
  advance(logits: (row: number) => Float32Array): readonly Branch[] {
    if (this.#over) throw new Error("the beam search is over");
    this.#length++;
    const logProbabilities = this.#length === 1 ? sharedRow(logits(0), this.#groups.length) : ownRow(logits);
    const rows: Branch[] = [];
    const taken: number[] = [];
    for (const group of this.#groups) {
      if (!group.live) continue;
      rows.push(...group.advance(logProbabilities, this.#length, taken, rows.length));
    }
    this.#over = rows.length === 0;
    if (this.#over && this.#groups.every((group) => group.finished.length === 0)) {
      throw new RangeError(
        `no sequence can be completed: after ${this.#length - 1} new tokens every token has the score -Infinity, ` +
          "for every beam; logits processors or the allowed tokens leave none",
      );
    }
    return rows;
  }

  /** @throws Error while the search is not over */
  found(): readonly FoundSequence[] {
    if (!this.#over) throw new Error("the beam search is not over: call advance until it gives no rows");
    const { numReturnSequences, endIds, scores } = this.#options;
    return this.#groups
      .flatMap((group) => group.finished)
      .sort((a, b) => b.score - a.score)
      .slice(0, numReturnSequences)
      .map((hypothesis) => foundSequence(hypothesis, endIds, scores));
  }
}

/** The row after the prompt, of which every reader gets a copy of its own but for the last. */
function sharedRow(logits: Float32Array, readers: number): () => Float32Array {
  logSoftmax(logits);
  let left = readers;
  return () => (--left > 0 ? logits.slice() : logits);
}

/** Rows that are read once each. */
function ownRow(logits: (row: number) => Float32Array): (row: number) => Float32Array {
  return (row) => {
    const view = logits(row);
    logSoftmax(view);
    return view;
  };
}

function foundSequence({ score, last }: Hypothesis, endIds: ReadonlySet<number>, scores: boolean): FoundSequence {
  const steps: Step[] = [];
  for (let step: Step | null = last; step !== null; step = step.before) steps.push(step);
  steps.reverse();
  return {
    ids: steps.map(({ id }) => id),
    finishReason: endIds.has(last.id) ? "stop" : "length",
    score: scores ? score : null,
    tokenScores: scores ? steps.map(({ logProbability }) => logProbability) : null,
  };
}

function checkBeamSearchOptions(options: BeamSearchOptions): void {
  checkOptions("BeamSearch", options, KNOWN);
  const { numBeams, numReturnSequences, earlyStopping, endIds, maxNewTokens, prompt, processors, scores } = options;
  checkInteger("numBeams", numBeams, 1);
  checkInteger("numReturnSequences", numReturnSequences, 1, numBeams);
  checkInteger("maxNewTokens", maxNewTokens, 1);
  if (typeof earlyStopping !== "boolean" && earlyStopping !== "never") {
    throw new TypeError(`earlyStopping: expected true, false or "never", got ${String(earlyStopping)}`);
  }
  if (typeof scores !== "boolean") throw new TypeError(`scores: expected a boolean, got ${String(scores)}`);
  if (typeof endIds?.has !== "function") throw new TypeError(`endIds: expected a Set of ids, got ${String(endIds)}`);
  if (!Array.isArray(prompt)) throw new TypeError(`prompt: expected an array of ids, got ${String(prompt)}`);
  if (!Array.isArray(processors) || !processors.every((processor) => typeof processor === "function")) {
    throw new TypeError("processors: expected an array of functions");
  }
  checkLengthPenalty(options);
  checkGroups(options);
}

function checkLengthPenalty({ lengthPenalty, maxNewTokens }: BeamSearchOptions): void {
  checkFinite("lengthPenalty", lengthPenalty);
  const divisor = pow(maxNewTokens, lengthPenalty);
  if (!(divisor > 0 && divisor < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`lengthPenalty: ${lengthPenalty} makes ${maxNewTokens} ^ lengthPenalty ${divisor}`);
  }
}

function checkGroups({ numBeams, numBeamGroups, diversityPenalty }: BeamSearchOptions): void {
  checkInteger("numBeamGroups", numBeamGroups, 1, numBeams);
  checkFinite("diversityPenalty", diversityPenalty);
  if (numBeams % numBeamGroups !== 0) {
    throw new RangeError(`numBeamGroups: expected a divisor of the ${numBeams} beams, got ${numBeamGroups}`);
  }
  if (diversityPenalty < 0) throw new RangeError(`diversityPenalty: expected at least 0, got ${diversityPenalty}`);
  if (numBeamGroups === 1 && diversityPenalty !== 0) {
    throw new RangeError("diversityPenalty: does nothing with one group; set numBeamGroups, or 0 here");
  }
}

function checkFinite(name: string, value: number): void {
  if (!Number.isFinite(value)) throw new RangeError(`${name}: expected a finite number, got ${String(value)}`);
}

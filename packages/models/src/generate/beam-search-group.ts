/** One group of beams of a beam search: its live beams, and the sequences that it finished. */

import { pow } from "@qkv/core";
import type { BeamSearchOptions } from "./beam-search";
import { Ranking } from "./beam-search-scores";

/** A token on a path; beams that share a beginning share its steps. */
export interface Step {
  readonly id: number;
  /** ln of the token's probability, as the processors left it. */
  readonly logProbability: number;
  readonly before: Step | null;
}

/** A sequence that came to its end. */
export interface Hypothesis {
  /** The sum of its log-probabilities, divided by its length to the power of `lengthPenalty`. */
  readonly score: number;
  readonly last: Step;
}

/** A sequence under way. */
interface Beam {
  /** Its row of the pass under way. */
  readonly row: number;
  /** The sum of its log-probabilities. */
  readonly score: number;
  readonly last: Step | null;
  /** The ids so far, the prompt's first; empty if no processor reads them. */
  readonly ids: number[];
}

/** A token that may follow a beam. */
interface Candidate {
  readonly score: number;
  readonly beam: Beam;
  readonly id: number;
  readonly logProbability: number;
}

/** The beams that compete with each other. Plain beam search has one group, diverse beam search several. */
export class BeamGroup {
  readonly #options: BeamSearchOptions;
  readonly #size: number;
  readonly #diverse: boolean;
  readonly #finished: Ranking<Hypothesis>;
  #beams: readonly Beam[];

  constructor(options: BeamSearchOptions) {
    this.#options = options;
    this.#diverse = options.numBeamGroups > 1;
    this.#size = options.numBeams / options.numBeamGroups;
    this.#finished = new Ranking(this.#size);
    this.#beams = [{ row: 0, score: 0, last: null, ids: options.processors.length > 0 ? [...options.prompt] : [] }];
  }

  /** The finished sequences, best first. */
  get finished(): readonly Hypothesis[] {
    return this.#finished.items;
  }

  /** False once there is no beam to pass on. */
  get live(): boolean {
    return this.#beams.length > 0;
  }

  /**
   * Extends every beam by a token.
   *
   * @param logProbabilities [V] after a row, to be changed
   * @param length new tokens of every path after this step
   * @param taken tokens that the groups before this one chose in this step; its own are added, also if it is done
   * @param firstRow the next pass' row of this group's first beam
   * @returns the beams of the next pass as (row of this pass, token), none once the group is done
   */
  advance(
    logProbabilities: (row: number) => Float32Array,
    length: number,
    taken: number[],
    firstRow: number,
  ): readonly { parent: number; id: number }[] {
    const { endIds, maxNewTokens } = this.#options;
    const atLimit = length === maxNewTokens;
    // Beams that go on come from the best tokens that do not end; an end counts only among the best of all tokens.
    const best = new Ranking<Candidate>(this.#size);
    const open = new Ranking<Candidate>(this.#size);
    for (const beam of this.#beams) this.#collect(beam, logProbabilities(beam.row), taken, best, open);
    taken.push(...open.items.map(({ id }) => id));

    for (const candidate of best.items) {
      if (endIds.has(candidate.id) || (atLimit && !this.#diverse)) this.#finish(candidate, length);
    }
    const done = this.#cannotImprove((this.#diverse ? best : open).items[0], length);
    if (atLimit && this.#diverse && !done) for (const candidate of open.items) this.#finish(candidate, length);

    const next = done || atLimit ? [] : open.items;
    this.#beams = this.#extend(next, firstRow);
    return next.map(({ beam, id }) => ({ parent: beam.row, id }));
  }

  /** Offers every token that may follow a beam, but for those of probability 0. */
  #collect(
    beam: Beam,
    scores: Float32Array,
    taken: readonly number[],
    best: Ranking<Candidate>,
    open: Ranking<Candidate>,
  ): void {
    const { endIds, processors, diversityPenalty } = this.#options;
    for (const id of taken) scores[id] -= diversityPenalty;
    for (const processor of processors) processor(scores, beam.ids);
    let threshold = open.worst; // never above that of `best`
    for (let id = 0; id < scores.length; id++) {
      const score = beam.score + scores[id];
      if (score <= threshold) continue;
      if (Number.isNaN(score)) throw new RangeError(`no token can be chosen: the score of id ${id} is NaN`);
      const candidate = { score, beam, id, logProbability: scores[id] };
      best.offer(candidate);
      if (endIds.has(id)) continue;
      open.offer(candidate);
      threshold = open.worst;
    }
  }

  #finish({ beam, id, logProbability, score }: Candidate, length: number): void {
    const last = { id, logProbability, before: beam.last };
    this.#finished.offer({ score: score / this.#penalty(length), last });
  }

  /** What the sum of a sequence's log-probabilities is divided by. */
  #penalty(length: number): number {
    const { lengthPenalty } = this.#options;
    return lengthPenalty === 1 ? length : pow(length, lengthPenalty); // pow errs in the last bits
  }

  /**
   * Whether the finished sequences are enough, and none under way is expected to be better.
   *
   * Two rules of transformers meet here. `_beam_search` looks at the best beam that goes on; BeamSearchScorer, which
   * serves groups, looks at the best token of all, an end too.
   */
  #cannotImprove(best: Candidate | undefined, length: number): boolean {
    const { earlyStopping, lengthPenalty, maxNewTokens } = this.#options;
    if (best === undefined) return true;
    if (!this.#finished.full) return false;
    if (earlyStopping === true) return true;
    const longest = earlyStopping === "never" && lengthPenalty > 0 ? maxNewTokens : length;
    return best.score / this.#penalty(longest) <= this.#finished.worst;
  }

  /** The beams of the next pass. A beam that goes on once keeps its array of ids; only a fork copies it. */
  #extend(candidates: readonly Candidate[], firstRow: number): readonly Beam[] {
    const { processors } = this.#options;
    const keeper = new Map(candidates.map((candidate) => [candidate.beam, candidate])); // a beam's last candidate
    return candidates.map((candidate, i) => {
      const { beam, id, logProbability, score } = candidate;
      const ids = keeper.get(beam) === candidate ? beam.ids : [...beam.ids];
      if (processors.length > 0) ids.push(id);
      return { row: firstRow + i, score, last: { id, logProbability, before: beam.last }, ids };
    });
  }
}

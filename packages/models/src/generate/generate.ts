/** The loop of generation: prompts in, passes through the model, a search that chooses; text out. */

import { checkInteger } from "@qkv/core";
import type { Tokenizer } from "@qkv/tokenize";
import { MAX_CONTEXT } from "../config/json-config";
import type { Memory } from "../decoder/segments";
import { Pacer } from "../pace";
import { BeamSearch } from "./beam-search";
import type { Finished, GeneratedSequence, GenerationResult, Tokens } from "./generation";
import type { GenerationPlan } from "./options";
import { createProcessors } from "./processors/create";
import type { Branch, Search } from "./search";
import { type TextStream, textOf, textStream } from "./text-stream";
import { TokenSearch } from "./token-search";

/** What new text starts from. */
export interface GenerationPrompt {
  /** Ids before the first new one: of a decoder the prompt, of an encoder-decoder the start token. At least one. */
  readonly ids: readonly number[];
  /** How many tokens the caller gave. */
  readonly promptTokens: number;
  /** Ids that the text continues, for the spaces at its beginning. */
  readonly textPrefix: readonly number[];
  /** Ids of the encoder's input; null where there is no encoder. */
  readonly encoderIds: readonly number[] | null;
  /** How many positions `ids` and the new ones may take together. */
  readonly positions: number;
  /** Which prompt of a batch it is. */
  readonly index: number;
  /** What cross-attention reads; null where there is no encoder. */
  readonly memory: Memory | null;
}

/** What the loop needs of a model. */
export interface GenerationHost {
  readonly tokenizer: Tokenizer | null;
  /** @throws Error once the model was disposed */
  checkAlive(): void;
  /** Caches and buffers for these prompts, each with so many sequences at most, until `release`. */
  acquire(prompts: readonly GenerationPrompt[], width: number): GenerationLane;
}

/** Prompts under way together: they share passes, and no number of any depends on the others. */
export interface GenerationLane {
  /** Passes the prompts; leaves a row of logits for each. Yields between layers where `due` says so. */
  start(due: () => boolean): Generator<void, void>;
  /** Passes a token for each branch, whose parents are rows of the last pass; leaves a row of logits for each. */
  step(branches: readonly Branch[], due: () => boolean): Generator<void, void>;
  /** Logits [V] of a row of the last pass: a view that the caller may change, valid until the next pass. */
  logits(row: number): Float32Array;
  release(): void;
}

/** Sequences that share passes: with more, what each adds to a pass outweighs the weights that they read together. */
const MOST_SEQUENCES = 32;

/**
 * How many positions a prompt of so many ids and its new tokens may take.
 *
 * @throws RangeError for more than any context has
 */
export function positionsOf(plan: GenerationPlan, promptLength: number, contextLength: number): number {
  const { maxNewTokens, maxLength } = plan;
  if (maxNewTokens !== null) checkInteger("maxNewTokens", maxNewTokens, 0, MAX_CONTEXT - promptLength);
  if (maxLength !== null) checkInteger("maxLength", maxLength, 0, MAX_CONTEXT);
  return maxNewTokens === null ? (maxLength ?? contextLength) : promptLength + maxNewTokens;
}

/** Most new tokens of a prompt. */
function limitOf({ positions, ids }: GenerationPrompt): number {
  return Math.max(0, positions - ids.length);
}

/** How many sequences a plan keeps under way. */
function widthOf(plan: GenerationPlan): number {
  return plan.beams?.numBeams ?? plan.numReturnSequences;
}

/** Whether tokens can be given as they are chosen. */
export function streams(plan: GenerationPlan): boolean {
  return plan.beams === null && plan.numReturnSequences === 1;
}

/** A prompt and its search. */
class Job {
  readonly prompt: GenerationPrompt;
  readonly search: Search | null;
  readonly #plan: GenerationPlan;
  readonly #tokenizer: Tokenizer | null;
  /** Of each sequence, where its text comes token by token. */
  readonly #texts: readonly TextStream[];
  /** Chosen since they were last taken. */
  #tokens: { id: number; text: string }[] = [];

  constructor(tokenizer: Tokenizer | null, prompt: GenerationPrompt, plan: GenerationPlan) {
    this.prompt = prompt;
    this.#plan = plan;
    this.#tokenizer = tokenizer;
    const { beams, sampling, numReturnSequences, scores, stopIds: endIds } = plan;
    const maxNewTokens = limitOf(prompt);
    this.#texts =
      beams === null
        ? Array.from({ length: numReturnSequences }, () => textStream(tokenizer, prompt.textPrefix, plan.stop))
        : [];
    const create = () =>
      createProcessors(plan, {
        index: prompt.index,
        encoderIds: prompt.encoderIds,
        promptLength: prompt.ids.length,
        maxLength: prompt.positions,
        endIds: [...endIds],
      });
    const common = { prompt: prompt.ids, maxNewTokens, endIds };
    if (maxNewTokens === 0) this.search = null;
    else if (beams !== null) {
      this.search = new BeamSearch({ ...common, ...beams, numReturnSequences, scores: true, processors: create() });
    } else {
      const seeds = Array.from({ length: numReturnSequences }, (_, i) =>
        sampling === null ? null : (sampling.seed + i) % 2 ** 53,
      );
      const onToken = (sequence: number, id: number) => this.#onToken(sequence, id);
      this.search = new TokenSearch({ ...common, processors: create(), seeds, scores, onToken });
    }
  }

  /** Tokens that were chosen since the last call. */
  take(): { id: number; text: string }[] {
    const tokens = this.#tokens;
    this.#tokens = [];
    return tokens;
  }

  /** Once the search is over. */
  result(): GenerationResult {
    const plan = this.#plan;
    const { promptTokens, textPrefix } = this.prompt;
    const nothing = { ids: [], finishReason: "length" as const, score: null, tokenScores: plan.scores ? [] : null };
    const found = this.search?.found() ?? Array.from({ length: plan.numReturnSequences }, () => nothing);
    const sequences = found.map(({ ids, finishReason, score, tokenScores }, i): GeneratedSequence => {
      const text = this.#texts.length > 0 ? this.#texts[i].whole() : textOf(this.#tokenizer, textPrefix, ids);
      return { text, ids, finishReason, score, tokenScores: plan.scores ? tokenScores : null };
    });
    return { ...sequences[0], sequences, promptTokens, seed: plan.sampling?.seed ?? null };
  }

  /** What is held back of the texts comes with their last token. */
  finish(): GenerationResult {
    const last = this.#tokens.at(-1);
    for (const text of this.#texts) {
      const rest = text.flush();
      if (last !== undefined) last.text += rest;
    }
    return this.result();
  }

  #onToken(sequence: number, id: number): boolean {
    const text = this.#texts[sequence];
    this.#tokens.push({ id, text: text.push(id) });
    return text.stopped();
  }
}

/**
 * One prompt, token by token.
 *
 * @param finished told the result before the last token is given
 */
export async function* generateTokens(
  host: GenerationHost,
  prompt: GenerationPrompt,
  plan: GenerationPlan,
  finished: Finished,
): Tokens {
  plan.signal?.throwIfAborted();
  const job = new Job(host.tokenizer, prompt, plan);
  if (job.search === null) return finished(job.result());
  for await (const [over] of passes(host, [job], plan)) {
    if (over) finished(job.finish());
    const tokens = job.take();
    if (streams(plan)) yield* tokens;
  }
}

/** Several prompts at once: each gives what it gives alone. */
export async function generateAll(
  host: GenerationHost,
  prompts: readonly GenerationPrompt[],
  plan: GenerationPlan,
): Promise<GenerationResult[]> {
  plan.signal?.throwIfAborted();
  const jobs = prompts.map((prompt) => new Job(host.tokenizer, prompt, plan));
  const searching = jobs.filter(({ search }) => search !== null);
  if (searching.length > 0) {
    for await (const _ of passes(host, searching, plan)) {
      for (const job of searching) job.take();
    }
  }
  return jobs.map((job) => (job.search === null ? job.result() : job.finish()));
}

/** Prompts in their order, as many together as is of use to each other. */
export function* generationGroups<T>(prompts: readonly T[], plan: GenerationPlan): Generator<readonly T[]> {
  const size = Math.max(1, Math.floor(MOST_SEQUENCES / widthOf(plan)));
  for (let at = 0; at < prompts.length; at += size) yield prompts.slice(at, at + size);
}

/** Runs searches to their end. Gives, after each choice of tokens, which of them are over. */
async function* passes(
  host: GenerationHost,
  jobs: readonly Job[],
  plan: GenerationPlan,
): AsyncGenerator<readonly boolean[], void, void> {
  const { signal } = plan;
  const pacer = new Pacer();
  const rest = async (): Promise<void> => {
    await pacer.rest();
    host.checkAlive();
    signal?.throwIfAborted();
  };
  const complete = async (work: Generator<void, void>): Promise<void> => {
    for (const _ of work) await rest();
  };
  // What the caller's own functions are given must stay theirs, even if they make the memory grow.
  const own = plan.processors.length > 0 || plan.prefixAllowedTokens !== null;
  const lane = host.acquire(
    jobs.map(({ prompt }) => prompt),
    widthOf(plan),
  );
  try {
    await complete(lane.start(pacer.due));
    // The first row of each search among those of the last pass; null once it is over
    let firstRows: (number | null)[] = jobs.map((_, i) => i);
    for (;;) {
      const branches: Branch[] = [];
      const next: (number | null)[] = [];
      for (const [i, { search }] of jobs.entries()) {
        const before = firstRows[i];
        if (before === null) {
          next.push(null);
          continue;
        }
        const first = branches.length;
        const logits = (row: number) => (own ? lane.logits(before + row).slice() : lane.logits(before + row));
        for (const { parent, id } of (search as Search).advance(logits)) branches.push({ parent: before + parent, id });
        next.push(branches.length === first ? null : first);
        if (pacer.due()) await rest();
      }
      firstRows = next;
      yield firstRows.map((row) => row === null);
      if (branches.length === 0) return;
      signal?.throwIfAborted();
      await complete(lane.step(branches, pacer.due));
    }
  } finally {
    lane.release();
  }
}

/** A decoder-only language model, loaded: passes, captures, loss and generation. */

import { checkInteger, checkOptions, exp, type KvCache } from "@qkv/core";
import type { Tokenizer } from "@qkv/tokenize";
import type { FoundChatTemplates } from "../chat/files";
import type { ChatMessage } from "../chat/template";
import type { ApplyChatTemplateOptions, ChatTemplates } from "../chat/templates";
import { Generation, type GenerationLane, generateTokens } from "../generate/generate";
import { type GenerateOptions, planGeneration } from "../generate/options";
import { crossEntropy } from "../generate/sampling";
import { checkedIds } from "../ids";
import type { KernelReport, ModelKernels } from "../kernels";
import type { ModelConfig } from "../registry";
import { selectTaps, type Tensor } from "../taps/capture";
import type { DecoderNetwork } from "./network";
import { runPass } from "./pass";
import { CachePool, ScratchPool } from "./pools";
import { chunksOf } from "./segments";

/** Most positions of a context: further on, the angles of rotary positions would lose their precision. */
export const MAX_CONTEXT = 2 ** 22;

/** A generation begins with room for so many tokens; its cache grows with it. */
const FIRST_ROOM = 256;

/** Options of `run` and `runBatch`. */
export interface RunOptions {
  /** Taps to keep, by name or with `*`: "layers.*.output", "logits". See `Decoder.taps`. */
  readonly capture?: readonly string[];
  /** Logits of only so many last positions; of all if left out. 0 for none. */
  readonly logitsToKeep?: number;
}

/** Options of `run`. */
export interface RunOneOptions extends RunOptions {
  /** From this model's `createCache`: the ids continue what it holds, and are added to it. */
  readonly cache?: KvCache;
}

/** What a pass gives. */
export interface RunResult {
  /** [positions kept, V] */
  readonly logits: Tensor;
  /** By tap name. */
  readonly captured: Readonly<Record<string, Tensor>>;
}

/** How well the model predicts a text. */
export interface LossResult {
  /** Mean cross entropy of each id given those before it, in nats. */
  readonly loss: number;
  /** e^loss */
  readonly perplexity: number;
  /** Cross entropy of every id but the first, [T - 1]. */
  readonly tokenLosses: Float64Array;
}

/** What `load` hands to a Decoder. */
export interface DecoderParts {
  readonly architecture: string;
  readonly config: ModelConfig;
  readonly network: DecoderNetwork;
  readonly kernels: ModelKernels;
  readonly tokenizer: Tokenizer | null;
  /** Why there is no tokenizer. */
  readonly tokenizerProblem: string | null;
  readonly chat: FoundChatTemplates;
  /** Tokens that end a text. */
  readonly endIds: readonly number[];
  readonly contextLength: number;
}

/**
 * A loaded decoder. Made by `load`.
 *
 * Ids may be an array or a typed array of integers.
 *
 * @example
 * const model = await load("packages/cli/models/stories260K");
 * const { text } = await model.generate("Once upon a time", { maxNewTokens: 20 }).result();
 * model.dispose();
 */
export class Decoder {
  readonly kind = "decoder";
  /** `model_type` of its config. */
  readonly architecture: string;
  /** Its config, parsed; in camelCase. */
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer | null;
  /** How chats are written for this model; null where its files do not say, or say it wrongly. */
  readonly chatTemplates: ChatTemplates | null;
  /** Tokens that end a generation unless `stopIds` says otherwise. */
  readonly endIds: readonly number[];
  /** Most positions of a prompt, or of a generation without `maxNewTokens`. */
  readonly contextLength: number;
  readonly vocabSize: number;
  /** Every name that `capture` can take. */
  readonly taps: readonly string[];
  readonly #network: DecoderNetwork;
  readonly #kernels: ModelKernels;
  readonly #tokenizerProblem: string | null;
  readonly #chatTemplateProblem: string | null;
  readonly #caches: CachePool;
  readonly #scratches: ScratchPool<unknown>;

  constructor({ network, kernels, tokenizerProblem, chat, ...parts }: DecoderParts) {
    this.architecture = parts.architecture;
    this.config = parts.config;
    this.tokenizer = parts.tokenizer;
    this.chatTemplates = chat.chatTemplates;
    this.endIds = parts.endIds;
    this.contextLength = parts.contextLength;
    this.vocabSize = network.vocabSize;
    this.taps = [...network.taps, "logits"];
    this.#network = network;
    this.#kernels = kernels;
    this.#tokenizerProblem = tokenizerProblem;
    this.#chatTemplateProblem = chat.chatTemplateProblem;
    this.#caches = new CachePool(network.arena, parts.contextLength, (capacity) => network.createCache(capacity));
    this.#scratches = new ScratchPool(network.arena, () => network.createScratch());
  }

  /**
   * One pass over ids, synchronous: for scripts and workers. Chunks of a text, passed one after the other with the same
   * `cache`, give the same bits as the whole; not so under `dynamic` and `longrope` scaling, whose frequencies depend
   * on the length of the pass. A pass that throws leaves the cache as it was.
   *
   * @param ids [T], at least one
   * @throws RangeError for ids outside of the vocabulary or more than the context; TypeError for unknown options and for
   *   a cache that is not this model's; OutOfMemoryError
   * @example
   * const { logits, captured } = model.run([1, 403, 407], { capture: ["layers.*.attention.probs"] });
   */
  run(ids: ArrayLike<number>, options: RunOneOptions = {}): RunResult {
    checkOptions("run", options, ["capture", "logitsToKeep", "cache"]);
    const { cache, ...rest } = options;
    this.#alive();
    if (cache !== undefined && !this.#caches.lends(cache)) {
      throw new TypeError("cache: expected one from this model's createCache that was not released");
    }
    return this.#run([this.#checkedIds("ids", ids, cache)], rest, cache)[0];
  }

  /**
   * One pass over several sequences of any lengths. They are packed, not padded: each gives the bits that it gives alone.
   *
   * @param sequences ids of each, [T_b]
   * @returns a result for each, in the same order
   * @throws as `run`
   */
  runBatch(sequences: readonly ArrayLike<number>[], options: RunOptions = {}): RunResult[] {
    checkOptions("runBatch", options, ["capture", "logitsToKeep"]);
    this.#alive();
    if (!Array.isArray(sequences) || sequences.length === 0) {
      throw new RangeError("runBatch: expected an array of at least one sequence of ids");
    }
    return this.#run(
      sequences.map((ids: ArrayLike<number>, b) => this.#checkedIds(`sequences[${b}]`, ids)),
      options,
    );
  }

  /**
   * Cross entropy of ids, each predicted from those before it.
   *
   * @param ids [T], at least two
   * @throws as `run`
   */
  loss(ids: ArrayLike<number>): LossResult {
    this.#alive();
    const sequence = this.#checkedIds("ids", ids);
    if (sequence.length < 2) throw new RangeError(`ids: expected at least two, got ${sequence.length}`);
    const tokenLosses = new Float64Array(sequence.length - 1);
    this.#pass([sequence], new Set(), [sequence.length], (_, t, logits) => {
      if (t < tokenLosses.length) tokenLosses[t] = crossEntropy(logits, sequence[t + 1]);
    });
    const loss = tokenLosses.reduce((sum, x) => sum + x, 0) / tokenLosses.length;
    return { loss, perplexity: exp(loss), tokenLosses };
  }

  /**
   * Continues a text or ids. Greedy unless the options say otherwise.
   *
   * With `maxNewTokens` it may go past `contextLength`, which a prompt may not: the caller asked for it, and rotary
   * positions do not end (quality does, past what the model was trained on).
   *
   * @param prompt text, encoded with the tokenizer's special tokens; or ids as they are
   * @throws before any work: TypeError for unknown options, RangeError for wrong values, ids outside of the vocabulary,
   *   an empty prompt or one longer than the context; Error for a text where the model has no tokenizer
   * @example
   * for await (const { text } of model.generate("Once upon a time", { maxNewTokens: 200 })) process.stdout.write(text);
   */
  generate(prompt: string | ArrayLike<number>, options: GenerateOptions = {}): Generation {
    this.#alive();
    const plan = planGeneration(options, this.endIds, this.vocabSize);
    if (plan.stop.length > 0 && this.tokenizer === null) throw this.#noTokenizer("stop strings");
    const ids = this.#checkedIds("prompt", typeof prompt === "string" ? this.#encode(prompt) : prompt);
    if (plan.maxNewTokens !== null) checkInteger("maxNewTokens", plan.maxNewTokens, 0, MAX_CONTEXT - ids.length);
    const positions = plan.maxNewTokens === null ? this.contextLength : ids.length + plan.maxNewTokens;
    const host = { tokenizer: this.tokenizer, acquire: () => this.#acquire(ids.length, positions) };
    return new Generation((finished) => generateTokens(host, ids, positions, plan, finished));
  }

  /**
   * The text of a chat, by the model's own template. It holds the special tokens already: encode it with
   * `addSpecialTokens: false` and generate from the ids.
   *
   * @throws ChatTemplateError where the template refuses the messages, cannot be read or fails; TypeError for wrong
   *   options; Error for a model without a template
   * @example
   * const text = await model.applyChatTemplate([{ role: "user", content: "Hello" }], { addGenerationPrompt: true });
   * const { ids } = model.tokenizer.encode(text, { addSpecialTokens: false });
   * for await (const { text } of model.generate(ids)) process.stdout.write(text);
   */
  async applyChatTemplate(messages: readonly ChatMessage[], options: ApplyChatTemplateOptions = {}): Promise<string> {
    if (this.chatTemplates !== null) return this.chatTemplates.apply(messages, options);
    throw new Error(`applyChatTemplate: this model has no chat template: ${this.#chatTemplateProblem}`);
  }

  /** A cache for `run`, of at least `contextLength` positions. Give it back with `releaseCache`. */
  createCache(): KvCache {
    this.#alive();
    return this.#caches.take(this.contextLength);
  }

  /**
   * Takes back a cache from `createCache`, for the next who needs one.
   *
   * @throws TypeError for a cache that is not this model's, or was released already
   */
  releaseCache(cache: KvCache): void {
    this.#caches.give(cache);
  }

  /** Bytes by purpose: weights, cache, scratch. */
  memory(): Readonly<Record<string, number>> {
    this.#alive();
    return this.#network.arena.report();
  }

  /** How it computes: kernels, threads, what the engine offers. */
  get kernels(): KernelReport {
    return this.#kernels.report();
  }

  /** Gives memory and threads back. Every later use throws. */
  dispose(): void {
    this.#kernels.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  #run(sequences: readonly (readonly number[])[], options: RunOptions, cache?: KvCache): RunResult[] {
    const { capture: patterns = [], logitsToKeep = Number.POSITIVE_INFINITY } = options;
    if (logitsToKeep !== Number.POSITIVE_INFINITY) checkInteger("logitsToKeep", logitsToKeep, 0);
    const capture = selectTaps(patterns, this.taps);
    const V = this.vocabSize;
    const kept = sequences.map((ids) => Math.min(ids.length, logitsToKeep));
    const computed = sequences.map((ids, b) => (capture.has("logits") ? ids.length : kept[b]));
    const logits = computed.map((rows) => new Float32Array(rows * V));
    const captured = this.#pass(
      sequences,
      capture,
      computed,
      (b, row, values) => logits[b].set(values, row * V),
      cache,
    );
    return sequences.map((_, b) => ({
      // A copy only where both are given: who changes one must not change the other.
      logits: {
        data: capture.has("logits") ? logits[b].slice((computed[b] - kept[b]) * V) : logits[b],
        shape: [kept[b], V],
      },
      captured: capture.has("logits")
        ? { ...captured[b], logits: { data: logits[b], shape: [computed[b], V] } }
        : captured[b],
    }));
  }

  /** Borrows what a pass needs, runs it, and gives everything back whatever happens. */
  #pass(
    sequences: readonly (readonly number[])[],
    capture: ReadonlySet<string>,
    logitsOf: readonly number[],
    onLogits: (sequence: number, row: number, logits: Float32Array) => void,
    cache?: KvCache,
  ): Record<string, Tensor>[] {
    const borrowed: KvCache[] = [];
    const scratch = this.#scratches.take();
    try {
      if (cache === undefined) for (const ids of sequences) borrowed.push(this.#caches.take(ids.length));
      const caches = cache === undefined ? borrowed : [cache];
      return runPass(this.#network, scratch, { sequences, caches, capture, logitsOf, onLogits });
    } finally {
      for (const each of borrowed) this.#caches.give(each);
      this.#scratches.give(scratch);
    }
  }

  /** A cache and buffers for one generation. The cache grows up to `positions`. */
  #acquire(promptLength: number, positions: number): GenerationLane {
    const network = this.#network;
    const caches = this.#caches;
    const scratches = this.#scratches;
    const scratch = scratches.take();
    let cache: KvCache;
    try {
      cache = caches.take(Math.min(positions, promptLength + FIRST_ROOM));
    } catch (error) {
      scratches.give(scratch);
      throw error;
    }
    const grow = (needed: number): void => {
      const larger = caches.take(Math.min(positions, Math.max(needed, 2 * cache.capacity)));
      larger.copyFrom(cache);
      caches.give(cache);
      cache = larger;
    };
    let lastRow = 0;
    return {
      *advance(ids, due) {
        if (cache.length + ids.length > cache.capacity) grow(cache.length + ids.length);
        // A new token is a pass of one row: nothing to cut.
        const chunks =
          ids.length === 1
            ? [[{ sequence: 0, ids, first: 0, cache, reach: cache.length + 1 }]]
            : chunksOf([ids], [cache]);
        for (const chunk of chunks) {
          yield* network.forward(scratch, chunk, null, due);
          lastRow = chunk[0].ids.length - 1;
        }
      },
      logits: () => network.arena.f32(network.logits(scratch, lastRow), network.vocabSize),
      release: () => {
        caches.give(cache);
        scratches.give(scratch);
      },
    };
  }

  #encode(text: string): number[] {
    if (this.tokenizer === null) throw this.#noTokenizer("a text");
    if (text === "") {
      throw new RangeError("prompt: expected some text, got none; to start from nothing pass the BOS id");
    }
    return this.tokenizer.encode(text).ids;
  }

  #noTokenizer(what: string): Error {
    return new Error(`${what} needs a tokenizer, and this model has none: ${this.#tokenizerProblem}; pass ids instead`);
  }

  /** A copy of the ids, which the caller may change, with every one of them in the vocabulary. */
  #checkedIds(name: string, given: ArrayLike<number>, cache?: KvCache): number[] {
    return checkedIds(name, given, this.vocabSize, (length) => {
      if (length === 0) throw new RangeError(`${name}: expected at least one token, got none`);
      const past = cache?.length ?? 0;
      const room = cache?.capacity ?? this.contextLength;
      if (past + length <= room) return;
      const after = past > 0 ? ` after ${past} in the cache` : "";
      throw new RangeError(
        `${name}: ${length} tokens${after} do not fit the context of ${room}; load with a larger contextLength`,
      );
    });
  }

  #alive(): void {
    if (this.#network.arena.disposed) throw new Error("this model was disposed");
  }
}

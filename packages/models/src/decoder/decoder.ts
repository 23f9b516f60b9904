/** A decoder-only language model, loaded: passes, captures, loss and generation. */

import { checkInteger, checkOptions, type KvCache } from "@qkv/core";
import type { Tokenizer } from "@qkv/tokenize";
import type { FoundChatTemplates } from "../chat/files";
import type { ChatMessage } from "../chat/template";
import type { ApplyChatTemplateOptions, ChatTemplates } from "../chat/templates";
import {
  type GenerationHost,
  type GenerationPrompt,
  generateAll,
  generateTokens,
  generationGroups,
  positionsOf,
  streams,
} from "../generate/generate";
import { Generation, type GenerationResult } from "../generate/generation";
import { NO_DEFAULTS } from "../generate/generation-config";
import { type GenerateOptions, type GenerationPlan, planGeneration } from "../generate/options";
import { crossEntropy } from "../generate/sampling";
import { checkedIds } from "../ids";
import type { KernelReport, ModelKernels } from "../kernels";
import { type LossResult, lossOf } from "../loss";
import type { ModelConfig } from "../registry";
import { selectTaps, type Tensor } from "../taps/capture";
import { DecoderLane, type LanePools } from "./lane";
import type { DecoderNetwork } from "./network";
import { LOGIT_ROWS, runPass } from "./pass";
import { CachePool, type Room, RoomPool, ScratchPool } from "./pools";

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
  readonly #pools: LanePools;

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
    this.#pools = {
      caches: new CachePool(network.arena, parts.contextLength, (capacity) => network.createCache(capacity)),
      scratches: new ScratchPool(network.arena, () => network.createScratch()),
      rooms: new RoomPool(network.arena),
    };
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
    if (cache !== undefined && !this.#pools.caches.isWithCaller(cache)) {
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
    return lossOf(tokenLosses);
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
    const plan = this.#plan(options);
    const each = this.#prompt("prompt", prompt, plan, 0);
    return new Generation((finished) => generateTokens(this.#host(), each, plan, finished), streams(plan));
  }

  /**
   * Continues several texts or ids. They share passes, which reads the weights once for all of them; each gives what it
   * gives alone.
   *
   * @throws as `generate`, the signal's reason
   * @example
   * const [first] = await model.generateBatch(["Once upon a time", "The dog"], { maxNewTokens: 20 });
   */
  async generateBatch(
    prompts: readonly (string | ArrayLike<number>)[],
    options: GenerateOptions = {},
  ): Promise<GenerationResult[]> {
    const plan = this.#plan(options);
    if (!Array.isArray(prompts)) throw new TypeError(`prompts: expected an array, got ${String(prompts)}`);
    const all = Array.from(prompts, (prompt: string | ArrayLike<number>, i) =>
      this.#prompt(`prompts[${i}]`, prompt, plan, i),
    );
    const results: GenerationResult[] = [];
    for (const group of generationGroups(all, plan)) results.push(...(await generateAll(this.#host(), group, plan)));
    return results;
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
    return this.#pools.caches.lend(this.contextLength);
  }

  /**
   * Takes back a cache from `createCache`, for the next who needs one.
   *
   * @throws TypeError for a cache that is not this model's, or was released already
   */
  releaseCache(cache: KvCache): void {
    this.#pools.caches.takeBack(cache);
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
    const { caches, scratches, rooms } = this.#pools;
    const borrowed: KvCache[] = [];
    const scratch = scratches.take();
    let room: Room | null = null;
    try {
      room = rooms.take(4 * LOGIT_ROWS * this.vocabSize);
      if (cache === undefined) for (const ids of sequences) borrowed.push(caches.take(ids.length));
      const into = cache === undefined ? borrowed : [cache];
      return runPass(this.#network, scratch, {
        sequences: sequences.map((ids, b) => ({ ids, cache: into[b], start: into[b].length, base: 0, memory: null })),
        capture,
        logitsOf,
        logits: room.address,
        onLogits,
      });
    } finally {
      for (const each of borrowed) caches.give(each);
      if (room !== null) rooms.give(room);
      scratches.give(scratch);
    }
  }

  #host(): GenerationHost {
    const acquire: GenerationHost["acquire"] = (prompts, width) =>
      new DecoderLane(this.#network, this.#pools, prompts, width);
    return { tokenizer: this.tokenizer, checkAlive: () => this.#alive(), acquire };
  }

  #plan(options: GenerateOptions): GenerationPlan {
    this.#alive();
    const { endIds, vocabSize } = this;
    const plan = planGeneration(options, { kind: "decoder", endIds, vocabSize, defaults: NO_DEFAULTS });
    if (plan.stop.length > 0 && this.tokenizer === null) throw this.#noTokenizer("stop strings");
    return plan;
  }

  #prompt(name: string, prompt: string | ArrayLike<number>, plan: GenerationPlan, index: number): GenerationPrompt {
    const ids = this.#checkedIds(name, typeof prompt === "string" ? this.#encode(name, prompt) : prompt);
    const positions = positionsOf(plan, ids.length, this.contextLength);
    return { ids, promptTokens: ids.length, textPrefix: ids, encoderIds: null, memory: null, positions, index };
  }

  #encode(name: string, text: string): number[] {
    if (this.tokenizer === null) throw this.#noTokenizer("a text");
    if (text === "") {
      throw new RangeError(`${name}: expected some text, got none; to start from nothing pass the BOS id`);
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

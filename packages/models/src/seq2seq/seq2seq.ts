/** An encoder-decoder, loaded: sources in, texts out; passes, captures and loss. */

import { checkInteger, checkOptions, type KvCache } from "@qkv/core";
import type { Tokenizer } from "@qkv/tokenize";
import { DecoderLane, type LanePools } from "../decoder/lane";
import { LOGIT_ROWS, runPass } from "../decoder/pass";
import { CachePool, type Room, RoomPool, ScratchPool } from "../decoder/pools";
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
import type { GenerationDefaults } from "../generate/generation-config";
import { type GenerateOptions, type GenerationPlan, planGeneration } from "../generate/options";
import { crossEntropy } from "../generate/sampling";
import { checkedIds } from "../ids";
import type { KernelReport, ModelKernels } from "../kernels";
import { type LossResult, lossOf } from "../loss";
import { Pacer } from "../pace";
import type { ModelConfig } from "../registry";
import { Capture, selectTaps, type Tensor } from "../taps/capture";
import { EncodedSource } from "./encoded";
import type { Seq2SeqNetwork } from "./network";
import { SourceEncoder } from "./source-encoder";

/** A source: a text, encoded with the tokenizer's special tokens; ids as they are; or what `encode` made of either. */
export type Source = string | ArrayLike<number> | EncodedSource;

/** Options of `run`. */
export interface Seq2SeqRunOptions {
  /** Taps to keep, by name or with `*`: "decoder.layers.*.cross_attention.probs", "logits". See `Seq2Seq.taps`. */
  readonly capture?: readonly string[];
  /** Logits of only so many last positions of the decoder; of all if left out. 0 for none. */
  readonly logitsToKeep?: number;
  /** From this model's `createCache`: the decoder's ids continue what it holds, and are added to it. */
  readonly cache?: KvCache;
}

/** A source with the ids that the decoder is given of its text. */
export interface Seq2SeqInput {
  readonly source: Source;
  /** [T], the start token first. */
  readonly decoderIds: ArrayLike<number>;
}

/** What a pass gives. */
export interface Seq2SeqRunResult {
  /** [positions kept, V] */
  readonly logits: Tensor;
  /** [S, D]: the encoder's last states. */
  readonly encoderHidden: Tensor;
  /** By tap name. */
  readonly captured: Readonly<Record<string, Tensor>>;
}

/** Options of `encode` and `encodeBatch`. */
export interface EncodeSourceOptions {
  readonly signal?: AbortSignal;
}

/** Options of `loss`. */
export interface Seq2SeqLossOptions {
  /** What the decoder is given, one id for each of the target's; if left out, the start token and the target but its last. */
  readonly decoderIds?: ArrayLike<number>;
}

/** What `load` hands to a Seq2Seq. */
export interface Seq2SeqParts {
  readonly architecture: string;
  readonly config: ModelConfig;
  readonly network: Seq2SeqNetwork;
  readonly kernels: ModelKernels;
  readonly tokenizer: Tokenizer | null;
  /** Why there is no tokenizer. */
  readonly tokenizerProblem: string | null;
  /** What the model's files say about generation. */
  readonly generation: GenerationDefaults;
  /** Tokens that end a text. */
  readonly endIds: readonly number[];
  /** In training, a text's last token, its language, was put before its first, in place of one start token (mBART). */
  readonly startsWithLast: boolean;
  /** Most tokens of a source, and of a text. */
  readonly contextLength: number;
}

const ENCODER = "encoder.";
const DECODER = "decoder.";

/**
 * A loaded encoder-decoder. Made by `load`.
 *
 * Ids may be an array or a typed array of integers.
 *
 * @example
 * const t5 = await loadSeq2Seq("./t5-titler");
 * const { text, score } = await t5.generate("summarize: ...", { numBeams: 4, maxNewTokens: 32 }).result();
 * t5.dispose();
 */
export class Seq2Seq {
  readonly kind = "seq2seq";
  /** `model_type` of its config. */
  readonly architecture: string;
  /** Its config, parsed; in camelCase. */
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer | null;
  /** What `generate` goes by where its options say nothing: the model's own generation config. */
  readonly generationDefaults: GenerationDefaults;
  /** Tokens that end a text unless `stopIds` says otherwise. */
  readonly endIds: readonly number[];
  /** Most tokens of a source, and of a text with its start token. */
  readonly contextLength: number;
  /** Of the decoder, and of the logits. */
  readonly vocabSize: number;
  /** D */
  readonly hiddenSize: number;
  /** Every name that `capture` can take: the encoder's begin with "encoder.", the decoder's with "decoder.". */
  readonly taps: readonly string[];
  readonly #network: Seq2SeqNetwork;
  readonly #kernels: ModelKernels;
  readonly #tokenizerProblem: string | null;
  readonly #startsWithLast: boolean;
  readonly #encoder: SourceEncoder;
  readonly #pools: LanePools;
  readonly #encoded = new WeakSet<EncodedSource>();

  constructor({ network, kernels, ...parts }: Seq2SeqParts) {
    this.architecture = parts.architecture;
    this.config = parts.config;
    this.tokenizer = parts.tokenizer;
    this.generationDefaults = parts.generation;
    this.endIds = parts.endIds;
    this.contextLength = parts.contextLength;
    this.vocabSize = network.vocabSize;
    this.hiddenSize = network.encoder.hiddenSize;
    this.taps = [
      ...network.encoder.taps.map((name) => ENCODER + name),
      ...network.taps.map((name) => DECODER + name),
      "logits",
    ];
    this.#network = network;
    this.#kernels = kernels;
    this.#tokenizerProblem = parts.tokenizerProblem;
    this.#startsWithLast = parts.startsWithLast;
    this.#encoder = new SourceEncoder(network, parts.contextLength);
    const create = (rows: number) => network.createCache(rows);
    this.#pools = {
      caches: new CachePool(network.arena, parts.contextLength, create, Math.min(parts.contextLength, FIRST_CACHE)),
      scratches: new ScratchPool(network.arena, () => network.createScratch()),
      rooms: new RoomPool(network.arena),
    };
  }

  /**
   * The encoder's pass over a source, and what the decoder's cross-attention will read of it: done once, for as many
   * generations and passes as are wanted. Does not block the event loop. Dispose the result.
   *
   * @throws RangeError for ids outside of the vocabulary or more than the context; Error for a text where the model has no
   *   tokenizer; OutOfMemoryError; the signal's reason
   * @example
   * await using source = await t5.encode("summarize: ...");
   * const short = await t5.generate(source, { maxNewTokens: 10 }).result();
   */
  async encode(source: string | ArrayLike<number>, options: EncodeSourceOptions = {}): Promise<EncodedSource> {
    checkOptions("encode", options, ["signal"]);
    this.#alive();
    const [encoded] = await this.#encodeAll([this.#sourceIds("source", source)], options.signal ?? null);
    return encoded;
  }

  /** As `encode`, for several sources: packed, not padded, so that each gives what it gives alone. */
  async encodeBatch(
    sources: readonly (string | ArrayLike<number>)[],
    options: EncodeSourceOptions = {},
  ): Promise<EncodedSource[]> {
    checkOptions("encodeBatch", options, ["signal"]);
    this.#alive();
    if (!Array.isArray(sources)) throw new TypeError(`sources: expected an array, got ${String(sources)}`);
    const ids = sources.map((source: string | ArrayLike<number>, i) => this.#sourceIds(`sources[${i}]`, source));
    return this.#encodeAll(ids, options.signal ?? null);
  }

  /**
   * One pass of the encoder over a source and of the decoder over ids, synchronous: for scripts and workers. The decoder's
   * ids in parts, passed one after the other with the same `cache`, give the same bits as the whole. A pass that throws
   * leaves the cache as it was.
   *
   * @param source the encoder's taps can be captured where it is not encoded yet
   * @param decoderIds [T], at least one; the start token first
   * @throws RangeError for ids outside of the vocabulary or more than the context; TypeError for unknown options, and for
   *   a source or cache that is not this model's; OutOfMemoryError
   * @example
   * const { logits } = t5.run([21603, 10, 1], [0], { capture: ["decoder.layers.*.cross_attention.probs"] });
   */
  run(source: Source, decoderIds: ArrayLike<number>, options: Seq2SeqRunOptions = {}): Seq2SeqRunResult {
    checkOptions("run", options, ["capture", "logitsToKeep", "cache"]);
    this.#alive();
    return this.#run([{ source, decoderIds }], options, [["source", "decoderIds"]])[0];
  }

  /**
   * One pass over several sources and texts of any lengths. They are packed, not padded: each gives the bits that it gives
   * alone.
   *
   * @returns a result for each, in the same order
   * @throws as `run`
   */
  runBatch(inputs: readonly Seq2SeqInput[], options: Omit<Seq2SeqRunOptions, "cache"> = {}): Seq2SeqRunResult[] {
    checkOptions("runBatch", options, ["capture", "logitsToKeep"]);
    this.#alive();
    if (!Array.isArray(inputs) || inputs.length === 0)
      throw new RangeError("runBatch: expected an array of at least one { source, decoderIds }");
    const names = inputs.map((input, i) => {
      checkOptions(`inputs[${i}]`, input, ["source", "decoderIds"]);
      return [`inputs[${i}].source`, `inputs[${i}].decoderIds`] as const;
    });
    return this.#run(inputs, options, names);
  }

  /**
   * Cross entropy of a target, each of its ids predicted from the source and those before it; without label smoothing.
   *
   * @param target a text, encoded with the tokenizer's special tokens; or ids as they are, [T], at least one
   * @throws as `run`; Error where the start token is needed and unknown
   */
  loss(source: Source, target: string | ArrayLike<number>, options: Seq2SeqLossOptions = {}): LossResult {
    checkOptions("loss", options, ["decoderIds"]);
    this.#alive();
    const labels = this.#ids("target", typeof target === "string" ? this.#encodeText("target", target) : target);
    const given = options.decoderIds;
    const decoderIds = given === undefined ? this.#shifted(labels) : this.#ids("decoderIds", given);
    if (decoderIds.length !== labels.length)
      throw new RangeError(
        `decoderIds: expected ${labels.length}, one for each of the target's, got ${decoderIds.length}`,
      );
    const tokenLosses = new Float64Array(labels.length);
    this.#withSources([{ source, name: "source" }], null, ([encoded]) =>
      this.#pass([{ ids: decoderIds, encoded }], new Set(), [labels.length], (_, t, logits) => {
        tokenLosses[t] = crossEntropy(logits, labels[t]);
      }),
    );
    return lossOf(tokenLosses);
  }

  /**
   * A text for a source. Where the options say nothing, the model's own generation config does, else it is greedy.
   *
   * @throws before any work: TypeError for unknown options, RangeError for wrong values, ids outside of the vocabulary, a
   *   source longer than the context; Error for a text where the model has no tokenizer, for a generation config that
   *   asks for what does not run here
   * @example
   * for await (const { text } of t5.generate("translate English to German: The house is small.")) process.stdout.write(text);
   */
  generate(source: Source, options: GenerateOptions = {}): Generation {
    const plan = this.#plan(options, this.generationDefaults);
    const prepared = this.#prepared("source", source);
    return new Generation(
      (finished) =>
        this.#generating([prepared], plan, (prompts) => generateTokens(this.#host(), prompts[0], plan, finished)),
      streams(plan),
    );
  }

  /**
   * Texts for several sources, which share passes: the weights are read once for all of them, and each gives what it gives
   * alone.
   *
   * @throws as `generate`; the signal's reason
   * @example
   * const [first] = await t5.generateBatch(["summarize: ...", "summarize: ..."], { maxNewTokens: 32 });
   */
  async generateBatch(sources: readonly Source[], options: GenerateOptions = {}): Promise<GenerationResult[]> {
    return this.#generateBatch(sources, options, this.generationDefaults);
  }

  /** A cache for `run`, of at least `contextLength` positions. Give it back with `releaseCache`. */
  createCache(): KvCache {
    this.#alive();
    return this.#pools.caches.take(this.contextLength);
  }

  /**
   * Takes back a cache from `createCache`, for the next who needs one.
   *
   * @throws TypeError for a cache that is not this model's, or was released already
   */
  releaseCache(cache: KvCache): void {
    this.#pools.caches.give(cache);
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

  // ---- Passes

  #run(
    inputs: readonly Seq2SeqInput[],
    options: Seq2SeqRunOptions,
    names: readonly (readonly [source: string, decoderIds: string])[],
  ): Seq2SeqRunResult[] {
    const { capture: patterns = [], logitsToKeep = Number.POSITIVE_INFINITY, cache } = options;
    if (logitsToKeep !== Number.POSITIVE_INFINITY) checkInteger("logitsToKeep", logitsToKeep, 0);
    if (cache !== undefined && !this.#pools.caches.lends(cache))
      throw new TypeError("cache: expected one from this model's createCache that was not released");
    const taps = selectTaps(patterns, this.taps);
    const texts = inputs.map(({ decoderIds }, i) => this.#ids(names[i][1], decoderIds, cache));
    const kept = texts.map((ids) => Math.min(ids.length, logitsToKeep));
    const computed = texts.map((ids, b) => (taps.has("logits") ? ids.length : kept[b]));
    const V = this.vocabSize;
    const logits = computed.map((rows) => new Float32Array(rows * V));
    const sources = inputs.map(({ source }, i) => ({ source, name: names[i][0] }));
    return this.#withSources(sources, stackTaps(taps, ENCODER), (encoded, ofEncoder) => {
      const ofDecoder = this.#pass(
        texts.map((ids, b) => ({ ids, encoded: encoded[b], cache })),
        stackTaps(taps, DECODER),
        computed,
        (b, row, values) => logits[b].set(values, row * V),
      );
      return texts.map((_, b) => ({
        // A copy only where both are given: who changes one must not change the other.
        logits: {
          data: taps.has("logits") ? logits[b].slice((computed[b] - kept[b]) * V) : logits[b],
          shape: [kept[b], V],
        },
        encoderHidden: encoded[b].hidden,
        captured: {
          ...named(ENCODER, ofEncoder[b]),
          ...named(DECODER, ofDecoder[b]),
          ...(taps.has("logits") ? { logits: { data: logits[b], shape: [computed[b], V] } } : {}),
        },
      }));
    });
  }

  /** Encodes the sources that are not, lets `use` have all of them, and disposes those that it made. */
  #withSources<T>(
    sources: readonly { readonly source: Source; readonly name: string }[],
    taps: ReadonlySet<string> | null,
    use: (encoded: readonly EncodedSource[], captured: readonly Record<string, Tensor>[]) => T,
  ): T {
    const prepared = sources.map(({ source, name }) => this.#prepared(name, source));
    const open = prepared.flatMap((each, i) => (each instanceof EncodedSource ? [] : [{ i, ids: each }]));
    if (taps !== null && taps.size > 0 && open.length < sources.length)
      throw new TypeError("capture: the encoder's taps need a source that is not encoded yet");
    const capture =
      taps === null || taps.size === 0
        ? null
        : new Capture(
            taps,
            open.map(({ ids }) => ids.length),
            this.#network.arena,
          );
    let made: EncodedSource[] = [];
    if (open.length > 0) {
      const pass = this.#encoder.encode(
        open.map(({ ids }) => ids),
        capture,
        never,
      );
      const step = pass.next(); // synchronous: nobody else gets a turn
      made = step.value as EncodedSource[];
    }
    try {
      const byInput = [...prepared] as EncodedSource[];
      for (const [k, { i }] of open.entries()) byInput[i] = made[k];
      const captured = sources.map(() => ({}) as Record<string, Tensor>);
      if (capture !== null) for (const [k, { i }] of open.entries()) captured[i] = capture.take(k);
      return use(byInput, captured);
    } finally {
      for (const each of made) each.dispose();
    }
  }

  /** Borrows what a pass of the decoder needs, runs it, and gives everything back whatever happens. */
  #pass(
    texts: readonly {
      readonly ids: readonly number[];
      readonly encoded: EncodedSource;
      readonly cache?: KvCache | undefined;
    }[],
    capture: ReadonlySet<string>,
    logitsOf: readonly number[],
    onLogits: (sequence: number, row: number, logits: Float32Array) => void,
  ): Record<string, Tensor>[] {
    const { caches, scratches, rooms } = this.#pools;
    const borrowed: KvCache[] = [];
    const scratch = scratches.take();
    let room: Room | null = null;
    try {
      room = rooms.take(4 * LOGIT_ROWS * this.vocabSize);
      const sequences = texts.map(({ ids, encoded, cache }) => {
        let into = cache;
        if (into === undefined) {
          into = caches.take(ids.length);
          borrowed.push(into);
        }
        return { ids, cache: into, start: into.length, base: 0, memory: encoded.memory };
      });
      return runPass(this.#network, scratch, { sequences, capture, logitsOf, logits: room.address, onLogits });
    } finally {
      for (const each of borrowed) caches.give(each);
      if (room !== null) rooms.give(room);
      scratches.give(scratch);
    }
  }

  async #encodeAll(sources: readonly (readonly number[])[], signal: AbortSignal | null): Promise<EncodedSource[]> {
    signal?.throwIfAborted();
    const pacer = new Pacer();
    const encoded: EncodedSource[] = [];
    let complete = false;
    try {
      for (const indices of this.#encoder.passes(sources)) {
        const pass = this.#encoder.encode(
          indices.map((i) => sources[i]),
          null,
          pacer.due,
        );
        let step = pass.next();
        for (; !step.done; step = pass.next()) {
          try {
            await pacer.rest();
            this.#alive();
            signal?.throwIfAborted();
          } catch (error) {
            pass.return([]); // gives back what it holds
            throw error;
          }
        }
        for (const [k, i] of indices.entries()) encoded[i] = step.value[k];
      }
      complete = true;
    } finally {
      if (!complete) for (const each of Object.values(encoded)) each.dispose();
    }
    for (const each of encoded) this.#encoded.add(each);
    return encoded;
  }

  // ---- Generation

  #plan(options: GenerateOptions, defaults: GenerationDefaults): GenerationPlan {
    this.#alive();
    const { endIds, vocabSize } = this;
    const plan = planGeneration(options, { kind: "seq2seq", endIds, vocabSize, defaults });
    if (plan.stop.length > 0 && this.tokenizer === null) throw this.#noTokenizer("stop strings");
    if (plan.decoderStartTokenId === null) throw noStart("pass decoderStartTokenId");
    return plan;
  }

  #host(): GenerationHost {
    return {
      tokenizer: this.tokenizer,
      acquire: (prompts, width) => new DecoderLane(this.#network, this.#pools, prompts, width),
    };
  }

  async #generateBatch(
    sources: readonly Source[],
    options: GenerateOptions,
    defaults: GenerationDefaults,
  ): Promise<GenerationResult[]> {
    const plan = this.#plan(options, defaults);
    if (!Array.isArray(sources)) throw new TypeError(`sources: expected an array, got ${String(sources)}`);
    const prepared = sources.map((source: Source, i) => this.#prepared(`sources[${i}]`, source));
    const results: GenerationResult[] = [];
    let first = 0;
    for (const group of generationGroups(prepared, plan)) {
      const run = (prompts: readonly GenerationPrompt[]) => one(generateAll(this.#host(), prompts, plan));
      for await (const found of this.#generating(group, plan, run, first)) results.push(...found);
      first += group.length;
    }
    return results;
  }

  /** Encodes what is not encoded yet, runs, and disposes what it encoded, whatever happens. */
  async *#generating<T>(
    sources: readonly (readonly number[] | EncodedSource)[],
    plan: GenerationPlan,
    run: (prompts: readonly GenerationPrompt[]) => AsyncGenerator<T, void, void>,
    firstIndex = 0,
  ): AsyncGenerator<T, void, void> {
    const open = sources.flatMap((each, i) => (each instanceof EncodedSource ? [] : [{ i, ids: each }]));
    const made = await this.#encodeAll(
      open.map(({ ids }) => ids),
      plan.signal,
    );
    try {
      const encoded = [...sources] as EncodedSource[];
      for (const [k, { i }] of open.entries()) encoded[i] = made[k];
      const start = [plan.decoderStartTokenId as number];
      yield* run(
        encoded.map((source, i) => ({
          ids: start,
          promptTokens: source.ids.length,
          textPrefix: [],
          encoderIds: source.ids,
          positions: positionsOf(plan, start.length, this.contextLength),
          index: firstIndex + i,
          memory: source.memory,
        })),
      );
    } finally {
      for (const each of made) each.dispose();
    }
  }

  // ---- Inputs

  /** Ids of a source, or what was made of them. */
  #prepared(name: string, source: Source): readonly number[] | EncodedSource {
    if (!(source instanceof EncodedSource)) return this.#sourceIds(name, source);
    if (!this.#encoded.has(source)) throw new TypeError(`${name}: this source was encoded by another model`);
    void source.memory; // throws if it was disposed
    return source;
  }

  #sourceIds(name: string, source: string | ArrayLike<number>): number[] {
    const given = typeof source === "string" ? this.#encodeText(name, source) : source;
    const { vocabSize } = this.#network.encoder;
    return checkedIds(name, given, vocabSize, (length) => this.#checkLength(name, length, 0, this.contextLength));
  }

  /** A copy of the decoder's ids, which the caller may change, with every one of them in the vocabulary. */
  #ids(name: string, given: ArrayLike<number>, cache?: KvCache): number[] {
    const past = cache?.length ?? 0;
    const room = cache?.capacity ?? this.contextLength;
    return checkedIds(name, given, this.vocabSize, (length) => this.#checkLength(name, length, past, room));
  }

  #checkLength(name: string, length: number, past: number, room: number): void {
    if (length === 0) throw new RangeError(`${name}: expected at least one token, got none`);
    if (past + length <= room) return;
    const after = past > 0 ? ` after ${past} in the cache` : "";
    const advice =
      this.contextLength < this.#network.maxPositions
        ? "; load with a larger contextLength"
        : "; this model has no positions beyond";
    throw new RangeError(`${name}: ${length} tokens${after} do not fit the context of ${room}${advice}`);
  }

  #encodeText(name: string, text: string): number[] {
    if (this.tokenizer === null) throw this.#noTokenizer(`${name} as a text`);
    return this.tokenizer.encode(text).ids;
  }

  /** What the decoder is given of a target in training: all but its last id, behind what it starts from. */
  #shifted(labels: readonly number[]): number[] {
    const start = this.#startsWithLast ? labels[labels.length - 1] : this.generationDefaults.decoderStartTokenId;
    if (start === null) throw noStart("pass decoderIds");
    return [start, ...labels.slice(0, -1)];
  }

  #noTokenizer(what: string): Error {
    return new Error(`${what} needs a tokenizer, and this model has none: ${this.#tokenizerProblem}; pass ids instead`);
  }

  #alive(): void {
    if (this.#network.arena.disposed) throw new Error("this model was disposed");
  }
}

/** Positions of the cache that is laid out with the weights: a text is seldom longer. */
const FIRST_CACHE = 512;

const never = () => false;

function noStart(advice: string): Error {
  return new Error(`the model's files do not say which token a text starts from (decoder_start_token_id): ${advice}`);
}

/** The taps of one stack, by its own names. */
function stackTaps(taps: ReadonlySet<string>, stack: string): Set<string> {
  return new Set([...taps].filter((name) => name.startsWith(stack)).map((name) => name.slice(stack.length)));
}

function named(stack: string, captured: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(captured).map(([name, tensor]) => [stack + name, tensor]));
}

async function* one<T>(value: Promise<T>): AsyncGenerator<T, void, void> {
  yield await value;
}

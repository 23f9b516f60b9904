/** A decoder-only language model, loaded: passes, captures, loss and generation. */

import { type Arena, checkInteger, checkOptions, type KvCache } from "@qkv/core";
import type { Tokenizer } from "@qkv/tokenize";
import { Generation, type GenerationLane, generateTokens } from "../generate/generate";
import { type GenerateOptions, planGeneration } from "../generate/options";
import { crossEntropy } from "../generate/sampling";
import { Capture, selectTaps, type Tensor } from "./capture";
import type { DecoderNetwork } from "./network";
import { chunksOf, type Segment } from "./segments";

/** Most positions of a context: further on, the angles of rotary positions would lose their precision. */
export const MAX_CONTEXT = 2 ** 22;

/** Options of `run` and `runBatch`. */
export interface RunOptions {
  /** Taps to keep, by name or with `*`: "layers.*.output", "logits". See `Decoder.taps`. */
  readonly capture?: readonly string[];
  /** Logits of only so many last positions; of all if left out. 0 for none. */
  readonly logitsToKeep?: number;
}

/** Options of `run`. */
export interface RunOneOptions extends RunOptions {
  /** From `createCache`: the ids continue what it holds, and are added to it. */
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
  readonly config: Readonly<Record<string, unknown>>;
  readonly network: DecoderNetwork;
  readonly tokenizer: Tokenizer | null;
  /** Why there is no tokenizer. */
  readonly tokenizerProblem: string | null;
  /** Tokens that end a text. */
  readonly endIds: readonly number[];
  readonly contextLength: number;
}

/** Buffers of one pass, reused by the next. */
type Scratch = unknown;

/**
 * A loaded decoder. Made by `load`.
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
  readonly config: Readonly<Record<string, unknown>>;
  readonly tokenizer: Tokenizer | null;
  /** Tokens that end a generation unless `stopIds` says otherwise. */
  readonly endIds: readonly number[];
  /** Most positions of a prompt, or of a generation without `maxNewTokens`. */
  readonly contextLength: number;
  readonly vocabSize: number;
  /** Every name that `capture` can take. */
  readonly taps: readonly string[];
  readonly #network: DecoderNetwork;
  readonly #tokenizerProblem: string | null;
  readonly #caches: KvCache[] = [];
  readonly #scratches: Scratch[] = [];

  constructor(parts: DecoderParts) {
    this.architecture = parts.architecture;
    this.config = parts.config;
    this.tokenizer = parts.tokenizer;
    this.endIds = parts.endIds;
    this.contextLength = parts.contextLength;
    this.vocabSize = parts.network.vocabSize;
    this.taps = [...parts.network.taps, "logits"];
    this.#network = parts.network;
    this.#tokenizerProblem = parts.tokenizerProblem;
    // The first of each is laid out with the weights; more are made when passes run side by side.
    this.#caches.push(this.#network.createCache(this.contextLength));
    this.#scratches.push(this.#network.createScratch());
  }

  /**
   * One pass over ids, synchronous: for scripts and workers. Chunks of a text, passed one after the other with the same
   * `cache`, give the same bits as the whole; not so under `dynamic` and `longrope` scaling, whose frequencies depend
   * on the length of the pass.
   *
   * @param ids [T], at least one
   * @throws RangeError for ids outside of the vocabulary or more than the context; TypeError for unknown options
   * @example
   * const { logits, captured } = model.run([1, 403, 407], { capture: ["layers.*.attention.probs"] });
   */
  run(ids: readonly number[], options: RunOneOptions = {}): RunResult {
    checkOptions("run", options, ["capture", "logitsToKeep", "cache"]);
    const { cache, ...rest } = options;
    return this.#run([ids], rest, cache === undefined ? null : [cache])[0] as RunResult;
  }

  /**
   * One pass over several sequences of any lengths. They are packed, not padded: each gives the bits that it gives alone.
   *
   * @param sequences ids of each, [T_b]
   * @returns a result for each, in the same order
   */
  runBatch(sequences: readonly (readonly number[])[], options: RunOptions = {}): RunResult[] {
    checkOptions("runBatch", options, ["capture", "logitsToKeep"]);
    if (!Array.isArray(sequences) || sequences.length === 0)
      throw new RangeError("runBatch: expected at least one sequence");
    return this.#run(sequences, options, null);
  }

  /**
   * Cross entropy of ids, each predicted from those before it.
   *
   * @param ids [T], at least two
   */
  loss(ids: readonly number[]): LossResult {
    if (ids.length < 2) throw new RangeError(`loss: expected at least two ids, got ${ids.length}`);
    const { data } = this.run(ids).logits;
    const V = this.vocabSize;
    const tokenLosses = Float64Array.from({ length: ids.length - 1 }, (_, t) =>
      crossEntropy(data.subarray(t * V, (t + 1) * V), ids[t + 1] as number),
    );
    const loss = tokenLosses.reduce((sum, x) => sum + x, 0) / tokenLosses.length;
    return { loss, perplexity: Math.exp(loss), tokenLosses };
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
  generate(prompt: string | readonly number[], options: GenerateOptions = {}): Generation {
    this.#alive();
    const plan = planGeneration(options, this.endIds, this.vocabSize);
    if (plan.stop.length > 0 && this.tokenizer === null) throw this.#noTokenizer("stop strings");
    const ids = typeof prompt === "string" ? this.#encode(prompt) : [...prompt];
    this.#checkIds("prompt", ids);
    const positions = plan.maxNewTokens === null ? this.contextLength : ids.length + plan.maxNewTokens;
    checkInteger("prompt and maxNewTokens together", positions, 1, MAX_CONTEXT);
    const host = {
      tokenizer: this.tokenizer,
      acquire: (n: number) => this.#acquire(n),
    };
    return new Generation(generateTokens(host, ids, positions, plan));
  }

  /** A cache for `run`, of `contextLength` positions. Give it back with `releaseCache`. */
  createCache(): KvCache {
    this.#alive();
    return this.#takeCache(this.contextLength);
  }

  /** Takes back a cache from `createCache`, for the next who needs one. */
  releaseCache(cache: KvCache): void {
    this.#caches.push(cache);
  }

  /** Bytes by purpose: weights, cache, scratch. */
  memory(): Readonly<Record<string, number>> {
    return this.#network.arena.report();
  }

  /** Gives the memory back. Every later use throws. */
  dispose(): void {
    this.#arena().dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  #run(sequences: readonly (readonly number[])[], options: RunOptions, given: readonly KvCache[] | null): RunResult[] {
    this.#alive();
    const { capture: patterns = [], logitsToKeep } = options;
    if (!Array.isArray(patterns))
      throw new TypeError(`capture: expected an array of tap names, got ${String(patterns)}`);
    if (logitsToKeep !== undefined) checkInteger("logitsToKeep", logitsToKeep, 0);
    const wanted = selectTaps(patterns, this.taps);
    sequences.forEach((ids, b) => {
      this.#checkIds(sequences.length === 1 ? "ids" : `sequence ${b}`, ids, given?.[b]);
    });
    const caches = given ?? sequences.map(() => this.#takeCache(this.contextLength));
    const scratch = this.#scratches.pop() ?? this.#network.createScratch();
    try {
      const starts = caches.map((cache) => cache.length);
      const lengths = sequences.map((ids, b) => ({
        length: ids.length,
        start: starts[b] as number,
      }));
      const capture = wanted.size === 0 ? null : new Capture(wanted, lengths, this.#arena());
      const V = this.vocabSize;
      const kept = sequences.map((ids) =>
        wanted.has("logits") ? ids.length : Math.min(ids.length, logitsToKeep ?? ids.length),
      );
      const logits = kept.map((rows) => new Float32Array(rows * V));
      for (const chunk of chunksOf(sequences, caches)) {
        for (const _ of this.#network.forward(scratch, chunk, capture)) {
          // synchronous: nobody else gets a turn
        }
        let row = 0;
        for (const { sequence: b, ids, cache } of chunk) {
          const skipped = (lengths[b] as { length: number }).length - (kept[b] as number);
          for (let t = 0; t < ids.length; t++, row++) {
            const position = cache.length - ids.length + t - (starts[b] as number) - skipped;
            if (position < 0) continue;
            const address = this.#network.logits(scratch, row);
            (logits[b] as Float32Array).set(this.#arena().f32(address, V), position * V);
          }
        }
      }
      return sequences.map((_, b) => {
        const tensor = {
          data: logits[b] as Float32Array,
          shape: [kept[b] as number, V],
        };
        const captured = capture?.take(b) ?? {};
        const keep = Math.min(kept[b] as number, logitsToKeep ?? Number.POSITIVE_INFINITY);
        return {
          logits: {
            data: tensor.data.subarray(tensor.data.length - keep * V),
            shape: [keep, V],
          },
          captured: wanted.has("logits") ? { ...captured, logits: tensor } : captured,
        };
      });
    } finally {
      this.#scratches.push(scratch);
      if (given === null) this.#caches.push(...caches);
    }
  }

  #acquire(positions: number): GenerationLane {
    const network = this.#network;
    const cache = this.#takeCache(positions);
    const scratch = this.#scratches.pop() ?? network.createScratch();
    let lastRow = 0;
    return {
      cache,
      *advance(ids) {
        for (const chunk of chunksOf([ids], [cache])) {
          yield* network.forward(scratch, chunk, null);
          lastRow = (chunk[0] as Segment).ids.length - 1;
        }
      },
      logits: () => network.arena.f32(network.logits(scratch, lastRow), network.vocabSize).slice(),
      release: () => {
        this.#caches.push(cache);
        this.#scratches.push(scratch);
      },
    };
  }

  /** An empty cache of at least so many positions. */
  #takeCache(positions: number): KvCache {
    const found = this.#caches.findIndex((cache) => cache.capacity >= positions);
    // Powers of two beyond the context: caches are kept for reuse, and there must not be one for every length.
    const capacity = positions <= this.contextLength ? this.contextLength : 1 << (32 - Math.clz32(positions - 1));
    const cache = found >= 0 ? this.#caches.splice(found, 1)[0] : this.#network.createCache(capacity);
    cache.truncate(0);
    return cache;
  }

  #encode(text: string): number[] {
    if (this.tokenizer === null) throw this.#noTokenizer("a text");
    if (text === "")
      throw new RangeError("prompt: expected some text, got none; to start from nothing pass the BOS id");
    return this.tokenizer.encode(text).ids;
  }

  #noTokenizer(what: string): Error {
    return new Error(`${what} needs a tokenizer, and this model has none: ${this.#tokenizerProblem}; pass ids instead`);
  }

  #checkIds(name: string, ids: readonly number[], cache?: KvCache): void {
    if (ids.length === 0) throw new RangeError(`${name}: expected at least one token, got none`);
    const past = cache?.length ?? 0;
    const room = cache?.capacity ?? this.contextLength;
    if (past + ids.length > room) {
      const after = past > 0 ? ` after ${past} in the cache` : "";
      throw new RangeError(
        `${name}: ${ids.length} tokens${after} do not fit the context of ${room}; load with a larger contextLength`,
      );
    }
    ids.forEach((id, i) => {
      checkInteger(`${name}[${i}]`, id, 0, this.vocabSize - 1);
    });
  }

  #arena(): Arena {
    return this.#network.arena;
  }

  #alive(): void {
    if (this.#arena().disposed) throw new Error("this model was disposed");
  }
}

/** An encoder-decoder, loaded: sources in, texts out; passes, captures and loss. */

import { checkOptions, type KvCache } from "@qkv/core";
import type { Tokenizer } from "@qkv/tokenize";
import type { LanePools } from "../decoder/lane";
import { CachePool, RoomPool, ScratchPool } from "../decoder/pools";
import type { Generation, GenerationResult } from "../generate/generation";
import type { GenerationDefaults } from "../generate/generation-config";
import type { GenerateOptions } from "../generate/options";
import { crossEntropy } from "../generate/sampling";
import type { KernelReport, ModelKernels } from "../kernels";
import { type LossResult, lossOf } from "../loss";
import type { ModelConfig } from "../registry";
import type { QuestionInContext } from "../tasks/answer";
import { generateAnswer } from "../tasks/generation/answer";
import { type CorruptedSpans, type CorruptSpansOptions, corruptSpans } from "../tasks/generation/corrupt-spans";
import { infillMasks } from "../tasks/generation/fill-mask";
import { type FilledSpans, fillSpans } from "../tasks/generation/fill-spans";
import type { GenerationTaskHost, TextResult, TextToTextOptions } from "../tasks/generation/host";
import { summarize, text2text } from "../tasks/generation/summarize";
import { type TranslateOptions, translate } from "../tasks/generation/translate";
import { checkTaskOptions } from "../tasks/host";
import type { EncodedSource } from "./encoded";
import { noStart, SourceGenerator } from "./generator";
import { Seq2SeqInputs, type Source } from "./inputs";
import type { Seq2SeqNetwork } from "./network";
import { type Seq2SeqInput, Seq2SeqPasses, type Seq2SeqRunOptions, type Seq2SeqRunResult } from "./passes";
import { SourceEncoder } from "./source-encoder";

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
  readonly #startsWithLast: boolean;
  readonly #pools: LanePools;
  readonly #inputs: Seq2SeqInputs;
  readonly #passes: Seq2SeqPasses;
  readonly #generator: SourceGenerator;
  readonly #tasks: GenerationTaskHost;

  constructor({ network, kernels, ...parts }: Seq2SeqParts) {
    this.architecture = parts.architecture;
    this.config = parts.config;
    this.tokenizer = parts.tokenizer;
    this.generationDefaults = parts.generation;
    this.endIds = parts.endIds;
    this.contextLength = parts.contextLength;
    this.vocabSize = network.vocabSize;
    this.hiddenSize = network.encoder.hiddenSize;
    this.#network = network;
    this.#kernels = kernels;
    this.#startsWithLast = parts.startsWithLast;
    const encoder = new SourceEncoder(network, parts.contextLength);
    const create = (rows: number) => network.createCache(rows);
    this.#pools = {
      caches: new CachePool(network.arena, parts.contextLength, create, Math.min(parts.contextLength, FIRST_CACHE)),
      scratches: new ScratchPool(network.arena, () => network.createScratch()),
      rooms: new RoomPool(network.arena),
    };
    this.#inputs = new Seq2SeqInputs({ ...parts, network });
    const shared = { network, encoder, pools: this.#pools, inputs: this.#inputs };
    this.#passes = new Seq2SeqPasses(shared);
    this.taps = this.#passes.taps;
    this.#generator = new SourceGenerator({ ...parts, ...shared, checkAlive: () => this.#alive() });
    this.#tasks = {
      architecture: parts.architecture,
      defaults: parts.generation,
      maxTokens: parts.contextLength,
      canGrow: this.#inputs.canGrow,
      tokenizer: (task) => {
        this.#alive();
        return this.#inputs.tokenizer(task, "generate takes ids");
      },
      generate: (...job) => this.#generator.generateBatch(...job),
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
    checkTaskOptions(options);
    this.#alive();
    const [encoded] = await this.#generator.encodeAll(
      [this.#inputs.sourceIds("source", source)],
      options.signal ?? null,
    );
    return encoded;
  }

  /** As `encode`, for several sources: packed, not padded, so that each gives what it gives alone. */
  async encodeBatch(
    sources: readonly (string | ArrayLike<number>)[],
    options: EncodeSourceOptions = {},
  ): Promise<EncodedSource[]> {
    checkOptions("encodeBatch", options, ["signal"]);
    checkTaskOptions(options);
    this.#alive();
    if (!Array.isArray(sources)) throw new TypeError(`sources: expected an array, got ${String(sources)}`);
    const ids = Array.from(sources, (source: string | ArrayLike<number>, i) =>
      this.#inputs.sourceIds(`sources[${i}]`, source),
    );
    return this.#generator.encodeAll(ids, options.signal ?? null);
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
    return this.#passes.run([{ source, decoderIds }], options, [["source", "decoderIds"]])[0];
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
    return this.#passes.run(inputs, options, names);
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
    const labels = this.#inputs.decoderIds(
      "target",
      typeof target === "string" ? this.#inputs.encodeText("target", target) : target,
    );
    const given = options.decoderIds;
    const decoderIds = given === undefined ? this.#shifted(labels) : this.#inputs.decoderIds("decoderIds", given);
    if (decoderIds.length !== labels.length)
      throw new RangeError(
        `decoderIds: expected ${labels.length}, one for each of the target's, got ${decoderIds.length}`,
      );
    const tokenLosses = new Float64Array(labels.length);
    this.#passes.withSources([{ source, name: "source" }], null, ([encoded]) =>
      this.#passes.decode([{ ids: decoderIds, encoded }], new Set(), [labels.length], (_, t, logits) => {
        tokenLosses[t] = crossEntropy(logits, labels[t]);
      }),
    );
    return lossOf(tokenLosses);
  }

  /**
   * A text for a source. Where the options say nothing, the model's own generation config does, else it is greedy. With
   * `maxNewTokens` it may go past `contextLength` where positions have no end, as in T5: the caller asked for it.
   *
   * @throws before any work: TypeError for unknown options, RangeError for wrong values, ids outside of the vocabulary, a
   *   source longer than the context; Error for a text where the model has no tokenizer, for a generation config that
   *   asks for what does not run here
   * @example
   * for await (const { text } of t5.generate("translate English to German: The house is small.")) process.stdout.write(text);
   */
  generate(source: Source, options: GenerateOptions = {}): Generation {
    return this.#generator.generate(source, options, this.generationDefaults);
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
    return this.#generator.generateBatch(sources, options, this.generationDefaults);
  }

  // ---- Tasks

  /**
   * Summaries. T5's family is told the task by "summarize: " before the text, others by having learnt nothing else; where
   * the model's config has a task "summarization", its prefix and settings hold.
   *
   * @param texts one, or a list; each gives what it gives alone
   * @throws before any work: TypeError and RangeError for wrong texts and options, and for a text longer than the context
   *   unless `truncate` is set; Error for a model without a tokenizer; the signal's reason; OutOfMemoryError
   * @example
   * const { text } = await t5.summarize(article, { numBeams: 4, maxNewTokens: 60 });
   */
  async summarize(text: string, options?: TextToTextOptions): Promise<TextResult>;
  async summarize(texts: readonly string[], options?: TextToTextOptions): Promise<TextResult[]>;
  async summarize(texts: string | readonly string[], options?: TextToTextOptions): Promise<TextResult | TextResult[]>;
  async summarize(
    texts: string | readonly string[],
    options: TextToTextOptions = {},
  ): Promise<TextResult | TextResult[]> {
    this.#alive();
    return summarize(this.#tasks, texts, options);
  }

  /**
   * Translations. How a model is told the languages depends on its family: T5 by a prefix that names both, with `from` and
   * `to` as codes ("en") or names in English ("English"); mBART by codes of its vocabulary ("en_XX"), `from` for the source
   * and `to` for the text; a Marian model of several languages by `to` ("fra"), one of a single pair not at all.
   *
   * @throws as `summarize`; RangeError for a language that the model does not know, saying which it has, for one that it
   *   has to be told, and for one that it cannot be told
   * @example
   * const { text } = await t5.translate("The house is small.", { from: "en", to: "de" });
   */
  async translate(text: string, options?: TranslateOptions): Promise<TextResult>;
  async translate(texts: readonly string[], options?: TranslateOptions): Promise<TextResult[]>;
  async translate(texts: string | readonly string[], options?: TranslateOptions): Promise<TextResult | TextResult[]>;
  async translate(
    texts: string | readonly string[],
    options: TranslateOptions = {},
  ): Promise<TextResult | TextResult[]> {
    this.#alive();
    return translate(this.#tasks, texts, options);
  }

  /**
   * Whatever the model makes of texts: nothing is put before them, unless `prefix` says so.
   *
   * @throws as `summarize`
   * @example
   * const { text } = await flan.text2text("Is this review positive? I loved every minute.");
   */
  async text2text(text: string, options?: TextToTextOptions): Promise<TextResult>;
  async text2text(texts: readonly string[], options?: TextToTextOptions): Promise<TextResult[]>;
  async text2text(texts: string | readonly string[], options?: TextToTextOptions): Promise<TextResult | TextResult[]>;
  async text2text(
    texts: string | readonly string[],
    options: TextToTextOptions = {},
  ): Promise<TextResult | TextResult[]> {
    this.#alive();
    return text2text(this.#tasks, texts, options);
  }

  /**
   * Answers in the model's own words: it is given "question: ... context: ...", as T5 was.
   *
   * @throws as `summarize`
   * @example
   * const { text } = await t5.answer({ question: "Where do I live?", context: "My name is Anna. I live in Berlin." });
   */
  async answer(question: QuestionInContext, options?: TextToTextOptions): Promise<TextResult>;
  async answer(questions: readonly QuestionInContext[], options?: TextToTextOptions): Promise<TextResult[]>;
  async answer(
    questions: QuestionInContext | readonly QuestionInContext[],
    options: TextToTextOptions = {},
  ): Promise<TextResult | TextResult[]> {
    this.#alive();
    return generateAnswer(this.#tasks, questions, options);
  }

  /**
   * Texts with their gaps filled, by a model that was trained on span corruption, as T5 was. A gap is written
   * <extra_id_0>, the next one <extra_id_1>.
   *
   * What the model writes is taken as it comes: what stands before the first sentinel, after one that was not asked for,
   * and after one that came before, is dropped; a gap that it leaves out stays in the text, and its span is null.
   *
   * @throws as `summarize`; Error for a vocabulary without sentinels; RangeError for a text without a gap, with a gap twice,
   *   and with one that is cut off
   * @example
   * const { text, spans } = await t5.fillSpans("Thank you <extra_id_0> me to your party <extra_id_1> week.");
   */
  async fillSpans(text: string, options?: TextToTextOptions): Promise<FilledSpans>;
  async fillSpans(texts: readonly string[], options?: TextToTextOptions): Promise<FilledSpans[]>;
  async fillSpans(
    texts: string | readonly string[],
    options: TextToTextOptions = {},
  ): Promise<FilledSpans | FilledSpans[]> {
    this.#alive();
    return fillSpans(this.#tasks, texts, options);
  }

  /**
   * A text with gaps, and what fills them: T5's training examples (Raffel et al. 2020, section 3.1.4). Give them to `loss`
   * for how well a model fills them. The same seed gives the same gaps.
   *
   * @param text a text; or ids of one, with the end token or without
   * @throws Error for a vocabulary without sentinels; RangeError for fewer than two tokens, for more gaps than there are
   *   sentinels, for a text that has some already; TypeError and RangeError for wrong options
   * @example
   * const { inputIds, targetIds } = t5.corruptSpans("Thank you for inviting me to your party last week.", { seed: 7 });
   * const { perplexity } = t5.loss(inputIds, targetIds);
   */
  corruptSpans(text: string | ArrayLike<number>, options: CorruptSpansOptions = {}): CorruptedSpans {
    this.#alive();
    return corruptSpans(this.#tasks, text, options);
  }

  /**
   * Texts with their masks filled, by a model that was trained on infilling, as BART was: a <mask> stands for any number of
   * words, and the whole text is written anew. `numBeams` and `numReturnSequences` give several.
   *
   * @throws as `summarize`; Error for a vocabulary without a mask; RangeError for a text without one
   * @example
   * const { sequences } = await bart.fillMask("UN Chief says there is no <mask> in Syria.", { numBeams: 4, numReturnSequences: 4 });
   */
  async fillMask(text: string, options?: TextToTextOptions): Promise<TextResult>;
  async fillMask(texts: readonly string[], options?: TextToTextOptions): Promise<TextResult[]>;
  async fillMask(
    texts: string | readonly string[],
    options: TextToTextOptions = {},
  ): Promise<TextResult | TextResult[]> {
    this.#alive();
    return infillMasks(this.#tasks, texts, options);
  }

  // ---- Memory

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

  /** What the decoder is given of a target in training: all but its last id, behind what it starts from. */
  #shifted(labels: readonly number[]): number[] {
    const { decoderStartTokenId, bosTokenId } = this.generationDefaults;
    const start = this.#startsWithLast ? labels[labels.length - 1] : (decoderStartTokenId ?? bosTokenId);
    if (start === null) throw noStart("pass decoderIds");
    return [start, ...labels.slice(0, -1)];
  }

  #alive(): void {
    if (this.#network.arena.disposed) throw new Error("this model was disposed");
  }
}

/** Positions of the cache that is laid out with the weights: a text is seldom longer. */
const FIRST_CACHE = 512;

/** An encoder, loaded: passes over ids, captures, and the tasks that its heads were trained for. */

import { checkOptions } from "@qkv/core";
import type { Tokenizer } from "@qkv/tokenize";
import type { EmbeddingPrecision } from "../embeddings/quantize";
import type { SentenceSettings } from "../embeddings/sentence-settings";
import { checkedIds } from "../ids";
import type { KernelReport, ModelKernels } from "../kernels";
import { Capture, selectTaps, type Tensor } from "../taps/capture";
import { type AnswerOptions, type AnswerResult, answer, type QuestionInContext } from "../tasks/answer";
import { type Classification, type ClassifyOptions, classify } from "../tasks/classify";
import { type Embedding, type EmbeddingInfo, type EmbedOptions, embed, embeddingWidth } from "../tasks/embed";
import { type FillMaskOptions, fillMask, type MaskFilling } from "../tasks/fill-mask";
import type { TaskHost, TaskOptions, TextOrPair } from "../tasks/host";
import { type NextSentence, nextSentence, type TextPair } from "../tasks/next-sentence";
import { type RankedDocument, type RerankOptions, rerank } from "../tasks/rerank";
import { type Entity, type TokenClassifyOptions, tokenClassify } from "../tasks/token-classify";
import { type ZeroShotOptions, type ZeroShotResult, zeroShotClassify } from "../tasks/zero-shot";
import type { EncoderConfig } from "./config";
import type { HeadName } from "./heads";
import type { EncoderNetwork } from "./network";
import { type OutputName, outputNames, outputShape } from "./outputs";
import { type PaddedInput, stripPadding, withPadding } from "./padded-input";
import { type EncoderInput, type EncoderOutput, PassRunner } from "./pass";
import { predictSpan, type SpanPrediction } from "./span-boundary";
import { createTaskHost, DEFAULT_BATCH_TOKENS } from "./task-host";

/** Options of `run`, `runBatch` and `runPadded`. */
export interface EncoderRunOptions {
  /** Which of the heads' outputs to compute; all that the model has if left out, [] for hidden states alone. */
  readonly outputs?: readonly OutputName[];
}

export interface EncoderRunOneOptions extends EncoderRunOptions {
  /** Of each id, 0 or 1: the text of a pair that it belongs to. 0 if left out. */
  readonly tokenTypeIds?: ArrayLike<number>;
  /** Taps to keep, by name or with `*`: "layers.*.output". See `Encoder.taps`. */
  readonly capture?: readonly string[];
}

export interface EncoderRunBatchOptions extends EncoderRunOptions {
  /** For each text, as in `run`; null for 0. */
  readonly tokenTypeIds?: readonly (ArrayLike<number> | null)[];
  readonly capture?: readonly string[];
}

/** What a pass gives. */
export interface EncoderResult {
  /** [T, D]: of every token, after the last layer */
  readonly hidden: Tensor;
  /** What the heads gave, see `Heads` for shapes. */
  readonly outputs: Readonly<Partial<Record<OutputName, Tensor>>>;
  /** By tap name. */
  readonly captured: Readonly<Record<string, Tensor>>;
}

/** What `load` hands to an Encoder. */
export interface EncoderParts {
  readonly architecture: string;
  readonly config: EncoderConfig;
  readonly network: EncoderNetwork;
  readonly kernels: ModelKernels;
  readonly tokenizer: Tokenizer | null;
  /** Why there is no tokenizer. */
  readonly tokenizerProblem: string | null;
  readonly sentence: SentenceSettings;
  /** Most tokens of a text; at most what the network takes. */
  readonly contextLength: number;
}

/**
 * A loaded encoder. Made by `load`.
 *
 * @example
 * const bert = await loadEncoder("./all-MiniLM-L6-v2");
 * const [query, passage] = await bert.embed(["a query", "a passage"]);
 * bert.dispose();
 */
export class Encoder {
  readonly kind = "encoder";
  /** `model_type` of its config. */
  readonly architecture: string;
  /** Its config, parsed; in camelCase. */
  readonly config: EncoderConfig;
  readonly tokenizer: Tokenizer | null;
  /** Most tokens of a text, special ones included. */
  readonly contextLength: number;
  readonly vocabSize: number;
  /** D */
  readonly hiddenSize: number;
  /** The heads of this checkpoint. */
  readonly heads: readonly HeadName[];
  /** What `run` can compute beyond hidden states. */
  readonly outputs: readonly OutputName[];
  /** Every name that `capture` can take. */
  readonly taps: readonly string[];
  readonly #network: EncoderNetwork;
  readonly #kernels: ModelKernels;
  readonly #runner: PassRunner;
  readonly #host: TaskHost;

  constructor({ network, kernels, tokenizerProblem, ...parts }: EncoderParts) {
    this.architecture = parts.architecture;
    this.config = parts.config;
    this.tokenizer = parts.tokenizer;
    this.contextLength = parts.contextLength;
    this.vocabSize = network.vocabSize;
    this.hiddenSize = network.hiddenSize;
    this.heads = (Object.keys(network.heads) as HeadName[]).filter((name) => network.heads[name] !== null);
    this.outputs = outputNames(network.heads);
    this.taps = [...network.taps, ...this.outputs];
    this.#network = network;
    this.#kernels = kernels;
    this.#runner = new PassRunner(network, kernels.kernels, DEFAULT_BATCH_TOKENS);
    this.#host = createTaskHost({
      ...parts,
      runner: this.#runner,
      tokenizerProblem,
      maxTokens: parts.contextLength,
      checkAlive: () => this.#alive(),
    });
  }

  /**
   * One pass over the ids of a text, or of a text and its pair, synchronous: for scripts and workers.
   *
   * @param ids [T], at least one, with the special tokens that the model expects
   * @throws RangeError for ids outside of the vocabulary, or more than the model takes; TypeError for unknown options;
   *   OutOfMemoryError
   * @example
   * const { hidden, captured } = bert.run([101, 7592, 102], { capture: ["layers.*.attention.probs"] });
   */
  run(ids: ArrayLike<number>, options: EncoderRunOneOptions = {}): EncoderResult {
    checkOptions("run", options, ["outputs", "tokenTypeIds", "capture"]);
    this.#alive();
    return this.#run([this.#input("ids", ids, options.tokenTypeIds ?? null)], options)[0];
  }

  /**
   * One pass over several texts of any lengths. They are packed, not padded: each gives the bits that it gives alone.
   *
   * @param sequences ids of each, [T_b]
   * @returns a result for each, in the same order
   * @throws as `run`
   */
  runBatch(sequences: readonly ArrayLike<number>[], options: EncoderRunBatchOptions = {}): EncoderResult[] {
    checkOptions("runBatch", options, ["outputs", "tokenTypeIds", "capture"]);
    this.#alive();
    if (!Array.isArray(sequences) || sequences.length === 0) {
      throw new RangeError("runBatch: expected an array of at least one sequence of ids");
    }
    const { tokenTypeIds } = options;
    if (tokenTypeIds !== undefined && (!Array.isArray(tokenTypeIds) || tokenTypeIds.length !== sequences.length)) {
      throw new RangeError(`tokenTypeIds: expected an array of ${sequences.length}, one for each sequence`);
    }
    const inputs = sequences.map((ids: ArrayLike<number>, b) =>
      this.#input(`sequences[${b}]`, ids, tokenTypeIds?.[b] ?? null),
    );
    return this.#run(inputs, options);
  }

  /**
   * One pass over a rectangular batch, padded on the right, as other libraries take it. The padding is left out before
   * anything is computed; its places in the result are 0.
   *
   * @returns [B, T, ...] of hidden states and of outputs by token, [B, ...] of outputs by text
   * @throws as `run`; RangeError for a mask that is not ones followed by zeros
   */
  runPadded(input: PaddedInput, options: EncoderRunOptions = {}): Omit<EncoderResult, "captured"> {
    checkOptions("runPadded", options, ["outputs"]);
    const { sequences, tokenTypeIds, length } = stripPadding(input);
    return withPadding(this.runBatch(sequences, { ...options, tokenTypeIds }), length, this.#network.heads);
  }

  /**
   * The words of a span from the tokens at its borders and each place's number alone, by SpanBERT's span boundary head.
   *
   * @param ids of the whole text
   * @param span its first and last token; it needs a token on each side
   * @throws RangeError for a span without neighbours or longer than the head's table; Error for a model without the head
   */
  predictSpan(ids: ArrayLike<number>, span: { readonly start: number; readonly end: number }): SpanPrediction {
    this.#alive();
    const head = this.#network.spanBoundary;
    if (head === null)
      throw new Error("predictSpan: this model has no span boundary head; see `spanBoundaryHead` of load");
    const input = this.#input("ids", ids, null);
    let prediction: SpanPrediction | null = null;
    const each = (_: number, { hidden }: EncoderOutput) => {
      prediction = predictSpan(this.#runner, head, hidden, span);
    };
    this.#complete([input], [], null, each);
    return prediction as unknown as SpanPrediction;
  }

  // ---- Tasks: embed, rerank

  /** What the model's files say about its embeddings. */
  get embeddings(): EmbeddingInfo {
    const { sentence, hiddenSize } = this.#host;
    const { problem, pooling, modules, prompts, defaultPrompt, similarity } = sentence;
    const dimensions = problem === null ? embeddingWidth(hiddenSize, pooling, modules) : 0;
    return { dimensions, pooling, prompts: { ...prompts }, defaultPrompt, similarity };
  }

  /**
   * Embeddings of texts: what sentence-transformers' `encode` gives for the same folder, by its modules.json (pooling,
   * Dense, LayerNorm, Normalize), prompts and longest text (`max_seq_length`, whatever tokenizer.json says). Without these
   * files: the mean over all tokens. A text's embedding is the same bits alone and in any company.
   *
   * @param texts one, or a list; an empty text has its special tokens to be embedded
   * @returns for one text a Float32Array [dimensions] (`precision` may ask for fewer bits), for a list one for each, in order
   * @throws TypeError and RangeError for texts and options of the wrong type or value, before any work; Error for a model
   *   without a tokenizer; the signal's reason; OutOfMemoryError
   * @example
   * const [query] = await model.embed(["How tall is K2?"], { promptName: "query" });
   * const short = await model.embed("K2 is 8611 m tall.", { dimensions: 64, normalize: true });
   */
  async embed<P extends EmbeddingPrecision | "f32" = "f32">(
    texts: string,
    options?: EmbedOptions<P>,
  ): Promise<Embedding<P>>;
  async embed<P extends EmbeddingPrecision | "f32" = "f32">(
    texts: readonly string[],
    options?: EmbedOptions<P>,
  ): Promise<Embedding<P>[]>;
  async embed<P extends EmbeddingPrecision | "f32" = "f32">(
    texts: string | readonly string[],
    options?: EmbedOptions<P>,
  ): Promise<Embedding<P> | Embedding<P>[]>;
  async embed<P extends EmbeddingPrecision | "f32" = "f32">(
    texts: string | readonly string[],
    options?: EmbedOptions<P>,
  ): Promise<Embedding<P> | Embedding<P>[]> {
    this.#alive();
    return embed(this.#host, texts, options);
  }

  /**
   * Documents in the order of how well they answer a query, by a cross-encoder: what sentence-transformers'
   * `CrossEncoder.rank` gives. Pairs that are too long lose the end of the longer text.
   *
   * @returns the best first, equals in the order in which they were given
   * @throws as `embed`; Error for a model that is no sequence classifier with one output
   * @example
   * const [best] = await model.rerank("How tall is K2?", ["K2 is 8611 m tall.", "Eggs are boiled."], { topK: 1 });
   * // { index: 0, score: 0.99, document: "K2 is 8611 m tall." }
   */
  async rerank(query: string, documents: readonly string[], options?: RerankOptions): Promise<RankedDocument[]> {
    this.#alive();
    return rerank(this.#host, query, documents, options);
  }

  // ---- Tasks of heads

  /**
   * The words that fit where a text has masks, by a masked language model. The mask is written as the model's tokenizer
   * has it: [MASK] in BERT's family, <mask> in RoBERTa's.
   *
   * Scores are probabilities among the whole vocabulary, each mask's by itself with the others in place. Texts that are
   * too long are cut at the end; a mask must not be lost.
   *
   * @returns for each text a list for each of its masks, best first
   * @throws Error for a model without a masked language model's head; RangeError for a text without a mask or with one
   *   beyond what the model takes, and for a target that is no single token; TypeError; the signal's reason
   * @example
   * const [fillings] = await bert.fillMask("The capital of France is [MASK].", { topK: 3 });
   * fillings[0].token; // "paris"
   */
  async fillMask(text: string, options?: FillMaskOptions): Promise<MaskFilling[][]>;
  async fillMask(texts: readonly string[], options?: FillMaskOptions): Promise<MaskFilling[][][]>;
  async fillMask(
    texts: string | readonly string[],
    options: FillMaskOptions = {},
  ): Promise<MaskFilling[][] | MaskFilling[][][]> {
    this.#alive();
    return fillMask(this.#host, texts, options);
  }

  /**
   * The labels of texts, or of pairs of texts, by a sequence classifier; of a regression, its number. Texts that are too
   * long are cut at the end, of a pair the longer first.
   *
   * @param texts a text, or an array of texts and of [text, pair]; a single pair is [[text, pair]]
   * @returns for each text all its labels, best first, or the first `topK`
   * @throws Error for a model without a sequence classifier; TypeError and RangeError for wrong texts and options; the
   *   signal's reason
   * @example
   * const [{ label, score }] = await model.classify("I love this film.");
   */
  async classify(texts: readonly TextOrPair[], options?: ClassifyOptions): Promise<Classification[][]>;
  async classify(text: string, options?: ClassifyOptions): Promise<Classification[]>;
  async classify(
    texts: string | readonly TextOrPair[],
    options: ClassifyOptions = {},
  ): Promise<Classification[] | Classification[][]> {
    this.#alive();
    return classify(this.#host, texts, options);
  }

  /**
   * How well labels of your own fit a text, by a model of natural language inference: whether the text entails "This
   * example is <label>." One pass for each text and label. Texts that are too long are cut at the end, hypotheses never.
   *
   * @param labels at least one
   * @returns for each text its labels, best first, and their scores: with `multiLabel` (or a single label) each one's
   *   probability against contradiction, else probabilities that sum up to 1
   * @throws Error for a model without a label "entailment"; TypeError and RangeError for wrong texts, labels and options,
   *   and a hypothesis that leaves no room for the text; the signal's reason
   * @example
   * const { labels, scores } = await nli.zeroShotClassify("The team won on Sunday.", ["sports", "politics"]);
   */
  async zeroShotClassify(text: string, labels: readonly string[], options?: ZeroShotOptions): Promise<ZeroShotResult>;
  async zeroShotClassify(
    texts: readonly string[],
    labels: readonly string[],
    options?: ZeroShotOptions,
  ): Promise<ZeroShotResult[]>;
  async zeroShotClassify(
    texts: string | readonly string[],
    labels: readonly string[],
    options: ZeroShotOptions = {},
  ): Promise<ZeroShotResult | ZeroShotResult[]> {
    this.#alive();
    return zeroShotClassify(this.#host, texts, labels, options);
  }

  /**
   * The entities of a text, by a token classifier: names, places, parts of speech, with their place in the text.
   *
   * Aggregations, as in transformers: "none" gives every token; "simple" joins neighbours of one type, with B- as the
   * beginning of another; "first", "average" and "max" first give every word one label: its first token's, that of the
   * mean probabilities, or that of its surest token. A word is what WordPiece cuts as one, and with other tokenizers what
   * white space parts.
   *
   * A text that is longer than the model runs in windows that share `stride` tokens. Of entities that overlap the longer
   * stays, then the one with the better score; under "none" each token is taken from the window that shows more around it.
   *
   * @throws Error for a model without a token classifier; TypeError and RangeError for wrong texts and options; the
   *   signal's reason
   * @example
   * const entities = await ner.tokenClassify("Angela Merkel met Barack Obama.", { aggregation: "first" });
   * // [{ label: "PER", score: 0.99, start: 0, end: 13, text: "Angela Merkel" }, ...]
   */
  async tokenClassify(text: string, options?: TokenClassifyOptions): Promise<Entity[]>;
  async tokenClassify(texts: readonly string[], options?: TokenClassifyOptions): Promise<Entity[][]>;
  async tokenClassify(
    texts: string | readonly string[],
    options: TokenClassifyOptions = {},
  ): Promise<Entity[] | Entity[][]> {
    this.#alive();
    return tokenClassify(this.#host, texts, options);
  }

  /**
   * The part of a context that answers a question, by a question answering model (SQuAD). A context that is too long runs
   * in windows that share `stride` tokens; a span lies in one of them.
   *
   * For models that know questions without an answer (SQuAD 2.0) give `noAnswerThreshold`: the answer is null unless the
   * best span's logits exceed those of [CLS] by more. Scores for choosing it are in every result.
   *
   * @returns the best span, and in `spans` the `topK` best with different texts; `answer` is null where there is none
   * @throws Error for a model without such a head; RangeError for a question that fills a window; TypeError and RangeError
   *   for wrong questions and options; the signal's reason
   * @example
   * const context = "My name is Wolfgang and I live in Berlin.";
   * const { answer, start, end } = await qa.answer({ question: "Where do I live?", context });
   */
  async answer(question: QuestionInContext, options?: AnswerOptions): Promise<AnswerResult>;
  async answer(questions: readonly QuestionInContext[], options?: AnswerOptions): Promise<AnswerResult[]>;
  async answer(
    questions: QuestionInContext | readonly QuestionInContext[],
    options: AnswerOptions = {},
  ): Promise<AnswerResult | AnswerResult[]> {
    this.#alive();
    return answer(this.#host, questions, options);
  }

  /**
   * Whether the second text of a pair follows the first, by BERT's next sentence head. Texts that are too long are cut at
   * the end, the longer first.
   *
   * @param pairs a pair, or an array of pairs
   * @throws Error for a model without the head; TypeError for what is no pair; the signal's reason
   * @example
   * const { isNext } = await bert.nextSentence(["Anna left Berlin.", "She moved to New York."]);
   */
  async nextSentence(pairs: readonly TextPair[], options?: TaskOptions): Promise<NextSentence[]>;
  async nextSentence(pair: TextPair, options?: TaskOptions): Promise<NextSentence>;
  async nextSentence(
    pairs: TextPair | readonly TextPair[],
    options: TaskOptions = {},
  ): Promise<NextSentence | NextSentence[]> {
    this.#alive();
    return nextSentence(this.#host, pairs, options);
  }

  /** Bytes by purpose: weights, scratch. */
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

  #run(
    inputs: readonly EncoderInput[],
    { outputs = this.outputs, capture: patterns = [] }: EncoderRunOptions & { readonly capture?: readonly string[] },
  ): EncoderResult[] {
    if (!Array.isArray(outputs)) throw new TypeError(`outputs: expected an array of names, got ${String(outputs)}`);
    for (const name of outputs) {
      if (this.outputs.includes(name)) continue;
      const there = this.outputs.join(", ") || "none";
      throw new RangeError(`outputs: this model has no "${String(name)}"; it has ${there}`);
    }
    const taps = selectTaps(patterns, this.taps);
    const computed = this.outputs.filter((name) => outputs.includes(name) || taps.has(name));
    const lengths = inputs.map(({ ids }) => ids.length);
    const capture = taps.size === 0 ? null : new Capture(taps, lengths, this.#network.arena);
    const results: EncoderResult[] = [];
    const each = (index: number, { hidden, outputs: values }: EncoderOutput): void => {
      const T = inputs[index].ids.length;
      const tensor = (name: OutputName): Tensor => ({
        data: (values[name] as Float32Array).slice(), // who changes one must not change the other
        shape: outputShape(this.#network.heads, name, T),
      });
      const named = (names: readonly OutputName[]) => Object.fromEntries(names.map((name) => [name, tensor(name)]));
      results[index] = {
        hidden: { data: hidden.slice(), shape: [T, this.hiddenSize] },
        outputs: named(computed.filter((name) => outputs.includes(name))),
        captured: { ...capture?.take(index), ...named(computed.filter((name) => taps.has(name))) },
      };
    };
    this.#complete(inputs, computed, capture, each);
    return results;
  }

  /** A pass to its end: nobody else gets a turn. */
  #complete(
    inputs: readonly EncoderInput[],
    outputs: readonly OutputName[],
    capture: Capture | null,
    each: (index: number, output: EncoderOutput) => void,
  ): void {
    this.#runner.run({ inputs, outputs, capture, each }, () => false).next();
  }

  /** A copy of the ids, which the caller may change, with every one of them in the vocabulary. */
  #input(name: string, given: ArrayLike<number>, types: ArrayLike<number> | null): EncoderInput {
    const ids = checkedIds(name, given, this.vocabSize, (length) => {
      if (length === 0) throw new RangeError(`${name}: expected at least one token, got none`);
      if (length <= this.contextLength) return;
      throw new RangeError(`${name}: ${length} tokens do not fit the ${this.contextLength} that this model takes`);
    });
    if (types === null) return { ids, typeIds: null };
    const kinds = this.#network.typeVocabSize;
    if (kinds === 0) throw new RangeError(`tokenTypeIds: ${this.architecture} has no token types`);
    const typeIds = checkedIds("tokenTypeIds", types, kinds, (length) => {
      if (length === ids.length) return;
      throw new RangeError(`tokenTypeIds: expected ${ids.length}, one for each id, got ${length}`);
    });
    return { ids, typeIds };
  }

  #alive(): void {
    if (this.#network.arena.disposed) throw new Error("this model was disposed");
  }
}

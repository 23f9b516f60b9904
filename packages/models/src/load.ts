/** `load` and `inspect`: from files to a model that runs, or to a description of one. */

import { checkInteger, checkOptions, type Dtype, OutOfMemoryError } from "@qkv/core";
import { Tokenizer, TokenizerFileError } from "@qkv/tokenize";
import { MAX_CONTEXT } from "./config/json-config";
import { Decoder } from "./decoder/decoder";
import { layOutSentences } from "./embeddings/sentence-files";
import { Encoder } from "./encoder/encoder";
import { ModelFileError, ModelKindError, UnsupportedModelError } from "./errors";
import { type OpenedSource, openSource, type SourceLike } from "./files/open";
import type { WeightFormat } from "./formats/detect";
import { elementCount } from "./formats/tensor";
import { checkKernelOptions, KERNEL_OPTIONS, type KernelOptions, kernelsFor, type ModelKernels } from "./kernels";
import { identifyModel, type ModelFiles } from "./model-files";
import type { ModelConfig } from "./registry";
import { Seq2Seq } from "./seq2seq/seq2seq";
import { type LoadProgress, storedDtypes, WEIGHT_DTYPES, type WeightDtype, Weights } from "./weights/weights";

/** What `load` gives: `kind` says which. */
export type Model = Decoder | Encoder | Seq2Seq;

/** Options of `load`. */
export interface LoadOptions extends KernelOptions {
  /** Which file of a source with several, relative to it. */
  readonly file?: string;
  /** A tokenizer to use in place of the model's own: a path on disk, or one that is open already. */
  readonly tokenizer?: string | Tokenizer;
  /**
   * Of a decoder, most positions of a prompt, which the key/value cache is made for. If left out, what the model was made
   * for, at most 4096. More than the model was made for is allowed, as in PyTorch; expect nonsense.
   * Of an encoder, most tokens of a text, which longer ones are cut to. If left out, what the model was made for; more
   * has no positions. Of an encoder-decoder, most tokens of a source, and of a text: as for a decoder where positions have
   * no end, as in T5, else as for an encoder.
   */
  readonly contextLength?: number;
  /** In which dtype weights lie in memory; `auto`, as the file has them, if left out. */
  readonly dtype?: WeightDtype;
  /** SpanBERT's span boundary head, which is published as a file beside the model: its safetensors, relative to the model. */
  readonly spanBoundaryHead?: string;
  /** Calls loading off. */
  readonly signal?: AbortSignal;
  /** Told about the weights as they come. */
  readonly onProgress?: (progress: LoadProgress) => void;
}

const INSPECT_OPTIONS = [
  "file",
  "tokenizer",
  "contextLength",
  "dtype",
  "spanBoundaryHead",
  "signal",
  ...KERNEL_OPTIONS,
] as const;
const LOAD_OPTIONS: readonly (keyof LoadOptions)[] = [...INSPECT_OPTIONS, "onProgress"];

/** Contexts of 100,000 positions and more are for those who ask: their caches outgrow the weights. */
const DEFAULT_CONTEXT = 4096;

/**
 * Loads a model from the files that it was published as.
 *
 * @param source a folder (Hugging Face's config.json with safetensors), a file (.gguf, .safetensors, llama2.c's .bin), a
 *   File or Blob, or anything with `read(path, start, end)`, whose `close` is called at the end
 * @throws ModelFileError for files that are damaged or contradict themselves; UnsupportedModelError for sound ones that
 *   qkv does not run; TypeError and RangeError for wrong options; the signal's reason. Nothing stays open.
 * @example
 * const model = await load("packages/cli/models/stories260K");
 * const { text } = await model.generate("Once upon a time", { maxNewTokens: 20 }).result();
 */
export async function load(source: SourceLike, options: LoadOptions = {}): Promise<Model> {
  return loadAs("load", source, options, (model) => model);
}

/**
 * As `load`, for decoders: models that generate.
 *
 * @throws as `load`; ModelKindError for a model that is none
 * @example
 * const model = await loadDecoder("packages/cli/models/stories260K");
 * const { text } = await model.generate("Once upon a time", { maxNewTokens: 20 }).result();
 */
export async function loadDecoder(source: SourceLike, options: LoadOptions = {}): Promise<Decoder> {
  return loadAs("loadDecoder", source, options, (model) => (model.kind === "decoder" ? model : null));
}

/**
 * As `load`, for encoders: models that embed, classify and fill gaps.
 *
 * @throws as `load`; ModelKindError for a model that is none
 * @example
 * const model = await loadEncoder("./all-MiniLM-L6-v2");
 * const [vector] = await model.embed(["a text"]);
 */
export async function loadEncoder(source: SourceLike, options: LoadOptions = {}): Promise<Encoder> {
  return loadAs("loadEncoder", source, options, (model) => (model.kind === "encoder" ? model : null));
}

/**
 * As `load`, for encoder-decoders: models that make a text of another.
 *
 * @throws as `load`; ModelKindError for a model that is none
 * @example
 * const model = await loadSeq2Seq("./t5-titler");
 * const { text } = await model.generate("summarize: ...", { numBeams: 4, maxNewTokens: 32 }).result();
 */
export async function loadSeq2Seq(source: SourceLike, options: LoadOptions = {}): Promise<Seq2Seq> {
  return loadAs("loadSeq2Seq", source, options, (model) => (model.kind === "seq2seq" ? model : null));
}

/**
 * As `load`, for models that write text: decoders and encoder-decoders.
 *
 * @throws as `load`; ModelKindError for an encoder
 * @example
 * const model = await loadGenerator("packages/cli/models/stories260K");
 * const { text } = await model.generate("Once upon a time", { maxNewTokens: 20 }).result();
 */
export async function loadGenerator(source: SourceLike, options: LoadOptions = {}): Promise<Decoder | Seq2Seq> {
  return loadAs("loadGenerator", source, options, (model) => (model.kind === "encoder" ? null : model));
}

/** @param as the model as what was asked for; null where it is something else */
async function loadAs<M extends Model>(
  call: string,
  source: SourceLike,
  options: LoadOptions,
  as: (model: Model) => M | null,
): Promise<M> {
  checkOptions(call, options, LOAD_OPTIONS);
  const { signal, onProgress } = options;
  if (onProgress !== undefined && typeof onProgress !== "function")
    throw new TypeError("onProgress: expected a function");
  checkCommonOptions(options);
  signal?.throwIfAborted();
  const opened = await openSource(source, signal);
  let owner: ModelKernels | null = null;
  try {
    const files = await (await identifyModel(opened, options)).parse();
    const { made, result } = await kernelsFor(options, dtypesOf(files, options), (made) =>
      layOut(files, made, options),
    );
    owner = made;
    const wanted = as(result.model);
    if (wanted === null) throw new ModelKindError(call, opened.files.name, result.model);
    made.kernels.arena.commit(); // all of it, before the first weight is read
    // All to their end, even if one fails: what has started must be given back.
    const reading = readAll(result.weights, { signal, onProgress });
    const [started, read] = await Promise.allSettled([made.start(), reading]);
    for (const outcome of [read, started]) if (outcome.status === "rejected") throw outcome.reason;
    return wanted;
  } catch (error) {
    owner?.dispose();
    throw error;
  } finally {
    await closeQuietly(opened);
  }
}

function checkCommonOptions(options: LoadOptions): void {
  const { contextLength, dtype, spanBoundaryHead } = options;
  if (contextLength !== undefined) checkInteger("contextLength", contextLength, 1, MAX_CONTEXT);
  if (dtype !== undefined && !WEIGHT_DTYPES.includes(dtype))
    throw new RangeError(`dtype: expected one of ${WEIGHT_DTYPES.join(", ")}, got ${String(dtype)}`);
  if (spanBoundaryHead !== undefined && typeof spanBoundaryHead !== "string")
    throw new TypeError(`spanBoundaryHead: expected a file's name, got ${String(spanBoundaryHead)}`);
  checkKernelOptions(options);
  checkChoiceOfFiles(options);
  checkSignal(options.signal);
}

/** A source that fails to close has given all that was asked of it; its error must not hide another. */
async function closeQuietly({ files }: OpenedSource): Promise<void> {
  await files.close().catch(() => {});
}

function checkChoiceOfFiles({ file, tokenizer }: Pick<LoadOptions, "file" | "tokenizer">): void {
  if (file !== undefined && typeof file !== "string") throw new TypeError(`file: expected a name, got ${String(file)}`);
  if (tokenizer !== undefined && typeof tokenizer !== "string" && !(tokenizer instanceof Tokenizer)) {
    throw new TypeError(`tokenizer: expected a path or a Tokenizer, got ${String(tokenizer)}`);
  }
}

function checkSignal(signal: AbortSignal | undefined): void {
  if (signal !== undefined && typeof signal?.throwIfAborted !== "function") {
    throw new TypeError("signal: expected an AbortSignal");
  }
}

/** The dtypes that the model's matrices will have. */
function dtypesOf({ checkpoint, sentence }: ModelFiles, { dtype = "auto" }: LoadOptions): ReadonlySet<Dtype> {
  const checkpoints = (sentence?.modules ?? []).flatMap((module) =>
    "checkpoint" in module ? [module.checkpoint] : [],
  );
  return new Set([checkpoint, ...checkpoints].flatMap((each) => [...storedDtypes(each, dtype)]));
}

/** A model that is laid out, and the weights that it waits for. */
interface LaidOut {
  readonly model: Model;
  readonly weights: readonly Weights[];
}

/** Lays a model out in the kernels' memory, without reading its weights. */
function layOut(files: ModelFiles, made: ModelKernels, { contextLength, dtype = "auto" }: LoadOptions): LaidOut {
  const { kernels } = made;
  const { architecture, checkpoint, model, tokenizer, tokenizerProblem } = files;
  const weights = Weights.of(checkpoint, kernels, dtype);
  const common = { architecture, kernels: made, tokenizer, tokenizerProblem };
  if (model.kind === "decoder") {
    const network = model.create(weights, kernels);
    checkVocabulary(files, network.vocabSize);
    const decoder = new Decoder({
      ...common,
      config: model.config,
      network,
      chat: files.chat,
      endIds: files.endIds.filter((id) => id < network.vocabSize),
      contextLength: contextLength ?? Math.min(network.maxPositions, DEFAULT_CONTEXT),
    });
    return { model: decoder, weights: [weights] };
  }
  if (model.kind === "seq2seq") {
    const network = model.create(weights, kernels);
    checkVocabulary(files, network.encoder.vocabSize);
    if (contextLength !== undefined) checkInteger("contextLength", contextLength, 1, network.maxPositions);
    const seq2seq = new Seq2Seq({
      ...common,
      config: model.config,
      network,
      generation: files.generation,
      endIds: files.endIds.filter((id) => id < network.vocabSize),
      startsWithLast: model.startsWithLast,
      contextLength: contextLength ?? Math.min(network.maxPositions, DEFAULT_CONTEXT),
    });
    return { model: seq2seq, weights: [weights] };
  }
  const network = model.create(weights, kernels);
  checkVocabulary(files, network.vocabSize);
  if (contextLength !== undefined) checkInteger("contextLength", contextLength, 1, network.maxPositions);
  const sentence = layOutSentences(files.sentence, kernels, network.hiddenSize, dtype);
  const encoder = new Encoder({
    ...common,
    config: model.config,
    network,
    sentence: sentence.settings,
    contextLength: contextLength ?? network.maxPositions,
  });
  return { model: encoder, weights: [weights, ...sentence.weights] };
}

function checkVocabulary({ tokenizer, checkpoint }: ModelFiles, vocabSize: number): void {
  if (tokenizer === null || tokenizer.vocabSize <= vocabSize) return;
  throw new ModelFileError(
    `the tokenizer has ${tokenizer.vocabSize} tokens, and the embedding only ${vocabSize} rows`,
    { file: checkpoint.file },
  );
}

/** Brings the numbers of several checkpoints, one after the other, as one progress. */
async function readAll(
  all: readonly Weights[],
  { signal, onProgress }: Parameters<Weights["read"]>[0] & object,
): Promise<void> {
  const totalBytes = all.reduce((sum, { fileBytes }) => sum + fileBytes, 0);
  let before = 0;
  for (const weights of all) {
    const report = ({ loadedBytes }: LoadProgress) => onProgress?.({ loadedBytes: before + loadedBytes, totalBytes });
    await weights.read({ signal, onProgress: report });
    before += weights.fileBytes;
  }
}

/** What `inspect` tells. */
export interface Inspection {
  readonly architecture: string | null;
  readonly kind: Model["kind"] | null;
  readonly format: WeightFormat | null;
  /** The parsed config, in camelCase. */
  readonly config: ModelConfig | null;
  readonly tensors: number | null;
  /** Numbers in all tensors of the file. */
  readonly parameters: number | null;
  /** Bytes in the file, by dtype. */
  readonly bytesByDtype: Readonly<Record<string, number>> | null;
  /** Bytes that running takes, by purpose, at `contextLength` positions. */
  readonly memory: Readonly<Record<string, number>> | null;
  readonly contextLength: number | null;
  /** The tokenizer's kind and size, or why there is none. */
  readonly tokenizer: { readonly kind: string; readonly vocabSize: number } | { readonly problem: string } | null;
  /** Whether `load` would give a model. */
  readonly runs: boolean;
  /** Why it does not run; null if it does. */
  readonly because: string | null;
}

/**
 * What a model is, what it would take, and whether it runs: from its headers and configs, without reading weights.
 * A model that cannot run gives `runs: false` with the reason, and what could be found out before.
 *
 * @throws as `load`, where there is nothing to inspect: no such file
 * @example
 * const { runs, because, parameters } = await inspect("packages/cli/models/stories260K");
 */
export async function inspect(source: SourceLike, options: Omit<LoadOptions, "onProgress"> = {}): Promise<Inspection> {
  checkOptions("inspect", options, INSPECT_OPTIONS);
  checkCommonOptions(options);
  const opened = await openSource(source, options.signal);
  let found: Inspection = {
    architecture: null,
    kind: null,
    format: null,
    config: null,
    tensors: null,
    parameters: null,
    bytesByDtype: null,
    memory: null,
    contextLength: null,
    tokenizer: null,
    runs: false,
    because: null,
  };
  try {
    const identified = await identifyModel(opened, options);
    const { format, architecture, tensors } = identified;
    found = { ...found, format, architecture, ...countTensors(tensors) };
    const files = await identified.parse();
    const { tokenizer, tokenizerProblem } = files;
    found = {
      ...found,
      kind: files.model.kind,
      config: files.model.config,
      tokenizer:
        tokenizer === null
          ? { problem: tokenizerProblem ?? "none" }
          : { kind: tokenizer.kind, vocabSize: tokenizer.vocabSize },
    };
    // Without turbo: to look at a model is no reason to set flags for the process.
    const { made, result } = await kernelsFor({ ...options, turbo: false }, dtypesOf(files, options), (made) => {
      const { model } = layOut(files, made, options);
      return { memory: made.kernels.arena.report(), contextLength: model.contextLength };
    });
    made.dispose();
    return { ...found, ...result, runs: true };
  } catch (error) {
    // What is wrong with the model is the answer; anything else is ours or the caller's fault.
    const ofTheModel = [ModelFileError, UnsupportedModelError, TokenizerFileError, OutOfMemoryError];
    if (!ofTheModel.some((kind) => error instanceof kind)) throw error;
    return { ...found, because: (error as Error).message };
  } finally {
    await closeQuietly(opened);
  }
}

function countTensors(
  tensors: ModelFiles["checkpoint"]["tensors"],
): Pick<Inspection, "tensors" | "parameters" | "bytesByDtype"> {
  const bytesByDtype: Record<string, number> = {};
  let parameters = 0;
  for (const { dtype, shape, start, end } of tensors.values()) {
    bytesByDtype[dtype] = (bytesByDtype[dtype] ?? 0) + end - start;
    parameters += elementCount(shape);
  }
  return { tensors: tensors.size, parameters, bytesByDtype };
}

/** `load` and `inspect`: from files to a model that runs, or to a description of one. */

import { Arena, checkInteger, checkOptions, OutOfMemoryError, ReferenceKernels } from "@qkv/core";
import { Tokenizer, TokenizerFileError } from "@qkv/tokenize";
import { Decoder, MAX_CONTEXT } from "./decoder/decoder";
import type { DecoderNetwork } from "./decoder/network";
import { ModelFileError, UnsupportedModelError } from "./errors";
import { type OpenedSource, openSource, type SourceLike } from "./files/open";
import type { WeightFormat } from "./formats/detect";
import { elementCount } from "./formats/tensor";
import { identifyModel, type ModelFiles } from "./model-files";
import type { ModelConfig } from "./registry";
import { type LoadProgress, Weights } from "./weights/weights";

/** Options of `load`. */
export interface LoadOptions {
  /** Which file of a source with several, relative to it. */
  readonly file?: string;
  /** A tokenizer to use in place of the model's own: a path on disk, or one that is open already. */
  readonly tokenizer?: string | Tokenizer;
  /**
   * Most positions of a prompt, which the key/value cache is made for. If left out, what the model was made for, at
   * most 4096. More than the model was made for is allowed, as in PyTorch; expect nonsense.
   */
  readonly contextLength?: number;
  /** Calls loading off. */
  readonly signal?: AbortSignal;
  /** Told about the weights as they come. */
  readonly onProgress?: (progress: LoadProgress) => void;
}

const LOAD_OPTIONS: readonly (keyof LoadOptions)[] = ["file", "tokenizer", "contextLength", "signal", "onProgress"];

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
export async function load(source: SourceLike, options: LoadOptions = {}): Promise<Decoder> {
  checkOptions("load", options, LOAD_OPTIONS);
  const { contextLength, signal, onProgress } = options;
  if (contextLength !== undefined) checkInteger("contextLength", contextLength, 1, MAX_CONTEXT);
  if (onProgress !== undefined && typeof onProgress !== "function")
    throw new TypeError("onProgress: expected a function");
  checkChoiceOfFiles(options);
  checkSignal(signal);
  signal?.throwIfAborted();
  const opened = await openSource(source, signal);
  const arena = new Arena();
  try {
    const files = await (await identifyModel(opened, options)).parse();
    const { weights, network } = layOut(files, arena);
    const decoder = new Decoder({
      architecture: files.architecture,
      config: files.model.config,
      network,
      tokenizer: files.tokenizer,
      tokenizerProblem: files.tokenizerProblem,
      endIds: files.endIds.filter((id) => id < network.vocabSize),
      contextLength: contextLength ?? Math.min(network.maxPositions, DEFAULT_CONTEXT),
    });
    arena.commit(); // all of it, before the first weight is read
    await weights.read({ signal, onProgress });
    return decoder;
  } catch (error) {
    arena.dispose();
    throw error;
  } finally {
    await closeQuietly(opened);
  }
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

/** Lays a model out in an arena, without reading its weights. */
function layOut(files: ModelFiles, arena: Arena): { weights: Weights; network: DecoderNetwork } {
  const { checkpoint, model, tokenizer } = files;
  const weights = Weights.of(checkpoint, arena);
  const network = model.create(weights, new ReferenceKernels(arena));
  if (tokenizer !== null && tokenizer.vocabSize > network.vocabSize) {
    throw new ModelFileError(
      `the tokenizer has ${tokenizer.vocabSize} tokens, and the embedding only ${network.vocabSize} rows`,
      { file: checkpoint.file },
    );
  }
  return { weights, network };
}

/** What `inspect` tells. */
export interface Inspection {
  readonly architecture: string | null;
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
export async function inspect(
  source: SourceLike,
  options: Pick<LoadOptions, "file" | "tokenizer" | "contextLength" | "signal"> = {},
): Promise<Inspection> {
  checkOptions("inspect", options, ["file", "tokenizer", "contextLength", "signal"]);
  checkChoiceOfFiles(options);
  checkSignal(options.signal);
  if (options.contextLength !== undefined) checkInteger("contextLength", options.contextLength, 1, MAX_CONTEXT);
  const opened = await openSource(source, options.signal);
  const arena = new Arena();
  let found: Inspection = {
    architecture: null,
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
      config: files.model.config,
      tokenizer:
        tokenizer === null
          ? { problem: tokenizerProblem ?? "none" }
          : { kind: tokenizer.kind, vocabSize: tokenizer.vocabSize },
    };
    const { network } = layOut(files, arena);
    const contextLength = options.contextLength ?? Math.min(network.maxPositions, DEFAULT_CONTEXT);
    network.createCache(contextLength);
    network.createScratch();
    return { ...found, memory: arena.report(), contextLength, runs: true };
  } catch (error) {
    // What is wrong with the model is the answer; anything else is ours or the caller's fault.
    const ofTheModel = [ModelFileError, UnsupportedModelError, TokenizerFileError, OutOfMemoryError];
    if (!ofTheModel.some((kind) => error instanceof kind)) throw error;
    return { ...found, because: (error as Error).message };
  } finally {
    arena.dispose();
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

/** From a source of files to a parsed model: which format it is, its config, where its tensors and tokens are. */

import { checkOptions } from "@qkv/core";
import { Tokenizer } from "@qkv/tokenize";
import { type FoundChatTemplates, findChatTemplates, folderChatTemplates, ggufChatTemplates } from "./chat/files";
import { JsonConfig } from "./config/json-config";
import { readSentenceFiles, type SentenceFiles, transformerFolder } from "./embeddings/sentence-files";
import { ModelFileError } from "./errors";
import type { CheckedSource } from "./files/checked";
import { parseJson } from "./files/json";
import { type OpenedSource, openSource, type SourceLike } from "./files/open";
import { detectFormat, type WeightFormat } from "./formats/detect";
import { type Gguf, openGguf } from "./formats/gguf";
import { openLlama2c } from "./formats/llama2c";
import { openPytorch, PYTORCH_FILES, usualPytorch } from "./formats/pytorch";
import { findSafetensors, openSafetensors, usualSafetensors } from "./formats/safetensors";
import { type GenerationDefaults, NO_DEFAULTS, parseGenerationConfig } from "./generate/generation-config";
import { ARCHITECTURES, architectureOf, type ParsedModel, readLlama2c } from "./registry";
import {
  folderTokenizer,
  isLlama2cTokenizer,
  isTokenizerFile,
  readTokenizer,
  readTokenizerFile,
} from "./tokenizer-files";
import type { Checkpoint, CheckpointTensor } from "./weights/weights";

/** Configs are a few kB; this leaves room for long label lists. */
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;
const CONFIG = "config.json";

/** Which model it is, before its config is understood: also for those that do not run. */
export interface IdentifiedModel {
  readonly format: WeightFormat;
  /** `model_type`, as the file says. */
  readonly architecture: string;
  /** Under the file's own names. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** @throws UnsupportedModelError for an architecture or a config that does not run; as `identifyModel` */
  parse(): Promise<ModelFiles>;
}

/** Everything about a model that can be known before its weights are read. */
export interface ModelFiles {
  /** `model_type`. */
  readonly architecture: string;
  readonly model: ParsedModel;
  readonly checkpoint: Checkpoint;
  readonly tokenizer: Tokenizer | null;
  /** Why there is no tokenizer; null if there is one. */
  readonly tokenizerProblem: string | null;
  /** How chats are written for it, or why that is not known. */
  readonly chat: FoundChatTemplates;
  /** Tokens that end a text. */
  readonly endIds: readonly number[];
  /** What an encoder-decoder's files say about generation. */
  readonly generation: GenerationDefaults;
  /** How an encoder's states become embeddings; null where no file says it. */
  readonly sentence: SentenceFiles | null;
}

/** Which files to take; see `LoadOptions`. */
export interface FileChoice {
  readonly file?: string | undefined;
  readonly tokenizer?: string | Tokenizer | undefined;
  readonly spanBoundaryHead?: string | undefined;
}

/**
 * Reads headers and configs, no weights.
 *
 * @throws ModelFileError, UnsupportedModelError; TokenizerFileError for a damaged tokenizer
 */
export async function identifyModel(opened: OpenedSource, choice: FileChoice): Promise<IdentifiedModel> {
  const { files } = opened;
  const file = choice.file ?? opened.file ?? (await findModel(files));
  if (file === CONFIG || file.endsWith(`/${CONFIG}`)) return identifyFolder(files, folderOf(file), null, choice);
  if (file.endsWith(".index.json")) return identifyFolder(files, folderOf(file), file, choice);
  const format = await detectFormat(files, file);
  switch (format) {
    case "gguf":
      return identifyGguf(files, file, choice);
    case "llama2.c":
      return identifyLlama2c(files, file, choice);
    case "pytorch":
    case "safetensors":
      return identifyFolder(files, folderOf(file), file, choice);
  }
}

function folderOf(file: string): string {
  return file.slice(0, file.lastIndexOf("/") + 1);
}

/** The model of a folder: Hugging Face's, or the only GGUF or llama2.c file. */
export async function findModel(files: CheckedSource): Promise<string> {
  const folder = await transformerFolder(files);
  if (await files.exists(folder + CONFIG)) return folder + CONFIG;
  const names = (await files.list()) ?? [];
  const found = names.filter((name) => name.endsWith(".gguf"));
  // A llama2.c folder holds two .bin files: the model and its tokenizer.
  if (found.length === 0) found.push(...names.filter((name) => name.endsWith(".bin") && !isLlama2cTokenizer(name)));
  if (found.length === 1) return found[0] as string;
  const there = found.length > 1 ? `several models (${found.slice(0, 5).join(", ")})` : "no model";
  throw new ModelFileError(`expected a ${CONFIG}, or one .gguf or .bin file, found ${there}: name the file`, {
    file: files.name || ".",
  });
}

// ---- Hugging Face: config.json, safetensors, tokenizer.json

async function identifyFolder(
  files: CheckedSource,
  folder: string,
  weightFile: string | null,
  choice: FileChoice,
): Promise<IdentifiedModel> {
  const file = folder + CONFIG;
  if (weightFile !== null && !(await files.exists(file))) {
    const advice = "load their folder, or pass an object with read(path, start, end) that has both";
    throw new ModelFileError(`these weights need the ${CONFIG} that was published with them: ${advice}`, {
      file: weightFile,
    });
  }
  const json = new JsonConfig(parseJson(await files.readText(file, MAX_CONFIG_BYTES), { file }), file);
  const architecture = json.string("model_type");
  const path = weightFile ?? (await findWeights(files, folder));
  const { format, tensors } = await openWeights(files, path);
  const parse = async (): Promise<ModelFiles> => {
    const { fromJson, defaultEndIds } = architectureOf(json);
    if (json.has("quantization_config")) throw json.unsupported("quantization_config", ["none"]);
    const head = await spanBoundaryTensors(files, folder, architecture, choice.spanBoundaryHead);
    const named = new Map([...tensors, ...head]);
    const model = fromJson(json, named);
    const ofGeneration = await readGenerationConfig(files, folder);
    const endIds = endIdsOf(ofGeneration, json, defaultEndIds);
    const generation = model.kind === "seq2seq" ? parseGenerationConfig(ofGeneration, json) : NO_DEFAULTS;
    const config = model.kind === "seq2seq" ? await files.readSome(file, 0, MAX_CONFIG_BYTES) : null;
    const tokenizer = await readTokenizer(choice.tokenizer, { config }, () => folderTokenizer(files, folder));
    const chat = await findChatTemplates(() => folderChatTemplates(files, folder));
    const checkpoint = { files, file: path, tensors: model.tensors ?? named };
    const sentence = model.kind === "encoder" ? await readSentenceFiles(files, folder, json) : null;
    return { architecture, model, checkpoint, ...tokenizer, chat, endIds, generation, sentence };
  };
  return { format, architecture, tensors, parse };
}

/** The folder's safetensors or PyTorch checkpoint, by the usual names in this order; else its only safetensors file. */
async function findWeights(files: CheckedSource, folder: string): Promise<string> {
  const usual = (await usualSafetensors(files, folder)) ?? (await usualPytorch(files, folder));
  return usual ?? findSafetensors(files, folder, PYTORCH_FILES);
}

/** The tensors of a folder's weights: one file, by what is in it, or the shards of an index, by its name. */
async function openWeights(
  files: CheckedSource,
  path: string,
): Promise<{ readonly format: WeightFormat; readonly tensors: ReadonlyMap<string, CheckpointTensor> }> {
  const isPytorch = path.endsWith(".json")
    ? path.endsWith(".bin.index.json")
    : !path.endsWith(".safetensors") && (await detectFormat(files, path)) === "pytorch";
  if (isPytorch) return { format: "pytorch", ...(await openPytorch(files, path)) };
  return { format: "safetensors", ...(await openSafetensors(files, { path })) };
}

/**
 * SpanBERT's head, which its authors kept beside the model in the names of their code: as tensors of the model, under
 * "sbo.".
 */
async function spanBoundaryTensors(
  files: CheckedSource,
  folder: string,
  architecture: string,
  file: string | undefined,
): Promise<[string, CheckpointTensor][]> {
  if (file === undefined) return [];
  if (architecture !== "bert") {
    throw new RangeError(`spanBoundaryHead: is for SpanBERT, whose model_type is "bert", not for "${architecture}"`);
  }
  const { tensors } = await openWeights(files, folder + file);
  return [...tensors].map(([name, tensor]) => [`sbo.${name}`, tensor]);
}

async function readGenerationConfig(files: CheckedSource, folder: string): Promise<JsonConfig | null> {
  const file = `${folder}generation_config.json`;
  if (!(await files.exists(file))) return null;
  return new JsonConfig(parseJson(await files.readText(file, MAX_CONFIG_BYTES), { file }), file);
}

/** generation_config.json goes before config.json, and that before the architecture's default, as in transformers. */
function endIdsOf(generation: JsonConfig | null, config: JsonConfig, defaultIds: readonly number[]): readonly number[] {
  if (generation?.has("eos_token_id")) return generation.tokenIds("eos_token_id");
  return config.mentions("eos_token_id") ? config.tokenIds("eos_token_id") : defaultIds;
}

// ---- GGUF: everything in one file

async function identifyGguf(files: CheckedSource, file: string, choice: FileChoice): Promise<IdentifiedModel> {
  const gguf = await openGguf(files, file);
  // The keys are read like those of a JSON config: same checks, same messages.
  const json = new JsonConfig(Object.fromEntries(gguf.metadata), file);
  const architecture = json.string("general.architecture");
  const parse = async (): Promise<ModelFiles> => {
    const known = Object.keys(ARCHITECTURES).filter((name) => ARCHITECTURES[name].fromGguf !== null);
    if (!known.includes(architecture)) throw json.unsupported("general.architecture", known);
    const model = await ARCHITECTURES[architecture].fromGguf!(gguf, json, files);
    const tokenizer = await readTokenizer(choice.tokenizer, {}, async () => ggufTokenizer(gguf, file));
    const endIds = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"].flatMap((key) => json.tokenIds(key));
    const tensors = model.tensors ?? gguf.tensors;
    const chat = await findChatTemplates(async () => ggufChatTemplates(gguf, file));
    const sentence = model.kind === "encoder" ? model.sentence : null;
    const generation = model.kind === "seq2seq" ? model.generation : NO_DEFAULTS;
    const checkpoint = { files, file, tensors };
    return { architecture, model, checkpoint, ...tokenizer, chat, endIds, generation, sentence };
  };
  return { format: "gguf", architecture, tensors: gguf.tensors, parse };
}

function ggufTokenizer(gguf: Gguf, file: string): Tokenizer | string {
  if (!gguf.metadata.has("tokenizer.ggml.model")) return `${file} holds no vocabulary`;
  return Tokenizer.fromGguf(gguf.metadata, { file });
}

// ---- llama2.c: weights alone, the tokenizer in a file beside

async function identifyLlama2c(files: CheckedSource, file: string, choice: FileChoice): Promise<IdentifiedModel> {
  const llama2c = await openLlama2c(files, file);
  const parse = async (): Promise<ModelFiles> => {
    const model = readLlama2c(llama2c);
    const { vocabSize } = llama2c.config;
    const tokenizer = await readTokenizer(choice.tokenizer, { vocabSize }, async () => {
      const names = [`tok${vocabSize}.bin`, "tokenizer.bin"].map((name) => folderOf(file) + name);
      for (const name of names) if (await files.exists(name)) return readTokenizerFile(files, name, vocabSize);
      return `there is neither ${names.join(" nor ")}`;
    });
    const tensors = model.tensors ?? llama2c.tensors;
    // run.c stops at <s> (1), which separates the texts that such models were trained on; </s> is 2.
    const endIds = [1, 2].filter((id) => id < vocabSize);
    const chat = await findChatTemplates(async () => "llama2.c files hold none");
    const checkpoint = { files, file, tensors };
    const generation = NO_DEFAULTS;
    return { architecture: "llama", model, checkpoint, ...tokenizer, chat, endIds, generation, sentence: null };
  };
  return { format: "llama2.c", architecture: "llama", tensors: llama2c.tensors, parse };
}

// ---- Tokenizers

/**
 * A tokenizer alone: of a model (a folder, a GGUF or llama2.c file), whether that model runs or not, or a file of its own
 * (tokenizer.json, vocab.txt, vocab.json with merges.txt, a .model of sentencepiece, tokenizer.bin).
 *
 * @throws TokenizerFileError, UnsupportedTokenizerError, ModelFileError
 * @example
 * const tokenizer = await loadTokenizer("packages/cli/models/stories260K");
 * tokenizer.encode("Once upon a time").ids;
 */
export async function loadTokenizer(
  source: SourceLike,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Tokenizer> {
  checkOptions("loadTokenizer", options, ["signal"]);
  const { files, file } = await openSource(source, options.signal);
  try {
    if (file !== null && isTokenizerFile(file)) return await readTokenizerFile(files, file, null);
    if (file === null) {
      const found = await folderTokenizer(files, "");
      if (typeof found !== "string") return found;
      if (await files.exists(CONFIG)) throw new ModelFileError(found, { file: CONFIG });
    }
    const model = file ?? (await findModel(files));
    if (!model.endsWith(".json") && (await detectFormat(files, model)) === "gguf") {
      return await readTokenizerFile(files, model, null);
    }
    const { tokenizer, tokenizerProblem } = await (await identifyModel({ files, file: model }, {})).parse();
    if (tokenizer === null)
      throw new ModelFileError(`no tokenizer: ${tokenizerProblem}`, {
        file: model,
      });
    return tokenizer;
  } finally {
    await files.close();
  }
}

/** sentence-transformers' files around a model: modules.json and what it names. */

import type { Kernels } from "@qkv/core";
import { JsonConfig } from "../config/json-config";
import { ModelFileError, shown, UnsupportedModelError } from "../errors";
import type { CheckedSource } from "../files/checked";
import type { WeightDtype, Weights } from "../weights/weights";
import { type FoundModule, layOutModule, MODULES, readJson, readPooling, torchClass } from "./sentence-modules";
import {
  type EmbeddingModule,
  PLAIN_SENTENCES,
  type ScoreActivation,
  type SentenceSettings,
} from "./sentence-settings";
import type { SimilarityMetric } from "./similarity";

/** What the files say; weights are not read yet. */
export interface SentenceFiles extends Omit<SentenceSettings, "modules"> {
  readonly modules: readonly FoundModule[];
}

const MODULES_FILE = "modules.json";
const SETTINGS_FILE = "config_sentence_transformers.json";
/** The longest list in use has six. */
const MAX_MODULES = 32;

/** Where the settings of the first module may be: sentence-transformers takes the first that says something. */
const TRANSFORMER_FILES: readonly string[] = [
  "sentence_bert_config.json",
  "sentence_roberta_config.json",
  "sentence_distilbert_config.json",
  "sentence_camembert_config.json",
  "sentence_albert_config.json",
  "sentence_xlm-roberta_config.json",
  "sentence_xlnet_config.json",
];

/** More tokens than any model takes; some tokenizers' "no limit" is far above. */
const MAX_TOKENS = 2 ** 31 - 1;

const SCORE_ACTIVATIONS: Readonly<Record<string, ScoreActivation>> = { Identity: "identity", Sigmoid: "sigmoid" };

const SIMILARITIES: Readonly<Record<string, SimilarityMetric>> = {
  cosine: "cosine",
  dot: "dot",
  euclidean: "euclidean",
  manhattan: "manhattan",
};

/**
 * Everything about embeddings and scores that the files of a model say.
 *
 * @param folder of the model, "" or with a slash at its end; modules.json is there, or where it names that folder
 * @param config the model's config.json
 * @returns what sentence-transformers does with a plain model where there is no modules.json
 * @throws ModelFileError; UnsupportedModelError for modules, poolings and activations that do not run
 */
export async function readSentenceFiles(
  files: CheckedSource,
  folder: string,
  config: JsonConfig,
): Promise<SentenceFiles> {
  const plain = { ...PLAIN_SENTENCES, scoreActivation: activationOfConfig(config) };
  const found = await findModules(files, folder);
  if (found === null) return plain;
  const { root, modules } = found;
  const [transformer, ...rest] = modules;
  if (transformer.type !== "Transformer") throw unsupportedModule(transformer, ["Transformer as the first module"]);
  const { isCrossEncoder, ...input } = await readTransformer(files, folder);
  const settings = { ...plain, ...input, ...(await readSettings(files, root, plain.scoreActivation)) };
  if (isCrossEncoder) {
    const second = rest[0];
    if (second !== undefined) throw unsupportedModule(second, ["none behind a cross-encoder's Transformer"]);
    return { ...settings, problem: "it is a cross-encoder, which scores pairs of texts: see rerank" };
  }
  const [pooling, ...others] = rest;
  if (pooling === undefined) {
    throw new ModelFileError("expected a Pooling behind the Transformer, got nothing", { file: transformer.file });
  }
  if (pooling.type !== "Pooling") throw unsupportedModule(pooling, ["Pooling behind the Transformer"]);
  const { module, ...pooled } = await readPooling(files, pooling.folder);
  const behind: FoundModule[] = [module];
  for (const entry of others) {
    if (!Object.hasOwn(MODULES, entry.type)) throw unsupportedModule(entry, Object.keys(MODULES));
    const read = await MODULES[entry.type](files, entry.folder);
    if (read !== null) behind.push(read);
  }
  return { ...settings, ...pooled, modules: behind };
}

/**
 * The folder of the model itself: "", or that of modules.json's first module, which older versions kept apart from it.
 *
 * @throws ModelFileError
 */
export async function transformerFolder(files: CheckedSource): Promise<string> {
  if (!(await files.exists(MODULES_FILE))) return "";
  return (await readModules(files, ""))[0].folder;
}

// ---- modules.json

interface ModuleEntry {
  /** The class, without sentence-transformers' path to it. */
  readonly type: string;
  readonly fullType: string;
  /** From the source's root, "" or with a slash at its end. */
  readonly folder: string;
  /** The file that says so. */
  readonly file: string;
}

/** modules.json of the model's folder, or of the one around it if it means this folder. */
async function findModules(
  files: CheckedSource,
  folder: string,
): Promise<{ readonly root: string; readonly modules: readonly ModuleEntry[] } | null> {
  const around = folder.slice(0, folder.lastIndexOf("/", folder.length - 2) + 1);
  for (const root of new Set([folder, around])) {
    if (!(await files.exists(root + MODULES_FILE))) continue;
    const modules = await readModules(files, root);
    if (modules[0].folder === folder) return { root, modules };
    if (root === folder) {
      throw new ModelFileError(`its Transformer is in ${shown(modules[0].folder)}, not beside it: load that one`, {
        file: root + MODULES_FILE,
      });
    }
  }
  return null;
}

async function readModules(files: CheckedSource, root: string): Promise<ModuleEntry[]> {
  const file = root + MODULES_FILE;
  const value = await readJson(files, file);
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_MODULES) {
    throw new ModelFileError(`expected a list of 1 to ${MAX_MODULES} modules`, { file });
  }
  const names = new Set<string>();
  const modules = value.map((each: unknown, i): ModuleEntry => {
    const json = new JsonConfig(each, file, `${i}.`);
    const name = json.string("name");
    if (names.has(name)) throw json.wrong("name", "a name of its own");
    names.add(name);
    const fullType = json.string("type");
    const path = json.string("path").replace(/^(\.\/)+|^\.$|\/+$/g, "");
    return { type: classOf(fullType), fullType, folder: path === "" ? root : `${root}${path}/`, file };
  });
  return modules;
}

/** Paths have changed from version to version, the classes' names have not; code of the model's own is not run. */
function classOf(type: string): string {
  return type.startsWith("sentence_transformers.") ? type.slice(type.lastIndexOf(".") + 1) : "";
}

function unsupportedModule({ fullType, file }: ModuleEntry, supported: readonly string[]): UnsupportedModelError {
  return new UnsupportedModelError("module", fullType, supported, { file });
}

// ---- The Transformer's own settings

type TransformerSettings = Pick<SentenceSettings, "maxTokens" | "lowerCase"> & { readonly isCrossEncoder: boolean };

/** Of sentence_bert_config.json. Other keys are for transformers' loaders. */
async function readTransformer(files: CheckedSource, folder: string): Promise<TransformerSettings> {
  const json = await findTransformerConfig(files, folder);
  if (json === null) return { maxTokens: null, lowerCase: false, isCrossEncoder: false };
  const task = json.choice("transformer_task", TASKS, "feature-extraction");
  const output = json.string("module_output_name", task.output);
  if (output !== task.output) throw json.unsupported("module_output_name", [task.output]);
  for (const key of ["query_expansion", "query_length", "document_length"]) {
    if (json.has(key)) throw json.unsupported(key, ["none"]);
  }
  for (const key of ["processing_kwargs", "config_kwargs", "config_args"]) {
    if (
      json.hasEntries(key) &&
      json
        .object(key)
        .keys()
        .some((each) => each !== "trust_remote_code")
    ) {
      throw json.unsupported(key, ["none"]);
    }
  }
  const max = { max: MAX_TOKENS };
  let maxTokens = json.integer("max_seq_length", max, null);
  for (const key of ["tokenizer_args", "processor_kwargs"]) {
    if (json.hasEntries(key)) maxTokens = json.object(key).integer("model_max_length", max, maxTokens);
  }
  return { maxTokens, lowerCase: json.boolean("do_lower_case", false), isCrossEncoder: task.isCrossEncoder };
}

const TASKS = {
  "feature-extraction": { output: "token_embeddings", isCrossEncoder: false },
  "sequence-classification": { output: "scores", isCrossEncoder: true },
};

async function findTransformerConfig(files: CheckedSource, folder: string): Promise<JsonConfig | null> {
  for (const name of TRANSFORMER_FILES) {
    const file = folder + name;
    if (!(await files.exists(file))) continue;
    const json = new JsonConfig(await readJson(files, file), file);
    if (json.keys().length > 0) return json;
  }
  return null;
}

// ---- config_sentence_transformers.json

type Settings = Pick<SentenceSettings, "prompts" | "defaultPrompt" | "similarity" | "scoreActivation">;

async function readSettings(
  files: CheckedSource,
  root: string,
  scoreActivation: ScoreActivation,
): Promise<Partial<Settings>> {
  const file = root + SETTINGS_FILE;
  if (!(await files.exists(file))) return {};
  const json = new JsonConfig(await readJson(files, file), file);
  const prompts: Record<string, string> = { ...PLAIN_SENTENCES.prompts };
  if (json.has("prompts")) {
    const table = json.object("prompts");
    for (const name of table.keys()) {
      // Not by assignment, which means something else for "__proto__".
      Object.defineProperty(prompts, name, { value: table.string(name), enumerable: true });
    }
  }
  const defaultPrompt = json.string("default_prompt_name", null);
  if (defaultPrompt !== null && !Object.hasOwn(prompts, defaultPrompt)) {
    throw json.wrong("default_prompt_name", `one of ${shown(Object.keys(prompts))}`);
  }
  return {
    prompts,
    defaultPrompt,
    similarity: json.choice("similarity_fn_name", SIMILARITIES, "cosine"),
    scoreActivation: torchClass(json, "activation_fn", SCORE_ACTIVATIONS, scoreActivation),
  };
}

/** `sentence_transformers.activation_fn` of a cross-encoder's config.json, before version 4 under a key of its own. */
function activationOfConfig(config: JsonConfig): ScoreActivation {
  if (config.has("sentence_transformers")) {
    const json = config.object("sentence_transformers");
    if (json.has("activation_fn")) return torchClass(json, "activation_fn", SCORE_ACTIVATIONS, "sigmoid");
  }
  return torchClass(config, "sbert_ce_default_activation_function", SCORE_ACTIVATIONS, "sigmoid");
}

// ---- Layout

/**
 * Lays out the weights that the modules have.
 *
 * @param found null for a model whose files say nothing
 * @param hiddenSize D
 * @throws ModelFileError where the modules do not fit the model, or each other
 */
export function layOutSentences(
  found: SentenceFiles | null,
  kernels: Kernels,
  hiddenSize: number,
  dtype: WeightDtype = "auto",
): { readonly settings: SentenceSettings; readonly weights: readonly Weights[] } {
  if (found === null) return { settings: PLAIN_SENTENCES, weights: [] };
  const modules: EmbeddingModule[] = [];
  const weights: Weights[] = [];
  let width = hiddenSize;
  for (const each of found.modules) {
    const laidOut = layOutModule(each, width, kernels, dtype);
    if (laidOut.module !== null) modules.push(laidOut.module);
    if (laidOut.weights !== null) weights.push(laidOut.weights);
    width = laidOut.width;
  }
  return { settings: { ...found, modules }, weights };
}

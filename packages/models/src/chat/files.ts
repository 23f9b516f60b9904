/** Finds the chat templates of a model: in a folder as transformers writes it, or in a GGUF file. */

import { ModelFileError, shown } from "../errors";
import type { CheckedSource } from "../files/checked";
import { isJsonObject, parseJson } from "../files/json";
import type { Gguf } from "../formats/gguf";
import { MAX_TEMPLATE_LENGTH } from "./syntax";
import { ChatTemplates } from "./templates";

/** As for other configs: the largest ones, with a thousand added tokens, have 200 kB. */
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;
const MAX_TEMPLATE_BYTES = 4 * MAX_TEMPLATE_LENGTH;

/** Most templates of one model; known ones have four at most. */
const MAX_TEMPLATES = 256;

const CONFIG = "tokenizer_config.json";
const SPECIAL_TOKENS_MAP = "special_tokens_map.json";
const TEMPLATE = "chat_template.jinja";
const MORE_TEMPLATES = "additional_chat_templates/";
/** Tried where the source does not list its folders. */
const USUAL_NAMES = ["tool_use", "rag"];

/** The templates, or why there are none. */
export type FoundChatTemplates =
  | { readonly chatTemplates: ChatTemplates; readonly chatTemplateProblem: null }
  | { readonly chatTemplates: null; readonly chatTemplateProblem: string };

/** For `load`: damaged templates are no reason to refuse a model that runs, only to refuse chats with it. */
export async function findChatTemplates(read: () => Promise<ChatTemplates | string>): Promise<FoundChatTemplates> {
  try {
    const found = await read();
    return typeof found === "string"
      ? { chatTemplates: null, chatTemplateProblem: found }
      : { chatTemplates: found, chatTemplateProblem: null };
  } catch (error) {
    if (!(error instanceof ModelFileError)) throw error;
    return { chatTemplates: null, chatTemplateProblem: error.message };
  }
}

/**
 * Of a folder ("" or with a slash at its end). Templates in files of their own replace those of tokenizer_config.json.
 *
 * @throws ModelFileError
 */
export async function folderChatTemplates(files: CheckedSource, folder: string): Promise<ChatTemplates | string> {
  const [config, own] = await Promise.all([readJson(files, folder + CONFIG), templateFiles(files, folder)]);
  const sources = own.size > 0 ? own : configTemplates(config, folder + CONFIG);
  if (sources.size === 0) return `there is no chat template in ${folder}${CONFIG}, and no ${folder}${TEMPLATE}`;
  // As in transformers, the older file counts only where the config is of that time.
  const isModern = config !== null && Object.hasOwn(config, "added_tokens_decoder");
  const map = isModern ? null : await readJson(files, folder + SPECIAL_TOKENS_MAP);
  const file = folder + (own.size > 0 ? TEMPLATE : CONFIG);
  return new ChatTemplates({ file, sources, specialTokens: { ...specialTokens(config), ...specialTokens(map) } });
}

async function readJson(files: CheckedSource, file: string): Promise<Record<string, unknown> | null> {
  if (!(await files.exists(file))) return null;
  const json = parseJson(await files.readText(file, MAX_CONFIG_BYTES), { file });
  if (!isJsonObject(json)) throw new ModelFileError(`expected a JSON object, got ${shown(json)}`, { file });
  return json;
}

async function templateFiles(files: CheckedSource, folder: string): Promise<Map<string, string>> {
  const more = folder + MORE_TEMPLATES;
  const listed = ((await files.list()) ?? []).filter((name) => name.startsWith(more) && name.endsWith(".jinja"));
  const names = new Set([...USUAL_NAMES, ...listed.map((name) => name.slice(more.length, -".jinja".length))]);
  const paths = [
    ["default", folder + TEMPLATE],
    ...[...names].slice(0, MAX_TEMPLATES).map((name) => [name, `${more}${name}.jinja`]),
  ];
  const read = await Promise.all(
    paths.map(async ([, path]) => ((await files.exists(path)) ? files.readText(path, MAX_TEMPLATE_BYTES) : null)),
  );
  const sources = new Map<string, string>();
  for (const [i, text] of read.entries()) if (text !== null) sources.set(paths[i][0], text);
  return sources;
}

/** `chat_template`: a text, a list of `{ name, template }`, or an object. */
function configTemplates(config: Record<string, unknown> | null, file: string): Map<string, string> {
  const value = config?.chat_template ?? null;
  if (value === null) return new Map();
  if (typeof value === "string") return new Map([["default", value]]);
  const entries: unknown[][] = Array.isArray(value)
    ? value.map((item: unknown) => (isJsonObject(item) ? [item.name, item.template] : []))
    : isJsonObject(value)
      ? Object.entries(value)
      : [[]];
  if (entries.length > MAX_TEMPLATES || !entries.every((entry): entry is [string, string] => isPairOfTexts(entry))) {
    const expected = `a text, or at most ${MAX_TEMPLATES} texts with names`;
    throw new ModelFileError(`config key "chat_template": expected ${expected}, got ${shown(value)}`, { file });
  }
  return new Map(entries);
}

function isPairOfTexts(entry: unknown[]): boolean {
  return entry.length === 2 && entry.every((each) => typeof each === "string");
}

/** Every `..._token` that is a text, or an object with one: also `image_token` and the like, as in transformers. */
function specialTokens(config: Record<string, unknown> | null): Record<string, string> {
  const tokens: Record<string, string> = {};
  for (const [key, value] of Object.entries(config ?? {})) {
    if (!key.endsWith("_token")) continue;
    const content = isJsonObject(value) ? value.content : value;
    if (typeof content === "string") tokens[key] = content;
  }
  return tokens;
}

// ---- GGUF

/** GGUF's names of token ids, one of them misspelt, and those of the templates' variables. */
const GGUF_TOKENS: Readonly<Record<string, string>> = {
  bos_token_id: "bos_token",
  eos_token_id: "eos_token",
  unknown_token_id: "unk_token",
  seperator_token_id: "sep_token",
  padding_token_id: "pad_token",
  mask_token_id: "mask_token",
};

/** llama.cpp's defaults for sentencepiece vocabularies, whose files may leave them out. */
const LLAMA_IDS: Readonly<Record<string, number>> = { bos_token_id: 1, eos_token_id: 2, unknown_token_id: 0 };

/** Of a GGUF file's metadata: `tokenizer.chat_template` and `tokenizer.chat_template.NAME`. */
export function ggufChatTemplates({ metadata }: Gguf, file: string): ChatTemplates | string {
  const key = "tokenizer.chat_template";
  const sources = new Map<string, string>();
  for (const [name, value] of metadata) {
    if (name !== key && !name.startsWith(`${key}.`)) continue;
    if (typeof value !== "string") throw new ModelFileError(`${name}: expected a text`, { file });
    sources.set(name === key ? "default" : name.slice(key.length + 1), value);
    if (sources.size > MAX_TEMPLATES) throw new ModelFileError(`more than ${MAX_TEMPLATES} chat templates`, { file });
  }
  if (sources.size === 0) return `there is no ${key} in ${file}`;
  const tokens = metadata.get("tokenizer.ggml.tokens");
  const specialTokens: Record<string, string> = {};
  for (const [name, variable] of Object.entries(GGUF_TOKENS)) {
    const fallback = metadata.get("tokenizer.ggml.model") === "llama" ? LLAMA_IDS[name] : undefined;
    const id = metadata.get(`tokenizer.ggml.${name}`) ?? fallback;
    const token: unknown = Array.isArray(tokens) && typeof id === "number" ? tokens[id] : undefined;
    if (typeof token === "string") specialTokens[variable] = token;
  }
  return new ChatTemplates({ file, sources, specialTokens });
}

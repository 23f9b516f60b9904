/** From whatever a user has to the parts of a tokenizer: which file it is, and what the files beside it add. */

import type { AddedToken } from "../added-tokens";
import type { Decoder } from "../decoders/decoder";
import { describe, TokenizerFileError, UnsupportedTokenizerError } from "../errors";
import { JsonCursor, parseJson } from "../json";
import { type FileContent, isParsed, type OpenedFiles, openLocation, openRecord, textOf } from "./files";
import { partsOfGguf } from "./gguf";
import type { GgufTokenizerMetadata } from "./gguf-metadata";
import { partsOfLlama2c } from "./llama2c";
import type { TokenizerParts } from "./parts";
import { addT5Sentinels, partsOfSentencePiece } from "./sentencepiece";
import { readTokenizerConfig, type TokenizerConfig } from "./tokenizer-config";
import { partsOfTokenizerJson } from "./tokenizer-json";
import { partsOfVocabAndMerges } from "./vocab-and-merges";
import { partsOfVocabTxt } from "./vocab-txt";

/** Files by name: text, bytes or parsed JSON each, or a function that reads them. */
export type TokenizerFiles =
  | Readonly<Record<string, FileContent>>
  | ReadonlyMap<string, FileContent>
  | { readonly read: OpenedFiles["read"] };

/**
 * What a tokenizer can be made from: the path (in Node) or address of a folder or file; a file's bytes or Blob; the text
 * or parsed JSON of a tokenizer.json; files by name; a GGUF file's metadata.
 */
export type TokenizerSource = string | URL | Uint8Array | Blob | TokenizerFiles | GgufTokenizerMetadata | object;

/** The parts, and which files they were taken from. */
export interface Detected {
  readonly parts: TokenizerParts;
  readonly files: readonly string[];
}

export async function detect(
  source: TokenizerSource,
  name: string | undefined,
  signal?: AbortSignal,
): Promise<Detected> {
  if (source instanceof URL) return detectFiles(await openLocation(source.href, signal));
  if (typeof source === "string") {
    if (/^\s*\{/.test(source)) return detectFile(source, name ?? "tokenizer.json", openRecord({}));
    return detectFiles(await openLocation(source, signal));
  }
  if (source instanceof Uint8Array) return detectFile(source, name ?? "the bytes", openRecord({}));
  if (isBlob(source)) {
    const bytes = new Uint8Array(await source.arrayBuffer());
    return detectFile(bytes, name ?? (source as Partial<File>).name ?? "the blob", openRecord({}));
  }
  if (typeof source !== "object" || source === null) {
    throw new TypeError(`from: expected a path, an address, bytes, a Blob or files, got ${describe(source)}`);
  }
  if (typeof (source as { read?: unknown }).read === "function") {
    const { read } = source as { read: OpenedFiles["read"] };
    return detectFiles({ file: null, read: (file) => read.call(source, file) });
  }
  const has = (key: string): boolean => (source instanceof Map ? source.has(key) : Object.hasOwn(source, key));
  if (has("tokenizer.ggml.model")) {
    const file = name ?? "GGUF metadata";
    return { parts: partsOfGguf(source as GgufTokenizerMetadata, file), files: [file] };
  }
  if (has("model")) return detectFile(source, name ?? "tokenizer.json", openRecord({}));
  return detectFiles(openRecord(source as ReadonlyMap<string, unknown>));
}

function isBlob(source: unknown): source is Blob {
  return typeof (source as Partial<Blob> | null)?.arrayBuffer === "function";
}

/** What a folder's tokenizer may be in, in the order of preference. */
export const TOKENIZER_FILES: readonly string[] = [
  ...["tokenizer.json", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model", "sentencepiece.model"],
  ...["vocab.txt", "vocab.json", "encoder.json", "tokenizer.bin"],
];

async function detectFiles(opened: OpenedFiles): Promise<Detected> {
  const { file, read } = opened;
  if (file !== null) {
    const content = await read(file);
    if (content === null || content === undefined) throw missing(file);
    return detectFile(content, file, opened);
  }
  for (const name of TOKENIZER_FILES) {
    const content = await read(name);
    if (content !== null && content !== undefined) return withConfig(await detectFile(content, name, opened), opened);
  }
  const expected = `${TOKENIZER_FILES.join(", ")}, one of them`;
  throw new TokenizerFileError({ file: "the folder", at: "its files", expected, got: "none" });
}

function missing(file: string): TokenizerFileError {
  return new TokenizerFileError({ file, at: "the file", expected: "a file", got: "none" });
}

/** One file, told by its name and its first bytes. `beside` is where its companions are. */
async function detectFile(content: FileContent, file: string, beside: OpenedFiles): Promise<Detected> {
  const one = (parts: TokenizerParts): Detected => ({ parts, files: [file] });
  if (isParsed(content)) return detectJson(content, file, beside);
  if (content instanceof Uint8Array) {
    const first = content.subarray(0, 4);
    if (String.fromCharCode(...first) === "GGUF") {
      throw new UnsupportedTokenizerError({
        file,
        component: "a GGUF file",
        value: "as bytes",
        supported: "its metadata, as loadTokenizer of @qkv/models reads it: Tokenizer.fromGguf(metadata)",
      });
    }
    // The first field of a ModelProto is a list of pieces.
    if (first[0] === 0x0a && (file.endsWith(".model") || !isText(content)))
      return one(partsOfSentencePiece(content, file));
    if (file.endsWith(".bin") || !isText(content)) return one(partsOfLlama2c(content, null, file));
  }
  const text = textOf(content, file);
  if (/^\uFEFF?\s*\{/.test(text)) return detectJson(parseJson(text, file), file, beside);
  if (file.endsWith("merges.txt") || file.endsWith(".bpe")) {
    throw new TokenizerFileError({ file, at: "the file", expected: "the folder, or vocab.json", got: "merges alone" });
  }
  return one(partsOfVocabTxt(text, {}, file));
}

/** Whether bytes are no binary file: vocab.txt and JSON have no control characters but white space. */
function isText(bytes: Uint8Array): boolean {
  return !bytes.subarray(0, 1024).some((byte) => byte < 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09);
}

async function detectJson(value: unknown, file: string, beside: OpenedFiles): Promise<Detected> {
  const json = new JsonCursor(value, file);
  // In a vocab.json "model" may be a token, whose id is a number.
  if (typeof json.get("model").value === "object" && !json.get("model").isNull)
    return { parts: partsOfTokenizerJson(value, file), files: [file] };
  for (const merges of ["merges.txt", "vocab.bpe"]) {
    const content = await beside.read(merges);
    if (content === null || content === undefined) continue;
    const parts = partsOfVocabAndMerges(value, textOf(content, merges), {}, { vocab: file, merges });
    return { parts, files: [file, merges] };
  }
  throw new TokenizerFileError({
    file,
    at: "the document",
    expected: 'a "model" (tokenizer.json), or merges.txt beside it (vocab.json)',
    got: "neither",
  });
}

// ---- What tokenizer_config.json and its companions add

async function withConfig(detected: Detected, { read }: OpenedFiles): Promise<Detected> {
  const files = [...detected.files];
  const cursor = async (name: string): Promise<JsonCursor | null> => {
    const content = await read(name);
    if (content === null || content === undefined) return null;
    files.push(name);
    return new JsonCursor(isParsed(content) ? content : parseJson(textOf(content, name), name), name);
  };
  const config = readTokenizerConfig({
    config: await cursor("tokenizer_config.json"),
    specialTokensMap: await cursor("special_tokens_map.json"),
    addedTokens: await cursor("added_tokens.json"),
  });
  const modelConfig = detected.parts.kind === "tokenizer.json" ? null : await cursor("config.json");
  const modelType = modelConfig?.get("model_type").value;
  let { parts } = detected;
  if (parts.kind === "sentencepiece") parts = ofSentencePieceClass(parts, config, modelType, files[0]);
  else if (parts.kind === "vocab.txt") parts = await ofBertClass(parts, config, read);
  else if (parts.kind === "vocab.json") parts = await ofGpt2Class(parts, config, modelType, files, read);
  return { parts: withAddedTokens(withCleanup(parts, config), config, files[0]), files };
}

const T5_TYPES = ["t5", "mt5", "umt5", "longt5", "switch_transformers"];

/** Which ids a class makes of a .model differs by class: one that is not known here is refused, not guessed. */
function ofSentencePieceClass(
  parts: TokenizerParts,
  config: TokenizerConfig,
  modelType: unknown,
  file: string,
): TokenizerParts {
  const name = config.tokenizerClass?.replace(/Fast$/, "") ?? null;
  if (name === null ? T5_TYPES.includes(modelType as string) : /^M?T5Tokenizer$/.test(name)) {
    return addT5Sentinels(parts, config.extraIds ?? 100);
  }
  if (name === null && modelType === undefined) return parts;
  if (name === null ? modelType === "llama" : name === "LlamaTokenizer") return withBos(parts, config);
  const component = name === null ? "config.json: model_type" : "tokenizer_config.json: tokenizer_class";
  throw new UnsupportedTokenizerError({
    file,
    component,
    value: name ?? modelType,
    supported: "T5Tokenizer, LlamaTokenizer; others with their tokenizer.json, or the .model file alone",
  });
}

function withBos(parts: TokenizerParts, config: TokenizerConfig): TokenizerParts {
  const special = (id: number | null, wanted: boolean) =>
    wanted && id !== null
      ? [{ type: "Special", name: tokenOf(parts, id), ids: [id], tokens: [tokenOf(parts, id)], typeId: 0 } as const]
      : [];
  const bos = special(parts.bosId, config.addBosToken ?? true);
  const eos = special(parts.eosId, config.addEosToken ?? false);
  const single = [...bos, { type: "Text", sequence: 0, typeId: 0 } as const, ...eos];
  const second = [...bos, { type: "Text", sequence: 1, typeId: 1 } as const, ...eos];
  return { ...parts, postProcessor: { type: "TemplateProcessing", single, pair: [...single, ...second] } };
}

function tokenOf(parts: TokenizerParts, id: number): string {
  return parts.vocabulary.tokenOf(id) as string;
}

async function ofBertClass(
  parts: TokenizerParts,
  config: TokenizerConfig,
  read: OpenedFiles["read"],
): Promise<TokenizerParts> {
  const { unk, sep, pad, cls, mask } = config.specialTokens;
  const text = textOf((await read("vocab.txt")) as FileContent, "vocab.txt");
  const options = {
    ...(config.doLowerCase === null ? {} : { lowercase: config.doLowerCase }),
    stripAccents: config.stripAccents,
    handleChineseChars: config.tokenizeChineseChars ?? true,
    ...(unk === null ? {} : { unkToken: unk }),
    ...(sep === null ? {} : { sepToken: sep }),
    ...(pad === null ? {} : { padToken: pad }),
    ...(cls === null ? {} : { clsToken: cls }),
    ...(mask === null ? {} : { maskToken: mask }),
  };
  return { ...parts, ...partsOfVocabTxt(text, options, "vocab.txt") };
}

const ROBERTA_CLASSES = ["RobertaTokenizer", "BartTokenizer", "LongformerTokenizer", "LEDTokenizer"];
const ROBERTA_TYPES = ["roberta", "bart", "longformer", "led"];

async function ofGpt2Class(
  parts: TokenizerParts,
  config: TokenizerConfig,
  modelType: unknown,
  [vocab, merges]: readonly string[],
  read: OpenedFiles["read"],
): Promise<TokenizerParts> {
  const name = config.tokenizerClass?.replace(/Fast$/, "") ?? null;
  const roberta = name === null ? ROBERTA_TYPES.includes(modelType as string) : ROBERTA_CLASSES.includes(name);
  if (!roberta && name !== null && name !== "GPT2Tokenizer") {
    throw new UnsupportedTokenizerError({
      file: vocab,
      component: "tokenizer_config.json: tokenizer_class",
      value: name,
      supported: `GPT2Tokenizer, ${ROBERTA_CLASSES.join(", ")}; others with their tokenizer.json`,
    });
  }
  if (!roberta && config.addPrefixSpace !== true) return parts;
  const document = await read(vocab);
  const json = isParsed(document as FileContent) ? document : textOf(document as FileContent, vocab);
  const mergesText = textOf((await read(merges)) as FileContent, merges);
  const options = { roberta, addPrefixSpace: config.addPrefixSpace ?? false };
  return partsOfVocabAndMerges(json, mergesText, options, { vocab, merges });
}

/** transformers' clean_up_tokenization_spaces: what it takes out of a decoded text, in this order. */
const CLEANUP = [" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"];

function withCleanup(parts: TokenizerParts, config: TokenizerConfig): TokenizerParts {
  if (config.cleanUpTokenizationSpaces !== true) return parts;
  const steps = CLEANUP.map(
    (string): Decoder => ({
      type: "Replace",
      pattern: { type: "String", string },
      content: string.trim(),
    }),
  );
  const first: Decoder[] = parts.decoder === null ? [] : [parts.decoder];
  return { ...parts, decoder: { type: "Sequence", decoders: [...first, { type: "Fuse" }, ...steps] } };
}

/** Tokens that the configs add or describe anew, and what the special ones are called. */
function withAddedTokens(parts: TokenizerParts, config: TokenizerConfig, file: string): TokenizerParts {
  const added = new Map<string, AddedToken>(parts.addedTokens.map((token) => [token.content, token]));
  const { vocabulary } = parts;
  let { size } = vocabulary;
  const newIds = new Map<string, number>();
  const idOf = (content: string): number | null => newIds.get(content) ?? vocabulary.idOf(content) ?? null;
  const put = (token: AddedToken): void => {
    const known = idOf(token.content);
    if (known !== null && known !== token.id) {
      const at = `token ${describe(token.content)}`;
      throw new TokenizerFileError({
        file: "tokenizer_config.json",
        at,
        expected: `its id ${known} of ${file}`,
        got: `${token.id}`,
      });
    }
    if (known === null) newIds.set(token.content, token.id);
    size = Math.max(size, token.id + 1);
    added.set(token.content, token);
  };
  for (const token of config.addedTokens) if (token.content !== "") put(token);
  for (const form of config.specialForms) {
    if (form.content === "" || added.has(form.content)) continue;
    put({ ...form, id: idOf(form.content) ?? size });
  }
  const addedTokens = [...added.values()];
  const named = (token: string | null, before: number | null): number | null =>
    token === null ? before : (idOf(token) ?? before);
  const { bos, eos, unk, pad } = config.specialTokens;
  return {
    ...parts,
    vocabulary: newIds.size === 0 ? vocabulary : vocabulary.with(newIds),
    addedTokens,
    specialIds: new Set([...parts.specialIds, ...addedTokens.filter((token) => token.special).map(({ id }) => id)]),
    bosId: named(bos, parts.bosId),
    eosId: named(eos, parts.eosId),
    unkId: named(unk, parts.unkId),
    padId: named(pad, parts.padId),
    modelMaxLength: config.modelMaxLength,
    paddingSide: config.paddingSide,
    truncationSide: config.truncationSide,
  };
}

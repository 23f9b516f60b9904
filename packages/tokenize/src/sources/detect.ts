/* From whatever a user has to the parts of a tokenizer: which file it is, and what the files beside it add. */

import type { AddedToken } from "../added-tokens";
import type { Decoder } from "../decoders/decoder";
import { DO_NOT, TIDIED } from "../decoders/words";
import { describe, fileError, type TokenizerFileError, unsupported } from "../errors";
import { JsonCursor, parseJson } from "../json";
import { MAX_VOCAB_SIZE } from "../limits";
import { specialPiece, type TemplatePiece, templateAround } from "../post-processors/post-processor";
import {
  bytesOf,
  type FileContent,
  type FileReader,
  isParsed,
  type OpenedFiles,
  openLocation,
  openRecord,
  textOf,
} from "./files";
import { partsOfGguf } from "./gguf";
import type { GgufTokenizerMetadata } from "./gguf-metadata";
import { partsOfLlama2c } from "./llama2c";
import type { TokenizerParts } from "./parts";
import { addT5Sentinels, partsOfSentencePiece } from "./sentencepiece";
import { readTokenizerConfig, type TokenizerConfig } from "./tokenizer-config";
import { partsOfTokenizerJson } from "./tokenizer-json";
import { partsOfVocabAndMerges, type VocabAndMergesOptions } from "./vocab-and-merges";
import { partsOfVocabTxt, type VocabTxtOptions } from "./vocab-txt";

/** Files by name: text, bytes or parsed JSON each, or a function that reads them. */
export type TokenizerFiles =
  | Readonly<Record<string, FileContent>>
  | ReadonlyMap<string, FileContent>
  | { readonly read: FileReader };

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
  if (source instanceof Uint8Array || source instanceof ArrayBuffer) {
    return detectFile(new Uint8Array(source), name ?? "the bytes", openRecord({}));
  }
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
    if (content !== null && content !== undefined) return detectFolder(content, name, opened);
  }
  throw fileError("the folder", "its files", `${TOKENIZER_FILES.join(", ")}, one of them`, "none");
}

function missing(file: string): TokenizerFileError {
  return fileError(file, "the file", "a file", "none");
}

/** One file, told by its name, else by its first bytes. `beside` is where its companions are. */
async function detectFile(content: FileContent, file: string, beside: OpenedFiles): Promise<Detected> {
  const one = (parts: TokenizerParts): Detected => ({ parts, files: [file] });
  if (isParsed(content)) return detectJson(content, file, beside);
  const ending = /\.(json|txt|model|bin|bpe)$/.exec(file)?.[1] ?? endingOf(content as string | Uint8Array);
  switch (ending) {
    case "json":
      return detectJson(parseJson(textOf(content, file), file), file, beside);
    case "model":
      return one(partsOfSentencePiece(bytesOf(content, file), file));
    case "bin":
      return one(partsOfLlama2c(bytesOf(content, file), null, file));
    case "gguf":
      throw unsupported(file, "a GGUF file", "as bytes", "its metadata: loadTokenizer of @qkv/models reads it");
    default:
      if (ending !== "bpe" && !file.endsWith("merges.txt"))
        return one(partsOfVocabTxt(textOf(content, file), {}, file));
      throw fileError(file, "the file", "the folder, or vocab.json", "merges alone");
  }
}

/** The usual ending of a file with this content. */
function endingOf(content: string | Uint8Array): string {
  if (typeof content === "string") return /^\uFEFF?\s*\{/.test(content) ? "json" : "txt";
  const start = content.subarray(0, 1024);
  const text = String.fromCharCode(...start);
  if (text.startsWith("GGUF")) return "gguf";
  if (/^(\u00ef\u00bb\u00bf)?\s*\{/.test(text)) return "json";
  // vocab.txt has no control characters but white space; the first field of a ModelProto is a list of pieces.
  if (!start.some((byte) => byte < 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) return "txt";
  return content[0] === 0x0a ? "model" : "bin";
}

async function detectJson(value: unknown, file: string, beside: OpenedFiles): Promise<Detected> {
  const json = new JsonCursor(value, file);
  // In a vocab.json "model" may be a token, whose id is a number.
  if (typeof json.get("model").value === "object" && !json.get("model").isNull)
    return { parts: partsOfTokenizerJson(value, file), files: [file] };
  for (const merges of MERGES_FILES) {
    const content = await beside.read(merges);
    if (content === null || content === undefined) continue;
    const parts = partsOfVocabAndMerges(value, textOf(content, merges), {}, { vocab: file, merges });
    return { parts, files: [file, merges] };
  }
  throw fileError(file, "the document", 'a "model" (tokenizer.json), or merges.txt beside it (vocab.json)', "neither");
}

// ---- What tokenizer_config.json and its companions add

async function detectFolder(content: FileContent, file: string, opened: OpenedFiles): Promise<Detected> {
  const files = [file];
  const cursor = async (name: string): Promise<JsonCursor | null> => {
    const found = await opened.read(name);
    if (found === null || found === undefined) return null;
    files.push(name);
    return new JsonCursor(isParsed(found) ? found : parseJson(textOf(found, name), name), name);
  };
  const config = readTokenizerConfig({
    config: await cursor("tokenizer_config.json"),
    specialTokensMap: await cursor("special_tokens_map.json"),
    addedTokens: await cursor("added_tokens.json"),
  });
  const withAll = (parts: TokenizerParts): Detected => ({
    parts: withAddedTokens(withCleanup(parts, config), config, file),
    files,
  });
  if (file === "tokenizer.json" || file === "tokenizer.bin") {
    const detected = await detectFile(content, file, opened);
    return withAll(detected.parts);
  }
  const modelType = (await cursor("config.json"))?.get("model_type").value;
  if (file.endsWith(".model")) {
    return withAll(ofSentencePieceClass(partsOfSentencePiece(bytesOf(content, file), file), config, modelType, file));
  }
  if (file === "vocab.txt") return withAll(partsOfVocabTxt(textOf(content, file), bertOptions(config, file), file));
  const options = gpt2Options(config, modelType, file);
  for (const merges of MERGES_FILES) {
    const text = await opened.read(merges);
    if (text === null || text === undefined) continue;
    files.splice(1, 0, merges);
    const vocab = isParsed(content) ? content : textOf(content, file);
    return withAll(partsOfVocabAndMerges(vocab, textOf(text, merges), options, { vocab: file, merges }));
  }
  throw fileError(file, "the folder", `${MERGES_FILES.join(" or ")} beside it`, "neither");
}

const MERGES_FILES = ["merges.txt", "vocab.bpe"];

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
    return addT5Sentinels(parts, config.extraIds ?? 100, file);
  }
  if (name === null && modelType === undefined) return parts;
  if (name === null ? modelType === "llama" : name === "LlamaTokenizer") return withBos(parts, config);
  const component = name === null ? "config.json: model_type" : "tokenizer_config.json: tokenizer_class";
  throw unsupported(
    file,
    component,
    name ?? modelType,
    "T5Tokenizer, LlamaTokenizer; others with their tokenizer.json, which transformers makes by save_pretrained",
  );
}

function withBos(parts: TokenizerParts, config: TokenizerConfig): TokenizerParts {
  const special = (id: number | null, wanted: boolean): TemplatePiece[] =>
    wanted && id !== null ? [specialPiece(id, parts.vocabulary.tokenOf(id) as string)] : [];
  const bos = special(parts.bosId, config.addBosToken ?? true);
  const eos = special(parts.eosId, config.addEosToken ?? false);
  return { ...parts, postProcessor: templateAround(bos, eos, 1) };
}

/** transformers' classes without Fast; those that read vocab.txt as BERT does. */
const BERT_CLASSES = ["Bert", "DistilBert", "Electra", "MobileBert", "ConvBert", "SqueezeBert", "Lxmert", "LayoutLM"];

function bertOptions(config: TokenizerConfig, file: string): VocabTxtOptions {
  checkClass(config, BERT_CLASSES, file);
  const { unk, sep, pad, cls, mask } = config.specialTokens;
  return {
    lowercase: config.doLowerCase ?? true,
    stripAccents: config.stripAccents,
    handleChineseChars: config.tokenizeChineseChars ?? true,
    unkToken: unk ?? "[UNK]",
    sepToken: sep ?? "[SEP]",
    padToken: pad ?? "[PAD]",
    clsToken: cls ?? "[CLS]",
    maskToken: mask ?? "[MASK]",
  };
}

const ROBERTA_CLASSES = ["Roberta", "Bart", "Longformer", "LED"];

function gpt2Options(config: TokenizerConfig, modelType: unknown, file: string): VocabAndMergesOptions {
  const name = checkClass(config, ["GPT2", ...ROBERTA_CLASSES], file);
  const roberta = name === null ? ROBERTA_CLASSES.some((type) => type.toLowerCase() === modelType) : name !== "GPT2";
  return { roberta, addPrefixSpace: config.addPrefixSpace ?? false };
}

/** The tokenizer's class without "Tokenizer", if it is one of those; null if the files name none. */
function checkClass(config: TokenizerConfig, known: readonly string[], file: string): string | null {
  if (config.tokenizerClass === null) return null;
  const name = config.tokenizerClass.replace(/Tokenizer(Fast)?$/, "");
  if (known.includes(name)) return name;
  const supported = `${known.join(", ")}; others with their tokenizer.json`;
  throw unsupported(file, "tokenizer_config.json: tokenizer_class", config.tokenizerClass, supported);
}

/** transformers' clean_up_tokenization_spaces: it takes spaces out of the decoded text, but leaves its words. */
function withCleanup(parts: TokenizerParts, config: TokenizerConfig): TokenizerParts {
  if (config.cleanUpTokenizationSpaces !== true) return parts;
  const steps = TIDIED.filter((string) => string !== DO_NOT).map(
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
  const newTokens = new Set<number>();
  const put = (token: AddedToken): void => {
    const known = idOf(token.content);
    const fail = (expected: string): never => {
      const at = `token ${describe(token.content)}`;
      throw fileError(config.addedTokensFile, at, expected, `${token.id}`);
    };
    if (known !== null && known !== token.id) fail(`its id ${known} of ${file}`);
    if (known === null) {
      const isTaken = vocabulary.tokenOf(token.id) !== undefined || newTokens.has(token.id);
      if (isTaken || token.id >= MAX_VOCAB_SIZE) fail(`a free id below ${MAX_VOCAB_SIZE}`);
      newIds.set(token.content, token.id);
      newTokens.add(token.id);
    }
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

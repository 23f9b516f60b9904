/** The tokenizer of a model: from the folder that it was published in, or from a file of its own. */

import { TOKENIZER_FILES, Tokenizer, UnsupportedTokenizerError } from "@qkv/tokenize";
import { ModelFileError } from "./errors";
import type { CheckedSource } from "./files/checked";
import { openSource } from "./files/open";
import { openGguf } from "./formats/gguf";

/** The largest tokenizer.json in use are about 35 MB. */
const MAX_TOKENIZER_BYTES = 256 * 1024 * 1024;

/** A tokenizer, or why there is none. */
export type FoundTokenizer =
  | { readonly tokenizer: Tokenizer; readonly tokenizerProblem: null }
  | { readonly tokenizer: null; readonly tokenizerProblem: string };

/** What is known of the model that a tokenizer is for. */
export interface TokenizerContext {
  /** Of llama2.c's models, whose tokenizers do not say it. */
  readonly vocabSize?: number | null;
  /** The model's config.json where its family gives the pieces of a .model ids of its own, or adds tokens to them. */
  readonly config?: Uint8Array | null;
}

/** The user's tokenizer, else what `find` finds or says; one that is sound but not supported is a reason, no error. */
export async function readTokenizer(
  given: string | Tokenizer | undefined,
  { vocabSize = null, config = null }: TokenizerContext,
  find: () => Promise<Tokenizer | string>,
): Promise<FoundTokenizer> {
  if (given instanceof Tokenizer) return { tokenizer: given, tokenizerProblem: null };
  if (given !== undefined) return { tokenizer: await openTokenizer(given, vocabSize, config), tokenizerProblem: null };
  try {
    const found = await find();
    return typeof found === "string"
      ? { tokenizer: null, tokenizerProblem: found }
      : { tokenizer: found, tokenizerProblem: null };
  } catch (error) {
    if (!(error instanceof UnsupportedTokenizerError)) throw error;
    return { tokenizer: null, tokenizerProblem: error.message };
  }
}

/** A tokenizer's folder or file of its own, on disk. */
async function openTokenizer(path: string, vocabSize: number | null, config: Uint8Array | null): Promise<Tokenizer> {
  const { files, file } = await openSource(path);
  try {
    if (file?.endsWith(".model") && config !== null) {
      const folder: Readonly<Record<string, Uint8Array>> = {
        "spiece.model": await readWhole(files, file),
        "config.json": config,
      };
      return await Tokenizer.from({ read: async (name) => folder[name] ?? null });
    }
    if (file !== null) return await readTokenizerFile(files, file, vocabSize);
    const found = await folderTokenizer(files, "");
    if (typeof found === "string") throw new ModelFileError(found, { file: path });
    return found;
  } finally {
    await files.close();
  }
}

/** The tokenizer that a folder ("" or with a slash at its end) holds in files of its own, or that it holds none. */
export async function folderTokenizer(files: CheckedSource, folder: string): Promise<Tokenizer | string> {
  if ((await files.exists(`${folder}source.spm`)) && !(await files.exists(`${folder}tokenizer.json`))) {
    return "Marian's source.spm, target.spm and vocab.json are not read: it takes a tokenizer.json made of them";
  }
  for (const name of TOKENIZER_FILES) {
    if (!(await files.exists(folder + name))) continue;
    return Tokenizer.from({ read: (file: string) => readIfThere(files, folder + file) });
  }
  return `there is none of ${TOKENIZER_FILES.join(", ")}${folder === "" ? "" : ` in ${folder}`}`;
}

/** Whether a name is that of a tokenizer's file rather than a model's. */
export function isTokenizerFile(file: string): boolean {
  const name = file.slice(file.lastIndexOf("/") + 1);
  return TOKENIZER_FILES.includes(name) || /\.(txt|bpe|model)$|tokenizer\.json$/.test(name) || isLlama2cTokenizer(name);
}

export function isLlama2cTokenizer(name: string): boolean {
  return /(^|\/)tok[^/]*\.bin$/.test(name);
}

export async function readTokenizerFile(
  files: CheckedSource,
  file: string,
  vocabSize: number | null,
): Promise<Tokenizer> {
  const start = await files.readSome(file, 0, 4);
  if (start === null) throw files.missing(file);
  if (String.fromCharCode(...start) === "GGUF") {
    return Tokenizer.fromGguf((await openGguf(files, file)).metadata, { file });
  }
  // These two make a tokenizer together.
  if (/(vocab\.json|encoder\.json|merges\.txt|vocab\.bpe)$/.test(file)) {
    const found = await folderTokenizer(files, file.slice(0, file.lastIndexOf("/") + 1));
    if (typeof found !== "string") return found;
  }
  const bytes = await readWhole(files, file);
  if (vocabSize !== null && start[0] !== 0x7b && isLlama2cTokenizer(file)) {
    return Tokenizer.fromLlama2c(bytes, { vocabSize, file });
  }
  return Tokenizer.from(bytes, { file });
}

async function readWhole(files: CheckedSource, file: string): Promise<Uint8Array> {
  const bytes = await readIfThere(files, file);
  if (bytes === null) throw files.missing(file);
  return bytes;
}

async function readIfThere(files: CheckedSource, file: string): Promise<Uint8Array | null> {
  const bytes = await files.readSome(file, 0, MAX_TOKENIZER_BYTES + 1);
  if (bytes !== null && bytes.length > MAX_TOKENIZER_BYTES) {
    throw new ModelFileError(`has more than ${MAX_TOKENIZER_BYTES} bytes`, { file });
  }
  return bytes;
}

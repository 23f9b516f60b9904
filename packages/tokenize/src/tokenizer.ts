/* The Tokenizer: text to ids and back, whatever file it came from. */

import { DecodeStream } from "./decoders/decode-stream";
import { openDecoder } from "./decoders/decoder";
import { TextSink } from "./decoders/sink";
import { type EncodeInput, type EncodeOptions, Encoder } from "./encoder";
import type { Encoding } from "./encoding/encoding";
import type { Padding } from "./encoding/padding";
import type { Truncation } from "./encoding/truncation";
import { describe } from "./errors";
import { parseJson } from "./json";
import { checkBytes, checkId, checkIds, checkOptions } from "./options";
import { formatTokenizerJson } from "./save";
import { detect, type TokenizerSource } from "./sources/detect";
import { partsOfGguf } from "./sources/gguf";
import type { GgufTokenizerMetadata } from "./sources/gguf-metadata";
import { partsOfLlama2c } from "./sources/llama2c";
import type { SourceKind, TokenizerParts } from "./sources/parts";
import { partsOfSentencePiece } from "./sources/sentencepiece";
import { partsOfTokenizerJson } from "./sources/tokenizer-json";
import { partsOfVocabAndMerges, type VocabAndMergesOptions } from "./sources/vocab-and-merges";
import { partsOfVocabTxt, type VocabTxtOptions } from "./sources/vocab-txt";

export interface FileOptions {
  /** What messages call a source that has no name of its own. */
  readonly file?: string;
}

export interface FromOptions extends FileOptions {
  /** Calls off the reading of files. */
  readonly signal?: AbortSignal;
}

export interface DecodeOptions {
  /** Leave special tokens (BOS, EOS, ...) out. Default true. */
  readonly skipSpecialTokens?: boolean;
}

export interface DecodeStreamOptions extends DecodeOptions {
  /** Ids that the stream continues, usually the prompt's. Their text does not come out again. */
  readonly prefix?: readonly number[];
}

/**
 * Turns text into the ids that a model was trained on, and ids back into text. Immutable.
 *
 * @example
 * const tokenizer = Tokenizer.fromTokenizerJson(readFileSync("tokenizer.json", "utf8"));
 * const { ids } = tokenizer.encode("Once upon a time");
 * tokenizer.decode(ids); // "Once upon a time"
 */
export class Tokenizer {
  /** What it was made from. */
  readonly kind: SourceKind;
  /** The files that it was made from, the first one holding the vocabulary. */
  readonly files: readonly string[];
  /** Ids are 0 to vocabSize - 1. */
  readonly vocabSize: number;
  /** Beginning and end of sequence, unknown, padding, where the source names them; a tokenizer.json alone does not. */
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly unkId: number | null;
  readonly padId: number | null;
  /** What the file asks for by default, for `encode`'s options; it is not done unasked. */
  readonly truncation: Required<Truncation> | null;
  readonly padding: Required<Padding> | null;
  /** The model's longest text in tokens, where tokenizer_config.json says so. */
  readonly modelMaxLength: number | null;
  readonly #parts: TokenizerParts;
  readonly #encoder: Encoder;

  private constructor(parts: TokenizerParts, file: string, files: readonly string[] = [file]) {
    this.files = files;
    this.#parts = parts;
    this.#encoder = new Encoder(parts, file);
    this.kind = parts.kind;
    this.vocabSize = parts.vocabulary.size;
    this.bosId = parts.bosId;
    this.eosId = parts.eosId;
    this.unkId = parts.unkId;
    this.padId = parts.padId;
    this.truncation = parts.truncation;
    this.padding = parts.padding;
    this.modelMaxLength = parts.modelMaxLength ?? null;
  }

  /**
   * From whatever there is: see `TokenizerSource`; `kind` and `files` say what it took. In a folder the first of
   * `TOKENIZER_FILES` counts, and tokenizer_config.json with its companions adds what transformers takes from it.
   *
   * @throws TokenizerFileError, UnsupportedTokenizerError
   * @example
   * const tokenizer = await Tokenizer.from("./t5-small");
   */
  static async from(source: TokenizerSource, options: FromOptions = {}): Promise<Tokenizer> {
    checkOptions("from", options, { file: "string", signal: "object" });
    options.signal?.throwIfAborted();
    const { parts, files } = await detect(source, options.file, options.signal);
    return new Tokenizer(parts, files[0], files);
  }

  /**
   * From Hugging Face's tokenizer.json, as text or parsed.
   *
   * @throws TokenizerFileError, UnsupportedTokenizerError
   * @example
   * const tokenizer = Tokenizer.fromTokenizerJson(readFileSync("tokenizer.json", "utf8"));
   */
  static fromTokenizerJson(json: unknown, options: FileOptions = {}): Tokenizer {
    checkOptions("fromTokenizerJson", options, { file: "string" });
    const file = options.file ?? "tokenizer.json";
    return new Tokenizer(partsOfTokenizerJson(typeof json === "string" ? parseJson(json, file) : json, file), file);
  }

  /**
   * From BERT's vocab.txt, with the stages of transformers' BertTokenizer. The file does not say whether it is cased.
   *
   * @throws TokenizerFileError
   * @example
   * const tokenizer = Tokenizer.fromVocabTxt(readFileSync("vocab.txt", "utf8"), { lowercase: false });
   */
  static fromVocabTxt(text: string, options: VocabTxtOptions & FileOptions = {}): Tokenizer {
    checkOptions("fromVocabTxt", options, {
      ...{ lowercase: "boolean", stripAccents: "boolean or object", handleChineseChars: "boolean", file: "string" },
      ...{ unkToken: "string", sepToken: "string", padToken: "string", clsToken: "string", maskToken: "string" },
    });
    if (typeof text !== "string") throw new TypeError(`fromVocabTxt: expected the text, got ${describe(text)}`);
    const file = options.file ?? "vocab.txt";
    return new Tokenizer(partsOfVocabTxt(text, options, file), file);
  }

  /**
   * From the vocab.json (text or parsed) and merges.txt of GPT-2, RoBERTa or BART.
   *
   * @throws TokenizerFileError
   * @example
   * const tokenizer = Tokenizer.fromVocabAndMerges(vocabJson, mergesTxt, { roberta: true });
   */
  static fromVocabAndMerges(
    vocab: string | Readonly<Record<string, number>>,
    merges: string,
    options: VocabAndMergesOptions = {},
  ): Tokenizer {
    checkOptions("fromVocabAndMerges", options, {
      addPrefixSpace: "boolean",
      specialTokens: "object",
      roberta: "boolean",
    });
    if (options.specialTokens !== undefined && !Array.isArray(options.specialTokens)) {
      throw new TypeError(`fromVocabAndMerges: specialTokens must be an array, got ${describe(options.specialTokens)}`);
    }
    if (typeof merges !== "string") {
      throw new TypeError(`fromVocabAndMerges: expected the text of merges.txt, got ${describe(merges)}`);
    }
    const files = { vocab: "vocab.json", merges: "merges.txt" };
    return new Tokenizer(partsOfVocabAndMerges(vocab, merges, options, files), files.vocab);
  }

  /**
   * From a sentencepiece .model (Unigram or BPE): the ids of sentencepiece's own `encode`, to which nothing is added.
   * What T5 adds comes with its folder: `Tokenizer.from`.
   *
   * @throws TokenizerFileError, UnsupportedTokenizerError
   * @example
   * const tokenizer = Tokenizer.fromSentencePiece(readFileSync("spiece.model"));
   */
  static fromSentencePiece(bytes: Uint8Array, options: FileOptions = {}): Tokenizer {
    checkOptions("fromSentencePiece", options, { file: "string" });
    checkBytes("fromSentencePiece", bytes);
    const file = options.file ?? "the .model";
    return new Tokenizer(partsOfSentencePiece(bytes, file), file);
  }

  /**
   * From llama2.c's tokenizer.bin. How many tokens it holds is in the model's header; without `vocabSize` all are taken.
   *
   * @throws TokenizerFileError
   * @example
   * const tokenizer = Tokenizer.fromLlama2c(readFileSync("tok512.bin"), { vocabSize: 512 });
   */
  static fromLlama2c(bytes: Uint8Array, options: FileOptions & { readonly vocabSize?: number } = {}): Tokenizer {
    checkOptions("fromLlama2c", options, { vocabSize: "number", file: "string" });
    checkBytes("fromLlama2c", bytes);
    const { vocabSize = null, file = "tokenizer.bin" } = options;
    if (vocabSize !== null && (!Number.isInteger(vocabSize) || vocabSize < 1)) {
      throw new RangeError(`fromLlama2c: vocabSize must be a positive integer, got ${describe(vocabSize)}`);
    }
    return new Tokenizer(partsOfLlama2c(bytes, vocabSize, file), file);
  }

  /**
   * From a GGUF file's metadata (`tokenizer.ggml.*`) as a map or a plain object: vocabularies "llama", "gpt2" with its
   * `pre` types, "bert" and "t5".
   *
   * @throws TokenizerFileError, UnsupportedTokenizerError
   * @example
   * const tokenizer = Tokenizer.fromGguf(metadata);
   */
  static fromGguf(metadata: GgufTokenizerMetadata, options: FileOptions = {}): Tokenizer {
    checkOptions("fromGguf", options, { file: "string" });
    if (typeof metadata !== "object" || metadata === null) {
      throw new TypeError(`fromGguf: expected the metadata as a Map or an object, got ${describe(metadata)}`);
    }
    const file = options.file ?? "GGUF metadata";
    return new Tokenizer(partsOfGguf(metadata, file), file);
  }

  /**
   * Tokens of a text, or of a text and its pair; an empty text has only what the source adds. Lone surrogates count as
   * U+FFFD. Near-linear in time.
   *
   * @throws TypeError for a text that is no string or an unknown option; RangeError for a truncation that cannot be done;
   * UnencodableTextError where the text needs an unknown token that the source lacks
   * @example
   * tokenizer.encode("Hello").ids; // [1, 346, 306, 414]
   * tokenizer.encode("Hello", { addSpecialTokens: false }).ids; // [346, 306, 414]
   */
  encode(text: string, options?: EncodeOptions): Encoding;
  encode(text: string, pair?: string | null, options?: EncodeOptions): Encoding;
  encode(text: string, pairOrOptions?: string | null | EncodeOptions, options?: EncodeOptions): Encoding {
    if (typeof text !== "string") throw new TypeError(`encode: expected a string, got ${describe(text)}`);
    if (typeof pairOrOptions === "object" && pairOrOptions !== null && options !== undefined) {
      throw new TypeError("encode: expected (text, options) or (text, pair, options), got options twice");
    }
    const hasPair = typeof pairOrOptions === "string";
    const given = hasPair || pairOrOptions === null || pairOrOptions === undefined ? options : pairOrOptions;
    const input = hasPair ? ([text, pairOrOptions] as const) : text;
    return this.#encoder.encode("encode", [input], given)[0];
  }

  /**
   * `encode` for several texts (or [text, pair]), padded together where `padding` says so.
   *
   * @throws as `encode`
   * @example
   * const batch = tokenizer.encodeBatch(["a", "bc d"], { padding: true });
   */
  encodeBatch(inputs: readonly EncodeInput[], options?: EncodeOptions): Encoding[] {
    if (!Array.isArray(inputs)) throw new TypeError(`encodeBatch: expected an array of texts, got ${describe(inputs)}`);
    return this.#encoder.encode("encodeBatch", inputs, options);
  }

  /**
   * The text of ids. Bytes that make no character read U+FFFD; the space that encoding put in front is taken off.
   *
   * @throws RangeError for an id outside of the vocabulary.
   * @example
   * tokenizer.decode([1, 346, 306, 414]); // "Hello"
   */
  decode(ids: readonly number[], options: DecodeOptions = {}): string {
    checkOptions("decode", options, { skipSpecialTokens: "boolean" });
    checkIds("decode", ids, this.vocabSize);
    const out = new TextSink();
    const chain = openDecoder(this.#parts.decoder, out);
    for (let i = 0; i < ids.length; i++) {
      const piece = this.#pieceOf(ids[i], options.skipSpecialTokens ?? true);
      if (piece !== null) chain.push(piece, true);
    }
    chain.finish();
    return out.take();
  }

  /**
   * Decodes ids as they are generated; with a `prefix` to what `decode(prefix + ids)` has beyond `decode(prefix)`, so that
   * the first word keeps its leading space.
   *
   * @throws RangeError for an id outside of the vocabulary.
   * @example
   * const stream = tokenizer.decodeStream({ prefix: promptIds });
   */
  decodeStream(options: DecodeStreamOptions = {}): DecodeStream {
    checkOptions("decodeStream", options, {
      skipSpecialTokens: "boolean",
      prefix: "ids",
    });
    const { prefix = [], skipSpecialTokens = true } = options;
    checkIds("decodeStream", prefix, this.vocabSize);
    const pieceOf = (id: number): string | null => this.#pieceOf(id, skipSpecialTokens);
    const source = {
      vocabSize: this.vocabSize,
      decoder: this.#parts.decoder,
      pieceOf,
    };
    return new DecodeStream(source, prefix, this.decode(prefix, { skipSpecialTokens }));
  }

  /** The id of a token by its exact vocabulary string ("\u2581Once", "<s>"), or null. */
  tokenToId(token: string): number | null {
    return this.#parts.vocabulary.idOf(token) ?? null;
  }

  /**
   * The vocabulary string of an id, or null for an id that is out of range or unused.
   *
   * @throws RangeError for an id that is no integer.
   */
  idToToken(id: number): string | null {
    if (!Number.isInteger(id)) throw new RangeError(`idToToken: id must be an integer, got ${describe(id)}`);
    return this.#parts.vocabulary.tokenOf(id) ?? null;
  }

  /**
   * Whether an id is a special (control) token, which `decode` leaves out by default.
   *
   * @throws RangeError for an id outside of the vocabulary.
   */
  isSpecial(id: number): boolean {
    checkId("isSpecial", id, this.vocabSize);
    return this.#parts.specialIds.has(id);
  }

  /**
   * The tokenizer as a tokenizer.json, which Hugging Face's library reads too.
   *
   * What came from a tokenizer.json says the same as it did. A sentencepiece model becomes the components that come
   * nearest: a few texts (special tokens, stacks of accents, ties) may be cut otherwise. Where ids have gaps Hugging Face's
   * library numbers the added tokens anew.
   *
   * @throws UnsupportedTokenizerError for a source that tokenizer.json cannot express
   * @example
   * await writeFile("tokenizer.json", tokenizer.save());
   */
  save(): string {
    return JSON.stringify(formatTokenizerJson(this.#parts));
  }

  #pieceOf(id: number, skipSpecialTokens: boolean): string | null {
    if (skipSpecialTokens && this.#parts.specialIds.has(id)) return null;
    return this.#encoder.decodeForm(id) ?? this.#parts.vocabulary.tokenOf(id) ?? null;
  }
}

/** The Tokenizer: text to ids and back, whatever file it came from. */

import { AddedTokens } from "./added-tokens";
import { DecodeStream } from "./decode-stream";
import { openDecoder } from "./decoder";
import { TextSink } from "./decoder-stages";
import { describe } from "./errors";
import { parseJson } from "./json";
import { createModel, type Model } from "./models/model";
import { checkId, checkIds, checkOptions } from "./options";
import { postProcess } from "./post-processor";
import { preTokenize } from "./pre-tokenizer";
import { type GgufTokenizerMetadata, partsOfGguf } from "./sources/gguf";
import { partsOfLlama2c } from "./sources/llama2c";
import type { TokenizerParts } from "./sources/parts";
import { partsOfTokenizerJson } from "./sources/tokenizer-json";

export interface FileOptions {
  /** What messages call the file. */
  readonly file?: string;
}

export interface EncodeOptions {
  /** Add what the source adds to a text, such as BOS in front. Default true. */
  readonly addSpecialTokens?: boolean;
}

export interface DecodeOptions {
  /** Leave special tokens (BOS, EOS, ...) out. Default true. */
  readonly skipSpecialTokens?: boolean;
}

export interface DecodeStreamOptions extends DecodeOptions {
  /** Ids that the stream continues, usually the prompt's. Their text does not come out again. */
  readonly prefix?: readonly number[];
}

export interface Encoding {
  readonly ids: number[];
  /** The vocabulary's string of each id, e.g. "\u2581Once" or "<0x0A>". */
  readonly tokens: string[];
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
  /** What it was made from: "tokenizer.json", "llama2.c" or "gguf". */
  readonly kind: string;
  /** Ids are 0 to vocabSize - 1. */
  readonly vocabSize: number;
  /** Beginning and end of sequence where the source names them; null for tokenizer.json, which does not. */
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly #parts: TokenizerParts;
  readonly #addedTokens: AddedTokens;
  readonly #model: Model;

  private constructor(parts: TokenizerParts, file: string) {
    this.#parts = parts;
    this.#addedTokens = new AddedTokens(parts.addedTokens, parts.normalizer, file);
    this.#model = createModel(parts.model);
    this.kind = parts.kind;
    this.vocabSize = parts.vocabulary.size;
    this.bosId = parts.bosId;
    this.eosId = parts.eosId;
  }

  /**
   * From Hugging Face's tokenizer.json, as text or parsed: a BPE model with or without byte fallback; normalizers
   * Prepend, Replace; pre-tokenizer Metaspace; TemplateProcessing; decoders Replace, ByteFallback, Fuse, Strip, Metaspace.
   *
   * @throws TokenizerFileError for a broken file, UnsupportedTokenizerError for another component, naming it.
   * @example
   * const tokenizer = Tokenizer.fromTokenizerJson(await (await fetch("tokenizer.json")).text());
   */
  static fromTokenizerJson(json: unknown, options: FileOptions = {}): Tokenizer {
    checkOptions("fromTokenizerJson", options, { file: "string" });
    const file = options.file ?? "tokenizer.json";
    return new Tokenizer(partsOfTokenizerJson(typeof json === "string" ? parseJson(json, file) : json, file), file);
  }

  /**
   * From llama2.c's tokenizer.bin, which does not say how many tokens it holds: that is in the model's header.
   *
   * @throws TokenizerFileError for a broken file or another number of tokens.
   * @example
   * const tokenizer = Tokenizer.fromLlama2c(readFileSync("tok512.bin"), { vocabSize: 512 });
   */
  static fromLlama2c(bytes: Uint8Array, options: FileOptions & { readonly vocabSize: number }): Tokenizer {
    checkOptions("fromLlama2c", options, {
      vocabSize: "number",
      file: "string",
    });
    if (!(bytes instanceof Uint8Array)) {
      throw new TypeError(`fromLlama2c: expected the file's bytes as a Uint8Array, got ${describe(bytes)}`);
    }
    if (!Number.isInteger(options?.vocabSize) || options.vocabSize < 1) {
      throw new RangeError(`fromLlama2c: vocabSize must be a positive integer, got ${describe(options?.vocabSize)}`);
    }
    const file = options.file ?? "tokenizer.bin";
    return new Tokenizer(partsOfLlama2c(bytes, options.vocabSize, file), file);
  }

  /**
   * From a GGUF file's metadata (`tokenizer.ggml.*`) with a "llama" vocabulary, as a map or a plain object.
   *
   * @throws TokenizerFileError for broken metadata, UnsupportedTokenizerError for another kind of vocabulary.
   * @example
   * const tokenizer = Tokenizer.fromGguf({ "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": tokens, ... });
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
   * Ids and tokens of a text; an empty text has only what the source adds. Lone surrogates count as U+FFFD. Of the
   * texts of special tokens ("</s>") only a tokenizer.json takes them for the token. Near-linear in time.
   *
   * @throws TypeError for a text that is no string or an unknown option.
   * @example
   * tokenizer.encode("Hello").ids; // [1, 346, 306, 414]
   * tokenizer.encode("Hello", { addSpecialTokens: false }).ids; // [346, 306, 414]
   */
  encode(text: string, options: EncodeOptions = {}): Encoding {
    checkOptions("encode", options, { addSpecialTokens: "boolean" });
    if (typeof text !== "string") throw new TypeError(`encode: expected a string, got ${describe(text)}`);
    const { preTokenizer, postProcessor, vocabulary } = this.#parts;
    const bare: number[] = [];
    for (const piece of this.#addedTokens.split(text.replace(/\p{Surrogate}/gu, "\uFFFD"))) {
      if (piece.type === "Token") bare.push(piece.id);
      else for (const word of preTokenize(preTokenizer, piece.text, piece.atStart)) this.#model.encode(word, bare);
    }
    const ids = [...postProcess(postProcessor, bare, options.addSpecialTokens ?? true)];
    return { ids, tokens: ids.map((id) => vocabulary.tokenOf(id) as string) };
  }

  /**
   * The text of ids. Bytes that make no character read U+FFFD; the space that encoding put in front is taken off.
   *
   * @throws RangeError for an id that is no integer from 0 to vocabSize - 1, before any work.
   * @example
   * tokenizer.decode([1, 346, 306, 414]); // "Hello"
   * tokenizer.decode([1, 346, 306, 414], { skipSpecialTokens: false }); // "<s> Hello"
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
   * Decodes ids as they are generated. All that comes out, joined, is `decode(all ids)`; with a `prefix`, what
   * `decode(prefix + ids)` has beyond `decode(prefix)`, so that the first word keeps its leading space.
   *
   * @throws RangeError for a prefix with an id outside of the vocabulary.
   * @example
   * const stream = tokenizer.decodeStream({ prefix: tokenizer.encode("Once upon").ids });
   * const text = stream.push(261) + stream.push(378) + stream.flush(); // " a time"
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

  #pieceOf(id: number, skipSpecialTokens: boolean): string | null {
    if (skipSpecialTokens && this.#parts.specialIds.has(id)) return null;
    return this.#addedTokens.decodeForm(id) ?? this.#parts.vocabulary.tokenOf(id) ?? null;
  }
}

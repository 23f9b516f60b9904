/* Checked access to the `tokenizer.ggml.` keys of a GGUF file's metadata. */

import { describe, fileError } from "../errors";
import { isWellFormed } from "../json";
import { MAX_VOCAB_SIZE } from "../limits";
import { isIntegerFrom, isList } from "../memory";
import {
  type PostProcessor,
  specialPiece,
  type TemplatePiece,
  templateAround,
} from "../post-processors/post-processor";

/** A GGUF file's metadata: keys such as `tokenizer.ggml.tokens`, values as plain JavaScript values or typed arrays. */
export type GgufTokenizerMetadata = ReadonlyMap<string, unknown> | Readonly<Record<string, unknown>>;

export class GgufMetadata {
  readonly #values: GgufTokenizerMetadata;
  readonly file: string;

  constructor(values: GgufTokenizerMetadata, file: string) {
    this.#values = values;
    this.file = file;
  }

  get(name: string): unknown {
    const key = `tokenizer.ggml.${name}`;
    if (this.#values instanceof Map) return this.#values.get(key);
    return Object.hasOwn(this.#values, key) ? (this.#values as Readonly<Record<string, unknown>>)[key] : undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  fail(name: string, expected: string, got: unknown): never {
    const at = `tokenizer.ggml.${name}`;
    throw fileError(this.file, at, expected, describe(got));
  }

  tokens(): readonly string[] {
    return this.strings("tokens", 1, MAX_VOCAB_SIZE);
  }

  /** The type of each token; null if the file gives none. */
  tokenTypes(vocabSize: number): ArrayLike<number> | null {
    return this.has("token_type") ? this.numbers("token_type", vocabSize) : null;
  }

  numbers(name: string, length: number): ArrayLike<number> {
    const list = this.get(name);
    if (!isList(list)) return this.fail(name, "an array of numbers", list);
    if (list.length !== length) this.fail(name, `${length} values, one for each token`, list.length);
    for (let i = 0; i < length; i++) {
      if (typeof list[i] !== "number" || Number.isNaN(list[i])) this.fail(`${name}[${i}]`, "a number", list[i]);
    }
    return list as ArrayLike<number>;
  }

  /** An id, or null where only the default would not fit the vocabulary. */
  id(name: string, fallback: number, vocabSize: number): number | null {
    const id = this.get(name);
    if (id === undefined) return fallback < vocabSize ? fallback : null;
    if (isIntegerFrom(0, id, vocabSize - 1)) return id;
    return this.fail(name, `an id from 0 to ${vocabSize - 1}`, id);
  }

  /** An id that has no default, or null. */
  idOrNull(name: string, vocabSize: number): number | null {
    // The converter writes -1, as an unsigned number, for none.
    return this.has(name) && this.get(name) !== 0xffffffff ? this.id(name, 0, vocabSize) : null;
  }

  /** A list of values 0 to 255 or -128 to 127, as bytes; null if there is none. */
  bytes(name: string, max: number): Uint8Array | null {
    const list = this.get(name);
    if (list === undefined) return null;
    if (!isList(list) || list.length > max) return this.fail(name, `an array of at most ${max} bytes`, list);
    const bytes = new Uint8Array(list.length);
    for (let i = 0; i < list.length; i++) {
      const value = list[i];
      bytes[i] = isIntegerFrom(-128, value, 255) ? value : this.fail(`${name}[${i}]`, "a byte", value);
    }
    return bytes;
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.get(name) ?? fallback;
    return typeof value === "boolean" ? value : this.fail(name, "true or false", value);
  }

  strings(name: string, min: number, max: number): readonly string[] {
    const values = this.get(name);
    if (!Array.isArray(values)) return this.fail(name, "an array of strings", values);
    if (values.length < min || values.length > max) this.fail(name, `${min} to ${max} ${name}`, values.length);
    for (let i = 0; i < values.length; i++) {
      if (typeof values[i] !== "string" || !isWellFormed(values[i])) {
        this.fail(`${name}[${i}]`, "a well-formed string", values[i]);
      }
    }
    return values as string[];
  }

  /** BOS before and EOS behind every text and pair, where the flags say so. */
  template(bosId: number | null, eosId: number | null, defaults: { bos: boolean; eos: boolean }): PostProcessor {
    const tokens = this.get("tokens") as readonly string[];
    const special = (which: "bos" | "eos", id: number | null): TemplatePiece[] => {
      if (!this.flag(`add_${which}_token`, defaults[which])) return [];
      const known = id ?? this.fail(`${which}_token_id`, `an id, as add_${which}_token is true`, null);
      return [specialPiece(known, tokens[known])];
    };
    return templateAround(special("bos", bosId), special("eos", eosId), 1);
  }
}

/**
 * A GGUF file's metadata with `tokenizer.ggml.model` = "llama": a sentencepiece BPE vocabulary as llama.cpp stores it.
 * Keys: github.com/ggml-org/ggml docs/gguf.md; defaults and token types: llama.cpp's llama-vocab.cpp and llama.h.
 */

import type { AddedToken } from "../added-tokens";
import type { Decoder } from "../decoder";
import { describe, TokenizerFileError, UnsupportedTokenizerError } from "../errors";
import { isWellFormed } from "../json";
import { MAX_ADDED_TOKEN_LENGTH, MAX_VOCAB_SIZE } from "../limits";
import { byteTokenIds } from "../models/bpe";
import { MergeTable } from "../models/merge-table";
import type { TemplatePiece } from "../post-processor";
import { Vocabulary } from "../vocabulary";
import type { TokenizerParts } from "./parts";

/** A GGUF file's metadata: keys such as `tokenizer.ggml.tokens`, values as plain JavaScript values or typed arrays. */
export type GgufTokenizerMetadata = ReadonlyMap<string, unknown> | Readonly<Record<string, unknown>>;

/** `token_type` values. */
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const BYTE = 6;

const SPACE = "\u2581";

export function partsOfGguf(metadata: GgufTokenizerMetadata, file: string): TokenizerParts {
  const source = new Metadata(metadata, file);
  const model = source.get("model");
  if (model === undefined) source.fail("model", "a string", model);
  if (model !== "llama") {
    const component = "tokenizer.ggml.model";
    throw new UnsupportedTokenizerError({
      file,
      component,
      value: model,
      supported: '"llama"',
    });
  }
  const tokens = source.tokens();
  const scores = source.numbers("scores", tokens.length);
  const types = source.has("token_type") ? source.numbers("token_type", tokens.length) : null;
  const bosId = source.id("bos_token_id", 1, tokens.length);
  const eosId = source.id("eos_token_id", 2, tokens.length);
  const unkId = source.id("unknown_token_id", 0, tokens.length);
  const addSpacePrefix = source.flag("add_space_prefix", true);

  const specialIds = new Set([bosId, eosId, unkId].filter((id) => id !== null));
  const allIds = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    allIds.set(token, id);
    if (types?.[id] === CONTROL || types?.[id] === UNKNOWN) specialIds.add(id);
  }
  const byteIds = byteTokenIds((token) => allIds.get(token));
  const notText = new Set([...specialIds, ...byteIds]);

  // Control and byte tokens never come from a text's letters (sentencepiece); user-defined ones are found as they stand.
  const addedTokens: AddedToken[] = [];
  const textIds = new Map<string, number>();
  const texts: (string | null)[] = [];
  for (const [id, token] of tokens.entries()) {
    const isText = token !== "" && !notText.has(id) && types?.[id] !== BYTE;
    texts.push(isText ? token : null);
    // Of equal tokens the last one counts, as in llama.cpp.
    if (isText) textIds.set(token, id);
    if (isText && types?.[id] === USER_DEFINED) addedTokens.push(source.userDefined(id, token));
  }
  const looseCharacters = addLooseCharacters(texts, textIds, tokens.length);
  const decoders: Decoder[] = [{ type: "Replace", pattern: SPACE, content: " " }];
  if (addSpacePrefix) decoders.push({ type: "StripDummyPrefix" });
  decoders.push({ type: "ByteFallback", invalid: "each" });
  const escapeSpaces = { type: "Replace", pattern: " ", content: SPACE } as const;
  return {
    kind: "gguf",
    vocabulary: new Vocabulary(tokens, allIds),
    addedTokens,
    normalizer: addSpacePrefix
      ? {
          type: "Sequence",
          normalizers: [{ type: "Prepend", prepend: SPACE }, escapeSpaces],
        }
      : escapeSpaces,
    preTokenizer: null,
    model: {
      type: "BPE",
      ids: textIds,
      merges: MergeTable.fromScores({ texts, ids: textIds, scores }),
      vocabSize: tokens.length,
      looseCharacters,
      byteIds,
      unkId,
      fuseUnk: true,
      ignoreMerges: false,
    },
    postProcessor: {
      type: "TemplateProcessing",
      single: source.template(bosId, eosId),
    },
    decoder: { type: "Sequence", decoders },
    specialIds,
    bosId,
    eosId,
  };
}

/**
 * llama.cpp and sentencepiece merge by text and only then look for bytes, so a character that is no token itself may
 * still merge into one. Such characters get ids from `vocabSize` on.
 */
function addLooseCharacters(texts: (string | null)[], textIds: Map<string, number>, vocabSize: number): string[] {
  const loose: string[] = [];
  for (let id = 0; id < vocabSize; id++) {
    const text = texts[id];
    if (text === null) continue;
    for (const character of text) {
      if (textIds.has(character)) continue;
      textIds.set(character, vocabSize + loose.length);
      loose.push(character);
      texts.push(character);
    }
  }
  return loose;
}

/** Checked access to the `tokenizer.ggml.` keys. */
class Metadata {
  readonly #values: GgufTokenizerMetadata;
  readonly #file: string;

  constructor(values: GgufTokenizerMetadata, file: string) {
    this.#values = values;
    this.#file = file;
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
    throw new TokenizerFileError({
      file: this.#file,
      at,
      expected,
      got: describe(got),
    });
  }

  tokens(): readonly string[] {
    const tokens = this.get("tokens");
    if (!Array.isArray(tokens)) return this.fail("tokens", "an array of strings", tokens);
    if (tokens.length < 1 || tokens.length > MAX_VOCAB_SIZE) {
      this.fail("tokens", `1 to ${MAX_VOCAB_SIZE} tokens`, tokens.length);
    }
    for (let id = 0; id < tokens.length; id++) {
      const token: unknown = tokens[id];
      if (typeof token !== "string" || !isWellFormed(token)) this.fail(`tokens[${id}]`, "a well-formed string", token);
    }
    return tokens as string[];
  }

  numbers(name: string, length: number): ArrayLike<number> {
    const values = this.get(name);
    const isView = ArrayBuffer.isView(values) && !(values instanceof DataView);
    if (!Array.isArray(values) && !isView) return this.fail(name, "an array of numbers", values);
    const list = values as unknown as ArrayLike<unknown>;
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
    if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id < vocabSize) return id;
    return this.fail(name, `an id from 0 to ${vocabSize - 1}`, id);
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.get(name) ?? fallback;
    return typeof value === "boolean" ? value : this.fail(name, "true or false", value);
  }

  userDefined(id: number, content: string): AddedToken {
    if (content.length > MAX_ADDED_TOKEN_LENGTH) {
      this.fail(`tokens[${id}]`, `a user-defined token of at most ${MAX_ADDED_TOKEN_LENGTH} characters`, content);
    }
    return {
      id,
      content,
      singleWord: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: false,
    };
  }

  template(bosId: number | null, eosId: number | null): TemplatePiece[] {
    const pieces: TemplatePiece[] = [{ type: "Text" }];
    if (this.flag("add_bos_token", true)) {
      pieces.unshift({
        type: "Special",
        ids: [bosId ?? this.fail("bos_token_id", "an id, as BOS is added", null)],
      });
    }
    if (this.flag("add_eos_token", false)) {
      pieces.push({
        type: "Special",
        ids: [eosId ?? this.fail("eos_token_id", "an id, as EOS is added", null)],
      });
    }
    return pieces;
  }
}

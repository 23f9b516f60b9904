/** What a caller gives an encoder-decoder, checked: sources, and ids of texts. */

import type { KvCache } from "@qkv/core";
import type { Tokenizer } from "@qkv/tokenize";
import { checkedIds } from "../ids";
import { EncodedSource } from "./encoded";
import type { Seq2SeqNetwork } from "./network";

/** A source: a text, encoded with the tokenizer's special tokens; ids as they are; or what `encode` made of either. */
export type Source = string | ArrayLike<number> | EncodedSource;

/** What the inputs are held against. */
export interface InputParts {
  readonly network: Seq2SeqNetwork;
  readonly tokenizer: Tokenizer | null;
  readonly tokenizerProblem: string | null;
  readonly contextLength: number;
}

export class Seq2SeqInputs {
  readonly #parts: InputParts;
  /** Sources that this model encoded. */
  readonly #encoded = new WeakSet<EncodedSource>();

  constructor(parts: InputParts) {
    this.#parts = parts;
  }

  /** Remembers a source as this model's. */
  own(source: EncodedSource): void {
    this.#encoded.add(source);
  }

  /** Ids of a source, or what was made of them. `name` is for messages. */
  prepared(name: string, source: Source): readonly number[] | EncodedSource {
    if (!(source instanceof EncodedSource)) return this.sourceIds(name, source);
    if (!this.#encoded.has(source)) throw new TypeError(`${name}: this source was encoded by another model`);
    void source.memory; // throws if it was disposed
    return source;
  }

  sourceIds(name: string, source: string | ArrayLike<number>): number[] {
    if (Array.isArray(source) && typeof source[0] === "string")
      throw new TypeError(`${name}: expected one text, got an array of texts: take generateBatch or encodeBatch`);
    if (typeof source !== "string" && (typeof source !== "object" || source === null))
      throw new TypeError(
        `${name}: expected a text, an array of token ids or an encoded source, got ${String(source)}`,
      );
    const given = typeof source === "string" ? this.encodeText(name, source) : source;
    const { network, contextLength } = this.#parts;
    return checkedIds(name, given, network.encoder.vocabSize, (length) =>
      this.#checkLength(name, length, 0, contextLength),
    );
  }

  /** A copy of the decoder's ids, which the caller may change, with every one of them in the vocabulary. */
  decoderIds(name: string, given: ArrayLike<number>, cache?: KvCache): number[] {
    const past = cache?.length ?? 0;
    const { network, contextLength } = this.#parts;
    // A cache that was used before may be larger than the model has positions.
    const room = Math.min(cache?.capacity ?? contextLength, network.maxPositions);
    return checkedIds(name, given, network.vocabSize, (length) => this.#checkLength(name, length, past, room));
  }

  encodeText(name: string, text: string): number[] {
    return this.tokenizer(`${name} as a text`).encode(text).ids;
  }

  /**
   * @param what needs it, for the message
   * @param advice what else can be done
   * @throws Error for a model without one
   */
  tokenizer(what: string, advice = "pass ids instead"): Tokenizer {
    const { tokenizer, tokenizerProblem } = this.#parts;
    if (tokenizer !== null) return tokenizer;
    throw new Error(`${what} needs a tokenizer, and this model has none: ${tokenizerProblem}; ${advice}`);
  }

  /** Whether the model has positions beyond those that it was loaded for. */
  get canGrow(): boolean {
    return this.#parts.contextLength < this.#parts.network.maxPositions;
  }

  #checkLength(name: string, length: number, past: number, room: number): void {
    if (length === 0) throw new RangeError(`${name}: expected at least one token, got none`);
    if (past + length <= room) return;
    const after = past > 0 ? ` after ${past} in the cache` : "";
    const advice = this.canGrow ? "; load with a larger contextLength" : "; this model has no positions beyond";
    throw new RangeError(`${name}: ${length} tokens${after} do not fit the context of ${room}${advice}`);
  }
}

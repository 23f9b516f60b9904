/* Text to encodings: stages 1 to 4, then truncation and padding. */

import { AddedTokens } from "./added-tokens";
import { Encoding, type EncodingSource } from "./encoding/encoding";
import { type Padding, paddedLength, padPart } from "./encoding/padding";
import { joinParts, type Part, type Rows, rowCount, type Segment } from "./encoding/rows";
import { type CutRows, type Truncation, truncate } from "./encoding/truncation";
import { describe } from "./errors";
import { grown } from "./memory";
import { createModel, type Model } from "./models/model";
import { Tokens } from "./models/tokens";
import { checkId, checkOneOf, checkOptions, checkPadding, checkTruncation } from "./options";
import { countAdded, postProcess } from "./post-processors/post-processor";
import { preTokenize } from "./pre-tokenizers/pre-tokenizer";
import { spellBytes } from "./pre-tokenizers/words";
import type { TokenizerParts } from "./sources/parts";
import { specialToken } from "./sources/vocab-txt";
import { type AlignedText, originalEnd, originalStart } from "./text/aligned-text";
import { codePointCounter, wellFormed } from "./text/surrogates";

export interface EncodeOptions {
  /** Add what the source adds to a text, such as BOS in front. Default true. */
  readonly addSpecialTokens?: boolean;
  /**
   * Take the texts of special tokens ("</s>") that stand in the text for the tokens. Default: as the source's own library
   * does: yes for Hugging Face's files and GPT-2 style GGUF, else no.
   */
  readonly parseSpecialTokens?: boolean;
  /** What offsets count: UTF-16 units, by which JavaScript slices, or code points, as Python does. Default "utf16". */
  readonly offsets?: "utf16" | "codePoints";
  /** Cut to a length. Default: not, whatever the file says (`tokenizer.truncation`). */
  readonly truncation?: Truncation | null;
  /** Pad to a length: as told, or `true` for the longest of the batch. Default: not, whatever the file says (`tokenizer.padding`). */
  readonly padding?: Padding | boolean | null;
}

/** A text, or a text and its pair. */
export type EncodeInput = string | readonly [text: string, pair: string];

export class Encoder {
  readonly #parts: TokenizerParts;
  readonly #file: string;
  readonly #model: Model;
  /** Those that are found in a text by default, with all special tokens, and without any. The last two are made when needed. */
  readonly #addedTokens: AddedTokens;
  #withSpecial: AddedTokens | null = null;
  #withoutSpecial: AddedTokens | null = null;

  constructor(parts: TokenizerParts, file: string) {
    this.#parts = parts;
    this.#file = file;
    this.#addedTokens = new AddedTokens(parts.addedTokens, parts.normalizer, file);
    this.#model = createModel(parts.model);
  }

  /** What the decoder gets for an added token that was normalized, or undefined. */
  decodeForm(id: number): string | undefined {
    return this.#addedTokens.decodeForm(id);
  }

  /** `call` is for messages. */
  encode(call: string, inputs: readonly EncodeInput[], options: EncodeOptions = {}): Encoding[] {
    checkOptions(call, options, {
      addSpecialTokens: "boolean",
      parseSpecialTokens: "boolean",
      offsets: "string",
      truncation: "object",
      padding: "object or boolean",
    });
    const { addSpecialTokens = true, parseSpecialTokens, offsets = "utf16", truncation = null } = options;
    const addedTokens = this.#addedTokensFor(parseSpecialTokens);
    checkOneOf(call, "offsets", offsets, ["utf16", "codePoints"]);
    if (truncation !== null) checkTruncation(call, truncation);
    const padding = this.#paddingOf(call, options.padding);
    const made = inputs.map((input, i) => {
      const which = call === "encode" ? call : `${call}: text ${i}`;
      const texts = typeof input === "string" ? [input] : input;
      if (!Array.isArray(texts) || texts.length < 1 || texts.length > 2) {
        throw new TypeError(`${which}: expected a string, got ${describe(input)}`);
      }
      const formed = texts.map((text) => {
        if (typeof text !== "string") throw new TypeError(`${which}: expected a string, got ${describe(text)}`);
        return wellFormed(text);
      });
      const sequences = formed.map((text, sequence) => this.#tokenize(text, sequence, addedTokens));
      return { formed, parts: this.#truncated(sequences, truncation, addSpecialTokens) };
    });
    // Parts that were cut off are made only for those who ask.
    const assembled = made.map(({ formed, parts }) => {
      const kept = parts.map(({ rows }) => ({ rows, overflowing: [] }));
      return this.#assemble(kept, formed, addSpecialTokens).rows;
    });
    const length = padding === null ? 0 : paddedLength(assembled.map(rowCount), padding);
    const padded = (part: Part): Part => (padding === null ? part : padPart(part, length, padding));
    return made.map(({ formed, parts }, i) => {
      const source: EncodingSource = {
        tokenOf: (id) => this.#parts.vocabulary.tokenOf(id),
        convertOffset: offsets === "utf16" ? null : codePointCounter(formed),
      };
      const { rows } = padded({ rows: assembled[i], overflowing: [] });
      const isCut = parts.some((part) => part.cutOff !== null);
      return new Encoding(source, rows, () => {
        if (!isCut) return [];
        const whole = parts.map((part) => ({ rows: part.rows, overflowing: part.cutOff?.() ?? [] }));
        return padded(this.#assemble(whole, formed, addSpecialTokens)).overflowing;
      });
    });
  }

  #addedTokensFor(parseSpecialTokens: boolean | undefined): AddedTokens {
    if (parseSpecialTokens === undefined) return this.#addedTokens;
    if (parseSpecialTokens) {
      this.#withSpecial ??= this.#makeAddedTokens(true);
      return this.#withSpecial;
    }
    this.#withoutSpecial ??= this.#makeAddedTokens(false);
    return this.#withoutSpecial;
  }

  #makeAddedTokens(withSpecial: boolean): AddedTokens {
    const { addedTokens, normalizer, specialIds, vocabulary } = this.#parts;
    const tokens = addedTokens.filter((token) => withSpecial || !token.special);
    if (withSpecial) {
      const known = new Set(addedTokens.map((token) => token.id));
      for (const id of specialIds) {
        const content = vocabulary.tokenOf(id);
        if (content !== undefined && content !== "" && !known.has(id)) tokens.push(specialToken(id, content));
      }
    }
    return tokens.length === addedTokens.length ? this.#addedTokens : new AddedTokens(tokens, normalizer, this.#file);
  }

  /** Stages 1 to 3. */
  #tokenize(text: string, sequence: number, addedTokens: AddedTokens): Rows {
    const { preTokenizer } = this.#parts;
    const model = this.#model;
    const tokens = new Tokens();
    let words = new Int32Array(16);
    let marked = 0;
    let word = 0;
    const markWord = (): void => {
      if (words.length < tokens.length) words = grown(words, tokens.ids.length);
      while (marked < tokens.length) words[marked++] = word;
      word++;
    };
    for (const piece of addedTokens.split(text)) {
      const first = tokens.length;
      if (piece.type === "Token") {
        tokens.pushText(piece.id, 0, piece.text.text.length, piece.text.text);
        markWord();
        toOriginal(tokens, first, piece.text);
        continue;
      }
      const cut = preTokenize(preTokenizer, piece.text);
      const isDirect = cut.byteLevel && model.takesBytes === true && model.encodeBytes !== undefined;
      const { text: aligned, spans } = cut.byteLevel && !isDirect ? spellBytes(cut) : cut;
      for (let i = 0; i < spans.length; i++) {
        if (isDirect) model.encodeBytes?.(aligned.text, spans.start(i), spans.end(i), tokens);
        else model.encode(aligned.text, spans.start(i), spans.end(i), tokens);
        markWord();
      }
      toOriginal(tokens, first, aligned);
    }
    const whole = (column: Int32Array): Int32Array => column.subarray(0, tokens.length);
    const [ids, texts] = [whole(tokens.ids), tokens.texts];
    const ranges = { starts: whole(tokens.starts), ends: whole(tokens.ends), words: whole(words) };
    return [{ ids, ranges, typeId: sequence, sequence, special: 0, attention: 1, texts }];
  }

  #truncated(sequences: readonly Rows[], truncation: Truncation | null, addSpecialTokens: boolean): CutRows[] {
    if (truncation === null) return sequences.map((rows) => ({ rows, cutOff: null }));
    const added = addSpecialTokens ? countAdded(this.#parts.postProcessor, sequences.length === 2) : 0;
    const direction = truncation.direction ?? this.#parts.truncationSide ?? "right";
    return truncate(sequences, { ...truncation, direction }, added);
  }

  /** Stage 4. */
  #assemble(parts: readonly Part[], texts: readonly string[], addSpecialTokens: boolean): Part {
    const { postProcessor, vocabulary } = this.#parts;
    const tokenOf = ({ ids, texts: own }: Segment, row: number): string =>
      own.get(row) ?? (vocabulary.tokenOf(ids[row]) as string);
    return joinParts(postProcess(postProcessor, parts, addSpecialTokens, { texts, tokenOf }));
  }

  #paddingOf(call: string, given: EncodeOptions["padding"]): Required<Padding> | null {
    if (given === undefined || given === null || given === false) return null;
    const options = given === true ? {} : given;
    checkPadding(call, options);
    const file = this.#parts.padding;
    const padId = options.padId ?? file?.padId ?? this.#parts.padId;
    if (padId === null) {
      throw new TypeError(`${call}: this tokenizer names no padding token; pass padding: { padId, padToken }`);
    }
    checkId(`${call}: padding`, padId, this.#parts.vocabulary.size);
    return {
      length: options.length ?? "longest",
      padToMultipleOf: options.padToMultipleOf ?? null,
      direction: options.direction ?? this.#parts.paddingSide ?? file?.direction ?? "right",
      padId,
      padTypeId: options.padTypeId ?? file?.padTypeId ?? 0,
      padToken: options.padToken ?? this.#parts.vocabulary.tokenOf(padId) ?? "[PAD]",
    };
  }
}

/** Turns the ranges of the tokens from index `from` on from units of the text that they were found in to the user's. */
function toOriginal(tokens: Tokens, from: number, text: AlignedText): void {
  const { starts, ends } = tokens;
  if (text.starts === null && text.origin === 0) return;
  for (let i = from; i < tokens.length; i++) {
    const end = ends[i] > starts[i] ? originalEnd(text, ends[i] - 1) : originalStart(text, starts[i]);
    starts[i] = originalStart(text, starts[i]);
    ends[i] = end;
  }
}

/* What `encode` gives: the tokens of a text, column by column. */

import { type Part, type Rows, rowCount, type Segment } from "./rows";

/** What an encoding needs of its tokenizer and its texts. */
export interface EncodingSource {
  tokenOf(id: number): string | undefined;
  /** From UTF-16 units to the unit of offsets that was asked for, for the text or its pair; null: they stay. */
  readonly convertOffset: ((offset: number, sequence: number) => number) | null;
}

/**
 * The tokens of a text (and its pair), with one value a token in each column. Columns are made when they are first read.
 *
 * @example
 * const { ids, tokens, offsets } = tokenizer.encode("Once upon a time");
 */
export class Encoding {
  readonly #source: EncodingSource;
  readonly #rows: Rows;
  readonly #cutOff: () => readonly Rows[];
  #ids: number[] | null = null;
  #tokens: string[] | null = null;
  #offsets: [start: number, end: number][] | null = null;
  #overflowing: Encoding[] | null = null;

  /** @internal */
  constructor(source: EncodingSource, rows: Rows, cutOff: () => Part["overflowing"]) {
    this.#source = source;
    this.#rows = rows;
    this.#cutOff = cutOff;
  }

  /** How many tokens. */
  get length(): number {
    return rowCount(this.#rows);
  }

  get ids(): number[] {
    this.#ids ??= this.#column((segment, row) => segment.ids[row]);
    return this.#ids;
  }

  /** Which segment a token belongs to, as BERT's token_type_ids: 0, or 1 for a pair, unless the post-processor says else. */
  get typeIds(): number[] {
    return this.#column((segment) => segment.typeId);
  }

  /** The string of each token: the vocabulary's ("\u2581Once", "##ing", "<0x0A>"), or for an added token the text that it matched. */
  get tokens(): string[] {
    this.#tokens ??= this.#column(
      ({ ids, texts }, row) => texts.get(row) ?? (this.#source.tokenOf(ids[row]) as string),
    );
    return this.#tokens;
  }

  /**
   * Which part of the text (or, for tokens of sequence 1, of the pair) each token stands for: `text.slice(start, end)`.
   * UTF-16 units, or code points where `encode` was asked for them; [0, 0] for tokens that were added.
   */
  get offsets(): [start: number, end: number][] {
    const convert = this.#source.convertOffset;
    this.#offsets ??= this.#column(({ ranges, sequence }, row) => {
      if (ranges === null) return [0, 0];
      const [start, end] = [ranges.starts[row], ranges.ends[row]];
      return convert === null ? [start, end] : [convert(start, sequence), convert(end, sequence)];
    });
    return this.#offsets;
  }

  /** Which word, as the pre-tokenizer cut them, each token is a part of; null for tokens that were added. */
  get wordIds(): (number | null)[] {
    return this.#column(({ ranges }, row) => (ranges === null ? null : ranges.words[row]));
  }

  /** 0 for tokens of the text, 1 for its pair, null for tokens that were added. */
  get sequenceIds(): (number | null)[] {
    return this.#column(({ sequence }) => (sequence < 0 ? null : sequence));
  }

  /** 1 for tokens that were added around the text; 0 for all of the text, special tokens written in it too. */
  get specialTokensMask(): number[] {
    return this.#column(({ special }) => special);
  }

  /** 0 for padding, else 1. */
  get attentionMask(): number[] {
    return this.#column(({ attention }) => attention);
  }

  /** What truncation cut off, in parts of the same length, each with the special tokens around it. */
  get overflowing(): Encoding[] {
    this.#overflowing ??= this.#cutOff().map((rows) => new Encoding(this.#source, rows, () => []));
    return this.#overflowing;
  }

  /** The columns as plain arrays, for JSON. */
  toJSON(): Record<string, unknown> {
    const { ids, typeIds, tokens, offsets, wordIds, sequenceIds, specialTokensMask, attentionMask, overflowing } = this;
    return { ids, typeIds, tokens, offsets, wordIds, sequenceIds, specialTokensMask, attentionMask, overflowing };
  }

  #column<T>(read: (segment: Segment, row: number) => T): T[] {
    const column = new Array<T>(this.length);
    let at = 0;
    for (const segment of this.#rows) {
      for (let row = 0; row < segment.ids.length; row++) column[at++] = read(segment, row);
    }
    return column;
  }
}

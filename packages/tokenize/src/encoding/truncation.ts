/* Cutting encodings to a length. */

import { inSnakeCase, integerFrom, type JsonCursor } from "../json";
import { MAX_LENGTH_OPTION } from "../limits";
import { type Rows, rowCount, sliceRows } from "./rows";

export interface Truncation {
  /** Most tokens, those that are added around the text included. */
  readonly maxLength: number;
  /**
   * Of a text and its pair: the longer one first until both fit, only the text, or only the pair. Default "longestFirst".
   * With "onlyFirst" and "onlySecond" a text that would have to vanish altogether is an error.
   */
  readonly strategy?: TruncationStrategy;
  /** How many tokens the parts in `overflowing` repeat of the one before. Default 0. */
  readonly stride?: number;
  /** Which end is cut off. Default: what tokenizer_config.json says, else "right". */
  readonly direction?: Direction;
}

export type TruncationStrategy = "longestFirst" | "onlyFirst" | "onlySecond";
export type Direction = "left" | "right";

/**
 * The rows of a text, or of a text and its pair, with at most `maxLength - added` rows.
 *
 * @throws RangeError where no length can satisfy the options
 */
export function truncate(sequences: readonly Rows[], options: Truncation, added: number): CutRows[] {
  const { maxLength, strategy = "longestFirst", stride = 0, direction = "right" } = options;
  const room = maxLength - added;
  if (room < 0) {
    throw new RangeError(`truncation: maxLength ${maxLength} leaves no room for the ${added} special tokens`);
  }
  const lengths = sequences.map(rowCount);
  const excess = lengths.reduce((sum, length) => sum + length, 0) - room;
  if (excess <= 0) return sequences.map((rows) => ({ rows, cutOff: null }));
  const wanted = room === 0 ? lengths.map(() => 0) : shareOf(lengths, room, excess, strategy);
  return sequences.map((rows, i) => cut(rows, wanted[i], stride, direction));
}

function shareOf(lengths: readonly number[], room: number, excess: number, strategy: TruncationStrategy): number[] {
  if (strategy === "longestFirst") {
    if (lengths.length === 1) return [room];
    const shorter = Math.min(...lengths);
    const other = shorter > room ? shorter : Math.max(shorter, room - shorter);
    const half = Math.floor(room / 2);
    const [less, more] = shorter + other > room ? [half, room - half] : [shorter, other];
    return lengths[0] > lengths[1] ? [more, less] : [less, more];
  }
  const which = strategy === "onlyFirst" ? 0 : 1;
  if (which >= lengths.length) throw new RangeError('truncation: strategy "onlySecond" needs a pair');
  if (lengths[which] <= excess) {
    throw new RangeError(
      `truncation: strategy "${strategy}" would have to take ${excess} of ${lengths[which]} tokens and leave none`,
    );
  }
  return lengths.map((length, i) => (i === which ? length - excess : length));
}

/** Rows, and how to get what was cut off of them; null where nothing was. */
export interface CutRows {
  readonly rows: Rows;
  readonly cutOff: (() => Rows[]) | null;
}

function cut(rows: Rows, maxLength: number, stride: number, direction: Direction): CutRows {
  const length = rowCount(rows);
  if (maxLength >= length) return { rows, cutOff: null };
  if (maxLength === 0) return { rows: [], cutOff: () => [rows] };
  if (stride >= maxLength) {
    throw new RangeError(
      `truncation: stride ${stride} must be less than the ${maxLength} tokens that are left for the text, special tokens taken off`,
    );
  }
  const step = maxLength - stride;
  const part = (from: number): Rows => {
    const to = Math.min(from + maxLength, length);
    return direction === "right" ? sliceRows(rows, from, to) : sliceRows(rows, length - to, length - from);
  };
  const cutOff = (): Rows[] => {
    const parts: Rows[] = [];
    for (let from = step; from + stride < length; from += step) parts.push(part(from));
    return parts;
  };
  return { rows: part(0), cutOff };
}

const STRATEGIES: Readonly<Record<string, TruncationStrategy>> = {
  LongestFirst: "longestFirst",
  OnlyFirst: "onlyFirst",
  OnlySecond: "onlySecond",
};
const DIRECTIONS: Readonly<Record<string, Direction>> = { Left: "left", Right: "right" };

/** Reads `truncation` of a tokenizer.json. */
export function parseTruncation(json: JsonCursor): Required<Truncation> | null {
  if (json.isNull) return null;
  const length = integerFrom(0, MAX_LENGTH_OPTION);
  const strategy = (name: JsonCursor): TruncationStrategy => name.oneOf(STRATEGIES);
  return json.options({ direction: parseDirection, max_length: length, strategy, stride: length }, []);
}

export function parseDirection(json: JsonCursor): Direction {
  return json.isNull ? "right" : json.oneOf(DIRECTIONS);
}

/** A name of ours as tokenizer.json writes it. */
export function capitalized(name: string): string {
  return name[0].toUpperCase() + name.slice(1);
}

export function formatTruncation(truncation: Required<Truncation> | null): unknown {
  if (truncation === null) return null;
  const { direction, strategy } = truncation;
  return { ...inSnakeCase(truncation), direction: capitalized(direction), strategy: capitalized(strategy) };
}

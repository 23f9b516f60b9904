/** The tokens of an encoding: segments, each of one text or of tokens that were added. Columns are made of them on demand. */

import { MAX_OVERFLOWING } from "../limits";

/** Tokens in a row of one kind. */
export interface Segment {
  readonly ids: Column;
  /** The part of the user's text that each token stands for, in UTF-16 units, and which word; null for added tokens. */
  readonly ranges: Ranges | null;
  readonly typeId: number;
  /** 0 for the text, 1 for its pair, -1 for tokens that were added. */
  readonly sequence: number;
  /** 1 for tokens that the post-processor or padding put there. */
  readonly special: 0 | 1;
  /** 0 for padding. */
  readonly attention: 0 | 1;
  /** Strings of the tokens that do not read as the vocabulary says, by index. */
  readonly texts: ReadonlyMap<number, string>;
}

export interface Ranges {
  readonly starts: Column;
  readonly ends: Column;
  readonly words: Column;
}

export type Column = Int32Array | readonly number[];

export type Rows = readonly Segment[];

/** Rows and what truncation cut off of them. */
export interface Part {
  readonly rows: Rows;
  readonly overflowing: readonly Rows[];
}

export function rowCount(rows: Rows): number {
  let count = 0;
  for (const segment of rows) count += segment.ids.length;
  return count;
}

/** Tokens that stand for no part of a text. */
export function addedSegment(
  ids: readonly number[],
  texts: readonly string[],
  typeId: number,
  attention: 0 | 1,
): Segment {
  return { ids, ranges: null, typeId, sequence: -1, special: 1, attention, texts: new Map(texts.entries()) };
}

export function sliceRows(rows: Rows, from: number, to: number): Rows {
  const sliced: Segment[] = [];
  let before = 0;
  for (const segment of rows) {
    const start = Math.max(0, from - before);
    const end = Math.min(segment.ids.length, to - before);
    before += segment.ids.length;
    if (start < end) sliced.push(sliceSegment(segment, start, end));
  }
  return sliced;
}

function sliceSegment(segment: Segment, from: number, to: number): Segment {
  const { ids, ranges } = segment;
  if (from === 0 && to === ids.length) return segment;
  const texts = new Map<number, string>();
  for (let i = from; i < to && segment.texts.size > 0; i++) {
    const text = segment.texts.get(i);
    if (text !== undefined) texts.set(i - from, text);
  }
  const cut = (column: Column): Column => column.slice(from, to);
  return {
    ...segment,
    ids: cut(ids),
    ranges: ranges === null ? null : { starts: cut(ranges.starts), ends: cut(ranges.ends), words: cut(ranges.words) },
    texts,
  };
}

/** The parts end to end, with every combination of what was cut off of them, in the order of Hugging Face's library. */
export function joinParts(parts: readonly Part[]): Part {
  if (parts.length === 1) return parts[0];
  const combinations = parts.reduce((product, part) => product * (1 + part.overflowing.length), 1);
  if (combinations > MAX_OVERFLOWING) throw new RangeError(`truncation: more than ${MAX_OVERFLOWING} parts`);
  let whole: Part = { rows: [], overflowing: [] };
  for (const part of parts) {
    const overflowing: Rows[] = [];
    for (const mine of whole.overflowing) {
      overflowing.push([...mine, ...part.rows]);
      for (const theirs of part.overflowing) overflowing.push([...mine, ...theirs]);
    }
    for (const theirs of part.overflowing) overflowing.push([...whole.rows, ...theirs]);
    whole = { rows: [...whole.rows, ...part.rows], overflowing };
  }
  return whole;
}

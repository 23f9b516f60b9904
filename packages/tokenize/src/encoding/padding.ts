/* Lengthening encodings to one length. */

import { inSnakeCase, integerFrom, type JsonCursor, optional, readText } from "../json";
import { MAX_LENGTH_OPTION, MAX_VOCAB_SIZE } from "../limits";
import { addedSegment, type Part, type Rows, rowCount } from "./rows";
import { capitalized, type Direction, parseDirection } from "./truncation";

export interface Padding {
  /** The length, or that of the longest encoding of the batch. Default "longest". Longer encodings stay as they are. */
  readonly length?: number | "longest";
  /** The length is rounded up to a multiple of this; null: it is not. */
  readonly padToMultipleOf?: number | null;
  /** Which end is padded. Default: what the source says, else "right". */
  readonly direction?: Direction;
  /** Default: the padding token that the source names. */
  readonly padId?: number;
  readonly padTypeId?: number;
  readonly padToken?: string;
}

/** The length that a batch is padded to. */
export function paddedLength(lengths: readonly number[], padding: Required<Padding>): number {
  let length = padding.length === "longest" ? lengths.reduce((max, l) => Math.max(max, l), 0) : padding.length;
  const multiple = padding.padToMultipleOf ?? 0;
  if (multiple > 0 && length % multiple > 0) length += multiple - (length % multiple);
  return length;
}

/** The part and what was cut off of it, each with at least `length` rows. */
export function padPart(part: Part, length: number, padding: Required<Padding>): Part {
  return {
    rows: padRows(part.rows, length, padding),
    overflowing: part.overflowing.map((rows) => padRows(rows, length, padding)),
  };
}

function padRows(rows: Rows, length: number, padding: Required<Padding>): Rows {
  const missing = length - rowCount(rows);
  if (missing <= 0) return rows;
  const { padId, padTypeId, padToken, direction } = padding;
  const ids = new Array<number>(missing).fill(padId);
  const texts = new Array<string>(missing).fill(padToken);
  const added = addedSegment(ids, texts, padTypeId, 0);
  return direction === "left" ? [added, ...rows] : [...rows, added];
}

/** Reads `padding` of a tokenizer.json. */
export function parsePadding(json: JsonCursor): Required<Padding> | null {
  if (json.isNull) return null;
  const lengthOf = integerFrom(0, MAX_LENGTH_OPTION);
  const { strategy: length, ...others } = json.options(
    {
      strategy: (strategy) => (strategy.value === "BatchLongest" ? "longest" : lengthOf(strategy.get("Fixed"))),
      direction: parseDirection,
      pad_to_multiple_of: optional(null, (json) => lengthOf(json) || null),
      pad_id: integerFrom(0, MAX_VOCAB_SIZE - 1),
      pad_type_id: lengthOf,
      pad_token: readText,
    },
    [],
  );
  return { length, ...others };
}

export function formatPadding(padding: Required<Padding> | null): unknown {
  if (padding === null) return null;
  const { length, ...others } = padding;
  return {
    strategy: length === "longest" ? "BatchLongest" : { Fixed: length },
    ...inSnakeCase(others),
    direction: capitalized(padding.direction),
  };
}

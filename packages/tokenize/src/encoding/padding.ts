/** Lengthening encodings to one length. */

import type { JsonCursor } from "../json";
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
  json.onlyKeys(["strategy", "direction", "pad_to_multiple_of", "pad_id", "pad_type_id", "pad_token"]);
  const strategy = json.get("strategy");
  const multiple = json.get("pad_to_multiple_of");
  return {
    length: strategy.value === "BatchLongest" ? "longest" : strategy.get("Fixed").integer(0, MAX_LENGTH_OPTION),
    padToMultipleOf: multiple.isNull ? null : multiple.integer(0, MAX_LENGTH_OPTION),
    direction: parseDirection(json.get("direction")),
    padId: json.get("pad_id").integer(0, MAX_VOCAB_SIZE - 1),
    padTypeId: json.get("pad_type_id").integer(0, MAX_LENGTH_OPTION),
    padToken: json.get("pad_token").string(),
  };
}

export function formatPadding(padding: Required<Padding> | null): unknown {
  if (padding === null) return null;
  return {
    strategy: padding.length === "longest" ? "BatchLongest" : { Fixed: padding.length },
    direction: capitalized(padding.direction),
    pad_to_multiple_of: padding.padToMultipleOf,
    pad_id: padding.padId,
    pad_type_id: padding.padTypeId,
    pad_token: padding.padToken,
  };
}

/** An encoding as columns, one row a token. */

export interface Rows {
  readonly length: number;
  readonly ids: Int32Array;
  readonly typeIds: Int32Array;
  /** The part of the user's text that a token stands for, in UTF-16 units; 0, 0 for what was added. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Which word of its text a token belongs to; -1 for what was added. */
  readonly words: Int32Array;
  /** 0 for the text, 1 for its pair; -1 for what was added. */
  readonly sequences: Int32Array;
  /** 1 for a token that the post-processor or padding put there. */
  readonly special: Uint8Array;
  /** 0 for padding. */
  readonly attention: Uint8Array;
  /** Strings of the tokens that do not read as the vocabulary says, by row. */
  readonly texts: ReadonlyMap<number, string>;
}

/** Rows and what truncation cut off of them. */
export interface Part {
  readonly rows: Rows;
  readonly overflowing: readonly Rows[];
}

/** `length` rows of zeros. */
export function blankRows(length: number): Rows {
  const column = (): Int32Array => new Int32Array(length);
  return {
    length,
    ids: column(),
    typeIds: column(),
    starts: column(),
    ends: column(),
    words: column(),
    sequences: column(),
    special: new Uint8Array(length),
    attention: new Uint8Array(length),
    texts: new Map(),
  };
}

/** Tokens that stand for no part of a text. */
export function addedRows(added: {
  ids: readonly number[];
  texts: readonly string[];
  typeId: number;
  attention: 0 | 1;
}): Rows {
  const { length } = added.ids;
  return {
    ...blankRows(length),
    ids: Int32Array.from(added.ids),
    typeIds: new Int32Array(length).fill(added.typeId),
    words: new Int32Array(length).fill(-1),
    sequences: new Int32Array(length).fill(-1),
    special: new Uint8Array(length).fill(1),
    attention: new Uint8Array(length).fill(added.attention),
    texts: new Map(added.texts.entries()),
  };
}

export function sliceRows(rows: Rows, from: number, to: number): Rows {
  if (from === 0 && to === rows.length) return rows;
  const texts = new Map<number, string>();
  for (const [row, text] of rows.texts) if (row >= from && row < to) texts.set(row - from, text);
  return {
    length: to - from,
    ids: rows.ids.subarray(from, to),
    typeIds: rows.typeIds.subarray(from, to),
    starts: rows.starts.subarray(from, to),
    ends: rows.ends.subarray(from, to),
    words: rows.words.subarray(from, to),
    sequences: rows.sequences.subarray(from, to),
    special: rows.special.subarray(from, to),
    attention: rows.attention.subarray(from, to),
    texts,
  };
}

export function joinRows(list: readonly Rows[]): Rows {
  if (list.length === 1) return list[0];
  const joined = blankRows(list.reduce((sum, rows) => sum + rows.length, 0));
  const texts = new Map<number, string>();
  let at = 0;
  for (const rows of list) {
    joined.ids.set(rows.ids, at);
    joined.typeIds.set(rows.typeIds, at);
    joined.starts.set(rows.starts, at);
    joined.ends.set(rows.ends, at);
    joined.words.set(rows.words, at);
    joined.sequences.set(rows.sequences, at);
    joined.special.set(rows.special, at);
    joined.attention.set(rows.attention, at);
    for (const [row, text] of rows.texts) texts.set(at + row, text);
    at += rows.length;
  }
  return { ...joined, texts };
}

/** The parts end to end, with every combination of what was cut off of them, in the order of Hugging Face's library. */
export function joinParts(parts: readonly Part[]): Part {
  if (parts.every((part) => part.overflowing.length === 0)) {
    return { rows: joinRows(parts.map((part) => part.rows)), overflowing: [] };
  }
  let whole: Part = { rows: blankRows(0), overflowing: [] };
  for (const part of parts) {
    const overflowing: Rows[] = [];
    for (const mine of whole.overflowing) {
      overflowing.push(joinRows([mine, part.rows]));
      for (const theirs of part.overflowing) overflowing.push(joinRows([mine, theirs]));
    }
    for (const theirs of part.overflowing) overflowing.push(joinRows([whole.rows, theirs]));
    whole = { rows: joinRows([whole.rows, part.rows]), overflowing };
  }
  return whole;
}

/** JSON from outside: checked for depth, size and doubled keys before the engine parses it. */

import { ModelFileError, printable, shown } from "../errors";

/** Configs and tokenizers nest less than 15 levels; a million levels would overflow the stack of whoever walks them. */
export const MAX_JSON_DEPTH = 64;

/** Several times the largest tokenizer.json (2.5 million values); bounds the memory that commas alone can claim. */
export const MAX_JSON_VALUES = 20_000_000;

/** Most keys of one object: twenty times the largest vocabulary, and what a Set can hold. */
const MAX_JSON_KEYS = 5_000_000;

export interface ParseJsonOptions {
  /** For messages. */
  file: string;
  /** Most levels of nesting. */
  maxDepth?: number;
  /** Most values, keys not counted. */
  maxValues?: number;
}

/**
 * The value of a JSON text; a byte order mark is skipped.
 *
 * Throws ModelFileError with line and column for what is no JSON, is nested or filled beyond the limits, or has one key
 * twice in an object, where readers differ in which one they take.
 */
export function parseJson(text: string, options: ParseJsonOptions): unknown {
  const json = text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text;
  scan(json, options);
  try {
    return JSON.parse(json);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const position = /at position (\d+)/.exec(message)?.[1];
    const where = position === undefined ? "" : ` at ${lineAndColumn(json, Number(position))}`;
    const why = json.trim() === "" ? "it is empty" : printable(message);
    throw new ModelFileError(`is not valid JSON${where}: ${why}`, options, { cause });
  }
}

/** Whether a JSON value is an object (not null, not an array). */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const BYTE_ORDER_MARK = 0xfeff;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** One pass over the structure. What is malformed otherwise is left to JSON.parse. */
function scan(json: string, { file, maxDepth = MAX_JSON_DEPTH, maxValues = MAX_JSON_VALUES }: ParseJsonOptions): void {
  const fail = (problem: string, at: number) =>
    new ModelFileError(`is JSON ${problem} (at ${lineAndColumn(json, at)})`, { file });
  const open: (Set<string> | null)[] = []; // the keys so far of each open object, null for an array
  let values = 1;
  let atKey = false;
  for (let i = 0; i < json.length; i++) {
    switch (json.charCodeAt(i)) {
      case QUOTE: {
        const end = stringEnd(json, i);
        const keys = open.at(-1);
        if (atKey && keys) {
          const key = plainKey(json.slice(i + 1, end));
          if (keys.has(key)) throw fail(`with the key ${shown(key)} twice in one object`, i);
          keys.add(key);
          if (keys.size > MAX_JSON_KEYS) throw fail(`with more than ${MAX_JSON_KEYS} keys in one object`, i);
        }
        atKey = false;
        i = end;
        break;
      }
      case COMMA:
        atKey = open.at(-1) instanceof Set;
        values++;
        break;
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        atKey = json.charCodeAt(i) === OPEN_OBJECT;
        open.push(atKey ? new Set() : null);
        if (open.length > maxDepth) throw fail(`nested deeper than ${maxDepth} levels`, i);
        values++;
        break;
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        open.pop();
        atKey = false;
        break;
    }
    if (values > maxValues) throw fail(`with more than ${maxValues} values`, i);
  }
}

/** The closing quote of the string that opens at `start`; the text's end if there is none. */
function stringEnd(json: string, start: number): number {
  for (let end = start; ; ) {
    end = json.indexOf('"', end + 1);
    if (end === -1) return json.length;
    let backslashes = 0;
    while (json.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
}

/** A key without its escapes, so that "a" and "\u0061" are the same. */
function plainKey(raw: string): string {
  if (!raw.includes("\\")) return raw;
  try {
    return String(JSON.parse(`"${raw}"`));
  } catch {
    return raw; // JSON.parse of the whole will say so
  }
}

function lineAndColumn(json: string, position: number): string {
  const before = json.slice(0, position);
  const line = before.split("\n").length;
  return `line ${line}, column ${position - before.lastIndexOf("\n")}`;
}

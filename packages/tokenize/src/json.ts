/** Checked reading of untrusted JSON: text to value with a depth limit, and a cursor whose errors carry the path. */

import { describe, fileError, type TokenizerFileError, unsupported } from "./errors";
import { MAX_JSON_DEPTH, MAX_JSON_VALUES, MAX_SEQUENCE_STEPS } from "./limits";
import { isIntegerFrom } from "./memory";

const QUOTE = 34;
const COMMA = 44;
const BACKSLASH = 92;
const BYTE_ORDER_MARK = 0xfeff;

/**
 * JSON.parse behind a check of depth and size, so that no engine's parser can run out of stack or memory; anything
 * wrong is a TokenizerFileError. A byte order mark is skipped.
 */
export function parseJson(source: string, file: string, maxValues = MAX_JSON_VALUES): unknown {
  const text = source.charCodeAt(0) === BYTE_ORDER_MARK ? source.slice(1) : source;
  const { length } = text;
  let depth = 0;
  let values = 1;
  for (let at = 0; at < length; at++) {
    let code = text.charCodeAt(at);
    if (code === QUOTE) {
      while (++at < length) {
        code = text.charCodeAt(at);
        if (code === QUOTE) break;
        if (code === BACKSLASH) at++;
      }
    } else if (code === COMMA) {
      values++;
    } else if (code === 91 || code === 123) {
      if (++depth > MAX_JSON_DEPTH) throw tooDeep(file, `character ${at}`);
      values++;
    } else if (code === 93 || code === 125) {
      depth--;
    }
    if (values > maxValues) {
      const [where, expected] = [`character ${at}`, `at most ${maxValues} values`];
      throw fileError(file, where, expected, "more");
    }
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw fileError(file, "the text", "JSON", (error as Error).message);
  }
}

function tooDeep(file: string, at: string): TokenizerFileError {
  return fileError(file, at, `at most ${MAX_JSON_DEPTH} nested levels`, "more");
}

/** True for a string whose surrogates all pair up, which is what UTF-8 can carry. */
export function isWellFormed(text: string): boolean {
  // Older browsers lack the method.
  return (text as { isWellFormed?: () => boolean }).isWellFormed?.() ?? !/\p{Surrogate}/u.test(text);
}

/** Counts the steps of one stage over all its nested Sequences. */
export interface StepCount {
  steps: number;
}

/** Readers by the keys of a JSON object, and what they give by the names that these keys have here. */
type Readers = Readonly<Record<string, (json: JsonCursor) => unknown>>;
type Options<R extends Readers> = { readonly [K in keyof R & string as CamelCase<K>]: ReturnType<R[K]> };
type CamelCase<S extends string> = S extends `${infer A}_${infer B}` ? `${A}${Capitalize<CamelCase<B>>}` : S;

function inCamelCase(key: string): string {
  return key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

/** An object of ours with its keys as JSON files write them: `addPrefixSpace` as `add_prefix_space`. */
export function inSnakeCase(object: object): Record<string, unknown> {
  const snakeCase = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [snakeCase(key), value]));
}

/** A reader of true or false. */
export function flagOr(fallback: boolean): (json: JsonCursor) => boolean {
  return (json) => json.boolean(fallback);
}

/** A reader of what may be absent. */
export function optional<T, const F>(fallback: F, read: (json: JsonCursor) => T): (json: JsonCursor) => T | F {
  return (json) => (json.isNull ? fallback : read(json));
}

/** A reader of a string. */
export function textUpTo(maxLength: number): (json: JsonCursor) => string {
  return (json) => json.string(maxLength);
}

export function readText(json: JsonCursor): string {
  return json.string();
}

/** A reader of an integer. */
export function integerFrom(min: number, max: number): (json: JsonCursor) => number {
  return (json) => json.integer(min, max);
}

/** The options of ByteLevel in all three stages. */
export const BYTE_LEVEL_OPTIONS = {
  add_prefix_space: flagOr(true),
  trim_offsets: flagOr(true),
  use_regex: flagOr(true),
};

/** One value of a JSON document together with its path. Every reader throws a TokenizerFileError that names both. */
export class JsonCursor {
  readonly value: unknown;
  readonly file: string;
  readonly at: string;
  readonly #depth: number;

  constructor(value: unknown, file: string, at = "", depth = 0) {
    this.value = value;
    this.file = file;
    this.at = at;
    this.#depth = depth;
    // A parsed value may be deeper than parseJson admits, or even contain itself.
    if (depth > MAX_JSON_DEPTH) throw tooDeep(file, at);
  }

  /** Absent and null mean the same in tokenizer.json. */
  get isNull(): boolean {
    return this.value === undefined || this.value === null;
  }

  fail(expected: string, got = describe(this.value)): never {
    throw fileError(this.file, this.at || "the document", expected, got);
  }

  unsupported(supported: string): never {
    throw unsupported(this.file, this.at, this.value, supported);
  }

  object(): Readonly<Record<string, unknown>> {
    const { value } = this;
    if (typeof value !== "object" || value === null || Array.isArray(value)) this.fail("an object");
    return value as Record<string, unknown>;
  }

  get(key: string): JsonCursor {
    const object = this.object();
    const value = Object.hasOwn(object, key) ? object[key] : undefined;
    return new JsonCursor(value, this.file, this.at === "" ? key : `${this.at}.${key}`, this.#depth + 1);
  }

  array(): readonly unknown[] {
    if (!Array.isArray(this.value)) this.fail("an array");
    return this.value as unknown[];
  }

  items(): JsonCursor[] {
    // A list may have holes, which map() skips.
    return Array.from(this.array(), (_, i) => this.item(i));
  }

  item(index: number): JsonCursor {
    return new JsonCursor(this.array()[index], this.file, `${this.at}[${index}]`, this.#depth + 1);
  }

  /** The steps of a Sequence component, those that are null left out. `count` is the whole stage's, as Sequences nest. */
  sequence<T, C extends StepCount>(key: string, count: C, read: (step: JsonCursor, count: C) => T | null): T[] {
    this.onlyKeys(["type", key]);
    const list = this.get(key);
    count.steps += list.array().length;
    if (count.steps > MAX_SEQUENCE_STEPS) list.fail(`at most ${MAX_SEQUENCE_STEPS} steps in all`, `${count.steps}`);
    return list
      .items()
      .map((step) => read(step, count))
      .filter((step) => step !== null);
  }

  string(maxLength = Number.POSITIVE_INFINITY): string {
    const { value } = this;
    if (typeof value !== "string") return this.fail("a string");
    if (!isWellFormed(value)) return this.fail("a string without lone surrogates");
    if (value.length > maxLength) return this.fail(`at most ${maxLength} characters`, `${value.length}`);
    return value;
  }

  /** A string of exactly one Unicode character. */
  character(): string {
    const value = this.string();
    // At most two UTF-16 units, so that no long text is spread.
    return value.length <= 2 && [...value].length === 1 ? value : this.fail("one character");
  }

  boolean(fallback: boolean): boolean {
    if (this.isNull) return fallback;
    return typeof this.value === "boolean" ? this.value : this.fail("true or false");
  }

  integer(min: number, max: number): number {
    const { value } = this;
    return isIntegerFrom(min, value, max) ? value : this.fail(`an integer from ${min} to ${max}`);
  }

  /** One of the names in `values`, as what it stands for. */
  oneOf<T>(values: Readonly<Record<string, T>>): T {
    const { value } = this;
    return typeof value === "string" && Object.hasOwn(values, value)
      ? values[value]
      : this.unsupported(Object.keys(values).join(", "));
  }

  /** What the readers make of the values, by our names for them. */
  read<R extends Readers>(readers: R): Options<R> {
    const entries = Object.entries(readers);
    return Object.fromEntries(entries.map(([key, read]) => [inCamelCase(key), read(this.get(key))])) as Options<R>;
  }

  /** The same of an object in which no key may stand beside these and those of `others`. */
  options<R extends Readers>(readers: R, others: readonly string[] = ["type"]): Options<R> {
    this.onlyKeys([...others, ...Object.keys(readers)]);
    return this.read(readers);
  }

  /** An option that we do not know may change every id: refuse it unless it is off. */
  onlyKeys(known: readonly string[]): void {
    for (const key of Object.keys(this.object())) {
      if (known.includes(key)) continue;
      const option = this.get(key);
      if (!option.isNull) option.unsupported(`the options ${known.join(", ")}`);
    }
  }
}

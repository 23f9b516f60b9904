/** Reading a model's config.json: typed access in which a wrong value names its key. */

import { ModelFileError, printable, shown, UnsupportedModelError } from "../errors";

/** Wider than any published model; keeps what is computed from a hostile config small until its tensors are checked. */
export const MAX_WIDTH = 2 ** 20;
/** Deeper than any published model, of which the deepest has a thousand: what is made for each layer stays small. */
export const MAX_LAYERS = 2 ** 14;
/** Most positions of a context: further on, the angles of rotary positions would lose their precision. */
export const MAX_CONTEXT = 2 ** 22;
/** As MAX_WIDTH, for the width of a head. */
export const MAX_HEAD_DIM = 2 ** 14;

/** Bounds of a number in a config. */
interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

/**
 * One JSON object of a config file. Keys are the file's own, in snake_case; an absent key and null are the same, as in
 * Hugging Face's configs. A key without a fallback must be there.
 */
export class JsonConfig {
  readonly file: string;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;

  /** @param path where the object is inside of the file, for messages: "" or "rope_parameters." */
  constructor(json: unknown, file: string, path = "") {
    if (typeof json !== "object" || json === null || Array.isArray(json)) {
      const where = path === "" ? "the file" : `config key "${path.slice(0, -1)}"`;
      throw new ModelFileError(`${where}: expected a JSON object, got ${shown(json)}`, { file });
    }
    this.#values = json as Readonly<Record<string, unknown>>;
    this.file = file;
    this.#path = path;
  }

  /** Keys that have a value. */
  keys(): string[] {
    return Object.keys(this.#values).filter((key) => this.has(key));
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#values, key) && this.#values[key] !== null;
  }

  /** Whether a key holds an object with something in it, or what is no object at all and will be refused when read. */
  hasEntries(key: string): boolean {
    const value = this.#values[key];
    return this.has(key) && !(typeof value === "object" && Object.keys(value as object).length === 0);
  }

  /** Whether a key stands in the file, if only as null: where that is not the same as its absence. */
  mentions(key: string): boolean {
    return Object.hasOwn(this.#values, key);
  }

  integer<F = number>(key: string, bounds: Bounds = {}, fallback?: F): number | F {
    const { min = 1, max = 2 ** 31 - 1 } = bounds;
    if (!this.has(key) && fallback !== undefined) return fallback;
    const value = this.#values[key];
    if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
      throw this.wrong(key, `an integer from ${min} to ${max}`);
    }
    return value;
  }

  number<F = number>(key: string, bounds: Bounds = {}, fallback?: F): number | F {
    const { min = -Number.MAX_VALUE, max = Number.MAX_VALUE } = bounds;
    if (!this.has(key) && fallback !== undefined) return fallback;
    const value = this.#values[key];
    if (typeof value !== "number" || !(value >= min && value <= max)) {
      const range = bounds.min === undefined ? "" : min === Number.MIN_VALUE ? " above 0" : ` of at least ${min}`;
      throw this.wrong(key, `a number${range}`);
    }
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    if (!this.has(key)) return fallback;
    const value = this.#values[key];
    if (typeof value !== "boolean") throw this.wrong(key, "true or false");
    return value;
  }

  string<F = string>(key: string, fallback?: F): string | F {
    if (!this.has(key) && fallback !== undefined) return fallback;
    const value = this.#values[key];
    if (typeof value !== "string") throw this.wrong(key, "a string");
    return value;
  }

  /** A string that must be one of the table's keys; gives what the table has for it. */
  choice<T>(key: string, table: Readonly<Record<string, T>>, fallback?: string): T {
    const value = this.string(key, fallback);
    if (!Object.hasOwn(table, value)) throw this.unsupported(key, Object.keys(table));
    return table[value] as T;
  }

  /** Positive numbers. */
  numbers(key: string, length: number): number[] {
    const value = this.#values[key];
    const right = (x: unknown): x is number => typeof x === "number" && Number.isFinite(x) && x > 0;
    if (!Array.isArray(value) || value.length !== length || !value.every(right)) {
      throw this.wrong(key, `${length} positive numbers`);
    }
    return value;
  }

  /** So many strings, each of which must be one of the table's keys; gives what the table has for them. */
  choices<T>(key: string, length: number, table: Readonly<Record<string, T>>): T[] {
    const values = this.strings(key);
    if (values.length !== length) throw this.wrong(key, `${length} values`);
    return values.map((value) => {
      if (!Object.hasOwn(table, value)) throw this.unsupported(key, Object.keys(table));
      return table[value] as T;
    });
  }

  /** A list of strings; empty where there is none. */
  strings(key: string): string[] {
    if (!this.has(key)) return [];
    const value = this.#values[key];
    if (!Array.isArray(value) || !value.every((each): each is string => typeof each === "string")) {
      throw this.wrong(key, "a list of strings");
    }
    return value;
  }

  /** One token id, several, or none. */
  tokenIds(key: string): number[] {
    if (!this.has(key)) return [];
    const value = this.#values[key];
    const ids: unknown[] = Array.isArray(value) ? value : [value];
    if (!ids.every((id): id is number => typeof id === "number" && Number.isSafeInteger(id) && id >= 0)) {
      throw this.wrong(key, "a token id or a list of them");
    }
    return ids;
  }

  /** A list of anything, for the caller to check; empty where there is none. */
  list(key: string): readonly unknown[] {
    if (!this.has(key)) return [];
    const value = this.#values[key];
    if (!Array.isArray(value)) throw this.wrong(key, "a list");
    return value;
  }

  /** A value as it stands, for the caller to check; null where there is none. */
  value(key: string): unknown {
    return this.has(key) ? this.#values[key] : null;
  }

  /** These values, and over them another's, whose file and place messages then name. */
  overlaid(over: JsonConfig): JsonConfig {
    return new JsonConfig({ ...this.#values, ...over.#values }, over.file, over.#path);
  }

  object(key: string): JsonConfig {
    return new JsonConfig(this.#values[key], this.file, `${this.#path}${key}.`);
  }

  /** One of the objects in this one, as a config of its own in which the object is called `as`. */
  inside(key: string, as: string): JsonConfig {
    return new JsonConfig({ [as]: this.#values[key] }, this.file, `${this.#path}${key}.`);
  }

  /** The error for a value of the wrong form. */
  wrong(key: string, expected: string): ModelFileError {
    const got = this.has(key) ? shown(this.#values[key]) : "nothing";
    return new ModelFileError(`config key "${this.#path}${printable(key)}": expected ${expected}, got ${got}`, {
      file: this.file,
    });
  }

  /** The error for a value that is well-formed and means something that we do not run. */
  unsupported(key: string, supported: readonly string[]): UnsupportedModelError {
    return new UnsupportedModelError(`config key "${this.#path}${printable(key)}":`, this.#values[key], supported, {
      file: this.file,
    });
  }
}

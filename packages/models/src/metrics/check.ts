/** Checks of what the metrics are given, with errors that name the argument. */

import { shown } from "../errors";

/** @throws TypeError for what is no array: a string is none, though it has a length */
export function checkArray(name: string, value: unknown): asserts value is readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`${name}: expected an array, got ${shown(value)}`);
}

/** @throws TypeError for what is neither an array nor a typed array, nor an object that is read as one */
export function checkArrayLike(name: string, value: unknown): asserts value is ArrayLike<unknown> {
  const { length } = (typeof value === "object" && value !== null ? value : {}) as { length?: unknown };
  if (typeof length !== "number" || !Number.isSafeInteger(length) || length < 0) {
    throw new TypeError(`${name}: expected an array, got ${shown(value)}`);
  }
}

/** @throws TypeError for what is no string */
export function checkString(name: string, value: unknown): asserts value is string {
  if (typeof value !== "string") throw new TypeError(`${name}: expected a string, got ${shown(value)}`);
}

/** @throws TypeError for what is neither true nor false; left out it is false */
export function checkFlag(name: string, value: boolean | undefined): boolean {
  if (value !== undefined && typeof value !== "boolean") {
    throw new TypeError(`${name}: expected true or false, got ${shown(value)}`);
  }
  return value ?? false;
}

/**
 * Generated texts, and for each the texts that it is held against.
 *
 * @throws RangeError for none, and unless there is a list of references for each; TypeError for what is no array
 */
export function checkCorpus(predictions: readonly unknown[], references: readonly (readonly unknown[])[]): void {
  checkSome("predictions", predictions);
  checkArray("references", references);
  if (predictions.length !== references.length) {
    throw new RangeError(
      `references: expected a list for each of ${predictions.length} predictions, got ${references.length}`,
    );
  }
}

/** @throws RangeError for an empty array; TypeError for what is no array */
export function checkSome(name: string, values: readonly unknown[]): void {
  checkArray(name, values);
  if (values.length === 0) throw new RangeError(`${name}: expected at least one, got none`);
}

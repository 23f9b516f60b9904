/** Checks of what users pass: unknown or mistyped options throw before any work is done. */

import { describe } from "./errors";

type OptionType = "boolean" | "number" | "string" | "ids";

/** Throws a TypeError that names the first option which is unknown or of the wrong type. */
export function checkOptions(call: string, options: unknown, known: Readonly<Record<string, OptionType>>): void {
  if (options === undefined) return;
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`${call}: expected an options object, got ${describe(options)}`);
  }
  for (const [name, value] of Object.entries(options)) {
    const type = Object.hasOwn(known, name) ? known[name] : undefined;
    if (type === undefined) {
      throw new TypeError(`${call}: unknown option "${name}"; known options: ${Object.keys(known).join(", ")}`);
    }
    if (value === undefined || type === "ids" || typeof value === type) continue;
    throw new TypeError(`${call}: option "${name}" must be a ${type}, got ${describe(value)}`);
  }
}

/** Throws a RangeError for the first id that is not an integer from 0 to vocabSize - 1. */
export function checkIds(call: string, ids: unknown, vocabSize: number): void {
  if (!Array.isArray(ids) && !(ArrayBuffer.isView(ids) && !(ids instanceof DataView))) {
    throw new TypeError(`${call}: expected an array of ids, got ${describe(ids)}`);
  }
  const list = ids as ArrayLike<unknown>;
  for (let i = 0; i < list.length; i++) checkId(call, list[i], vocabSize, i);
}

export function checkId(call: string, id: unknown, vocabSize: number, index?: number): void {
  if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id < vocabSize) return;
  const which = index === undefined ? "id" : `id at index ${index}`;
  throw new RangeError(`${call}: ${which} must be an integer from 0 to ${vocabSize - 1}, got ${describe(id)}`);
}

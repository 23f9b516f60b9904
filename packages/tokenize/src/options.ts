/** Checks of what users pass: unknown or mistyped options throw before any work is done. */

import type { Padding } from "./encoding/padding";
import type { Truncation } from "./encoding/truncation";
import { describe } from "./errors";
import { MAX_LENGTH_OPTION } from "./limits";
import { isIntegerFrom, isList } from "./memory";

/** A `typeof`, or two; "ids" is checked by `checkIds`. */
type OptionType = "boolean" | "number" | "string" | "object" | "ids" | `${string} or ${string}`;

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
    if (value === undefined || type === "ids" || type.split(" or ").includes(typeof value)) continue;
    throw new TypeError(`${call}: option "${name}" must be a ${type}, got ${describe(value)}`);
  }
}

export function checkBytes(call: string, bytes: unknown): void {
  if (bytes instanceof Uint8Array) return;
  throw new TypeError(`${call}: expected the file's bytes as a Uint8Array, got ${describe(bytes)}`);
}

/** Throws a RangeError for the first id that is not an integer from 0 to vocabSize - 1. */
export function checkIds(call: string, ids: unknown, vocabSize: number): void {
  if (!isList(ids)) throw new TypeError(`${call}: expected an array of ids, got ${describe(ids)}`);
  for (let i = 0; i < ids.length; i++) checkId(call, ids[i], vocabSize, i);
}

export function checkId(call: string, id: unknown, vocabSize: number, index?: number): void {
  if (isIntegerFrom(0, id, vocabSize - 1)) return;
  const which = index === undefined ? "id" : `id at index ${index}`;
  throw new RangeError(`${call}: ${which} must be an integer from 0 to ${vocabSize - 1}, got ${describe(id)}`);
}

/** Throws for the first part of a truncation that is unknown or out of range. */
export function checkTruncation(call: string, truncation: Truncation): void {
  const name = `${call}: truncation`;
  checkOptions(name, truncation, { maxLength: "number", strategy: "string", stride: "number", direction: "string" });
  checkLength(name, "maxLength", truncation.maxLength, 0);
  checkLength(name, "stride", truncation.stride ?? 0, 0);
  checkOneOf(name, "strategy", truncation.strategy, ["longestFirst", "onlyFirst", "onlySecond"]);
  checkOneOf(name, "direction", truncation.direction, ["left", "right"]);
}

/** Throws for the first part of a padding that is unknown or out of range. */
export function checkPadding(call: string, padding: Padding): void {
  const name = `${call}: padding`;
  checkOptions(name, padding, {
    length: "number or string",
    padToMultipleOf: "number or object",
    direction: "string",
    padId: "number",
    padTypeId: "number",
    padToken: "string",
  });
  if (typeof padding.length === "string") checkOneOf(name, "length", padding.length, ["longest"]);
  else checkLength(name, "length", padding.length ?? 0, 0);
  checkLength(name, "padToMultipleOf", padding.padToMultipleOf ?? 1, 1);
  checkLength(name, "padTypeId", padding.padTypeId ?? 0, 0);
  checkOneOf(name, "direction", padding.direction, ["left", "right"]);
}

function checkLength(call: string, option: string, value: unknown, min: number): void {
  if (isIntegerFrom(min, value, MAX_LENGTH_OPTION)) return;
  throw new RangeError(
    `${call}: ${option} must be an integer from ${min} to ${MAX_LENGTH_OPTION}, got ${describe(value)}`,
  );
}

export function checkOneOf(call: string, option: string, value: unknown, known: readonly string[]): void {
  if (value === undefined || known.includes(value as string)) return;
  const names = known.map((name) => JSON.stringify(name)).join(" or ");
  throw new TypeError(`${call}: ${option} must be ${names}, got ${describe(value)}`);
}

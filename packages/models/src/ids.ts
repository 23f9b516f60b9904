/** Ids that a caller gives. */

import { checkInteger } from "@qkv/core";

/**
 * A copy of the ids, which the caller may change.
 *
 * @param below every one of them is less than this
 * @param checkLength throws where there are too few or too many, before anything is copied
 * @throws TypeError for what is no array, RangeError for a wrong id; both begin with `name`
 */
export function checkedIds(
  name: string,
  given: ArrayLike<number>,
  below: number,
  checkLength: (length: number) => void,
): number[] {
  if (typeof given !== "object" || given === null || !Number.isSafeInteger(given.length)) {
    throw new TypeError(`${name}: expected an array of token ids, got ${String(given)}`);
  }
  checkLength(given.length);
  return Array.from(given, (id, i) => checkInteger(`${name}[${i}]`, id, 0, below - 1));
}

/** A text that a function of the caller steers, id by id. */

import { checkInteger } from "@qkv/core";
import type { LogitsProcessor } from "../search";

/**
 * Allows only the ids that a function names (De Cao et al. 2021).
 *
 * @param allowed gives at least one id, from all ids so far and the index of the prompt
 * @param anyIfNone where nothing that is allowed is possible, because something else forbids it, all that is allowed is
 *   equally likely: for one text at a time. A beam rather ends there, and leaves its place to others.
 * @throws (from the processor) TypeError or RangeError where the function gives no ids, or some that are none
 */
export function prefixConstraint(
  allowed: (ids: readonly number[], index: number) => readonly number[],
  index: number,
  anyIfNone: boolean,
): LogitsProcessor {
  return (scores, ids) => {
    const next: unknown = allowed(ids, index);
    if (!Array.isArray(next)) throw new TypeError(`prefixAllowedTokens: expected an array of ids, got ${String(next)}`);
    if (next.length === 0) {
      throw new RangeError(
        `prefixAllowedTokens: expected at least one id after [${ids.slice(-8).join()}] (prompt ${index})`,
      );
    }
    const kept = Float32Array.from(
      next,
      (id, i) => scores[checkInteger(`prefixAllowedTokens()[${i}]`, id, 0, scores.length - 1)],
    );
    const none = kept.every((score) => score === Number.NEGATIVE_INFINITY);
    scores.fill(Number.NEGATIVE_INFINITY);
    next.forEach((id: number, i) => {
      scores[id] = none && anyIfNone ? 0 : kept[i];
    });
  };
}

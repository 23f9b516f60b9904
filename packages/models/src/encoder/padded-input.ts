/** Rectangular batches, as other libraries take them: to packed texts, and back. */

import { checkOptions } from "@qkv/core";
import { elementCount } from "../formats/tensor";
import type { Tensor } from "../taps/capture";
import type { EncoderResult } from "./encoder";
import type { Heads } from "./heads";
import { headOf, type OutputName } from "./outputs";

/** A batch of B texts, each filled up to T on the right. */
export interface PaddedInput {
  /** [B][T] */
  readonly inputIds: readonly ArrayLike<number>[];
  /** [B][T], 1 for tokens and 0 for padding. */
  readonly attentionMask: readonly ArrayLike<number>[];
  /** [B][T]; 0 if left out. */
  readonly tokenTypeIds?: readonly ArrayLike<number>[];
}

/** The texts without their padding. */
interface Stripped {
  readonly sequences: number[][];
  readonly tokenTypeIds: (number[] | null)[];
  /** T */
  readonly length: number;
}

/** @throws TypeError and RangeError for arrays that do not fit each other, or padding that is not on the right */
export function stripPadding(input: PaddedInput): Stripped {
  checkOptions("runPadded: input", input, ["inputIds", "attentionMask", "tokenTypeIds"]);
  const { inputIds, attentionMask, tokenTypeIds } = input;
  const B = checkRows("inputIds", inputIds, null, null);
  const length = inputIds[0].length;
  checkRows("inputIds", inputIds, B, length);
  checkRows("attentionMask", attentionMask, B, length);
  if (tokenTypeIds !== undefined) checkRows("tokenTypeIds", tokenTypeIds, B, length);
  const counts = attentionMask.map((mask, b) => {
    const count = Array.from(mask).reduce((sum, bit) => sum + bit, 0);
    for (let t = 0; t < length; t++) {
      if (mask[t] === (t < count ? 1 : 0)) continue;
      throw new RangeError(`attentionMask[${b}]: expected ones, then zeros: padding is on the right, without gaps`);
    }
    if (count === 0) throw new RangeError(`attentionMask[${b}]: expected at least one token, got none`);
    return count;
  });
  const kept = (rows: readonly ArrayLike<number>[]) => counts.map((n, b) => Array.from(rows[b]).slice(0, n));
  return {
    sequences: kept(inputIds),
    tokenTypeIds: tokenTypeIds === undefined ? counts.map(() => null) : kept(tokenTypeIds),
    length,
  };
}

function checkRows(name: string, rows: readonly ArrayLike<number>[], B: number | null, T: number | null): number {
  if (!Array.isArray(rows) || rows.length === 0 || (B !== null && rows.length !== B)) {
    throw new RangeError(`${name}: expected an array of ${B ?? "at least one"} rows`);
  }
  rows.forEach((row: unknown, b) => {
    const length = (row as { length?: unknown } | null)?.length;
    if (typeof row !== "object" || typeof length !== "number" || (T !== null && length !== T)) {
      throw new RangeError(`${name}[${b}]: expected an array of ${T ?? "some"} numbers, as long as the other rows`);
    }
  });
  return rows.length;
}

/** Results of texts as one batch, filled up with 0. */
export function withPadding(
  results: readonly EncoderResult[],
  length: number,
  heads: Heads,
): Omit<EncoderResult, "captured"> {
  const stacked = (tensors: readonly Tensor[], byToken: boolean): Tensor => {
    const rest = tensors[0].shape.slice(1);
    const first = byToken ? length : tensors[0].shape[0];
    const size = first * elementCount(rest);
    const data = new Float32Array(tensors.length * size);
    tensors.forEach((tensor, b) => {
      data.set(tensor.data, b * size);
    });
    return { data, shape: [tensors.length, first, ...rest] };
  };
  const names = Object.keys(results[0].outputs) as OutputName[];
  const outputs = names.map((name) => {
    const tensors = results.map((result) => result.outputs[name] as Tensor);
    return [name, stacked(tensors, headOf(heads, name)?.reads === "token")] as const;
  });
  return {
    hidden: stacked(
      results.map(({ hidden }) => hidden),
      true,
    ),
    outputs: Object.fromEntries(outputs),
  };
}

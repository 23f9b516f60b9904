/** T5's sentinels, the tokens <extra_id_0>, <extra_id_1> ... that stand for spans of a text. */

import type { Tokenizer } from "@qkv/tokenize";

/** The sentinels of a vocabulary. */
export interface Sentinels {
  /** `ids[n]` is <extra_id_n>. At least one. */
  readonly ids: readonly number[];
  /** n by the id of <extra_id_n>. */
  readonly numbers: ReadonlyMap<number, number>;
}

/** As many as a tokenizer's file may ask for; T5 has 100. */
const MAX_SENTINELS = 10_000;

/** A sentinel as it is written in a text. */
export const SENTINEL = /<extra_id_(\d{1,5})>/g;

/**
 * Finds the sentinels. mT5's are pieces of its vocabulary, with the mark of a space in front.
 *
 * @param call for the message
 * @throws Error for a vocabulary without any
 */
export function sentinelsOf(call: string, tokenizer: Tokenizer): Sentinels {
  const ids: number[] = [];
  while (ids.length < MAX_SENTINELS) {
    const token = sentinel(ids.length);
    const id = tokenizer.tokenToId(token) ?? tokenizer.tokenToId(`\u2581${token}`);
    if (id === null) break;
    ids.push(id);
  }
  if (ids.length === 0)
    throw new Error(`${call} needs sentinels, as T5 has them, and this model's vocabulary has no ${sentinel(0)}`);
  return { ids, numbers: new Map(ids.map((id, n) => [id, n])) };
}

export function sentinel(number: number): string {
  return `<extra_id_${number}>`;
}

/**
 * The spans of a target: what stands behind each sentinel, until the next one or the end.
 *
 * Whatever a model writes is taken: what stands before the first sentinel is dropped; sentinels may come in any order;
 * of one that comes again the first counts; those that were not asked for are for the caller to leave out.
 *
 * @param isText whether an id is part of a text, which end tokens and padding are not
 * @returns by the sentinel's number
 */
export function parseSpans(
  ids: readonly number[],
  { numbers }: Sentinels,
  isText: (id: number) => boolean,
): Map<number, number[]> {
  const spans = new Map<number, number[]>();
  let span: number[] | null = null;
  for (const id of ids) {
    const number = numbers.get(id);
    if (number === undefined) {
      if (isText(id)) span?.push(id);
      continue;
    }
    span = spans.has(number) ? null : [];
    if (span !== null) spans.set(number, span);
  }
  return spans;
}

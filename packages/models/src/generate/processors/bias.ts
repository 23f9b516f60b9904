/** Making single tokens and sequences of tokens likelier, less likely or impossible. */

import type { SequenceBias } from "../options";
import type { LogitsProcessor } from "../search";

/**
 * Adds each bias to the score of its sequence's last id where the ids before it are the last ones so far. Of a sequence
 * that is given twice, the later bias holds.
 *
 * @param biases sequences of at least one id
 */
export function sequenceBias(biases: readonly SequenceBias[]): LogitsProcessor {
  const unique = new Map(biases.map(([ids, bias]) => [ids.join(), [ids, bias] as const]));
  return onCompleted([...unique.values()], (scores, id, bias) => {
    scores[id] = bias === Number.NEGATIVE_INFINITY ? bias : scores[id] + bias;
  });
}

/**
 * Forbids the last token of each sequence where the ones before it are there.
 *
 * @param sequences of at least one id
 * @param endIds a sequence of one of them alone is left alone: a text must be able to end
 */
export function badWords(sequences: readonly (readonly number[])[], endIds: readonly number[]): LogitsProcessor {
  const ends = new Set(endIds);
  const bad = sequences.filter((ids) => ids.length > 1 || !ends.has(ids[0]));
  return sequenceBias(bad.map((ids) => [ids, Number.NEGATIVE_INFINITY]));
}

/** Tokens that are never chosen. */
export function suppressTokens(ids: readonly number[]): LogitsProcessor {
  return (scores) => forbid(scores, ids);
}

/** Tokens that are not chosen at one place. @param beginIndex how many ids there are then */
export function suppressTokensAtBegin(ids: readonly number[], beginIndex: number): LogitsProcessor {
  return (scores, soFar) => {
    if (soFar.length === beginIndex) forbid(scores, ids);
  };
}

/** Makes tokens impossible, in place. */
export function forbid(scores: Float32Array, ids: Iterable<number>): void {
  for (const id of ids) scores[id] = Number.NEGATIVE_INFINITY;
}

/** Calls `change` for the last id of every sequence of which all ids before it are the last ones so far. */
function onCompleted(
  sequences: readonly SequenceBias[],
  change: (scores: Float32Array, id: number, bias: number) => void,
): LogitsProcessor {
  const single = sequences.filter(([ids]) => ids.length === 1);
  // By the id before the last, so that a long list costs nothing where it does not apply.
  const longer = new Map<number, SequenceBias[]>();
  for (const sequence of sequences) {
    const [ids] = sequence;
    if (ids.length === 1) continue;
    const before = ids[ids.length - 2];
    const group = longer.get(before);
    if (group === undefined) longer.set(before, [sequence]);
    else group.push(sequence);
  }
  return (scores, soFar) => {
    for (const [ids, bias] of single) change(scores, ids[0], bias);
    for (const [ids, bias] of longer.get(soFar[soFar.length - 1]) ?? []) {
      const prefix = ids.length - 1;
      let same = prefix <= soFar.length;
      for (let i = 0; i < prefix && same; i++) same = ids[i] === soFar[soFar.length - prefix + i];
      if (same) change(scores, ids[prefix], bias);
    }
  };
}

/** Texts that are longer than the model: windows that overlap. */

import type { Encoding } from "@qkv/tokenize";
import type { TokenizedText } from "./host";

/**
 * The windows that a text was cut into, from left to right, each with the special tokens around it. Neighbours share as
 * many tokens as the stride said.
 *
 * @param sequence which of a pair was cut: 0 for the text, 1 for its pair
 */
export function windowsOf(text: TokenizedText, sequence: 0 | 1): TokenizedText[] {
  const { encoding, typeIds } = text;
  const more = encoding.overflowing.map((part): TokenizedText => {
    return { encoding: part, ids: part.ids, typeIds: typeIds === null ? null : part.typeIds };
  });
  const windows = [text, ...more];
  // Tokenizers that cut on the left give the last window first.
  const isReversed = firstOffset(encoding, sequence) > firstOffset(windows[windows.length - 1].encoding, sequence);
  return isReversed ? windows.reverse() : windows;
}

function firstOffset({ sequenceIds, offsets }: Encoding, sequence: number): number {
  const row = sequenceIds.indexOf(sequence);
  return row < 0 ? 0 : offsets[row][0];
}

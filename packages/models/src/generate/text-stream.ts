/** The text of new tokens as it comes: ids decoded, and cut at a stop string. */

import type { Tokenizer } from "@qkv/tokenize";
import { StopStrings } from "./stop-strings";

export interface TextStream {
  /** What the next token adds to the text. */
  push(id: number): string;
  /** At the end: what was held back. */
  flush(): string;
  stopped(): boolean;
  /** All so far; null without a tokenizer. */
  whole(): string | null;
}

/** @param prefix ids that the new ones continue as a text */
export function textStream(
  tokenizer: Tokenizer | null,
  prefix: readonly number[],
  stop: readonly string[],
): TextStream {
  // Embeddings are often padded to a round number of rows: ids past the vocabulary have no text.
  const known = (id: number) => tokenizer !== null && id < tokenizer.vocabSize;
  const decoder = tokenizer?.decodeStream({ prefix: prefix.filter(known) }) ?? null;
  const stopStrings = new StopStrings(stop);
  let text = "";
  const shown = (piece: string) => {
    text += piece;
    return piece;
  };
  return {
    push: (id) => (decoder !== null && known(id) ? shown(stopStrings.push(decoder.push(id))) : ""),
    flush: () => (decoder === null ? "" : shown(stopStrings.push(decoder.flush()) + stopStrings.flush())),
    stopped: () => stopStrings.stopped,
    whole: () => (decoder === null ? null : text),
  };
}

/** The text of ids at once; null without a tokenizer. */
export function textOf(tokenizer: Tokenizer | null, prefix: readonly number[], ids: readonly number[]): string | null {
  const stream = textStream(tokenizer, prefix, []);
  for (const id of ids) stream.push(id);
  stream.flush();
  return stream.whole();
}

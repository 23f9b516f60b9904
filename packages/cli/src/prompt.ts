/** Ids that a user gave, held against the model; the model checks them too, in the words of its API. */

import type { Model } from "@qkv/models";
import { UsageError } from "./errors";

/** Throws unless every id is one of the model's tokens. */
export function checkIds({ vocabSize }: Model, flag: string, ids: readonly number[]): void {
  const wrong = ids.find((id) => id >= vocabSize);
  if (wrong === undefined) return;
  throw new UsageError(`${flag}: ${wrong} is no token of this model, which has 0 to ${vocabSize - 1}`);
}

/** Throws unless a prompt fits the model's context. */
export function checkLength({ contextLength }: Model, ids: readonly number[]): void {
  if (ids.length <= contextLength) return;
  const lengths = `the prompt has ${ids.length} tokens, and the context ${contextLength} positions`;
  throw new UsageError(`${lengths}: --context N makes room for more`);
}

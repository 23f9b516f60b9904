/** Token types of a GGUF file's vocabulary (llama.h, LLAMA_TOKEN_TYPE_*), and what is found in a text as it stands. */

import type { AddedToken } from "../added-tokens";
import { MAX_ADDED_TOKEN_LENGTH } from "../limits";
import type { GgufMetadata } from "./gguf-metadata";
import { specialToken } from "./vocab-txt";

export const UNKNOWN = 2;
export const CONTROL = 3;
export const USER_DEFINED = 4;
export const UNUSED = 5;
export const BYTE = 6;

/** Control and user-defined tokens, which are found in the raw text; those of the first kind are special. */
export function markedTokens(
  tokens: readonly string[],
  types: ArrayLike<number> | null,
  source: GgufMetadata,
): { addedTokens: AddedToken[]; specialIds: Set<number> } {
  const addedTokens: AddedToken[] = [];
  const specialIds = new Set<number>();
  for (let id = 0; id < tokens.length; id++) {
    const type = types?.[id];
    if (type !== CONTROL && type !== USER_DEFINED) continue;
    const content = tokens[id];
    if (content.length > MAX_ADDED_TOKEN_LENGTH) {
      source.fail(`tokens[${id}]`, `a marked token of at most ${MAX_ADDED_TOKEN_LENGTH} characters`, content);
    }
    if (type === CONTROL) specialIds.add(id);
    if (content !== "") addedTokens.push({ ...specialToken(id, content), special: type === CONTROL });
  }
  return { addedTokens, specialIds };
}

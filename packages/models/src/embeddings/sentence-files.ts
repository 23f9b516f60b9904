/** sentence-transformers' files around a model: modules.json and what it names. */

import type { Kernels } from "@qkv/core";
import type { CheckedSource } from "../files/checked";
import type { WeightDtype, Weights } from "../weights/weights";
import { PLAIN_SENTENCES, type SentenceSettings } from "./sentence-settings";

/** What the files say; weights are not read yet. */
export type SentenceFiles = Omit<SentenceSettings, "modules">;

/** @returns null for a folder without modules.json */
export async function readSentenceFiles(_files: CheckedSource, _folder: string): Promise<SentenceFiles | null> {
  return null;
}

/** Lays out the weights that the modules have. */
export function layOutSentences(
  _found: SentenceFiles | null,
  _kernels: Kernels,
  _hiddenSize: number,
  _dtype: WeightDtype | undefined,
): { readonly settings: SentenceSettings; readonly weights: readonly Weights[] } {
  return { settings: PLAIN_SENTENCES, weights: [] };
}

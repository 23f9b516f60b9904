/** The words' tables of an encoder-decoder: one for all, unless a checkpoint has several. */

import type { Address, Kernels, Matrix } from "@qkv/core";
import type { Lookup } from "../weights/lookup";
import type { Weights } from "../weights/weights";

/** Tables of both stacks, [V, D] each; the same where they are shared. */
export interface WordTables {
  readonly encoder: Lookup;
  readonly decoder: Lookup;
}

const SHARED = ["shared", "encoder.embed_tokens", "decoder.embed_tokens"] as const;

/**
 * A stack's own table where the file has one, else the shared one, under whichever of its names the file has it: formats
 * without shared tensors keep one copy, under the name that they met first, and PyTorch's own keeps all.
 */
export function sharedWords(w: Weights, vocabSize: number, width: number): WordTables {
  const name = SHARED.find((each) => w.has(`${each}.weight`)) ?? SHARED[0];
  const shared = w.lookup(name, vocabSize, width);
  const own = (stack: string): Lookup => {
    const tensor = `${stack}.weight`;
    if (stack === name || !w.has(tensor)) return shared;
    if (!w.isSame(tensor, shared)) return w.lookup(stack, vocabSize, width);
    w.skip(tensor);
    return shared;
  };
  return { encoder: own("encoder.embed_tokens"), decoder: own("decoder.embed_tokens") };
}

/**
 * The output layer, `lm_head`: the decoder's table where it is tied to it. A head in the file of a tied model is read, as
 * transformers does: a copy gives the same bits, another is meant.
 *
 * @param width of a hidden state
 */
export function lmHead(
  root: Weights,
  words: Lookup,
  tied: boolean,
  width: number,
): { readonly head: Matrix; readonly own: boolean } {
  const name = "lm_head.weight";
  if (tied && root.has(name) && root.isSame(name, words)) root.skip(name);
  else if (!tied || root.has(name)) return { head: root.embedding("lm_head", words.rows, width), own: true };
  return { head: words.asMatrix(), own: false };
}

/** x[i] = x[i] * factor, in float32. */
export function scaleInPlace(kernels: Kernels, x: Address, count: number, factor: number): void {
  if (factor === 1) return;
  const f = Math.fround(factor);
  const values = kernels.arena.f32(x, count);
  for (let i = 0; i < count; i++) values[i] = values[i] * f;
}

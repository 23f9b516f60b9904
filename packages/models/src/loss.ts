/** How well a model predicts. */

import { exp } from "@qkv/core";

/** How well the model predicts a text. */
export interface LossResult {
  /** Mean cross entropy of the predicted ids, in nats. */
  readonly loss: number;
  /** e^loss */
  readonly perplexity: number;
  /** Cross entropy of every predicted id: of a decoder all but the first, [T - 1]; of a target of an encoder-decoder, [T]. */
  readonly tokenLosses: Float64Array;
}

export function lossOf(tokenLosses: Float64Array): LossResult {
  const loss = tokenLosses.reduce((sum, x) => sum + x, 0) / tokenLosses.length;
  return { loss, perplexity: exp(loss), tokenLosses };
}

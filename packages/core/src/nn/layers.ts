/** What layers hold: addresses of weights and the numbers that belong to them. State is never here. */

import type { Matrix } from "../kernels/kernels";
import type { Address } from "../memory/arena";

/** y = x · weightᵀ + bias, for weight [outFeatures, inFeatures] and bias [outFeatures] or none. */
export interface Linear {
  readonly weight: Matrix;
  readonly bias: Address | null;
}

/** The weight of an RMSNorm, [D]. */
export interface RmsNorm {
  readonly weight: Address;
  readonly width: number;
  readonly eps: number;
}

/** The weights of a LayerNorm, [D] each; the bias is left out by some (ModernBERT). */
export interface LayerNorm {
  readonly weight: Address;
  readonly bias: Address | null;
  readonly width: number;
  readonly eps: number;
}

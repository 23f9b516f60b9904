/** The activation functions of transformer MLPs, by their field names, and their scalar definitions. */

import { erfc, sigmoid } from "../elementary";

/**
 * - `relu` max(0, x)
 * - `gelu` x Φ(x), with the error function (Hendrycks and Gimpel 2016)
 * - `gelu-tanh` its tanh approximation; `gelu_new`, `gelu_pytorch_tanh` in configs
 * - `quick-gelu` x σ(1.702 x)
 * - `silu` x σ(x), also called swish
 */
export type Activation = "relu" | "gelu" | "gelu-tanh" | "quick-gelu" | "silu";

export const ACTIVATIONS: readonly Activation[] = ["relu", "gelu", "gelu-tanh", "quick-gelu", "silu"];

const SQRT_HALF = Math.SQRT1_2;
const SQRT_2_OVER_PI = 0.7978845608028654;

/** The function itself, in double precision. -Infinity and Infinity give their limits, NaN gives NaN. */
export function activationFunction(activation: Activation): (x: number) => number {
  switch (activation) {
    case "relu":
      return (x) => Math.max(x, 0);
    case "gelu":
      return (x) => (x === Number.NEGATIVE_INFINITY ? 0 : 0.5 * x * erfc(-x * SQRT_HALF));
    case "gelu-tanh":
      // (1 + tanh z) / 2 = σ(2z), which keeps its precision where tanh is close to -1
      return (x) => (x === Number.NEGATIVE_INFINITY ? 0 : x * sigmoid(2 * SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)));
    case "quick-gelu":
      return (x) => (x === Number.NEGATIVE_INFINITY ? 0 : x * sigmoid(1.702 * x));
    case "silu":
      return (x) => (x === Number.NEGATIVE_INFINITY ? 0 : x * sigmoid(x));
    default:
      throw new RangeError(
        `activation: expected one of ${ACTIVATIONS.join(", ")}, got ${String(activation satisfies never)}`,
      );
  }
}

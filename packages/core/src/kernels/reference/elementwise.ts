/** Activations and gates, element by element. */

import { tanh } from "../../elementary";
import { type Activation, activationFunction } from "../activation";

/** out[i] = f(x[i]). */
export function activate(out: Float32Array, x: Float32Array, activation: Activation): void {
  const f = activationFunction(activation);
  for (let i = 0; i < out.length; i++) out[i] = f(x[i]);
}

/** out[i] = f(gate[i]) * up[i]. */
export function gate(out: Float32Array, gateInput: Float32Array, up: Float32Array, activation: Activation): void {
  const f = activationFunction(activation);
  for (let i = 0; i < out.length; i++) out[i] = f(gateInput[i]) * up[i];
}

/** out[i] = cap * tanh(x[i] / cap). */
export function softCap(out: Float32Array, x: Float32Array, cap: number): void {
  for (let i = 0; i < out.length; i++) out[i] = cap * tanh(x[i] / cap);
}

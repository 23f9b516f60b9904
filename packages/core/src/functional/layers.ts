/** Linear layers, norms, softmax and activations on plain arrays. Each returns a new array. */

import { checkChoice, checkFinite, checkFloats, checkInteger, checkOptions, checkRows } from "../check";
import { ACTIVATIONS, type Activation } from "../kernels/activation";
import * as elementwise from "../kernels/reference/elementwise";
import * as products from "../kernels/reference/matmul";
import * as norms from "../kernels/reference/norm";

/**
 * x · weightᵀ + bias, as a PyTorch `Linear`.
 *
 * @param x [N, I] @param weight [O, I]
 * @returns [N, O]
 * @example
 * linear(new Float32Array([1, 2]), new Float32Array([3, 4, 5, 6]), { inFeatures: 2 }); // [11, 17]
 */
export function linear(
  x: Float32Array,
  weight: Float32Array,
  options: { readonly inFeatures: number; readonly bias?: Float32Array },
): Float32Array {
  checkOptions("linear", options, ["inFeatures", "bias"]);
  const { inFeatures, bias = null } = options;
  checkInteger("inFeatures", inFeatures, 1);
  const rows = checkRows("x", x, inFeatures, `[N, ${inFeatures}]`);
  const outFeatures = checkRows("weight", weight, inFeatures, `[O, ${inFeatures}]`);
  if (bias !== null) checkFloats("bias", bias, outFeatures, "[O]");
  const out = new Float32Array(rows * outFeatures);
  products.matmul(out, x, weight, bias, inFeatures, outFeatures);
  return out;
}

/**
 * Rows of a table by id.
 *
 * @param table [V, D]
 * @returns [N, D] for N ids
 * @throws RangeError for an id outside of 0..V-1
 * @example
 * embedding(new Float32Array([1, 2, 3, 4]), [1, 0], { width: 2 }); // [3, 4, 1, 2]
 */
export function embedding(
  table: Float32Array,
  ids: ArrayLike<number>,
  options: { readonly width: number },
): Float32Array {
  checkOptions("embedding", options, ["width"]);
  const width = checkInteger("width", options.width, 1);
  const rows = checkRows("table", table, width, `[V, ${width}]`);
  for (let i = 0; i < ids.length; i++) checkInteger(`ids[${i}]`, ids[i], 0, rows - 1);
  const out = new Float32Array(ids.length * width);
  products.embedding(out, table, ids, width);
  return out;
}

/**
 * x / sqrt(mean(x²) + eps) * weight, by row (Zhang and Sennrich 2019).
 *
 * @param x [N, D] @param weight [D]
 * @returns [N, D]
 * @example
 * rmsNorm(new Float32Array([3, 4]), new Float32Array([1, 1]), { eps: 0 }); // [0.8485, 1.1314]
 */
export function rmsNorm(x: Float32Array, weight: Float32Array, options: { readonly eps?: number } = {}): Float32Array {
  checkOptions("rmsNorm", options, ["eps"]);
  checkNorm(x, weight);
  const out = new Float32Array(x.length);
  norms.rmsNorm(out, x, weight, checkEps(options.eps ?? 1e-6));
  return out;
}

/**
 * (x - mean) / sqrt(variance + eps) * weight + bias, by row (Ba et al. 2016).
 *
 * @param x [N, D] @param weight [D] @param bias [D] or null
 * @returns [N, D]
 * @example
 * layerNorm(new Float32Array([1, 3]), new Float32Array([1, 1]), null, { eps: 0 }); // [-1, 1]
 */
export function layerNorm(
  x: Float32Array,
  weight: Float32Array,
  bias: Float32Array | null,
  options: { readonly eps?: number } = {},
): Float32Array {
  checkOptions("layerNorm", options, ["eps"]);
  checkNorm(x, weight);
  if (bias !== null) checkFloats("bias", bias, weight.length, "[D]");
  const out = new Float32Array(x.length);
  norms.layerNorm(out, x, weight, bias, checkEps(options.eps ?? 1e-5));
  return out;
}

/**
 * Softmax by row, stable for any size of input; a row of -Infinity alone gives zeros.
 *
 * @param x [N, width]; one row if width is left out
 * @returns [N, width]
 * @example
 * softmax(new Float32Array([1000, 1000])); // [0.5, 0.5]
 */
export function softmax(x: Float32Array, options: { readonly width?: number } = {}): Float32Array {
  checkOptions("softmax", options, ["width"]);
  const width = checkInteger("width", options.width ?? Math.max(1, x?.length), 1);
  checkRows("x", x, width, `[N, ${width}]`);
  const out = new Float32Array(x.length);
  norms.softmax(out, x, width);
  return out;
}

/**
 * An activation function by its name, element by element.
 *
 * @example
 * activate(new Float32Array([-1, 2]), "relu"); // [0, 2]
 */
export function activate(x: Float32Array, activation: Activation): Float32Array {
  checkChoice("activation", activation, ACTIVATIONS);
  checkRows("x", x, 1, "any shape");
  const out = new Float32Array(x.length);
  elementwise.activate(out, x, activation);
  return out;
}

/**
 * max(0, x).
 *
 * @example
 * relu(new Float32Array([-1, 2])); // [0, 2]
 */
export function relu(x: Float32Array): Float32Array {
  return activate(x, "relu");
}

/**
 * x σ(x), also called swish.
 *
 * @example
 * silu(new Float32Array([0, 1])); // [0, 0.7311]
 */
export function silu(x: Float32Array): Float32Array {
  return activate(x, "silu");
}

/**
 * x Φ(x) with the error function, or its tanh approximation.
 *
 * @example
 * gelu(new Float32Array([1]), { approximate: "tanh" }); // [0.8412]
 */
export function gelu(x: Float32Array, options: { readonly approximate?: "none" | "tanh" } = {}): Float32Array {
  return activate(x, geluName("gelu", options));
}

/**
 * x σ(1.702 x), the GELU of CLIP.
 *
 * @example
 * quickGelu(new Float32Array([1])); // [0.8458]
 */
export function quickGelu(x: Float32Array): Float32Array {
  return activate(x, "quick-gelu");
}

/**
 * silu(gate) * up (Shazeer 2020): the inside of LLaMA's MLP.
 *
 * @param gate [N, F] @param up [N, F]
 * @returns [N, F]
 * @example
 * swiglu(new Float32Array([1]), new Float32Array([2])); // [1.4621]
 */
export function swiglu(gate: Float32Array, up: Float32Array): Float32Array {
  return gated(gate, up, "silu");
}

/**
 * gelu(gate) * up (Shazeer 2020): the inside of T5 v1.1's MLP (with `approximate: "tanh"`).
 *
 * @param gate [N, F] @param up [N, F]
 * @returns [N, F]
 * @example
 * geglu(new Float32Array([1]), new Float32Array([2])); // [1.6827]
 */
export function geglu(
  gate: Float32Array,
  up: Float32Array,
  options: { readonly approximate?: "none" | "tanh" } = {},
): Float32Array {
  return gated(gate, up, geluName("geglu", options));
}

/**
 * cap * tanh(x / cap): Gemma 2's bound on logits and scores.
 *
 * @example
 * softCap(new Float32Array([1000]), 30); // [30]
 */
export function softCap(x: Float32Array, cap: number): Float32Array {
  if (!(checkFinite("cap", cap) > 0)) throw new RangeError(`cap: expected more than 0, got ${cap}`);
  checkRows("x", x, 1, "any shape");
  const out = new Float32Array(x.length);
  elementwise.softCap(out, x, cap);
  return out;
}

function gated(gate: Float32Array, up: Float32Array, activation: Activation): Float32Array {
  checkRows("gate", gate, 1, "[N, F]");
  checkFloats("up", up, gate.length, "as gate");
  const out = new Float32Array(gate.length);
  elementwise.gate(out, gate, up, activation);
  return out;
}

function geluName(where: string, options: { readonly approximate?: "none" | "tanh" }): Activation {
  checkOptions(where, options, ["approximate"]);
  const approximate = checkChoice("approximate", options.approximate ?? "none", ["none", "tanh"]);
  return approximate === "tanh" ? "gelu-tanh" : "gelu";
}

function checkNorm(x: Float32Array, weight: Float32Array): void {
  checkFloats("weight", weight, Math.max(1, weight?.length), "[D]");
  checkRows("x", x, weight.length, `[N, ${weight.length}]`);
}

function checkEps(eps: number): number {
  if (!(checkFinite("eps", eps) >= 0)) throw new RangeError(`eps: expected at least 0, got ${eps}`);
  return eps;
}

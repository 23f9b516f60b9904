/**
 * `interface Kernels`: every operation that transformer inference needs, named once.
 *
 * Shape letters, here and everywhere: B batch, T query positions, S key positions, D model width, H query heads,
 * G key/value heads, K head width, F width of the MLP, V vocabulary, L layers, N any number of rows.
 *
 * Layout: all but weight matrices is float32, row-major and dense, and is reached by its address in `arena`. Rows are
 * positions.
 * A row of queries is [H, K], of keys and values [G, K]: attention indexes heads, nothing is transposed or repeated.
 *
 * Arguments are positional, output first, because these calls run thousands of times a token and an options object
 * each would be garbage each; attention, which needs a dozen, takes an object that its caller keeps and reuses.
 *
 * Determinism: every output element is summed in one fixed order that does not depend on the number of rows, on the
 * rows around it or on how a prompt was cut into passes. `out` may be one of the inputs only where it says so.
 *
 * Error bounds hold for the `reference` implementation, against exact arithmetic on the same float32 inputs:
 * "rounded" means correct to 0.5 ulp of float32 plus an error in double precision that is negligible beside it.
 */

import type { Dtype } from "../dtypes/dtype";
import type { Address, Arena } from "../memory/arena";
import type { Activation } from "./activation";
import type { AttentionCall } from "./attention-call";

/**
 * A weight matrix [rows, columns]. As a linear layer: rows are outputs, columns inputs, as in PyTorch.
 *
 * Its numbers stay in `dtype` and are decoded as they are used. How they lie in memory is the implementation's own: a
 * matrix is made by `createMatrix` of the kernels that use it, and filled by their `writeRows`.
 */
export interface Matrix {
  readonly address: Address;
  readonly rows: number;
  readonly columns: number;
  readonly dtype: Dtype;
}

/**
 * What quantised weights are multiplied with: activations as they are, or quantised to 8 bits for each block of 32
 * inputs (`quantizeActivations`), which is faster and costs accuracy. Float weights take activations as they are.
 */
export type ActivationPrecision = "f32" | "int8";

/** One of the products that `matmuls` computes of the same rows. */
export interface Product {
  /** [N, O] */
  out: Address;
  /** [O, I] */
  readonly weight: Matrix;
  /** [O] */
  readonly bias: Address | null;
}

/** Which coordinates of a head rotate together: (i, i + R/2), as in Hugging Face, or (2i, 2i + 1), as in GPT-J. */
export type RopeLayout = "half-split" | "interleaved";

/** How linear attention makes its features positive: elu(x) + 1 (Katharopoulos et al. 2020), relu(x), or x as it is. */
export type FeatureMap = "elu+1" | "relu" | "identity";

/** The shape of a linear attention call. */
export interface LinearAttentionCall {
  /** [T, H, K] */
  readonly q: Address;
  /** [S, G, K] */
  readonly keys: Address;
  /** [S, G, K] */
  readonly values: Address;
  readonly queries: number;
  readonly keyCount: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly featureMap: FeatureMap;
  /** Query t sees keys 0..t; needs queries = keyCount. */
  readonly causal: boolean;
  /** Divide by φ(q)·Σφ(k), so that the weights of the values sum to 1. */
  readonly normalize: boolean;
}

export interface Kernels {
  /** The memory that all addresses point into. */
  readonly arena: Arena;

  /** How activations meet quantised weights. */
  readonly activations: ActivationPrecision;

  /**
   * Reserves a matrix, filed under "weights"; its numbers are undefined until `writeRows` brought every row.
   * Where `columns` is no multiple of a quantised dtype's block, a row's last block is filled with zeros (`rowBytes`);
   * Q6_K takes whole blocks only.
   */
  createMatrix(dtype: Dtype, rows: number, columns: number): Matrix;

  /**
   * Stores whole rows from `row` on, as files hold them: row-major, in the matrix's dtype, at any alignment.
   *
   * @throws RangeError for a part of a row, rows past the end, a scale that is infinite or NaN
   */
  writeRows(matrix: Matrix, row: number, bytes: Uint8Array): void;

  /**
   * out[N, O] = x[N, I] · weightᵀ + bias, for weight [O, I] and bias [O] or none. Rounded once at the end.
   */
  matmul(out: Address, x: Address, weight: Matrix, bias: Address | null, rows: number): void;

  /** Several products of the same x [N, I], such as q, k and v: what they share is done once. */
  matmuls(x: Address, rows: number, products: readonly Product[]): void;

  /** out[N, D] = rows of table [V, D] by id. Decoded exactly. Ids must lie in 0..V-1. */
  embedding(out: Address, table: Matrix, ids: ArrayLike<number>): void;

  /** out[i] = a[i] + b[i]. Rounded. `out` may be `a` or `b`. */
  add(out: Address, a: Address, b: Address, count: number): void;

  /**
   * out = (x - mean) / sqrt(variance + eps) * weight + bias by row of width D; variance is the biased one.
   * Rounded; a constant row gives `bias` exactly (with eps 0 it has no variance to divide by: NaN). `out` may be `x`.
   * Ba et al. 2016.
   */
  layerNorm(
    out: Address,
    x: Address,
    weight: Address,
    bias: Address | null,
    rows: number,
    width: number,
    eps: number,
  ): void;

  /** out = x / sqrt(mean(x²) + eps) * weight by row of width D. Rounded. `out` may be `x`. Zhang and Sennrich 2019. */
  rmsNorm(out: Address, x: Address, weight: Address, rows: number, width: number, eps: number): void;

  /**
   * out = e^(x - max) / Σ e^(x - max) by row. Rounded. `out` may be `x`.
   * A row of -Infinity alone (everything masked) gives zeros, an Infinity shares the row with its equals, NaN spreads.
   */
  softmax(out: Address, x: Address, rows: number, width: number): void;

  /** out[i] = f(x[i]), see `Activation`. Rounded. `out` may be `x`. */
  activate(out: Address, x: Address, count: number, activation: Activation): void;

  /** out[i] = f(gate[i]) * up[i]: SwiGLU, GeGLU, ReGLU (Shazeer 2020). Rounded once. `out` may be `gate` or `up`. */
  gate(out: Address, gate: Address, up: Address, count: number, activation: Activation): void;

  /** out[i] = cap * tanh(x[i] / cap). Rounded. `out` may be `x`. Gemma 2. */
  softCap(out: Address, x: Address, count: number, cap: number): void;

  /**
   * Rotates the first R coordinates of every head in place: x [N, heads, K], cos and sin [N, R/2] (Su et al. 2021).
   * Rounded. R is even and at most K.
   */
  rope(
    x: Address,
    cos: Address,
    sin: Address,
    rows: number,
    heads: number,
    headDim: number,
    rotaryDim: number,
    layout: RopeLayout,
  ): void;

  /**
   * out[T, H, K] = softmax(cap(scale q·kᵀ) + bias, under the mask) · v, see `AttentionCall`. Scores and weights stay in
   * double precision: rounded once. A query that sees no key gives zeros.
   */
  attention(out: Address, call: AttentionCall): void;

  /**
   * Linear attention, out[T, H, K] = φ(q)(φ(k)ᵀv), causal or not. Rounded.
   * Where `normalize` divides by zero (no key, or all features 0) the row is zeros.
   */
  linearAttention(out: Address, call: LinearAttentionCall): void;
}

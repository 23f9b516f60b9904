/** The `reference` implementation of `Kernels`: each op on views of the arena. The oracle; slow, and meant to be read. */

import { quantizedWeight } from "../../dtypes/blocks";
import { blockSizes, type Dtype, decode, isQuantized, rowBytes } from "../../dtypes/dtype";
import type { Address, Arena } from "../../memory/arena";
import type { Activation } from "../activation";
import type { AttentionCall, PositionBias } from "../attention-call";
import type { ActivationPrecision, Kernels, LinearAttentionCall, Matrix, Product, RopeLayout } from "../kernels";
import { checkMatrix, checkRows } from "../matrix";
import { attention, type BiasArray } from "./attention";
import { activate, gate, softCap } from "./elementwise";
import { linearAttention } from "./linear-attention";
import { add, matmul, matmulInt8 } from "./matmul";
import { layerNorm, rmsNorm, softmax } from "./norm";
import { rope } from "./rope";

/** Plain loops over typed arrays, with sums in double precision. Same bits on every machine. */
export class ReferenceKernels implements Kernels {
  readonly arena: Arena;

  readonly activations: ActivationPrecision;

  constructor(arena: Arena, { activations = "int8" }: { readonly activations?: ActivationPrecision } = {}) {
    this.arena = arena;
    this.activations = activations;
  }

  createMatrix(dtype: Dtype, rows: number, columns: number): Matrix {
    checkMatrix(dtype, rows, columns);
    const address = this.arena.allocate(rows * rowBytes(dtype, columns), "weights");
    return { address, rows, columns, dtype };
  }

  writeRows(matrix: Matrix, row: number, bytes: Uint8Array): void {
    const size = checkRows(matrix, row, bytes);
    this.arena.u8(matrix.address + row * size, bytes.length).set(bytes);
  }

  matmul(out: Address, x: Address, weight: Matrix, bias: Address | null, rows: number): void {
    const { rows: outFeatures, columns: inFeatures, dtype } = weight;
    const to = this.#f32(out, rows * outFeatures);
    const from = this.#f32(x, rows * inFeatures);
    const biases = bias === null ? null : this.#f32(bias, outFeatures);
    if (isQuantized(dtype) && this.activations === "int8") {
      matmulInt8(to, from, quantizedWeight(dtype, this.#bytes(weight), inFeatures), biases, inFeatures, outFeatures);
    } else {
      matmul(to, from, this.#decoded(weight), biases, inFeatures, outFeatures);
    }
  }

  matmuls(x: Address, rows: number, products: readonly Product[]): void {
    for (const { out, weight, bias } of products) this.matmul(out, x, weight, bias, rows);
  }

  embedding(out: Address, table: Matrix, ids: ArrayLike<number>): void {
    const rows = this.#f32(out, ids.length * table.columns);
    for (let row = 0; row < ids.length; row++) rows.set(this.#row(table, ids[row]), row * table.columns);
  }

  add(out: Address, a: Address, b: Address, count: number): void {
    add(this.#f32(out, count), this.#f32(a, count), this.#f32(b, count));
  }

  layerNorm(
    out: Address,
    x: Address,
    weight: Address,
    bias: Address | null,
    rows: number,
    width: number,
    eps: number,
  ): void {
    layerNorm(
      this.#f32(out, rows * width),
      this.#f32(x, rows * width),
      this.#f32(weight, width),
      bias === null ? null : this.#f32(bias, width),
      eps,
    );
  }

  rmsNorm(out: Address, x: Address, weight: Address, rows: number, width: number, eps: number): void {
    rmsNorm(this.#f32(out, rows * width), this.#f32(x, rows * width), this.#f32(weight, width), eps);
  }

  softmax(out: Address, x: Address, rows: number, width: number): void {
    softmax(this.#f32(out, rows * width), this.#f32(x, rows * width), width);
  }

  activate(out: Address, x: Address, count: number, activation: Activation): void {
    activate(this.#f32(out, count), this.#f32(x, count), activation);
  }

  gate(out: Address, gateInput: Address, up: Address, count: number, activation: Activation): void {
    gate(this.#f32(out, count), this.#f32(gateInput, count), this.#f32(up, count), activation);
  }

  softCap(out: Address, x: Address, count: number, cap: number): void {
    softCap(this.#f32(out, count), this.#f32(x, count), cap);
  }

  rope(
    x: Address,
    cos: Address,
    sin: Address,
    rows: number,
    heads: number,
    headDim: number,
    rotaryDim: number,
    layout: RopeLayout,
  ): void {
    const angles = (rows * rotaryDim) / 2;
    rope(
      this.#f32(x, rows * heads * headDim),
      this.#f32(cos, angles),
      this.#f32(sin, angles),
      heads,
      headDim,
      rotaryDim,
      layout,
    );
  }

  attention(out: Address, call: AttentionCall): void {
    const { queries, keyCount, heads, kvHeads, headDim, position, scale, softCap: cap, mask, bias, probs } = call;
    const keyRows = call.keyRows === null ? null : this.arena.i32(call.keyRows, keyCount);
    const rows = keyRows === null ? keyCount : keyRows.reduce((most, row) => Math.max(most, row + 1), 0);
    attention(this.#f32(out, queries * heads * headDim), {
      q: this.#f32(call.q, queries * heads * headDim),
      keys: this.#f32(call.keys, rows * kvHeads * headDim),
      values: this.#f32(call.values, rows * kvHeads * headDim),
      keyRows,
      heads,
      kvHeads,
      headDim,
      position,
      scale,
      softCap: cap,
      mask,
      bias: bias === null ? null : this.#bias(bias, heads, queries, keyCount),
      probs: probs === null ? null : this.#f32(probs, heads * queries * keyCount),
    });
  }

  linearAttention(out: Address, call: LinearAttentionCall): void {
    const { queries, keyCount, heads, kvHeads, headDim } = call;
    linearAttention(this.#f32(out, queries * heads * headDim), {
      ...call,
      q: this.#f32(call.q, queries * heads * headDim),
      keys: this.#f32(call.keys, keyCount * kvHeads * headDim),
      values: this.#f32(call.values, keyCount * kvHeads * headDim),
    });
  }

  #bytes({ address, rows, columns, dtype }: Matrix): Uint8Array {
    return this.arena.u8(address, rows * rowBytes(dtype, columns));
  }

  /** One row of a matrix as float32. */
  #row(matrix: Matrix, row: number): Float32Array {
    const { address, columns, dtype } = matrix;
    const size = rowBytes(dtype, columns);
    const { elements } = blockSizes[dtype];
    const whole = new Float32Array(Math.ceil(columns / elements) * elements);
    decode(dtype, this.arena.u8(address + row * size, size), whole);
    return whole.subarray(0, columns);
  }

  /** A whole matrix as float32: in place where it is, else decoded anew for each call. Slow, and plain. */
  #decoded(matrix: Matrix): Float32Array {
    const { address, rows, columns, dtype } = matrix;
    if (dtype === "F32") return this.#f32(address, rows * columns);
    const decoded = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row++) decoded.set(this.#row(matrix, row), row * columns);
    return decoded;
  }

  #f32(address: Address, length: number): Float32Array {
    return this.arena.f32(address, length);
  }

  #bias(bias: PositionBias, heads: number, queries: number, keyCount: number): BiasArray {
    if (bias.kind === "full") return { kind: "full", data: this.#f32(bias.address, heads * queries * keyCount) };
    return { ...bias, data: this.#f32(bias.address, heads * bias.length) };
  }
}

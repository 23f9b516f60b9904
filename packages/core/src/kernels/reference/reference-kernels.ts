/** The `reference` implementation of `Kernels`: each op on views of the arena. The oracle; slow, and meant to be read. */

import type { Address, Arena } from "../../memory/arena";
import type { Activation } from "../activation";
import type { AttentionCall, PositionBias } from "../attention-call";
import type { Kernels, LinearAttentionCall, Matrix, RopeLayout } from "../kernels";
import { attention, type BiasArray } from "./attention";
import { activate, gate, softCap } from "./elementwise";
import { linearAttention } from "./linear-attention";
import { add, embedding, matmul } from "./matmul";
import { layerNorm, rmsNorm, softmax } from "./norm";
import { rope } from "./rope";

/** Plain loops over typed arrays, with sums in double precision. Same bits on every machine. */
export class ReferenceKernels implements Kernels {
  readonly arena: Arena;

  constructor(arena: Arena) {
    this.arena = arena;
  }

  matmul(out: Address, x: Address, weight: Matrix, bias: Address | null, rows: number): void {
    const { rows: outFeatures, columns: inFeatures } = weight;
    matmul(
      this.#f32(out, rows * outFeatures),
      this.#f32(x, rows * inFeatures),
      this.#f32(weight.address, outFeatures * inFeatures),
      bias === null ? null : this.#f32(bias, outFeatures),
      inFeatures,
      outFeatures,
    );
  }

  embedding(out: Address, table: Matrix, ids: ArrayLike<number>): void {
    const { rows, columns } = table;
    embedding(this.#f32(out, ids.length * columns), this.#f32(table.address, rows * columns), ids, columns);
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
    attention(this.#f32(out, queries * heads * headDim), {
      q: this.#f32(call.q, queries * heads * headDim),
      keys: this.#f32(call.keys, keyCount * kvHeads * headDim),
      values: this.#f32(call.values, keyCount * kvHeads * headDim),
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

  #f32(address: Address, length: number): Float32Array {
    return this.arena.f32(address, length);
  }

  #bias(bias: PositionBias, heads: number, queries: number, keyCount: number): BiasArray {
    if (bias.kind === "full") return { kind: "full", data: this.#f32(bias.address, heads * queries * keyCount) };
    return { ...bias, data: this.#f32(bias.address, heads * bias.length) };
  }
}

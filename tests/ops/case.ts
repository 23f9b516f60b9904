/** What the table of ops is made of: a case says how to run one op on one input, and what must come out. */

import type { Address, Arena, Kernels } from "@qkv/core";
import type { Graph, Value } from "../onnx/graph";

/** Arrays by name: the inputs of an op, or its results. */
export type Arrays = Readonly<Record<string, Float32Array>>;

/** A result in double precision, and the size that its rounding errors go by, element by element. */
export interface Exact {
  readonly values: ArrayLike<number>;
  readonly sizes: ArrayLike<number>;
}

/** How far a float32 implementation may be from the exact result: |difference| <= roundings ε size + floor. */
export interface Bound {
  /** In units of ε = 2^-24, half the distance from 1 to the next float32. 0 asks for the same bits. */
  readonly roundings: number;
  /** What `Exact.sizes` holds, in words for the test's name. */
  readonly size: string;
  /** What may be lost whatever the size, where an implementation flushes denormal numbers to 0; 0 if left out. */
  readonly floor?: number;
}

/** Where onnxruntime is known to give something else. Asserted, so that we learn when it changes. */
export interface Divergence {
  readonly why: string;
  /** Indices of the result that differ. */
  readonly at: readonly number[];
  /** What onnxruntime gives there. */
  readonly onnx: number;
}

/** One op on one input. */
export interface OpCase {
  readonly op: string;
  /** Unique within the op. */
  readonly name: string;
  /** In the shape letters of `Kernels`. */
  readonly shape: Readonly<Record<string, number>>;
  /** The same numbers at every call. */
  inputs(): Arrays;
  /** Puts the inputs into the kernels' arena. `run` may be called often, as benchmarks do. */
  prepare(kernels: Kernels, inputs: Arrays): Prepared;
  /** The same by the functions on plain arrays, where there is one. */
  functional?(inputs: Arrays): Arrays;
  /** The same as an ONNX graph, its results by name; or why there is none. */
  readonly onnx: ((graph: Graph, inputs: Arrays) => Readonly<Record<string, Value>>) | string;
  /** The results by an independent formula in double precision. */
  exact(inputs: Arrays): Readonly<Record<string, Exact>>;
  /** What any float32 implementation keeps to; `ReferenceKernels` keeps to 0.5 ulp besides. */
  readonly bound: Bound;
  /** Divergences by result. */
  readonly diverges?: Readonly<Record<string, Divergence>>;
}

/** An op that is ready to run. */
export interface Prepared {
  run(): void;
  /** Copies of the results, by name. */
  results(): Arrays;
}

/** Writes an array into the arena. */
export function place(arena: Arena, array: Float32Array): Address {
  const address = arena.allocate(4 * array.length, "inputs");
  arena.f32(address, array.length).set(array);
  return address;
}

/** An array as its bytes. */
export function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Where the results of an op lie, filled with NaN so that an element that is never written shows. */
export function results(arena: Arena, lengths: Readonly<Record<string, number>>) {
  const at: Record<string, Address> = {};
  for (const [name, length] of Object.entries(lengths)) {
    at[name] = arena.allocate(4 * length, "results");
    arena.f32(at[name], length).fill(Number.NaN);
  }
  const read = (): Arrays =>
    Object.fromEntries(Object.entries(lengths).map(([name, n]) => [name, arena.f32(at[name], n).slice()]));
  return { at, read };
}

/** A result whose errors go by its own size. */
export function relative(values: readonly number[]): Exact {
  return { values, sizes: values.map(Math.abs) };
}

/** A shape as a name: `{ N: 3, D: 5 }` is "N3 D5". */
export function shapeName(shape: Readonly<Record<string, number>>): string {
  return Object.entries(shape)
    .map(([letter, size]) => `${letter}${size}`)
    .join(" ");
}

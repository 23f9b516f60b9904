/** Embeddings in 8 bits or 1 bit a dimension, as sentence-transformers' `quantize_embeddings` has them. */

import { checkOptions } from "@qkv/core";

/** 8 bits a dimension, signed or not, or 1 bit, packed into bytes that are taken as signed or not. */
export type EmbeddingPrecision = "int8" | "uint8" | "binary" | "ubinary";

/** A quantised embedding. */
export interface QuantizedEmbedding<P extends EmbeddingPrecision> {
  /** A number for each dimension; a byte for each 8 dimensions where they are binary. */
  readonly values: P extends "int8" | "binary" ? Int8Array : Uint8Array;
  /** What a step of `values` is worth, where the vector's own scale was taken; else null. */
  readonly scale: P extends "int8" | "uint8" ? number | null : null;
}

/** The least and the greatest of each dimension, over a set of embeddings. */
export type CalibrationRanges = readonly [min: ArrayLike<number>, max: ArrayLike<number>];

/** Options of `quantizeEmbedding`. */
export interface QuantizeEmbeddingOptions {
  /** For int8 and uint8: `calibrationRanges` of embeddings of the same kind. */
  readonly ranges?: CalibrationRanges;
}

/** The vector's own scale maps its largest magnitude to this. */
const LARGEST_INT8 = 127;
/** uint8 with a scale of its own: what 0 becomes. */
const UINT8_ZERO = 128;
/** Steps between the ends of a calibrated range. */
const RANGE_STEPS = 255;

/**
 * An embedding in fewer bits. The result depends on nothing but the vector and the ranges.
 *
 * - `int8`, `uint8` with `ranges`: floor((x - min) / ((max - min) / 255)), held to 0..255, less 128 for int8; in single
 *   precision, and with a step of 1 where min = max. The formula of sentence-transformers 6.2.
 * - `int8`, `uint8` without: the vector's own scale s = max|x| / 127, and x / s to the nearest integer, ties away from
 *   0; x is about s · value, and s · (value - 128) for uint8. Zeros have a scale of 0.
 * - `ubinary`: a bit for each dimension, 1 where x > 0, the first in the highest bit of the first byte; the last byte is
 *   filled up with 0. `binary`: these bytes less 128.
 *
 * @throws RangeError for numbers that are not finite, ranges of another width or upside down, ranges where nothing
 *   reads them, and for another precision; TypeError for what is no Float32Array, and for unknown options
 * @example
 * quantizeEmbedding(Float32Array.of(0.5, -1), "int8"); // { values: Int8Array [64, -127], scale: 1 / 127 }
 * quantizeEmbedding(Float32Array.of(0.5, -1), "ubinary").values; // Uint8Array [128]
 */
export function quantizeEmbedding<P extends "int8" | "uint8">(
  vector: Float32Array,
  precision: P,
): QuantizedEmbedding<P> & { readonly scale: number };
export function quantizeEmbedding<P extends EmbeddingPrecision>(
  vector: Float32Array,
  precision: P,
  options?: QuantizeEmbeddingOptions,
): QuantizedEmbedding<P>;
export function quantizeEmbedding(
  vector: Float32Array,
  precision: EmbeddingPrecision,
  options: QuantizeEmbeddingOptions = {},
): { readonly values: Int8Array | Uint8Array; readonly scale: number | null } {
  checkOptions("quantizeEmbedding", options, ["ranges"]);
  checkFinite("vector", vector);
  const { ranges } = options;
  switch (precision) {
    case "int8":
    case "uint8":
      return ranges === undefined ? byOwnScale(vector, precision) : byRanges(vector, precision, ranges);
    case "binary":
    case "ubinary": {
      if (ranges !== undefined) throw new RangeError(`ranges: ${precision} takes none`);
      const bits = packBits(vector);
      return { values: precision === "ubinary" ? bits : Int8Array.from(bits, (byte) => byte - 128), scale: null };
    }
    default:
      throw new RangeError(
        `precision: expected one of int8, uint8, binary, ubinary, got ${String(precision satisfies never)}`,
      );
  }
}

/**
 * The least and the greatest of each dimension, which `quantizeEmbedding` takes as `ranges`: over a few thousand
 * embeddings of texts like those to come. What lies outside of them later is held to their ends.
 *
 * @param vectors at least one, all of one width
 * @throws RangeError for no vectors, unequal widths, numbers that are not finite; TypeError for what is no Float32Array
 * @example
 * calibrationRanges([Float32Array.of(0.5, -1), Float32Array.of(0.25, 2)]); // [[0.25, -1], [0.5, 2]]
 */
export function calibrationRanges(vectors: readonly Float32Array[]): [min: Float32Array, max: Float32Array] {
  if (vectors.length === 0) throw new RangeError("vectors: expected at least one, got none");
  checkFinite("vectors[0]", vectors[0]);
  const width = vectors[0].length;
  const [min, max] = [vectors[0].slice(), vectors[0].slice()];
  vectors.forEach((vector, v) => {
    checkFinite(`vectors[${v}]`, vector);
    if (vector.length !== width) {
      throw new RangeError(`vectors[${v}]: expected ${width} numbers like the first, got ${vector.length}`);
    }
    for (let i = 0; i < width; i++) {
      if (vector[i] < min[i]) min[i] = vector[i];
      if (vector[i] > max[i]) max[i] = vector[i];
    }
  });
  return [min, max];
}

function byOwnScale(
  vector: Float32Array,
  precision: "int8" | "uint8",
): { readonly values: Int8Array | Uint8Array; readonly scale: number } {
  let largest = 0;
  for (const x of vector) largest = Math.max(largest, Math.abs(x));
  const scale = largest / LARGEST_INT8;
  const steps = (x: number) => (scale === 0 ? 0 : Math.sign(x) * Math.floor(Math.abs(x) / scale + 0.5));
  const values = Int8Array.from(vector, steps);
  return { values: precision === "int8" ? values : Uint8Array.from(values, (value) => value + UINT8_ZERO), scale };
}

function byRanges(
  vector: Float32Array,
  precision: "int8" | "uint8",
  ranges: CalibrationRanges,
): { readonly values: Int8Array | Uint8Array; readonly scale: null } {
  checkRanges(ranges, vector.length);
  const [min, max] = ranges;
  const f32 = Math.fround;
  const codes = new Uint8Array(vector.length);
  for (let i = 0; i < codes.length; i++) {
    const start = f32(min[i]);
    const step = f32(f32(f32(max[i]) - start) / RANGE_STEPS);
    const place = f32(f32(vector[i] - start) / (step === 0 ? 1 : step));
    codes[i] = Math.max(0, Math.min(RANGE_STEPS, Math.floor(place)));
  }
  return { values: precision === "uint8" ? codes : Int8Array.from(codes, (code) => code - 128), scale: null };
}

/** As numpy's `packbits`: the first of eight in the highest bit. */
function packBits(vector: Float32Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(vector.length / 8));
  for (let i = 0; i < vector.length; i++) if (vector[i] > 0) bytes[i >> 3] |= 0x80 >> (i & 7);
  return bytes;
}

function checkFinite(name: string, vector: Float32Array): void {
  const kind = Object.prototype.toString.call(vector);
  if (kind !== "[object Float32Array]") throw new TypeError(`${name}: expected a Float32Array, got ${kind}`);
  for (let i = 0; i < vector.length; i++) {
    if (!Number.isFinite(vector[i])) throw new RangeError(`${name}[${i}]: expected a finite number, got ${vector[i]}`);
  }
}

function checkRanges(ranges: CalibrationRanges, width: number): void {
  if (!Array.isArray(ranges) || ranges.length !== 2) {
    throw new TypeError("ranges: expected [min, max], as calibrationRanges gives them");
  }
  const [min, max] = ranges;
  if (min?.length !== width || max?.length !== width) {
    throw new RangeError(`ranges: expected ${width} numbers each, got ${min?.length} and ${max?.length}`);
  }
  for (let i = 0; i < width; i++) {
    if (!(Number.isFinite(Math.fround(min[i])) && Number.isFinite(Math.fround(max[i])) && min[i] <= max[i])) {
      throw new RangeError(`ranges: dimension ${i} goes from ${min[i]} to ${max[i]}, which is no range`);
    }
  }
}

/**
 * Large inputs, cheaply: a run of random numbers, repeated. No kernel's time depends on the numbers, as long as none is
 * denormal.
 */

import { type Dtype, quantizeQ4_1, quantizeQ8_0, rowBytes } from "@qkv/core";
import { bytesOf } from "../../tests/ops/case";
import { Random } from "../../tests/ops/random";

/** Numbers before they repeat: no power of two, so that rows differ. */
const RUN = 65_521;
/** Weights that are made before they repeat. */
const PATTERN_BYTES = 1 << 20;

function repeat<A extends Float32Array | Uint8Array | Int8Array>(array: A, made: number): A {
  for (let done = made; done < array.length; done *= 2) array.copyWithin(done, 0, Math.min(done, array.length - done));
  return array;
}

/** Numbers in [-1, 1). */
export function noise(count: number): Float32Array {
  const random = new Random(count);
  const made = Math.min(count, RUN);
  const out = new Float32Array(count);
  for (let i = 0; i < made; i++) out[i] = 2 * random.next() - 1;
  return repeat(out, made);
}

/** Bytes of any value below `end`. */
export function bytes(count: number, end = 256): Uint8Array {
  const random = new Random(count);
  const made = Math.min(count, RUN);
  const out = new Uint8Array(count);
  for (let i = 0; i < made; i++) out[i] = random.integer(end);
  return repeat(out, made);
}

/** Rows of weights, some of them: as many as a pattern has, to be written over and over. */
export function weightRows(dtype: Dtype, rows: number, columns: number): { bytes: Uint8Array; rows: number } {
  const size = rowBytes(dtype, columns);
  const count = Math.min(rows, Math.max(1, Math.floor(PATTERN_BYTES / size)));
  return { bytes: encode(dtype, noise(count * columns)), rows: count };
}

function encode(dtype: Dtype, x: Float32Array): Uint8Array {
  switch (dtype) {
    case "F32":
      return bytesOf(x);
    case "F16": // signs and fractions of the float32, and 2^-2 for all
      return bytesOf16(Uint16Array.from(new Uint32Array(x.buffer), (bits) => ((bits >> 13) & 0x83ff) | 0x3400));
    case "Q8_0":
    case "Q4_1": {
      const out = new Uint8Array(rowBytes(dtype, x.length));
      (dtype === "Q8_0" ? quantizeQ8_0 : quantizeQ4_1)(x, out);
      return out;
    }
    default:
      throw new RangeError(`no benchmark has weights of ${dtype}`);
  }
}

function bytesOf16({ buffer, byteOffset, byteLength }: Uint16Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

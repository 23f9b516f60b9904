/** Weights in every dtype, for tests and benchmarks: the same bytes on every machine. */

import { blockSizes, type Dtype, rowBytes } from "@qkv/core";
import { bytesOf } from "./case";
import { Random } from "./random";

/** Rows of a dtype with scales of a plausible size, and everything else at random: every bit pattern is a weight. */
export function randomRows(dtype: Dtype, rows: number, columns: number, seed: number): Uint8Array {
  const random = new Random(seed);
  if (dtype === "F32") return bytesOf(random.normal(rows * columns)).slice();
  const size = rowBytes(dtype, columns);
  const bytes = Uint8Array.from({ length: rows * size }, () => random.integer(256));
  const { bytes: step } = blockSizes[dtype];
  const scales = { F16: [0], BF16: [0], Q8_0: [0], Q4_0: [0], Q4_1: [0, 2], Q6_K: [208] }[dtype];
  for (let at = 0; at < bytes.length; at += step) {
    for (const place of scales) {
      // Exponents from denormal to 2^0 in binary16 (of either sign), from 2^-4 to 2^0 in bfloat16.
      if (dtype === "BF16") bytes[at + 1] = (random.integer(2) << 7) | (0x3d + random.integer(3));
      else bytes[at + place + 1] = (random.integer(2) << 7) | random.integer(0x40);
    }
  }
  return bytes;
}

/** A reader of safetensors for tests: independent of the one that is tested, small files only, F32. */

import { readFileSync } from "node:fs";

export interface Expected {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export function readExpected(path: string): Map<string, Expected> {
  const file = readFileSync(path);
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + headerBytes).toString("utf8")) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, Expected>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    if (dtype !== "F32") throw new Error(`${path}: ${name} is ${dtype}`);
    const [start, end] = data_offsets.map((offset) => 8 + headerBytes + offset);
    const bytes = new Uint8Array(file.subarray(start, end)); // a copy, so that it is aligned
    tensors.set(name, { shape, data: new Float32Array(bytes.buffer) });
  }
  return tensors;
}

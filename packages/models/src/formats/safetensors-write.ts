/** Writes float32 tensors as safetensors: what `trace` saves. */

import { elementCount } from "./tensor";

/** A tensor to be written; `data` is row-major, its length the product of `shape`. */
export interface TensorToWrite {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/**
 * The first bytes of a safetensors file (length and header, padded with spaces to a multiple of 8); the tensors' bytes
 * follow in the given order. For who writes them as they come: `writeSafetensors` makes the whole file.
 * Throws TypeError for a name that comes twice or is `__metadata__`, and for a shape that is none.
 */
export function safetensorsHeader(
  tensors: readonly {
    readonly name: string;
    readonly shape: readonly number[];
  }[],
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  // Entry by entry: an object would put names such as "0" first and trip over "__proto__".
  const entries = metadata === undefined ? [] : [`"__metadata__":${JSON.stringify(metadata)}`];
  const names = new Set(["__metadata__"]);
  let end = 0;
  for (const { name, shape } of tensors) {
    if (names.has(name)) throw new TypeError(`a safetensors file cannot have the tensor "${name}" (twice)`);
    if (!shape.every((dimension) => Number.isSafeInteger(dimension) && dimension >= 0)) {
      throw new TypeError(`tensor "${name}" has the shape [${shape}]: non-negative integers were expected`);
    }
    names.add(name);
    const start = end;
    end += 4 * elementCount(shape);
    entries.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype: "F32", shape, data_offsets: [start, end] })}`);
  }
  const json = new TextEncoder().encode(`{${entries.join(",")}}`);
  const header = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(json, 8);
  return header;
}

/** A whole safetensors file of float32 tensors, in the given order. Errors as `safetensorsHeader`. */
export function writeSafetensors(
  tensors: readonly TensorToWrite[],
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  const header = safetensorsHeader(tensors, metadata);
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.data.byteLength, header.length);
  const file = new Uint8Array(bytes);
  file.set(header);
  let at = header.length;
  for (const { name, shape, data } of tensors) {
    if (data.length !== elementCount(shape)) {
      throw new TypeError(
        `tensor "${name}" has ${data.length} elements, and its shape [${shape}] ${elementCount(shape)}`,
      );
    }
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

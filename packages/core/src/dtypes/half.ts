/** 16-bit floats to float32, bit for bit: every value, subnormals, infinities and NaN payloads included. */

/** float32 bits of each of the 65536 halves, made on first use (a quarter of a megabyte, a millisecond). */
let halfBits: Uint32Array | null = null;
let halfValues: Float32Array | null = null;

/**
 * The float32 bits of an IEEE 754 binary16: 1 sign bit, 5 of exponent (bias 15), 10 of fraction.
 * A subnormal half is a normal float32, so its fraction is shifted up until the implicit one appears.
 */
function widen(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 127 - 15) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21; // from the top set bit to bit 10
  return sign | ((127 - 14 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

function table(): Uint32Array {
  if (halfBits === null) {
    halfBits = Uint32Array.from({ length: 0x10000 }, (_, half) => widen(half));
    halfValues = new Float32Array(halfBits.buffer as ArrayBuffer);
  }
  return halfBits;
}

/** The value of one binary16, given as its 16 bits: the scale of a quantized block. */
export function halfToFloat(half: number): number {
  table();
  return halfValues![half & 0xffff];
}

/** Decodes n little-endian binary16 values (2n bytes, at any alignment) to out[outStart, outStart + n). */
export function decodeF16(bytes: Uint8Array, out: Float32Array, outStart: number): void {
  const bits = table();
  // As integers: a float32 that passes through a number may lose a NaN's payload.
  const to = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0, o = outStart; i + 1 < bytes.length; i += 2, o++) to[o] = bits[bytes[i] | (bytes[i + 1] << 8)];
}

/** Decodes n little-endian bfloat16 values (2n bytes), the upper halves of float32s, to out[outStart, outStart + n). */
export function decodeBF16(bytes: Uint8Array, out: Float32Array, outStart: number): void {
  const to = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0, o = outStart; i + 1 < bytes.length; i += 2, o++) to[o] = (bytes[i] << 16) | (bytes[i + 1] << 24);
}

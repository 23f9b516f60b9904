import { describe, expect, it } from "vitest";
import { decodeBF16, decodeF16, halfToFloat } from "./half";

describe("halves", () => {
  it("gives all 65536 binary16 values exactly", () => {
    for (let half = 0; half < 0x10000; half++) {
      const exponent = (half >> 10) & 31;
      const fraction = half & 1023;
      const size =
        exponent === 31
          ? fraction === 0
            ? Number.POSITIVE_INFINITY
            : Number.NaN
          : exponent === 0
            ? fraction * 2 ** -24
            : (1024 + fraction) * 2 ** (exponent - 25);
      const expected = half & 0x8000 ? -size : size;
      if (!Object.is(halfToFloat(half), expected)) expect(halfToFloat(half), half.toString(16)).toBe(expected);
    }
  });

  it("decodes binary16 at odd addresses, with signs, infinities and a NaN's payload", () => {
    const bytes = new Uint8Array([0xff, 0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0x00, 0x80, 0x00, 0x7c, 0x01, 0xfe]);
    const out = new Float32Array(8).fill(7);
    decodeF16(bytes.subarray(1), out, 1);
    expect([...out]).toEqual([7, 1, -2, 2 ** -24, -0, Number.POSITIVE_INFINITY, Number.NaN, 7]);
    expect(new Uint32Array(out.buffer)[6]).toBe(0xffc02000);
  });

  it("decodes bfloat16 at odd addresses, as the upper half of a float32", () => {
    const bytes = new Uint8Array([0xff, 0x80, 0x3f, 0x49, 0xc0, 0x01, 0x00, 0x80, 0xff, 0xc1, 0x7f]);
    const out = new Float32Array(6);
    decodeBF16(bytes.subarray(1), out, 1);
    expect([...out]).toEqual([0, 1, -3.140625, 2 ** -133, Number.NEGATIVE_INFINITY, Number.NaN]);
    expect(new Uint32Array(out.buffer)[5]).toBe(0x7fc10000);
  });
});

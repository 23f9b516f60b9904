/** What several stages need: checks of values, and arrays that grow or become text. */

export function isIntegerFrom(min: number, value: unknown, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}

export function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

/** A larger copy, with zeros behind. */
export function grown(from: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const to = new Int32Array(length);
  to.set(from);
  return to;
}

/** Longest list of arguments that is safe everywhere. */
const CHUNK = 4096;

/** The first `length` UTF-16 units as a string. */
export function textOfUnits(units: Uint16Array, length: number): string {
  let text = "";
  for (let at = 0; at < length; at += CHUNK) {
    const chunk = units.subarray(at, Math.min(length, at + CHUNK));
    text += String.fromCharCode.apply(null, chunk as unknown as number[]);
  }
  return text;
}

/** GPT-2's byte alphabet: a printable character for each of the 256 bytes, in both directions. */

import { utf8Of } from "../utf8";

/** Byte to UTF-16 unit: printable Latin-1 stands for itself, the other 68 bytes follow from U+0100 on. */
export const unitOfByte = new Uint16Array(256);

const byteOf = new Int16Array(0x144).fill(-1);

for (let byte = 0, next = 0x100; byte < 256; byte++) {
  const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  const unit = printable ? byte : next++;
  unitOfByte[byte] = unit;
  byteOf[unit] = byte;
}

/** A text's UTF-8, spelled. */
export function spelled(text: string): string {
  // Not spread, as a token may be long.
  return utf8Of(text).reduce((spelling, byte) => spelling + String.fromCharCode(unitOfByte[byte]), "");
}

/** The byte that a UTF-16 unit spells, or -1. */
export function byteOfUnit(unit: number): number {
  return unit < byteOf.length ? byteOf[unit] : -1;
}

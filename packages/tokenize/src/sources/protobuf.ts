/** A reader of protocol buffers (protobuf.dev/programming-guides/encoding) for untrusted bytes: what .model files need. */

import { fileError } from "../errors";

const VARINT = 0;
const FIXED_64 = 1;
const BYTES = 2;
const FIXED_32 = 5;

/** The fields of one message, one after another: `next`, then one of the readers. What is not read is skipped. */
export class ProtobufReader {
  /** Number of the field that `next` has found. */
  field = 0;
  readonly #file: string;
  /** The message's name, for errors. */
  readonly #name: string;
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;
  /** Of the field found: its wire type, and where its value lies. */
  #wire = VARINT;
  #start = 0;

  constructor(bytes: Uint8Array, file: string, name: string, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#file = file;
    this.#name = name;
    this.#at = start;
    this.#end = end;
  }

  /** Goes on to the next field; false at the end of the message. */
  next(): boolean {
    if (this.#at === this.#end) return false;
    const tag = this.#varint("a field's number");
    this.field = Math.floor(tag / 8);
    this.#wire = tag % 8;
    if (this.field < 1 || this.field > 0x1fffffff) this.fail("a field's number", `${this.field}`);
    this.#start = this.#at;
    switch (this.#wire) {
      case VARINT:
        this.#varint("a number");
        break;
      case FIXED_64:
        this.#skip(8);
        break;
      case FIXED_32:
        this.#skip(4);
        break;
      case BYTES: {
        const length = this.#varint("a length");
        this.#start = this.#at;
        this.#skip(length);
        break;
      }
      default:
        this.fail("a wire type of 0, 1, 2 or 5", `${this.#wire}`);
    }
    return true;
  }

  /** A 32-bit integer; -1 takes ten bytes. */
  int32(): number {
    this.#expect(VARINT, "a number");
    let low = 0;
    for (let at = this.#start, shift = 0; shift < 32; shift += 7) {
      const byte = this.#bytes[at++];
      low |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    return low;
  }

  boolean(): boolean {
    this.#expect(VARINT, "true or false");
    for (let at = this.#start; at < this.#at; at++) if ((this.#bytes[at] & 127) !== 0) return true;
    return false;
  }

  float(): number {
    this.#expect(FIXED_32, "a float");
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#start).getFloat32(0, true);
  }

  /** A view of the file's bytes. */
  bytes(): Uint8Array {
    this.#expect(BYTES, "bytes");
    return this.#bytes.subarray(this.#start, this.#at);
  }

  string(): string {
    this.#expect(BYTES, "a string");
    const bytes = this.#bytes;
    let at = this.#start;
    let text = "";
    // Most pieces are ASCII behind U+2581, and too short for a decoder to pay.
    if (bytes[at] === 0xe2 && bytes[at + 1] === 0x96 && bytes[at + 2] === 0x81 && this.#at - at >= 3) {
      text = "\u2581";
      at += 3;
    }
    while (at < this.#at && bytes[at] < 0x80) text += String.fromCharCode(bytes[at++]);
    if (at === this.#at) return text;
    try {
      // A copy, as browsers refuse to decode shared memory.
      return utf8.decode(bytes.slice(this.#start, this.#at));
    } catch {
      return this.fail("UTF-8", "other bytes");
    }
  }

  message(name: string): ProtobufReader {
    this.#expect(BYTES, "a message");
    return new ProtobufReader(this.#bytes, this.#file, name, this.#start, this.#at);
  }

  fail(expected: string, got: string): never {
    const at = `${this.#name}, field ${this.field} at byte ${this.#start}`;
    throw fileError(this.#file, at, expected, got);
  }

  #expect(wire: number, what: string): void {
    if (this.#wire !== wire) this.fail(what, `wire type ${this.#wire}`);
  }

  #skip(length: number): void {
    if (length > this.#end - this.#at) this.fail(`${length} bytes`, `${this.#end - this.#at}`);
    this.#at += length;
  }

  /** Exact up to 2^53, which is more than any length or field number; at most ten bytes. */
  #varint(what: string): number {
    let result = 0;
    let factor = 1;
    for (let count = 0; count < 10; count++) {
      if (this.#at >= this.#end) return this.fail(what, "the end of the message");
      const byte = this.#bytes[this.#at++];
      result += (byte & 127) * factor;
      if (byte < 128) return result;
      factor *= 128;
    }
    return this.fail(`${what} of at most ten bytes`, "more");
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

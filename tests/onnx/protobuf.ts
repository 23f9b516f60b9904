/** Protocol buffers, the writing half of the wire format: as much as ONNX files need. */

const VARINT = 0;
const BYTES = 2;
const FIXED32 = 5;

const utf8 = new TextEncoder();

/**
 * One message. Fields are written in the order of the calls; a repeated field is written once for each value.
 *
 * @example
 * new Message().text(1, "onnx").integer(2, 23).message(3, new Message().float(1, 0.5)).bytes();
 */
export class Message {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** A string field. */
  text(field: number, value: string): this {
    return this.raw(field, utf8.encode(value));
  }

  /** An int32, int64, bool or enum field; negative numbers as 64-bit two's complement. */
  integer(field: number, value: number | bigint): this {
    this.#push(tag(field, VARINT));
    return this.#push(varint(BigInt(value)));
  }

  /** A float field, in the format's little-endian order. */
  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#push(tag(field, FIXED32));
    return this.#push(bytes);
  }

  /** A bytes field. The bytes are not copied before `bytes()`. */
  raw(field: number, value: Uint8Array): this {
    this.#push(tag(field, BYTES));
    this.#push(varint(BigInt(value.length)));
    return this.#push(value);
  }

  /** A field that is a message itself. */
  message(field: number, value: Message): this {
    this.#push(tag(field, BYTES));
    this.#push(varint(BigInt(value.#length)));
    for (const part of value.#parts) this.#push(part);
    return this;
  }

  /** The encoded message. */
  bytes(): Uint8Array {
    const out = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  #push(part: Uint8Array): this {
    this.#parts.push(part);
    this.#length += part.length;
    return this;
  }
}

function tag(field: number, wireType: number): Uint8Array {
  return varint(BigInt((field << 3) | wireType));
}

/** Seven bits a byte, lowest first, the top bit set on all but the last. */
function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

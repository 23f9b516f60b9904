/** Characters from bytes, against TextDecoder. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { byteOfToken, pushUtf8, tokenOfByte, Utf8Assembler } from "./utf8";

function assemble(bytes: Iterable<number>): string {
  const assembler = new Utf8Assembler();
  let text = "";
  for (const byte of bytes) text += assembler.push(byte);
  return text + assembler.flush();
}

test("every code point, there and back", () => {
  const encoder = new TextEncoder();
  const assembler = new Utf8Assembler();
  for (let code = 0; code <= 0x10ffff; code += code < 0x3000 ? 1 : 37) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const bytes: number[] = [];
    pushUtf8(code, bytes);
    const character = String.fromCodePoint(code);
    if (bytes.join() !== encoder.encode(character).join()) throw new Error(`wrong bytes for U+${code.toString(16)}`);
    const parts = bytes.map((byte) => assembler.push(byte));
    if (parts.join("") !== character) throw new Error(`wrong character for U+${code.toString(16)}`);
  }
  expect(assembler.wrongBytes).toBe(0);
});

test("TextDecoder accepts exactly what has no wrong bytes, and then reads the same", () => {
  const edge = fc.constantFrom(
    0x41,
    0x80,
    0x8f,
    0x90,
    0x9f,
    0xa0,
    0xbf,
    0xc1,
    0xc2,
    0xe0,
    0xe4,
    0xed,
    0xf0,
    0xf4,
    0xf5,
  );
  fc.assert(
    fc.property(fc.array(edge, { maxLength: 8 }), (bytes) => {
      const text = assemble(bytes);
      let strict: string | null = null;
      try {
        strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
      } catch {}
      if (strict !== null) expect(text).toBe(strict);
      else expect(text).toContain("\uFFFD");
    }),
    { seed: 7, numRuns: 5000 },
  );
});

test("each wrong byte is one U+FFFD, and what follows it is read afresh", () => {
  expect(assemble([0xe4, 0xbd, 0x41])).toBe("\uFFFD\uFFFDA");
  expect(assemble([0xf0, 0x9f, 0x98])).toBe("\uFFFD\uFFFD\uFFFD");
  expect(assemble([0xe4, 0xe4, 0xbd, 0xa0])).toBe("\uFFFD你");
  expect(assemble([0xed, 0xa0, 0x80])).toBe("\uFFFD\uFFFD\uFFFD");
});

test("byte tokens", () => {
  for (let byte = 0; byte < 256; byte++) expect(byteOfToken(tokenOfByte(byte))).toBe(byte);
  expect(byteOfToken("<0xaF>")).toBe(0xaf);
  for (const token of ["<0xG0>", "<0x0>", "<0x000>", "0x41", "", "<0x4 >", "{0x41}", "<0x41]"]) {
    expect(byteOfToken(token)).toBe(-1);
  }
});

/** Decoding GPT-2's byte alphabet: the bytes of all tokens are one stream of UTF-8. */

import { byteOfUnit } from "../text/byte-alphabet";
import { pushUtf8 } from "../utf8";
import type { Sink } from "./sink";

/** Makes one token of all. What is no UTF-8 becomes U+FFFD, one for each start of a character that breaks off. */
export function byteLevelStage(next: Sink): Sink {
  const utf8 = new LossyUtf8();
  let held = "";
  return {
    push(text, ends) {
      held += text;
      if (!ends) return;
      let result = "";
      if (isAlphabet(held)) {
        for (let at = 0; at < held.length; at++) result += utf8.push(byteOfUnit(held.charCodeAt(at)));
      } else {
        const bytes: number[] = [];
        for (const character of held) pushUtf8(character.codePointAt(0) as number, bytes);
        for (const byte of bytes) result += utf8.push(byte);
      }
      held = "";
      next.push(result, false);
    },
    finish() {
      next.push(utf8.flush(), true);
      next.finish();
    },
  };
}

/** A token with any other character stands for its own UTF-8: an added token. */
function isAlphabet(token: string): boolean {
  for (let at = 0; at < token.length; at++) if (byteOfUnit(token.charCodeAt(at)) < 0) return false;
  return true;
}

/** The decoder of the Encoding Standard, a byte at a time: what TextDecoder and Rust's from_utf8_lossy give. */
class LossyUtf8 {
  #needed = 0;
  #code = 0;
  #min = 0x80;
  #max = 0xbf;

  push(byte: number): string {
    if (this.#needed === 0) return byte < 0x80 ? String.fromCharCode(byte) : this.#lead(byte);
    const fits = byte >= this.#min && byte <= this.#max;
    this.#min = 0x80;
    this.#max = 0xbf;
    if (!fits) {
      this.#needed = 0;
      return `\uFFFD${this.push(byte)}`;
    }
    this.#code = (this.#code << 6) | (byte & 63);
    return --this.#needed === 0 ? String.fromCodePoint(this.#code) : "";
  }

  flush(): string {
    const rest = this.#needed > 0 ? "\uFFFD" : "";
    this.#needed = 0;
    return rest;
  }

  #lead(byte: number): string {
    if (byte < 0xc2 || byte > 0xf4) return "\uFFFD";
    this.#needed = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    this.#code = byte & (0x3f >> this.#needed);
    // No overlong forms, no surrogates, nothing past U+10FFFF.
    if (byte === 0xe0) this.#min = 0xa0;
    else if (byte === 0xed) this.#max = 0x9f;
    else if (byte === 0xf0) this.#min = 0x90;
    else if (byte === 0xf4) this.#max = 0x8f;
    return "";
  }
}

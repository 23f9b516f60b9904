/**
 * sentencepiece's precompiled charsmap: a map from strings to what they normalize to, as a double array over UTF-8 bytes
 * (Darts-clone, github.com/s-yata/darts-clone) and the replacements, each ended by NUL.
 */

import { MAX_CHARSMAP_TEXT, MAX_GROWTH } from "../limits";
import { pushUtf8 } from "../utf8";

export { normalizePrecompiled } from "./precompiled";

type Fail = (expected: string, got: string) => never;

/** The fields of a unit of the double array. Of a value unit, bit 31 makes the label unlike any byte. */
const label = (unit: number): number => unit & 0x800000ff;
const offset = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
const hasValue = (unit: number): boolean => (unit & 0x100) !== 0;
const value = (unit: number): number => unit & 0x7fffffff;

export class Charsmap {
  /** The whole blob, as a .model file has it. */
  readonly bytes: Uint8Array;
  /** Most times that it can lengthen a text, in UTF-16 units. */
  readonly growth: number;
  /** By ASCII code, 1 where neither the character nor it and another ASCII character are a key. */
  readonly plain = new Uint8Array(128);
  /** By UTF-16 unit, as far as asked: 1 where no key starts with it, 2 where one may, or it is one half of a pair. */
  #inert: Uint8Array | null = null;
  /** UTF-16 units of the key that the last call of `find` found. */
  matched = 0;
  readonly #units: Int32Array;
  readonly #replacements: Uint8Array;
  readonly #texts = new Map<number, string>();
  readonly #bytes: number[] = [];
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  constructor(bytes: Uint8Array, fail: Fail) {
    // Not slice(), which of a Buffer is a view.
    this.bytes = new Uint8Array(bytes);
    const view = new DataView(this.bytes.buffer);
    const size = bytes.length < 4 ? 0 : view.getUint32(0, true);
    if (size < 4 || size % 4 !== 0 || size >= bytes.length - 4) {
      fail("the size of a double array that fits in", `${size} in ${bytes.length} bytes`);
    }
    this.#units = new Int32Array(size / 4);
    for (let i = 0; i < this.#units.length; i++) this.#units[i] = view.getInt32(4 + i * 4, true);
    this.#replacements = this.bytes.subarray(4 + size);
    if (this.#replacements.at(-1) !== 0) fail("replacements that end with NUL", "another byte at the end");
    try {
      this.#utf8.decode(this.#replacements);
    } catch {
      fail("replacements in UTF-8", "other bytes");
    }
    this.growth = this.#check(fail);
    for (let code = 0; code < 128; code++) {
      const node = this.#step(offset(this.#units[0]), code);
      this.plain[code] = node >= 0 && hasValue(this.#units[node]) ? 0 : 1;
      for (let next = 1; next < 128 && node >= 0; next++) {
        if (this.#step(node ^ offset(this.#units[node]), next) >= 0) this.plain[code] = 0;
      }
    }
  }

  /**
   * What the text at `start` normalizes to by its longest key there (or by its shortest), or null where no key is a prefix
   * of text.slice(start, end). `matched` then tells the key's length.
   */
  find(text: string, start: number, end: number, isLongest: boolean): string | null {
    const units = this.#units;
    let base = offset(units[0]);
    let found = -1;
    for (let at = start; at < end && (isLongest || found < 0); ) {
      const code = text.codePointAt(at) as number;
      at += code > 0xffff ? 2 : 1;
      this.#bytes.length = 0;
      pushUtf8(code, this.#bytes);
      let node = 0;
      for (let i = 0; i < this.#bytes.length && node >= 0; i++) {
        node = this.#step(base, this.#bytes[i]);
        if (node >= 0) base = node ^ offset(units[node]);
      }
      if (node < 0) break;
      if (hasValue(units[node])) {
        found = value(units[base]);
        this.matched = at - start;
      }
    }
    if (found < 0) return null;
    let replacement = this.#texts.get(found);
    if (replacement === undefined) {
      replacement = this.#utf8.decode(this.#replacements.subarray(found, this.#replacements.indexOf(0, found)));
      this.#texts.set(found, replacement);
    }
    return replacement;
  }

  /** True for a unit that no key starts with. */
  isInert(unit: number): boolean {
    this.#inert ??= new Uint8Array(0x10000);
    let state = this.#inert[unit];
    if (state === 0) {
      let base = offset(this.#units[0]);
      let isPrefix = true;
      this.#bytes.length = 0;
      if ((unit & 0xf800) !== 0xd800) pushUtf8(unit, this.#bytes);
      for (const byte of this.#bytes) {
        const node = isPrefix ? this.#step(base, byte) : -1;
        if (node < 0) isPrefix = false;
        else base = node ^ offset(this.#units[node]);
      }
      state = isPrefix ? 2 : 1;
      this.#inert[unit] = state;
    }
    return state === 1;
  }

  #step(base: number, byte: number): number {
    const node = base ^ byte;
    return byte !== 0 && node < this.#units.length && label(this.#units[node]) === byte ? node : -1;
  }

  /** Walks all that the root leads to, one byte deeper each time, and returns the longest replacement's length. */
  #check(fail: Fail): number {
    const units = this.#units;
    // Chained by the base that they hang on: the nodes behind each base.
    const first = new Int32Array(units.length).fill(-1);
    const next = new Int32Array(units.length);
    for (let node = 0; node < units.length; node++) {
      const byte = label(units[node]);
      const base = node ^ byte;
      if (byte <= 0 || base >= units.length) continue;
      next[node] = first[base];
      first[base] = node;
    }
    // For each base the depth at which it was last seen, and how many bytes its character still lacks.
    const seenAt = new Int32Array(units.length);
    const lacking = new Int8Array(units.length).fill(-1);
    let longest = 1;
    let level = [offset(units[0])];
    if (level[0] >= units.length) fail("a root within the double array", "one beyond it");
    lacking[level[0]] = 0;
    for (let depth = 1; level.length > 0; depth++) {
      if (depth > MAX_CHARSMAP_TEXT) fail(`keys of at most ${MAX_CHARSMAP_TEXT} bytes`, "a longer one");
      const deeper: number[] = [];
      for (const base of level) {
        for (let node = first[base]; node >= 0; node = next[node]) {
          const lacks = lackingBehind(lacking[base], node ^ base);
          const reached = node ^ offset(units[node]);
          if (lacks < 0 || (lacks > 0 && hasValue(units[node]))) fail("keys in UTF-8", "other bytes");
          if (reached >= units.length) fail("a double array that points into itself", "an offset beyond its end");
          if (lacking[reached] >= 0 && lacking[reached] !== lacks) fail("keys in UTF-8", "other bytes");
          lacking[reached] = lacks;
          if (seenAt[reached] === depth) continue;
          seenAt[reached] = depth;
          deeper.push(reached);
          if (hasValue(units[node])) longest = Math.max(longest, this.#lengthAt(value(units[reached]), fail));
        }
      }
      level = deeper;
    }
    return longest;
  }

  /** UTF-16 units of the replacement at a place that the double array gives. */
  #lengthAt(from: number, fail: Fail): number {
    const bytes = this.#replacements;
    if (from >= bytes.length || (bytes[from] & 0xc0) === 0x80) fail("the start of a replacement", `offset ${from}`);
    let length = 0;
    for (let at = from; bytes[at] !== 0; at++) {
      if (at - from === MAX_CHARSMAP_TEXT) fail(`replacements of at most ${MAX_CHARSMAP_TEXT} bytes`, "a longer one");
      if ((bytes[at] & 0xc0) !== 0x80) length += bytes[at] >= 0xf0 ? 2 : 1;
    }
    if (length > MAX_GROWTH) fail(`replacements of at most ${MAX_GROWTH} characters`, `${length}`);
    return length;
  }
}

/** How many bytes a character lacks behind `byte`, which must go on with one that lacks `lacking`; -1 if it cannot. */
function lackingBehind(lacking: number, byte: number): number {
  if (lacking > 0) return byte >= 0x80 && byte < 0xc0 ? lacking - 1 : -1;
  if (byte < 0x80) return 0;
  return byte < 0xc2 || byte > 0xf4 ? -1 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
}

export function parseCharsmap(bytes: Uint8Array, fail: Fail): Charsmap {
  return new Charsmap(bytes, fail);
}

/** The form in which a tokenizer.json holds a charsmap. */
export function charsmapFromBase64(text: string, fail: Fail): Charsmap {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) fail("Base64", `${text.length} other characters`);
  return parseCharsmap(bytesOfBase64(text), fail);
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Checked Base64. By hand: Node 20's `atob` takes a tenth of a second for T5's. */
function bytesOfBase64(text: string): Uint8Array {
  const values = new Uint8Array(128);
  for (let i = 0; i < DIGITS.length; i++) values[DIGITS.charCodeAt(i)] = i;
  const value = (at: number) => values[text.charCodeAt(at)]; // "=" counts 0
  const bytes = new Uint8Array((text.length / 4) * 3);
  for (let at = 0, to = 0; at < text.length; at += 4, to += 3) {
    const bits = (value(at) << 18) | (value(at + 1) << 12) | (value(at + 2) << 6) | value(at + 3);
    bytes[to] = bits >> 16;
    bytes[to + 1] = bits >> 8;
    bytes[to + 2] = bits;
  }
  return bytes.slice(0, bytes.length - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0));
}

export function charsmapToBase64(charsmap: Charsmap): string {
  let binary = "";
  for (const byte of charsmap.bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

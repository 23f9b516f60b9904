/**
 * Byte-pair encoding: characters or bytes become ids, then neighbours merge in order of rank.
 * Sennrich et al. 2016 (arXiv:1508.07909); with scores as ranks it is sentencepiece's BPE and llama2.c's rule.
 */

import { noUnknownToken } from "../errors";
import { MAX_KEPT_SYMBOLS } from "../limits";
import { spelled, unitOfByte } from "../text/byte-alphabet";
import { pushUtf8, tokenOfByte, utf8Length, utf8Of } from "../utf8";
import { MergeBuffer } from "./merge-buffer";
import type { MergeTable } from "./merge-table";
import type { Tokens } from "./tokens";
import { WordCache } from "./word-cache";

export interface BpeConfig {
  readonly type: "BPE";
  /** What text may become: normal tokens, and for ids from `vocabSize` on the loose characters. */
  readonly ids: ReadonlyMap<string, number>;
  readonly merges: MergeTable;
  readonly vocabSize: number;
  /** Characters that are no tokens but may merge into one: id `vocabSize + i`. What is left of them becomes bytes. */
  readonly looseCharacters: readonly string[];
  /** Ids of the 256 byte tokens, -1 where there is none; null turns byte fallback off. */
  readonly byteIds: Int32Array | null;
  /** The token for characters without a token or bytes; null drops them, as Hugging Face's library does. */
  readonly unkToken: string | null;
  /** One unknown token for a run of unknown characters. */
  readonly fuseUnk: boolean;
  /** A word that is a token as a whole stays whole, whatever the merges say. */
  readonly ignoreMerges: boolean;
  /** Put before every character of a word but the first, and behind its last, before they are looked up. */
  readonly continuingSubwordPrefix: string;
  readonly endOfWordSuffix: string;
}

/** The options that most vocabularies leave at nothing. */
export const PLAIN_BPE = {
  type: "BPE",
  looseCharacters: [],
  byteIds: null,
  unkToken: null,
  fuseUnk: false,
  ignoreMerges: false,
  continuingSubwordPrefix: "",
  endOfWordSuffix: "",
} as const satisfies Partial<BpeConfig>;

/** A model ready to run: its config and its scratch memory. */
export class Bpe {
  readonly #config: BpeConfig;
  readonly #unkId: number | null;
  #buffer = new MergeBuffer();
  readonly #cache = new WordCache();
  readonly #byteCache = new WordCache();
  /** Ids of the symbols of the 256 bytes in GPT-2's alphabet, or null if the vocabulary lacks one. */
  readonly #alphabet: Int32Array | null;
  /** UTF-16 units of the longest token: no longer word is one as a whole. */
  readonly #longest: number;
  /** Whether a symbol was dropped or moved, so that ranges no longer follow from the text: see `#reckon`. */
  #isSkewed = false;
  /** How many bytes of the word each symbol stands for, as the reference counts them. */
  readonly #lengths: number[] = [];

  constructor(config: BpeConfig) {
    this.#config = config;
    this.#unkId = config.unkToken === null ? null : (config.ids.get(config.unkToken) ?? -1);
    let longest = 0;
    for (const token of config.ids.keys()) longest = Math.max(longest, token.length);
    this.#longest = longest;
    const alphabet = Int32Array.from(
      { length: 256 },
      (_, byte) => config.ids.get(String.fromCharCode(unitOfByte[byte])) ?? -1,
    );
    const isPlain = config.continuingSubwordPrefix === "" && config.endOfWordSuffix === "";
    this.#alphabet = isPlain && !alphabet.includes(-1) ? alphabet : null;
  }

  /** Whether `encodeBytes` can be used. */
  get takesBytes(): boolean {
    return this.#alphabet !== null;
  }

  /**
   * Appends the tokens of the word `text.slice(start, end)`. Time n log n in the word's length.
   *
   * @throws UnencodableTextError if the unknown token is needed and not in the vocabulary
   */
  encode(text: string, start: number, end: number, out: Tokens): void {
    this.#encode(text.slice(start, end), start, out, false);
  }

  /** As `encode`, for a word that stands for its UTF-8 bytes in GPT-2's alphabet. */
  encodeBytes(text: string, start: number, end: number, out: Tokens): void {
    this.#encode(text.slice(start, end), start, out, true);
  }

  #encode(word: string, start: number, out: Tokens, asBytes: boolean): void {
    const cache = asBytes ? this.#byteCache : this.#cache;
    const isKept = cache.takes(word.length);
    if (isKept && cache.replay(word, start, out)) return;
    const from = out.length;
    const { ids, ignoreMerges } = this.#config;
    const isWhole = ignoreMerges && word.length <= this.#longest;
    const whole = isWhole ? ids.get(asBytes ? spelled(word) : word) : undefined;
    if (whole !== undefined) {
      out.push(whole, start, start + word.length);
    } else {
      this.#buffer.clear();
      this.#isSkewed = false;
      if (asBytes) this.#loadBytes(word, start);
      else this.#load(word, start);
      this.#finish(word, start, out);
    }
    if (isKept) cache.store(word, start, out, from);
  }

  #loadBytes(word: string, start: number): void {
    const alphabet = this.#alphabet as Int32Array;
    const bytes: number[] = [];
    for (let at = 0; at < word.length; ) {
      const code = word.codePointAt(at) as number;
      const width = code > 0xffff ? 2 : 1;
      if (code < 0x80) {
        this.#buffer.push(alphabet[code], start + at, start + at + 1);
      } else {
        bytes.length = 0;
        pushUtf8(code, bytes);
        for (const byte of bytes) this.#buffer.push(alphabet[byte], start + at, start + at + width);
      }
      at += width;
    }
  }

  /** Merges what is loaded and appends what is left. */
  #finish(word: string, start: number, out: Tokens): void {
    const { merges, vocabSize, looseCharacters } = this.#config;
    if (this.#isSkewed) this.#reckon(word, start);
    this.#buffer.merge(merges);
    this.#buffer.forEach((id, from, to) => {
      if (id >= vocabSize) this.#pushLoose(looseCharacters[id - vocabSize], from, to, out);
      else out.push(id, from, to);
    });
    if (this.#buffer.capacity > MAX_KEPT_SYMBOLS) this.#buffer = new MergeBuffer();
  }

  /** A character that merged into nothing: its bytes, or the unknown token. */
  #pushLoose(character: string, from: number, to: number, out: Tokens): void {
    const bytes = this.#bytesOf(character);
    if (bytes !== null) for (const id of bytes) out.push(id, from, to);
    else if (this.#config.unkToken !== null) out.push(this.#unk(), from, to);
  }

  #load(word: string, start: number): void {
    const { ids, unkToken, fuseUnk, continuingSubwordPrefix, endOfWordSuffix } = this.#config;
    const buffer = this.#buffer;
    const lengths = this.#lengths;
    lengths.length = 0;
    const push = (id: number, from: number, to: number, bytes: number): void => {
      buffer.push(id, start + from, start + to);
      lengths.push(bytes);
    };
    // Bytes do not end a run of unknowns (in tokenizers' BPE too): the unknown token comes behind them.
    let unkStart = -1;
    let unkEnd = -1;
    let unkBytes = 0;
    const flush = (): void => {
      if (unkStart !== -1) push(this.#unk(), unkStart, unkEnd, unkBytes);
      unkStart = -1;
      unkBytes = 0;
    };
    for (let at = 0; at < word.length; ) {
      const code = word.codePointAt(at) as number;
      const next = at + (code > 0xffff ? 2 : 1);
      let symbol = word.slice(at, next);
      if (at > 0) symbol = continuingSubwordPrefix + symbol;
      if (next === word.length) symbol += endOfWordSuffix;
      const id = ids.get(symbol);
      if (id !== undefined) {
        flush();
        push(id, at, next, utf8Length(code));
      } else {
        const bytes = this.#bytesOf(symbol);
        if (bytes !== null) {
          if (unkStart !== -1 || bytes.length !== utf8Length(code)) this.#isSkewed = true;
          for (const byte of bytes) push(byte, at, next, 1);
        } else if (unkToken === null) {
          this.#isSkewed = true;
        } else {
          if (unkStart !== -1 && !fuseUnk) flush();
          if (unkStart === -1) unkStart = at;
          unkEnd = next;
          unkBytes += utf8Length(code);
        }
      }
      at = next;
    }
    flush();
  }

  /**
   * Gives the symbols the ranges that tokenizers gives them where a character was dropped or moved: it lays their
   * lengths in bytes end to end from the start of the word, wherever they were.
   */
  #reckon(word: string, start: number): void {
    const ids: number[] = [];
    this.#buffer.forEach((id) => {
      ids.push(id);
    });
    if (ids.length === 0) return;
    /** Start and end of the character that holds each byte. */
    const starts: number[] = [];
    const ends: number[] = [];
    for (let at = 0; at < word.length; ) {
      const code = word.codePointAt(at) as number;
      const next = at + (code > 0xffff ? 2 : 1);
      for (let left = utf8Length(code); left > 0; left--) {
        starts.push(start + at);
        ends.push(start + next);
      }
      at = next;
    }
    this.#buffer.clear();
    let byte = 0;
    for (const [i, id] of ids.entries()) {
      const last = Math.min(byte + this.#lengths[i], ends.length) - 1;
      this.#buffer.push(id, starts[Math.min(byte, starts.length - 1)], ends[last]);
      byte += this.#lengths[i];
    }
  }

  #unk(): number {
    if (this.#unkId !== null && this.#unkId >= 0) return this.#unkId;
    throw noUnknownToken(this.#config.unkToken);
  }

  /** Ids of a text's bytes, or null unless every one of them has a token. */
  #bytesOf(text: string): number[] | null {
    const { byteIds } = this.#config;
    if (byteIds === null) return null;
    const bytes = utf8Of(text);
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = byteIds[bytes[i]];
      if (bytes[i] < 0) return null;
    }
    return bytes;
  }
}

/** Ids of `<0x00>` to `<0xFF>`, -1 where the vocabulary lacks one. */
export function byteTokenIds(idOf: (token: string) => number | undefined): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => idOf(tokenOfByte(byte)) ?? -1);
}

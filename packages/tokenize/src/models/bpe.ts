/**
 * Byte-pair encoding: characters (or the bytes of unknown ones) become ids, then neighbours merge in order of rank.
 * Sennrich et al. 2016 (arXiv:1508.07909); with scores as ranks it is sentencepiece's BPE and llama2.c's rule.
 */

import { MAX_KEPT_SYMBOLS } from "../limits";
import { pushUtf8, tokenOfByte } from "../utf8";
import { MergeBuffer } from "./merge-buffer";
import type { MergeTable } from "./merge-table";

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
  /** For characters without bytes; null drops them, as Hugging Face's library does. */
  readonly unkId: number | null;
  /** One unknown token for a run of unknown characters. */
  readonly fuseUnk: boolean;
  /** A word that is a token as a whole stays whole, whatever the merges say. */
  readonly ignoreMerges: boolean;
}

/** A model ready to run: its config and its scratch memory. */
export class Bpe {
  readonly #config: BpeConfig;
  #buffer = new MergeBuffer();
  /** Ids of ASCII characters, which most texts consist of, without a string for each. */
  readonly #ascii: Int32Array;

  constructor(config: BpeConfig) {
    this.#config = config;
    this.#ascii = Int32Array.from({ length: 128 }, (_, code) => config.ids.get(String.fromCharCode(code)) ?? -1);
  }

  /** Appends the ids of one word to `out`. Time n log n in the word's length. */
  encode(word: string, out: number[]): void {
    if (word === "") return;
    const { ids, ignoreMerges, merges, vocabSize, looseCharacters, unkId } = this.#config;
    if (ignoreMerges) {
      const whole = ids.get(word);
      if (whole !== undefined) {
        out.push(whole);
        return;
      }
    }
    this.#load(word);
    this.#buffer.merge(merges);
    this.#buffer.forEach((id) => {
      if (id < vocabSize) {
        out.push(id);
        return;
      }
      const code = looseCharacters[id - vocabSize].codePointAt(0) as number;
      const bytes = this.#bytesOf(code);
      if (bytes !== null) out.push(...bytes);
      else if (unkId !== null) out.push(unkId);
    });
    if (this.#buffer.capacity > MAX_KEPT_SYMBOLS) this.#buffer = new MergeBuffer();
  }

  #load(word: string): void {
    const { ids, unkId, fuseUnk } = this.#config;
    const buffer = this.#buffer;
    buffer.clear();
    // Bytes do not end a run of unknowns (in tokenizers' BPE too): the unknown token comes behind them.
    let pendingUnk = false;
    for (let at = 0; at < word.length; ) {
      const code = word.codePointAt(at) as number;
      const width = code > 0xffff ? 2 : 1;
      const id = code < 128 ? this.#ascii[code] : (ids.get(word.slice(at, at + width)) ?? -1);
      at += width;
      if (id >= 0) {
        if (pendingUnk) buffer.push(unkId as number);
        pendingUnk = false;
        buffer.push(id);
        continue;
      }
      const bytes = this.#bytesOf(code);
      if (bytes !== null) {
        for (const byte of bytes) buffer.push(byte);
      } else if (unkId !== null) {
        if (pendingUnk && !fuseUnk) buffer.push(unkId);
        pendingUnk = true;
      }
    }
    if (pendingUnk) buffer.push(unkId as number);
  }

  /** Ids of a character's bytes, or null unless every one of them has a token. */
  #bytesOf(code: number): number[] | null {
    const { byteIds } = this.#config;
    if (byteIds === null) return null;
    const bytes: number[] = [];
    pushUtf8(code, bytes);
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

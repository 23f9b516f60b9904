// The tokenizer goldens and vocabularies of tests/fixtures/tokenizers (archives made by its make/pack.mjs).

import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";

export type Archive = "json" | "trained" | "real" | "spm" | "stages" | "rest" | "vocab";

const opened = new Map<Archive, Map<string, Uint8Array>>();

/** Name -> bytes of an archive's files. */
export function openArchive(archive: Archive): ReadonlyMap<string, Uint8Array> {
  const known = opened.get(archive);
  if (known !== undefined) return known;
  const packed = readFileSync(new URL(`../fixtures/tokenizers/${archive}.br`, import.meta.url));
  const whole = brotliDecompressSync(packed);
  const indexEnd = 4 + whole.readUInt32LE(0);
  const files = new Map<string, Uint8Array>();
  let at = indexEnd;
  for (const [name, length] of JSON.parse(whole.toString("utf8", 4, indexEnd)) as [string, number][]) {
    files.set(name, new Uint8Array(whole.subarray(at, at + length)));
    at += length;
  }
  opened.set(archive, files);
  return files;
}

export function fixtureBytes(archive: Archive, name: string): Uint8Array {
  const bytes = openArchive(archive).get(name);
  if (bytes === undefined) throw new Error(`tests/fixtures/tokenizers/${archive}.br holds no "${name}"`);
  return bytes;
}

export function fixtureText(archive: Archive, name: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(fixtureBytes(archive, name));
}

export function fixtureJson<T>(archive: Archive, name: string): T {
  return JSON.parse(fixtureText(archive, name)) as T;
}

/** Name -> text of the 155 awkward texts, and the pairs of their names. */
export function awkwardTexts(): { texts: Record<string, string>; pairs: [string, string][] } {
  return fixtureJson("rest", "texts.json");
}

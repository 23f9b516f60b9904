import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fixtureBytes, fixtureJson } from "../../../../tests/support/tokenizer-fixtures";
import { readSentencePiece } from "../sources/sentencepiece-model";
import { alignedText, originalEnd, originalStart } from "../text/aligned-text";
import { type Charsmap, charsmapFromBase64, charsmapToBase64, normalizePrecompiled, parseCharsmap } from "./charsmap";
import { clusterEnd } from "./grapheme-clusters";

class Refused extends Error {}

function fail(expected: string, got: string): never {
  throw new Refused(`expected ${expected}, got ${got}`);
}

const blobOf = (model: Uint8Array): Uint8Array => readSentencePiece(model, "a.model").normalizer.charsmap;
/** nmt_nfkc, and nmt_nfkc_cf. */
const nfkc = parseCharsmap(blobOf(fixtureBytes("vocab", "t5.spiece.model")), fail);
const caseFolding = parseCharsmap(blobOf(fixtureBytes("spm", "unigram_nfkc_cf.model")), fail);
const small = fixtureJson<{ normalizer: { precompiled_charsmap: string } }>("json", "norm_precompiled.json");
const SMALL = small.normalizer.precompiled_charsmap;

/** Each character with its range of the given text. */
function ranges(charsmap: Charsmap, text: string): string[] {
  const result = normalizePrecompiled(charsmap, alignedText(text));
  let at = 0;
  return [...result.text].map((character) => {
    const from = at;
    at += character.length;
    return `${character}[${originalStart(result, from)},${originalEnd(result, at - 1)})`;
  });
}

describe("normalizePrecompiled", () => {
  it("gives back the text itself where there is nothing to do", () => {
    const source = alignedText("Hello world, \u4F60\u597D \u{1F600}");
    expect(normalizePrecompiled(nfkc, source)).toBe(source);
    const empty = alignedText("");
    expect(normalizePrecompiled(nfkc, empty)).toBe(empty);
  });

  it.each([
    ["a ligature grows", "\uFB01n", "f[0,1) i[0,1) n[1,2)"],
    ["a cluster shrinks", "e\u0301n", "\u00E9[0,1) n[2,3)"],
    ["a line break of two characters", "a\r\nb", "a[0,1)  [1,2) b[3,4)"],
    ["a long cluster goes by characters", "e\u0301\u0302\u0303", "e[0,1) \u0301[1,2) \u0302[2,3) \u0303[3,4)"],
    ["what is taken out goes to the one before", "a\u200B\u200Bb", "a[0,1)  [1,2)  [2,3) b[3,4)"],
    // From the tests of tokenizers: the added M then stands for what was taken out.
    ["taken out behind what was added", "\u2122\u001Eg", "T[0,1) M[1,2) g[2,3)"],
    ["taken out at the start, all moves up", "\u001Eab", "a[0,1) b[1,2)"],
    ["the same behind a character of two units", "\u001E\u{1F600}b", "\u{1F600}[0,1) b[1,3)"],
  ])("%s", (_, text, expected) => {
    expect(ranges(nfkc, text).join(" ")).toBe(expected);
  });

  it("takes the shortest key of a cluster for the whole of it", () => {
    expect(ranges(caseFolding, "A\u0301!")).toEqual(["a[0,1)", "![2,3)"]);
  });

  it("works on a part of a text that has moved", () => {
    const inner = normalizePrecompiled(nfkc, alignedText("xx\uFB01\u2122", 2));
    const twice = normalizePrecompiled(caseFolding, inner);
    expect(twice.text).toBe("fitm");
    expect([...(twice.starts ?? [])]).toEqual([2, 2, 3, 3]);
    expect([...(twice.ends ?? [])]).toEqual([3, 3, 4, 4]);
  });
});

describe("clusterEnd", () => {
  it("agrees with Intl.Segmenter on every cluster of less than six bytes", () => {
    const segmenter = new Intl.Segmenter("und", { granularity: "grapheme" });
    const bytes = (text: string): number => new TextEncoder().encode(text).length;
    const odd = [
      "\r",
      "\n",
      "\r\n",
      "\u0301",
      "\u0903",
      "\u200D",
      "\u200C",
      "\u0600",
      "\u06DD",
      "\u0E33",
      "\u102B",
      "\u00A9",
      "\u2122",
    ];
    const unit = fc.oneof(
      fc.constantFrom(
        "a",
        "\u00E9",
        " ",
        ...odd,
        "\u00AD",
        "\uFE0F",
        "\u{1F3FD}",
        "\u{110BD}",
        "\u200B",
        "\u0001",
        "\u2028",
      ),
      fc.integer({ min: 0x20, max: 0x3000 }).map((code) => String.fromCodePoint(code)),
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 8 }), (text) => {
        for (const { segment, index } of segmenter.segment(text)) {
          if (bytes(segment) < 6) expect(clusterEnd(text, index)).toBe(index + segment.length);
        }
      }),
      { seed: 3, numRuns: 3000 },
    );
  });
});

describe("parseCharsmap", () => {
  it("holds the blob that it was made from, in Base64 too", () => {
    expect(charsmapToBase64(charsmapFromBase64(SMALL, fail))).toBe(SMALL);
    expect(nfkc.growth).toBe(18);
  });

  it("does not change with the bytes that it was made from", () => {
    const blob = charsmapFromBase64(SMALL, fail).bytes.slice();
    const charsmap = parseCharsmap(blob, fail);
    blob.fill(255);
    expect(charsmapToBase64(charsmap)).toBe(SMALL);
  });

  it.each(["A", "AAA", "AA=A", "****", ""])("refuses Base64 such as %j", (text) => {
    expect(() => charsmapFromBase64(text, fail)).toThrow(Refused);
  });

  const TEXTS = ["", "abc \uFB01\u2122e\u0301\r\n\u{1F600}", "\u0000\u001E", "\uFDFA".repeat(9)];

  it("refuses each shortened blob", () => {
    const { bytes } = charsmapFromBase64(SMALL, fail);
    for (let length = 0; length < bytes.length; length += 3) {
      // What is left of the replacements may be whole.
      if (bytes[length - 1] !== 0 || length < 1028)
        expect(() => parseCharsmap(bytes.subarray(0, length), fail)).toThrow(Refused);
    }
  });

  it("refuses a changed blob, or works with it", () => {
    const { bytes } = charsmapFromBase64(SMALL, fail);
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 40 }), (changes) => {
        const changed = bytes.slice();
        for (const [at, byte] of changes) changed[at] = byte;
        try {
          const charsmap = parseCharsmap(changed, fail);
          for (const text of TEXTS) {
            expect(normalizePrecompiled(charsmap, alignedText(text)).text.length).toBeLessThanOrEqual(64 * text.length);
            for (let at = 0; at < text.length; at++) charsmap.find(text, at, text.length, true);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(Refused);
        }
      }),
      { seed: 5, numRuns: 500 },
    );
  });

  /** A blob of units by place, over one replacement. */
  const blob = (size: number, units: Record<number, number>, replacements = "x\0"): Uint8Array => {
    const bytes = new Uint8Array(4 + size * 4 + replacements.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, size * 4, true);
    for (const [at, unit] of Object.entries(units)) view.setUint32(4 + Number(at) * 4, unit, true);
    bytes.set(new TextEncoder().encode(replacements), 4 + size * 4);
    return bytes;
  };
  const A = 97;
  const HAS_VALUE = 0x100;

  it("finds a key in a blob made by hand", () => {
    // From the root at 0 by "a" to unit 97, whose offset 2 leads to base 99, where the value is.
    const charsmap = parseCharsmap(blob(256, { 97: (2 << 10) | HAS_VALUE | A, 99: 0x80000000 }), fail);
    expect(normalizePrecompiled(charsmap, alignedText("bab")).text).toBe("bxb");
  });

  it.each([
    ["a loop", blob(256, { 97: (97 << 10) | A }), "keys of at most"],
    ["an offset beyond the end", blob(256, { 97: (1000 << 10) | A }), "points into itself"],
    [
      "a value beyond the replacements",
      blob(256, { 97: (2 << 10) | HAS_VALUE | A, 99: 0x80000002 }),
      "the start of a replacement",
    ],
    ["a key that is no UTF-8", blob(256, { 128: (2 << 10) | HAS_VALUE | 128 }), "keys in UTF-8"],
    ["a key that ends within a character", blob(256, { 195: (2 << 10) | HAS_VALUE | 195 }), "keys in UTF-8"],
    [
      "a replacement of any length",
      blob(256, { 97: (2 << 10) | HAS_VALUE | A, 99: 0x80000000 }, `${"x".repeat(99)}\0`),
      "replacements of at most",
    ],
    ["replacements without an end", blob(256, {}, "xx"), "end with NUL"],
    ["no double array", blob(0, {}), "the size of a double array"],
  ])("refuses %s", (_, bytes, expected) => {
    expect(() => parseCharsmap(bytes, fail)).toThrow(expected);
  });
});

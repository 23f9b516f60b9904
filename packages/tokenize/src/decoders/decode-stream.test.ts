/** Streaming equals decoding the whole, for every sequence of ids, and never shows half a character. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fixtureJson, fixtureText } from "../../../../tests/support/tokenizer-fixtures";
import { stories } from "../../fixtures/load";
import { Tokenizer } from "../tokenizer";

const withoutDecoder = { ...(fixtureJson("json", "bpe_llama2.json") as object), decoder: null };
const tokenizers = {
  "llama2.c": Tokenizer.fromLlama2c(stories.llama2c(), { vocabSize: 512 }),
  gguf: Tokenizer.fromGguf(stories.gguf()),
  "gguf without space prefix": Tokenizer.fromGguf(stories.gguf().set("tokenizer.ggml.add_space_prefix", false)),
  "tokenizer.json": Tokenizer.fromTokenizerJson(stories.json()),
  "tokenizer.json, added tokens": Tokenizer.fromTokenizerJson(fixtureText("json", "added_llama2.json")),
  "tokenizer.json, Metaspace": Tokenizer.fromTokenizerJson(fixtureText("json", "bpe_no_byte_fallback.json")),
  "tokenizer.json, no decoder": Tokenizer.fromTokenizerJson(withoutDecoder),
};

/** Ids with many byte tokens (3 to 258), so that characters begin, end and break. */
function idsOf(tokenizer: Tokenizer): fc.Arbitrary<number[]> {
  const lead = fc.constantFrom(0xe4, 0xf0, 0xc3, 0xed, 0xff, 0x41, 0x0a).map((byte) => byte + 3);
  const follow = fc.constantFrom(0xbd, 0xa0, 0x9f, 0x80, 0x98).map((byte) => byte + 3);
  const any = fc.nat({ max: tokenizer.vocabSize - 1 });
  return fc.array(fc.oneof(any, lead, follow), { maxLength: 24 });
}

function commonPrefix(a: string, b: string): number {
  let same = 0;
  while (same < a.length && same < b.length && a.codePointAt(same) === b.codePointAt(same)) {
    same += (a.codePointAt(same) as number) > 0xffff ? 2 : 1;
  }
  return same;
}

describe.each(Object.entries(tokenizers))("decodeStream of %s", (_, tokenizer) => {
  test("all outputs joined are decode(ids), whole characters each", () => {
    fc.assert(
      fc.property(idsOf(tokenizer), fc.boolean(), (ids, skipSpecialTokens) => {
        const stream = tokenizer.decodeStream({ skipSpecialTokens });
        const parts = [...ids.map((id) => stream.push(id)), stream.flush()];
        expect(parts.join("")).toBe(tokenizer.decode(ids, { skipSpecialTokens }));
        for (const part of parts) expect(/\p{Surrogate}/u.test(part)).toBe(false);
        expect(stream.flush()).toBe("");
        expect(() => stream.push(1)).toThrow(/flushed/);
      }),
      { seed: 2, numRuns: 1000 },
    );
  });

  test("with a prefix, what decode(prefix + ids) has beyond decode(prefix)", () => {
    fc.assert(
      fc.property(idsOf(tokenizer), idsOf(tokenizer), (prefix, ids) => {
        const stream = tokenizer.decodeStream({ prefix });
        const text = ids.map((id) => stream.push(id)).join("") + stream.flush();
        const [before, whole] = [tokenizer.decode(prefix), tokenizer.decode([...prefix, ...ids])];
        // Where the ids complete or spoil the prefix's last character, the two texts part before the seam.
        expect(text).toBe(whole.slice(commonPrefix(before, whole)));
      }),
      { seed: 3, numRuns: 1000 },
    );
  });
});

describe("what a reader of a story sees", () => {
  test.each(["llama2.c", "gguf", "tokenizer.json"] as const)("%s: spaces at the seam", (form) => {
    const tokenizer = tokenizers[form];
    const { ids } = tokenizer.encode("Once upon a time");
    const there = tokenizer.encode("there", { addSpecialTokens: false }).ids;
    const comma = ids.length;
    const whole = tokenizer.encode("Once upon a time, there").ids;
    const stream = tokenizer.decodeStream({ prefix: ids });
    expect(
      whole
        .slice(comma)
        .map((id) => stream.push(id))
        .join("") + stream.flush(),
    ).toBe(", there");
    const words = tokenizer.decodeStream({ prefix: ids });
    expect(there.map((id) => words.push(id)).join("") + words.flush()).toBe(" there");
    const alone = tokenizer.decodeStream();
    expect(there.map((id) => alone.push(id)).join("") + alone.flush()).toBe("there");
    const afterBos = tokenizer.decodeStream({ prefix: [1] });
    expect(there.map((id) => afterBos.push(id)).join("") + afterBos.flush()).toBe("there");
  });

  test.each(["llama2.c", "gguf"] as const)("%s: a character comes with its last byte, a wrong byte at once", (form) => {
    const stream = tokenizers[form].decodeStream({ prefix: [1, 410] });
    const bytes = [0xe6, 0x97, 0xa5, 0x0a, 0xe6, 0x97, 0x41, 0xf0, 0x9f];
    expect(bytes.map((byte) => stream.push(byte + 3))).toEqual(["", "", "日", "\n", "", "", "\uFFFD\uFFFDA", "", ""]);
    expect(stream.flush()).toBe("\uFFFD\uFFFD");
  });

  test("tokenizer.json: a run of bytes comes when it ends, and is all U+FFFD if any of it is wrong", () => {
    const tokenizer = tokenizers["tokenizer.json"];
    const stream = tokenizer.decodeStream({ prefix: [1, 410] });
    const push = (bytes: number[]): string[] => bytes.map((byte) => stream.push(byte + 3));
    expect(push([0xe6, 0x97, 0xa5, 0x0a])).toEqual(["", "", "", ""]);
    expect(stream.push(261)).toBe("日\n a");
    expect(push([0x41, 0xff])).toEqual(["", ""]);
    expect(stream.push(261)).toBe("\uFFFD\uFFFD a");
    // U+FFFD itself, as three right bytes, is a character.
    expect(push([0xef, 0xbf, 0xbd, 0x41])).toEqual(["", "", "", ""]);
    expect(stream.flush()).toBe("\uFFFDA");
  });

  test("a prefix whose last run the decoder still holds back does not come out again", () => {
    const tokenizer = tokenizers["tokenizer.json"];
    const stream = tokenizer.decodeStream({ prefix: tokenizer.encode("one\n").ids });
    expect(stream.push(261) + stream.flush()).toBe(" a");
  });
});

import { describe, expect, test } from "vitest";
import { infillMasks } from "./fill-mask";
import { fillSpans } from "./fill-spans";
import { recordingHost, tinyTokenizer } from "./testing";

const WORDS = ["thank", "you", "for", "inviting", "me", "to", "party", "last", "week", ".", ","];
const tokenizer = tinyTokenizer({
  special: ["</s>", "<unk>"],
  words: WORDS,
  more: ["<extra_id_2>", "<extra_id_1>", "<extra_id_0>"],
  after: ["</s>"],
});
const TEXT = "thank you <extra_id_0> me to party <extra_id_1> week.";

/** What comes of it where the model writes this. */
async function filled(text: string, written: string) {
  const ids = tokenizer.encode(written).ids;
  const result = await fillSpans(
    recordingHost(tokenizer, {}, () => ids),
    text,
    {},
  );
  if (Array.isArray(result)) throw new Error("expected one result");
  return result;
}

describe("fillSpans", () => {
  test("the text is the source of the gaps, sentinels and all", async () => {
    const host = recordingHost(tokenizer);
    await fillSpans(host, [TEXT], {});
    expect(host.asked[0].sources).toEqual([tokenizer.encode(TEXT).ids]);
    expect(host.asked[0].sources[0]).toContain(tokenizer.tokenToId("<extra_id_1>"));
  });

  test.each([
    ["<extra_id_0> for inviting <extra_id_1> last", ["for inviting", "last"]],
    ["<extra_id_0> for inviting <extra_id_1> last <extra_id_2>", ["for inviting", "last"]],
    ["<extra_id_1> last <extra_id_0> for inviting", ["for inviting", "last"]],
    ["me to <extra_id_0> for inviting <extra_id_1> last", ["for inviting", "last"]],
    ["<extra_id_0> for inviting <extra_id_2> party <extra_id_1> last", ["for inviting", "last"]],
    ["<extra_id_0> for inviting <extra_id_0> you <extra_id_1> last", ["for inviting", "last"]],
  ])("%s", async (written, spans) => {
    const result = await filled(TEXT, written);
    expect(result.spans).toEqual(spans);
    expect(result.text).toBe("thank you for inviting me to party last week.");
    expect(result.sequences).toEqual([{ ...result.sequences[0], text: result.text, spans }]);
  });

  test("a gap that is left out stays, one without words goes", async () => {
    const missing = await filled(TEXT, "<extra_id_1> last");
    expect(missing).toMatchObject({ spans: [null, "last"], text: "thank you <extra_id_0> me to party last week." });
    const empty = await filled(TEXT, "<extra_id_0> <extra_id_1> last");
    expect(empty.spans[1]).toBe("last");
    const nothing = await filled(TEXT, "");
    expect(nothing).toMatchObject({ spans: [null, null], text: TEXT, generated: "" });
  });

  test("spaces: the text's own stay, a word after a word gets one", async () => {
    expect((await filled("thank you,<extra_id_0>\n  week.", "<extra_id_0> me")).text).toBe("thank you, me\n  week.");
    expect((await filled("<extra_id_0> you", "<extra_id_0> thank")).text).toBe("thank you");
    const apart = tokenizer.encode("<extra_id_0>").ids.slice(0, 1);
    const host = recordingHost(tokenizer, {}, () => [...apart, tokenizer.tokenToId(".") as number]);
    expect(await fillSpans(host, "thank you<extra_id_0>", {})).toMatchObject({ text: "thank you." });
  });

  test("spans come in the order of the text, whatever their numbers", async () => {
    const result = await filled("<extra_id_1> you <extra_id_0>", "<extra_id_0> me <extra_id_1> thank");
    expect(result).toMatchObject({ spans: ["thank", "me"], text: "thank you me" });
    expect(result.generated).toContain("<extra_id_0>");
  });

  test.each([
    ["thank you", "fillSpans: texts[0] has no gap: write <extra_id_0>"],
    ["<extra_id_0> you <extra_id_0>", "<extra_id_0> stands there twice"],
    ["<extra_id_3> you", "<extra_id_3> is none of the 3 sentinels"],
    ["<extra_id_00> you", "<extra_id_00> is none of the 3 sentinels"],
  ])("%s throws", async (text, message) => {
    await expect(fillSpans(recordingHost(tokenizer), text, {})).rejects.toThrow(RangeError);
    await expect(fillSpans(recordingHost(tokenizer), text, {})).rejects.toThrow(message);
  });

  test("sentinels that are pieces of the vocabulary, with a space in front, as mT5's", async () => {
    const pieces = ["\u2581<extra_id_1>", "\u2581<extra_id_0>"];
    const mt5 = tinyTokenizer({ special: ["</s>", "<unk>"], words: WORDS, pieces, after: ["</s>"] });
    const ids = mt5.encode("<extra_id_0> for inviting <extra_id_1> last").ids;
    const host = recordingHost(mt5, { architecture: "mt5" }, () => ids);
    expect(await fillSpans(host, TEXT, {})).toMatchObject({ text: "thank you for inviting me to party last week." });
    await expect(fillSpans(host, "thank you,<extra_id_0>", {})).rejects.toThrow("or needs a space in front of it");
  });

  test("a gap must not be cut off, and a vocabulary must have sentinels", async () => {
    const host = recordingHost(tokenizer, { maxTokens: 5 });
    await expect(fillSpans(host, TEXT, { truncate: true })).rejects.toThrow(
      "<extra_id_1> is not among its tokens: it was cut off",
    );
    const without = recordingHost(tinyTokenizer({ special: ["</s>", "<unk>"], words: WORDS }));
    await expect(fillSpans(without, TEXT, {})).rejects.toThrow("fillSpans needs sentinels");
  });
});

describe("fillMask", () => {
  const vocabulary = { special: ["<s>", "</s>", "<unk>"], words: WORDS, before: ["<s>"], after: ["</s>"] };
  const withMask = tinyTokenizer({ ...vocabulary, more: ["<mask>"] });

  test("the mask is a token of the source, and the model's whole text the result", async () => {
    const host = recordingHost(withMask, { architecture: "bart" }, () => withMask.encode("thank you").ids);
    expect(await infillMasks(host, ["thank <mask>"], { numBeams: 2 })).toMatchObject([{ text: "thank you" }]);
    expect(host.asked[0].sources[0]).toContain(withMask.tokenToId("<mask>"));
  });

  test("what it cannot do", async () => {
    const host = recordingHost(withMask, { architecture: "bart", maxTokens: 4 });
    await expect(infillMasks(host, ["<mask>", "thank"], {})).rejects.toThrow(
      "fillMask: texts[1] has no mask: write <mask>",
    );
    const cut = infillMasks(host, "thank you for <mask>", { truncate: true });
    await expect(cut).rejects.toThrow("a mask lies beyond the 4 tokens");
    const t5 = infillMasks(recordingHost(tokenizer), "thank <mask>", {});
    await expect(t5).rejects.toThrow("has no <mask>; it has <extra_id_0> and on: see fillSpans");
  });
});

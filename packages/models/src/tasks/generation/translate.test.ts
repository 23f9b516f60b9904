import { describe, expect, test } from "vitest";
import { type GenerationDefaults, NO_DEFAULTS } from "../../generate/generation-config";
import { namedLanguage } from "./languages";
import { type RecordingHost, recordingHost, tinyTokenizer } from "./testing";
import { translate } from "./translate";

const WORDS = ["one", "two", ":", "translate", "to", "English", "German", "Latin", "de"];
const askedOf = ({ asked }: RecordingHost) => asked[asked.length - 1];

describe("T5", () => {
  const tokenizer = tinyTokenizer({ special: ["</s>", "<unk>"], words: WORDS, after: ["</s>"] });
  const german = { prefix: "to de: ", defaults: { ...NO_DEFAULTS, settings: { numBeams: 4 } } };
  const host = recordingHost(tokenizer);

  test.each([
    ["en", "de"],
    ["English", "German"],
    ["english", "DE"],
  ])("%s to %s", async (from, to) => {
    await translate(host, "one", { from, to });
    expect(askedOf(host).sources).toEqual([tokenizer.encode("translate English to German: one").ids]);
  });

  test("a language that is not in the table, by its name", async () => {
    await translate(host, "one", { from: "English", to: "Latin" });
    expect(askedOf(host).sources).toEqual([tokenizer.encode("translate English to Latin: one").ids]);
  });

  test("what the model's config says of the pair holds, however the languages are written", async () => {
    const defaults = { ...NO_DEFAULTS, tasks: new Map([["translation_en_to_de", german]]) };
    const own = recordingHost(tokenizer, { defaults });
    await translate(own, "one", { from: "English", to: "de" });
    expect(askedOf(own).sources).toEqual([tokenizer.encode("to de: one").ids]);
    expect(askedOf(own).defaults).toBe(german.defaults);
    await translate(own, "one", { from: "de", to: "en" });
    expect(askedOf(own).sources).toEqual([tokenizer.encode("translate German to English: one").ids]);
    expect(askedOf(own).defaults).toBe(defaults);
  });

  test("a prefix in place of languages", async () => {
    await translate(host, "one", { prefix: "to German: " });
    expect(askedOf(host).sources).toEqual([tokenizer.encode("to German: one").ids]);
    await expect(translate(host, "one", { prefix: "to German: ", to: "de" })).rejects.toThrow(
      "leave out either prefix",
    );
  });

  test.each([
    [{}, "pass from and to"],
    [{ to: "de" }, "pass from and to"],
    [{ from: "en", to: "English" }, "from and to are both English"],
    [{ from: "en", to: "xx" }, "to: expected a language's name in English, or one of the codes ar, bg"],
    [{ from: "", to: "de" }, "from: expected a language"],
    [{ from: "en", to: "German: x" }, "to: expected a language"],
  ])("%j throws", async (options, message) => {
    await expect(translate(host, "one", options)).rejects.toThrow(RangeError);
    await expect(translate(host, "one", options)).rejects.toThrow(message);
  });

  test("what is no string", async () => {
    await expect(translate(host, "one", { from: 3 as never, to: "de" })).rejects.toThrow(
      "from: expected a language, got 3",
    );
  });

  test("names", () => {
    expect(namedLanguage("to", " ro ")).toEqual({ name: "Romanian", code: "ro" });
    expect(namedLanguage("to", "french")).toEqual({ name: "French", code: "fr" });
    expect(namedLanguage("to", "Haitian Creole")).toEqual({ name: "Haitian Creole", code: null });
  });
});

describe("mBART", () => {
  const codes = ["en_XX", "ro_RO", "fr_XX"];
  const vocabulary = { special: ["<s>", "</s>", "<unk>"], words: WORDS, more: codes };
  const mbart50 = tinyTokenizer({ ...vocabulary, before: ["en_XX"], after: ["</s>"] });
  const mbart25 = tinyTokenizer({ ...vocabulary, after: ["</s>", "en_XX"] });
  const plain = tinyTokenizer({ ...vocabulary, after: ["</s>"] });
  const id = (token: string) => mbart50.tokenToId(token) as number;
  const [END, one] = [id("</s>"), id("\u2581one")];
  const startsWith = (decoderStartTokenId: number): GenerationDefaults => ({ ...NO_DEFAULTS, decoderStartTokenId });
  const hostOf = (tokenizer: typeof mbart50, defaults = startsWith(END)) =>
    recordingHost(tokenizer, { architecture: "mbart", defaults });

  test("mBART-50: from in front, to is forced", async () => {
    const host = hostOf(mbart50);
    await translate(host, "one", { from: "fr_XX", to: "ro_RO" });
    expect(askedOf(host)).toMatchObject({
      sources: [[id("fr_XX"), one, END]],
      options: { forcedBosTokenId: id("ro_RO") },
    });
    await translate(host, "one", { to: "ro_RO", maxNewTokens: 3 });
    expect(askedOf(host)).toMatchObject({
      sources: [[id("en_XX"), one, END]],
      options: { forcedBosTokenId: id("ro_RO"), maxNewTokens: 3 },
    });
  });

  test("mBART: from behind the end token, to is what the text starts from", async () => {
    const host = hostOf(mbart25, startsWith(id("ro_RO")));
    await translate(host, "one", { from: "fr_XX", to: "en_XX" });
    expect(askedOf(host).sources).toEqual([[one, END, id("fr_XX")]]);
    expect(askedOf(host).options).toEqual({ decoderStartTokenId: id("en_XX") });
    // The files say that it translates to Romanian.
    await translate(host, "one", {});
    expect(askedOf(host).sources).toEqual([[one, END, id("en_XX")]]);
    expect(askedOf(host).options).toEqual({});
  });

  test("a code that stands in the text stays", async () => {
    const host = hostOf(mbart50);
    await translate(host, "one en_XX", { from: "fr_XX", to: "ro_RO" });
    expect(askedOf(host).sources[0].filter((each) => each === id("en_XX"))).toHaveLength(1);
    expect(askedOf(host).sources[0][0]).toBe(id("fr_XX"));
  });

  test("settings of the pair in the model's config", async () => {
    const task = { prefix: "", defaults: { ...startsWith(END), settings: { numBeams: 5 } } };
    const host = hostOf(mbart50, { ...startsWith(END), tasks: new Map([["translation_en_to_ro", task]]) });
    await translate(host, "one", { from: "en_XX", to: "ro_RO" });
    expect(askedOf(host).defaults.settings).toEqual({ numBeams: 5 });
    // English is what the tokenizer adds.
    await translate(host, "one", { to: "ro_RO" });
    expect(askedOf(host).defaults.settings).toEqual({ numBeams: 5 });
    await translate(host, "one", { from: "fr_XX", to: "ro_RO" });
    expect(askedOf(host).defaults.settings).toEqual({});
  });

  test("what it cannot do", async () => {
    const missing = translate(hostOf(mbart50), "one", { from: "fr_XX" });
    await expect(missing).rejects.toThrow("pass to, one of en_XX, ro_RO, fr_XX");
    const unknown = translate(hostOf(mbart50), "one", { to: "ro" });
    await expect(unknown).rejects.toThrow('to: expected one of en_XX, ro_RO, fr_XX, got "ro"');
    const twice = translate(hostOf(mbart50), "one", { to: "ro_RO", forcedBosTokenId: 1 });
    await expect(twice).rejects.toThrow("to is what sets forcedBosTokenId");
    const without = translate(hostOf(plain), "one", { from: "fr_XX", to: "ro_RO" });
    await expect(without).rejects.toThrow("this one adds none");
  });
});

describe("Marian", () => {
  const vocabulary = { special: ["</s>", "<unk>"], words: WORDS, after: ["</s>"] };
  const several = tinyTokenizer({ ...vocabulary, more: [">>fra<<", ">>ron<<"] });
  const pair = tinyTokenizer(vocabulary);
  const hostOf = (tokenizer: typeof pair, maxTokens = 512) =>
    recordingHost(tokenizer, { architecture: "marian", maxTokens });

  test.each(["fra", ">>fra<<"])("of several languages: %s", async (to) => {
    const host = hostOf(several);
    await translate(host, ["one", "two"], { to });
    const fra = several.tokenToId(">>fra<<");
    expect(askedOf(host).sources).toEqual(["one", "two"].map((text) => [fra, ...several.encode(text).ids]));
  });

  test("the language counts towards the context", async () => {
    const host = hostOf(several, 3);
    await translate(host, "one", { to: "fra" });
    await expect(translate(host, "one two", { to: "fra" })).rejects.toThrow("4 tokens");
    await translate(host, "one two", { to: "fra", truncate: true });
    expect(askedOf(host).sources[0]).toEqual([several.tokenToId(">>fra<<"), ...several.encode("one").ids]);
  });

  test("what it cannot do", async () => {
    await expect(translate(hostOf(several), "one", {})).rejects.toThrow("pass to, one of >>fra<<, >>ron<<");
    await expect(translate(hostOf(several), "one", { to: "deu" })).rejects.toThrow(
      'one of >>fra<<, >>ron<<, got ">>deu<<"',
    );
    await expect(translate(hostOf(several), "one", { from: "eng", to: "fra" })).rejects.toThrow("leave out from");
    await expect(translate(hostOf(pair), "one", { to: "fra" })).rejects.toThrow(
      "two languages only: leave out from and to",
    );
  });

  test("a single pair needs no options", async () => {
    const host = hostOf(pair);
    await translate(host, "one", {});
    expect(askedOf(host).sources).toEqual([pair.encode("one").ids]);
  });
});

test("other models are not told languages", async () => {
  const tokenizer = tinyTokenizer({ special: ["</s>", "<unk>"], words: WORDS, after: ["</s>"] });
  const host = recordingHost(tokenizer, { architecture: "bart" });
  await translate(host, "one", {});
  expect(askedOf(host).sources).toEqual([tokenizer.encode("one").ids]);
  await expect(translate(host, "one", { to: "fr" })).rejects.toThrow("a bart model is not told languages");
});

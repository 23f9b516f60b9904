/**
 * Random texts through Hugging Face's native tokenizers and through ours: the same ids, tokens, offsets, masks and decoded
 * texts. QKV_FUZZ_STRINGS says how many texts each real vocabulary gets (default 3000; a small one gets a fortieth, and
 * components see every character too), QKV_FUZZ_SEED which ones.
 */

import type { Tokenizer } from "@qkv/tokenize";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { compareEncodings, type Failure, shown, shrink } from "./compare";
import { DIVERGENCES, type Divergence, keptByNative, PATTERN_DIVERGENCES, withoutDivergent } from "./ledger";
import { type Encoded, type Input, native, Oracle } from "./native";
import { awkwardText, everyCharacter } from "./texts";
import { COMPONENTS, REAL, SMALL, splitBy, type Vocabulary } from "./vocabularies";

function fromEnvironment(name: string, fallback: number): number {
  const value = Number(process.env[name] || fallback);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`${name}: expected a count, got ${process.env[name]}`);
  return value;
}

const STRINGS = fromEnvironment("QKV_FUZZ_STRINGS", 3000);
const SEED = fromEnvironment("QKV_FUZZ_SEED", 20);
/** Components see every character, or with fewer strings every few. */
const CHARACTER_STEP = Math.max(1, Math.round(12_000 / Math.max(1, STRINGS)));
// Those who ask for more have more patience.
vi.setConfig({ testTimeout: 60_000 + 30 * STRINGS });

/** Failures of a tokenizer that are shrunk and shown. */
const SHOWN = 5;

/** Decoding and encoding again gives the text: bytes, and nothing that changes them. */
const LOSSLESS: ReadonlySet<string> = new Set([
  ...[
    "GPT-2, encoder.json and vocab.bpe",
    "bpe_bytelevel_normalizer",
    "bpe_gpt2",
    "bpe_ignore_merges_off",
    "bpe_llama3",
  ],
  ...[
    "bpe_roberta",
    "legacy_gpt2",
    "pre_bytelevel_00",
    "pre_bytelevel_01",
    "pre_digits_bytelevel",
    "pre_regex_deepseek",
  ],
  ...["pre_regex_gpt2", "pre_regex_llama3", "pre_regex_o200k", "pre_regex_qwen2", "template_multi_ids"],
]);

function seedOf(name: string): number {
  return [...name].reduce((hash, character) => (Math.imul(hash, 31) + character.charCodeAt(0)) | 0, SEED);
}

/** Texts of the tokens themselves, some of them. */
async function ownTexts(oracle: Oracle, ids: readonly number[], seed: number): Promise<string[]> {
  const some = fc.sample(fc.constantFrom(...ids), { numRuns: 200, seed });
  const texts = await oracle.decode(
    some.map((id) => [id]),
    false,
  );
  return texts.filter((text) => text !== "" && text.length < 40);
}

/** A quarter of them with a pair, with and without special tokens. */
function inputsOf(texts: readonly string[]): Input[] {
  return texts.map((text, i) => ({
    text,
    pair: i % 4 < 3 || i === 0 ? null : texts[i - 1],
    addSpecialTokens: i % 8 < 5,
  }));
}

async function report(ours: Tokenizer, oracle: Oracle, failures: readonly Failure[], of: number): Promise<void> {
  if (failures.length === 0) return;
  const shortest = [...failures].sort((a, b) => a.input.text.length - b.input.text.length).slice(0, SHOWN);
  const lines = new Set<string>();
  for (const failure of shortest) lines.add(shown(await shrink(ours, oracle, failure)));
  expect.fail(
    `${failures.length} of ${of} texts differ (QKV_FUZZ_SEED=${SEED} QKV_FUZZ_STRINGS=${STRINGS}), for one:\n${[...lines].join("\n")}`,
  );
}

/** Those special tokens of which the ledger says that the native library keeps them, if it does. */
async function keptSpecial(file: object, oracle: Oracle): Promise<ReadonlySet<number>> {
  const ids = keptByNative(file);
  const texts = await oracle.decode(
    ids.map((id) => [id]),
    true,
  );
  return new Set(ids.filter((_, i) => texts[i] !== ""));
}

function compareDecoded(
  ours: Tokenizer,
  ids: readonly (readonly number[])[],
  theirs: readonly string[],
  skip: boolean,
): void {
  for (const [i, each] of ids.entries()) {
    const decoded = ours.decode(each, { skipSpecialTokens: skip });
    if (decoded !== theirs[i]) {
      expect(decoded, `decode([${each.join(", ")}], skipSpecialTokens ${skip}), QKV_FUZZ_SEED=${SEED}`).toBe(theirs[i]);
    }
  }
}

async function compare(
  { name, json, ours: make }: Vocabulary,
  count: number,
  more: readonly string[] = [],
): Promise<void> {
  const file = json();
  const fileText = JSON.stringify(file);
  const oracle = new Oracle(file);
  const ours = make();
  const seed = seedOf(name);
  const vocabularyIds = oracle.ids().sort((a, b) => a - b);
  const own = await ownTexts(oracle, vocabularyIds, seed);
  const texts = [...fc.sample(awkwardText(own), { numRuns: count, seed }), ...more];
  const inputs = inputsOf(texts.map((text) => withoutDivergent(text, fileText)));

  const { failures, outcomes } = await compareEncodings(ours, oracle, inputs);
  await report(ours, oracle, failures, inputs.length);

  const encoded = outcomes.filter((outcome): outcome is Encoded => !("error" in outcome)).map(({ ids }) => ids);
  const random = fc.sample(fc.array(fc.constantFrom(...vocabularyIds), { maxLength: 20 }), {
    numRuns: Math.ceil(count / 4),
    seed,
  });
  const sequences = [...encoded, ...random];
  compareDecoded(ours, sequences, await oracle.decode(sequences, false), false);
  const kept = await keptSpecial(file, oracle);
  for (const id of kept) expect(ours.decode([id]), `decode([${id}])`).toBe("");
  const skipping = sequences.map((ids) => ids.filter((id) => !kept.has(id)));
  compareDecoded(ours, sequences, await oracle.decode(skipping, true), true);
  if (LOSSLESS.has(name)) {
    for (const { text, pair } of inputs) {
      if (pair !== null) continue;
      const { ids } = ours.encode(text, null, { addSpecialTokens: false });
      expect(ours.decode(ids, { skipSpecialTokens: false })).toBe(text.replace(/\p{Surrogate}/gu, "\ufffd"));
    }
  }
}

describe.skipIf(native === null)("native tokenizers give the same", () => {
  for (const vocabulary of REAL) {
    if ("skipped" in vocabulary) test.skip(`${vocabulary.name} (${vocabulary.skipped})`, () => {});
    else test(vocabulary.name, () => compare(vocabulary, STRINGS));
  }
  describe("a component, on random texts and every kind of character", () => {
    test.each(COMPONENTS.map((vocabulary): [string, Vocabulary] => [vocabulary.name, vocabulary]))(
      "%s",
      (_, vocabulary) => compare(vocabulary, Math.ceil(STRINGS / 10), everyCharacter(CHARACTER_STEP, SEED)),
    );
  });
  describe("a small", () => {
    test.each(SMALL.map((vocabulary): [string, Vocabulary] => [vocabulary.name, vocabulary]))("%s", (_, vocabulary) =>
      compare(vocabulary, Math.ceil(STRINGS / 40)),
    );
  });
});

/** Of a range that is long, the ends and some in between. */
const LEDGER_SAMPLE = 50;

describe.skipIf(native === null)("the ledger says where native tokenizers differ", () => {
  test.each(DIVERGENCES.map((divergence): [string, Divergence] => [divergence.because, divergence]))(
    "%s",
    async (_, { codePoints, shownBy }) => {
      const vocabulary = COMPONENTS.find(({ name }) => name === shownBy);
      if (vocabulary === undefined) throw new Error(`no component is called ${shownBy}`);
      const codes = codePoints.flatMap(([first, last]) => {
        const step = Math.max(1, Math.floor((last - first) / LEDGER_SAMPLE));
        return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => first + i * step);
      });
      const inputs = codes.map(
        (code): Input => ({
          text: String.fromCodePoint(code),
          pair: null,
          addSpecialTokens: false,
        }),
      );
      const oracle = new Oracle(vocabulary.json());
      const { failures } = await compareEncodings(vocabulary.ours(), oracle, inputs);
      expect(failures).toHaveLength(inputs.length);
    },
  );
  test.each(PATTERN_DIVERGENCES)("$because: $regex", async ({ regex, text }) => {
    const vocabulary = splitBy(regex);
    const input: Input = { text, pair: null, addSpecialTokens: false };
    const { failures } = await compareEncodings(vocabulary.ours(), new Oracle(vocabulary.json()), [input]);
    expect(failures).toHaveLength(1);
  });
  test("and each entry has characters of its own", () => {
    const ranges = DIVERGENCES.flatMap(({ shownBy, codePoints }) => codePoints.map((range) => `${shownBy} ${range}`));
    expect(new Set(ranges).size).toBe(ranges.length);
  });
});

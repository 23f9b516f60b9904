/** t5-titler (FLAN-T5-small's weights) and misaki-bart-us against Hugging Face transformers. */

import { cosineSimilarity, type GenerateOptions, type Seq2Seq, type Tensor } from "@qkv/models";
import { Tokenizer } from "@qkv/tokenize";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { largestDifference } from "../support/compare";
import { externalFile, readJson } from "../support/fixtures";
import { loadSeq2Seq, TEST_KERNELS } from "../support/load";
import { type Expected, readExpected } from "../support/safetensors";
import { fixtureBytes } from "../support/tokenizer-fixtures";

interface Run {
  readonly options: Record<string, number | boolean>;
  readonly sequences: number[][];
  readonly sequences_scores: number[];
  readonly texts: string[];
}

interface RealCase {
  readonly text: string;
  readonly ids: number[];
  readonly decoder_input_ids: number[];
  readonly greedy: { readonly max_new_tokens: number; readonly ids: number[]; readonly text: string };
  readonly beam4: Run;
  readonly titler?: Run;
  readonly beam4_early?: Run;
}

interface Real {
  readonly f32_error: Record<string, number>;
  readonly cases: Record<string, RealCase>;
}

const MODELS = ["t5-titler", "misaki-bart-us"] as const;
const CONFIG_CASES = Array.from({ length: 8 }, (_, i) => `${i}`);
const folderOf = (name: string) => externalFile("QKV_MODELS", name);
const golden = (file: string) => externalFile("QKV_GOLDENS", `real/${file}`);

function optionsOf({ options }: Run): GenerateOptions {
  const camel = (key: string) => key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(options).map(([key, value]) => [camel(key), value]));
}

/** A text's ids, the start token and what is filled in behind its end left out. */
function newIds([, ...ids]: readonly number[], end: number): number[] {
  const at = ids.indexOf(end);
  return at < 0 ? ids : ids.slice(0, at + 1);
}

describe.each(MODELS)("%s", (name) => {
  const folder = folderOf(name);
  const json = golden(`${name}.json`);
  // The reference kernels take minutes for 77 million parameters.
  const slow = name === "t5-titler" && TEST_KERNELS.kernels === "reference";
  const there = folder !== null && json !== null && !slow;
  const { cases, f32_error } = there ? readJson<Real>(json) : { cases: {}, f32_error: {} };
  const expected = there ? readExpected(golden(`${name}.safetensors`) as string) : new Map<string, Expected>();
  let model: Seq2Seq;
  beforeAll(async () => {
    if (there) model = await loadSeq2Seq(folder);
  });
  afterAll(() => model?.dispose());

  const close = (tap: string, got: Tensor): void => {
    const tensor = expected.get(tap) as Expected;
    const columns = tensor.shape.at(-1) as number;
    const width = got.shape.at(-1) as number;
    // Of wide states, only the first values of each row are kept.
    const data = Float32Array.from(tensor.data, (_, i) => got.data[Math.floor(i / columns) * width + (i % columns)]);
    expect(tensor.data.length).toBeGreaterThan(0);
    expect(largestDifference(data, tensor.data), tap).toBeLessThanOrEqual(20 * f32_error[tap]);
  };

  const each = there ? Object.keys(cases) : CONFIG_CASES;
  test.skipIf(!there).each(each)("%s: the encoder's states, and logits", (at) => {
    const { ids, decoder_input_ids } = cases[at];
    const { encoderHidden, logits } = model.run(ids, decoder_input_ids);
    close(`${at}/encoder.final`, encoderHidden);
    close(`${at}/logits`, logits);
  });

  test.skipIf(!there).each(each)("%s: greedy text and beams, with their scores", async (at) => {
    const one = cases[at];
    const [end] = model.endIds;
    const greedy = await model.generate(one.ids, { maxNewTokens: one.greedy.max_new_tokens }).result();
    expect(greedy.ids).toEqual(one.greedy.ids);
    for (const run of [one.beam4, one.titler, one.beam4_early]) {
      if (run === undefined) continue;
      const { sequences } = await model.generate(one.ids, optionsOf(run)).result();
      expect(sequences.map(({ ids }) => ids)).toEqual(run.sequences.map((ids) => newIds(ids, end)));
      for (const [i, { score }] of sequences.entries()) {
        expect(Math.abs((score as number) - run.sequences_scores[i])).toBeLessThan(1e-4);
      }
      if (model.tokenizer !== null) expect(sequences.map(({ text }) => text)).toEqual(run.texts);
    }
    if (model.tokenizer !== null) expect(greedy.text).toBe(one.greedy.text);
  });

  if (name === "t5-titler")
    test.skipIf(!there)("the ids of the texts are the same from tokenizer.json and from spiece.model", async () => {
      // As a folder without a tokenizer.json holds it, with the sentinels that transformers adds.
      const files: Record<string, Uint8Array> = {
        "spiece.model": fixtureBytes("vocab", "t5.spiece.model"),
        "config.json": new TextEncoder().encode('{"model_type":"t5"}'),
      };
      const tokenizer = await Tokenizer.from({ read: async (file) => files[file] ?? null });
      for (const { text, ids } of Object.values(cases)) {
        expect(model.tokenizer?.encode(text).ids).toEqual(ids);
        expect(tokenizer.encode(text).ids).toEqual(ids);
      }
    });

  if (name === "t5-titler")
    test.skipIf(!there)("q8 keeps T5's outliers: a scale for each block of 32", async () => {
      await using q8 = await loadSeq2Seq(folder as string, { dtype: "q8" });
      let least = 1;
      let same = 0;
      for (const { ids, greedy } of Object.values(cases)) {
        const D = model.hiddenSize;
        const [ours, theirs] = [q8, model].map((each) => each.run(ids, [0]).encoderHidden.data) as [
          Float32Array,
          Float32Array,
        ];
        for (let t = 0; t < ids.length; t++) {
          const row = (states: Float32Array) => states.subarray(t * D, (t + 1) * D);
          least = Math.min(least, cosineSimilarity(row(ours), row(theirs)));
        }
        const { text } = await q8.generate(ids, { maxNewTokens: greedy.max_new_tokens }).result();
        if (text === greedy.text) same++;
      }
      // int8 with one scale a tensor: 0.79 to 0.90
      expect(least).toBeGreaterThan(0.9997);
      expect(same).toBeGreaterThanOrEqual(5);
    });
});

const chronos = folderOf("chronos-t5-dummy");

test.skipIf(chronos === null)("chronos-t5-dummy: T5's layout without a text, for time series", async () => {
  await using model = await loadSeq2Seq(chronos as string);
  expect(model.tokenizer).toBe(null);
  expect(() => model.generate("a text")).toThrow(/needs a tokenizer, and this model has none/);
  const { ids } = await model.generate([5, 9, 1], { maxNewTokens: 8, stopIds: [] }).result();
  expect(ids).toHaveLength(8);
  expect(model.run([5, 9, 1], [0, ...ids.slice(0, 7)]).logits.shape).toEqual([8, 32]);
});

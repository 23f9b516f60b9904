/** Real models against Hugging Face transformers: stories260K in its three forms, SmolLM2-135M from its GGUF file. */

import type { Decoder } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { largestDifference } from "../support/compare";
import { externalFile, fixture, readJson, repository } from "../support/fixtures";
import { load, TEST_KERNELS } from "../support/load";
import { type Expected, readExpected } from "../support/safetensors";

interface RealGolden {
  readonly cases: Record<
    string,
    {
      readonly ids: number[];
      readonly greedy: { readonly ids: number[]; readonly text: string; readonly top2_gap: number[] };
    }
  >;
  readonly nll: { readonly ids: number[]; readonly mean_nll: number };
  readonly f32_error: Record<string, number>;
}

/** The goldens' README: 20 times the largest difference between float32 and float64. */
const TIMES_F32_ERROR = 20;

function expectLogits(name: string, got: Float32Array, expected: Map<string, Expected>, golden: RealGolden): void {
  const tensor = expected.get(name) as Expected;
  expect(got.length, name).toBe(tensor.data.length);
  expect(largestDifference(got, tensor.data), name).toBeLessThanOrEqual(TIMES_F32_ERROR * golden.f32_error[name]);
}

describe("stories260K", () => {
  const golden = readJson<RealGolden>(fixture("goldens/real/stories260K.json"));
  const expected = readExpected(fixture("goldens/real/stories260K.safetensors"));
  const FORMS = {
    safetensors: repository("packages/cli/models/stories260K"),
    "llama2.c": fixture("models/stories260K/stories260K.bin"),
    GGUF: fixture("models/stories260K/stories260K.gguf"),
  };
  const models = new Map<string, Decoder>();
  beforeAll(async () => {
    for (const [form, path] of Object.entries(FORMS)) models.set(form, await load(path, { contextLength: 256 }));
  });
  afterAll(() => {
    for (const model of models.values()) model.dispose();
  });
  const model = (form: string) => models.get(form) as Decoder;

  test.each(Object.keys(FORMS))("%s: logits of the prompt, and after 200 tokens", (form) => {
    const { ids, greedy } = golden.cases.prompt;
    expectLogits("prompt/logits", model(form).run(ids).logits.data, expected, golden);
    const end = model(form).run([...ids, ...greedy.ids], { logitsToKeep: 1 });
    expectLogits("end/logits", end.logits.data, expected, golden);
  });

  test.each(Object.keys(FORMS))("%s: the story that llama2.c tells at temperature 0", async (form) => {
    const { greedy } = golden.cases.bos;
    const { ids, text } = await model(form).generate([1], { maxNewTokens: 200, stopIds: [] }).result();
    expect(ids).toEqual(greedy.ids);
    expect(text).toBe(greedy.text);
    const prompt = "Once upon a time";
    const continued = await model(form).generate(prompt, { maxNewTokens: 200 }).result();
    expect(continued.ids).toEqual(golden.cases.prompt.greedy.ids);
    expect(prompt + continued.text).toBe(golden.cases.prompt.greedy.text);
  });

  test("the three forms compute the same bits at every tap", () => {
    const { ids } = golden.cases.prompt;
    const [first, ...others] = Object.keys(FORMS).map((form) => model(form).run(ids, { capture: ["*"] }));
    expect(Object.keys(first.captured)).toContain("layers.4.attention.probs");
    for (const other of others) {
      expect(Object.keys(other.captured)).toEqual(Object.keys(first.captured));
      for (const [tap, { data }] of Object.entries(first.captured)) expect(other.captured[tap].data).toEqual(data);
    }
  });
});

const SMOLLM2 = externalFile("QKV_MODELS", "SmolLM2-135M-Instruct-Q4_1.gguf");

describe.skipIf(SMOLLM2 === null || TEST_KERNELS.kernels === "reference")(
  "SmolLM2-135M with activations in 8 bits (needs QKV_MODELS; the reference would take minutes)",
  { timeout: 600_000 },
  () => {
    const golden = readJson<RealGolden>(fixture("goldens/real/smollm2.json"));

    test("mean cross entropy within 0.02 of activations as they are", async () => {
      await using model = await load(SMOLLM2 as string, { contextLength: 256, activations: "int8" });
      const { loss } = model.loss(golden.nll.ids);
      expect(Math.abs(loss - golden.nll.mean_nll)).toBeLessThan(0.02);
    });
  },
);

describe.skipIf(SMOLLM2 === null)(
  "SmolLM2-135M, Q4_1 and Q8_0, activations as they are (needs QKV_MODELS)",
  { timeout: 600_000 },
  () => {
    const golden = readJson<RealGolden>(fixture("goldens/real/smollm2.json"));
    const expected = readExpected(fixture("goldens/real/smollm2.safetensors"));
    let model: Decoder;
    beforeAll(async () => {
      // The goldens were made with activations as they are.
      model = await load(SMOLLM2 as string, { contextLength: 256, activations: "f32" });
    }, 60_000);
    afterAll(() => model.dispose());

    test.each(["plain", "chat", "code"])("%s: logits of the last position", (name) => {
      const { logits } = model.run(golden.cases[name].ids, { logitsToKeep: 1 });
      expectLogits(`${name}/logits`, logits.data, expected, golden);
    });

    test("greedy ids", async () => {
      const { ids, greedy } = golden.cases.plain;
      const result = await model.generate(ids, { maxNewTokens: 12, stopIds: [] }).result();
      expect(result.ids).toEqual(greedy.ids.slice(0, 12));
    });

    test("cross entropy of every token of a text", () => {
      const { loss, tokenLosses } = model.loss(golden.nll.ids);
      expectLogits("nll/nll", Float32Array.from(tokenLosses), expected, golden);
      expect(Math.abs(loss - golden.nll.mean_nll)).toBeLessThan(1e-5);
    });
  },
);

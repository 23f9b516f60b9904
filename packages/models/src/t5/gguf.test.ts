/** T5's GGUF form, against transformers on the same (dequantised) weights; what does not fit is refused by name. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ggufFile, readTestTensors, repositoryPath, type TestMetadata, type TestTensor } from "../formats/testing";
import { load, loadEncoder, loadSeq2Seq } from "../load";

const FOLDER = repositoryPath("tests/fixtures/goldens/seq2seq/gguf");

interface Expected {
  readonly files: Record<
    string,
    {
      readonly input_ids: number[];
      readonly decoder_input_ids?: number[];
      readonly greedy?: { readonly eos_token_id: number; readonly max_new_tokens: number; readonly tokens: number[] };
    }
  >;
  readonly texts: Record<string, number[]>;
}

const { files, texts } = JSON.parse(readFileSync(`${FOLDER}/expected.json`, "utf8")) as Expected;
const tensors = readTestTensors(`${FOLDER}/expected.safetensors`);

/** The last rows of what was computed, within a share of the greatest value. */
function expectClose(got: Float32Array, name: string): void {
  const { data } = tensors.get(name) as TestTensor;
  const expected = data as Float32Array;
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const rows = got.subarray(got.length - expected.length);
  expected.forEach((value, i) => {
    expect(Math.abs(rows[i] - value)).toBeLessThan(5e-6 * scale);
  });
}

describe.each(Object.keys(files).filter((name) => files[name].decoder_input_ids !== undefined))("%s.gguf", (name) => {
  const { input_ids, decoder_input_ids, greedy } = files[name];

  test("states, logits and greedy text", async () => {
    // Activations as they are: the goldens multiply dequantised weights.
    await using model = await loadSeq2Seq(FOLDER, { file: `${name}.gguf`, activations: "f32" });
    const { encoderHidden, logits } = model.run(input_ids, decoder_input_ids as number[]);
    expectClose(encoderHidden.data, `${name}/encoder.final`);
    expectClose(logits.data, `${name}/logits`);
    const { ids } = await model.generate(input_ids, { maxNewTokens: greedy?.max_new_tokens ?? null }).result();
    expect(ids).toEqual(greedy?.tokens);
  });
});

test("t5encoder-f16.gguf: an encoder", async () => {
  await using model = await loadEncoder(FOLDER, { file: "t5encoder-f16.gguf" });
  expectClose(model.run(files["t5encoder-f16"].input_ids).hidden.data, "t5encoder-f16/final");
  const [vector] = await model.embed(["the cat sat"]);
  expect(vector.length).toBe(model.hiddenSize);
});

test("texts become the ids of its sentencepiece model, and an end token", async () => {
  await using model = await loadSeq2Seq(FOLDER, { file: "t5-f32.gguf" });
  for (const [text, ids] of Object.entries(texts)) expect(model.tokenizer?.encode(text).ids).toEqual([...ids, 1]);
});

describe("what does not fit is refused by name", () => {
  const written = async (changes: TestMetadata): Promise<Blob> => {
    const metadata: TestMetadata = {
      "general.architecture": "t5",
      "t5.context_length": 64,
      "t5.embedding_length": 32,
      "t5.feed_forward_length": 40,
      "t5.block_count": 1,
      "t5.attention.head_count": 4,
      "t5.attention.key_length": 8,
      "t5.attention.value_length": 8,
      "t5.attention.layer_norm_rms_epsilon": 1e-6,
      "t5.attention.relative_buckets_count": 32,
      "t5.decoder_start_token_id": 0,
      ...changes,
    };
    const embedding: TestTensor = { shape: [10, 32], data: new Float32Array(320) };
    return ggufFile(metadata, new Map([["token_embd.weight", embedding]]));
  };

  test.each([
    [{ "t5.attention.sliding_window": 7 }, /t5\.attention\.sliding_window": 7 is not supported/],
    [{ "t5.attention.head_count_kv": 2 }, /head_count_kv": 2 is not supported \(supported: 4, as many as heads\)/],
    [{ "t5.attention.value_length": 16 }, /value_length": 16 is not supported/],
    [{ "t5.attention.relative_buckets_count": 1000 }, /relative_buckets_count": expected an integer from 4 to 254/],
    [{}, /missing: the config asks for it/],
  ])("%j", async (changes, message) => {
    await expect(load(await written(changes as unknown as TestMetadata))).rejects.toThrow(message);
  });
});

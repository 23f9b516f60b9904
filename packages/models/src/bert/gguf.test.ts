/** BERT's GGUF form: a Hugging Face folder written as GGUF must compute the same bits, or be refused by name. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ggufFile, readTestTensors, repositoryPath, type TestMetadata, type TestTensor } from "../formats/testing";
import { loadEncoder } from "../load";

const TINY = repositoryPath("tests/fixtures/goldens/tiny");
const IDS = [2, 17, 40, 41, 9, 88, 3];
const TYPES = { tokenTypeIds: [0, 0, 0, 1, 1, 1, 1] };

/** llama.cpp's names. */
const TO_GGUF: readonly (readonly [RegExp, string])[] = [
  [/^bert\./, ""],
  [/^embeddings\.word_embeddings\./, "token_embd."],
  [/^embeddings\.position_embeddings\./, "position_embd."],
  [/^embeddings\.token_type_embeddings\./, "token_types."],
  [/^embeddings\.LayerNorm\./, "token_embd_norm."],
  [/^encoder\.layer\.(\d+)\./, "blk.$1."],
  [/attention\.self\.query/, "attn_q"],
  [/attention\.self\.key/, "attn_k"],
  [/attention\.self\.value/, "attn_v"],
  [/attention\.output\.dense/, "attn_output"],
  [/attention\.output\.LayerNorm/, "attn_output_norm"],
  [/intermediate\.dense/, "ffn_up"],
  [/output\.dense/, "ffn_down"],
  [/output\.LayerNorm/, "layer_output_norm"],
  [/^pooler\.dense/, "cls"],
  [/^classifier\./, "cls.output."],
];

/** A golden's folder as a GGUF file. */
function asGguf(folder: string, changes: TestMetadata = {}, extra: Record<string, TestTensor> = {}): Blob {
  const config = JSON.parse(readFileSync(`${folder}/config.json`, "utf8")) as Record<string, number>;
  const metadata: TestMetadata = {
    "general.architecture": "bert",
    "bert.block_count": config.num_hidden_layers,
    "bert.context_length": config.max_position_embeddings,
    "bert.embedding_length": config.hidden_size,
    "bert.feed_forward_length": config.intermediate_size,
    "bert.attention.head_count": config.num_attention_heads,
    "bert.attention.layer_norm_epsilon": 1e-12,
    "bert.attention.causal": false,
    "bert.pooling_type": 1,
    ...changes,
  };
  const tensors = new Map<string, TestTensor>(Object.entries(extra));
  for (const [name, tensor] of readTestTensors(`${folder}/model.safetensors`)) {
    tensors.set(
      TO_GGUF.reduce((renamed, [from, to]) => renamed.replace(from, to), name),
      tensor,
    );
  }
  return ggufFile(metadata, tensors);
}

describe.each(["bert-pooler", "bert-seqcls"])("%s", (name) => {
  test("computes the bits of the folder", async () => {
    const folder = `${TINY}/${name}`;
    await using expected = await loadEncoder(folder);
    await using model = await loadEncoder(asGguf(folder));
    expect(model.architecture).toBe("bert");
    expect(model.heads).toEqual(expected.heads);
    const [ours, theirs] = [model.run(IDS, TYPES), expected.run(IDS, TYPES)];
    expect(ours.hidden).toEqual(theirs.hidden);
    expect(ours.outputs).toEqual(theirs.outputs);
  });
});

describe("what is refused", () => {
  const folder = `${TINY}/bert-pooler`;
  const cases: [changes: TestMetadata, message: RegExp][] = [
    [{ "bert.attention.causal": true }, /bert.attention.causal.*false/],
    [{ "bert.attention.alibi_bias_max": 8 }, /bert.attention.alibi_bias_max/],
    [{ "bert.pooling_type": 9 }, /bert.pooling_type.*0 \(none\), 1 \(mean\)/],
    [{ "bert.pooling_type": 4 }, /bert.pooling_type.*cls.output/],
    [{ "bert.embedding_length": 40 }, /expected shape \[\d+, 40\]/],
    [{ "bert.attention.head_count": 5 }, /bert.attention.head_count.*divisor/],
    [{ "bert.block_count": 0 }, /bert.block_count/],
    [{ "bert.block_count": 1 }, /belongs to no part of the model/],
  ];
  test.each(cases)("%j", async (changes, message) => {
    await expect(loadEncoder(asGguf(folder, changes))).rejects.toThrow(message);
  });

  test("a tensor that BERT does not have", async () => {
    const extra = { "blk.0.ffn_gate.weight": { shape: [48, 32], data: new Float32Array(48 * 32) } };
    await expect(loadEncoder(asGguf(folder, {}, extra))).rejects.toThrow(/blk.0.ffn_gate.weight.*belongs to no part/);
  });
});

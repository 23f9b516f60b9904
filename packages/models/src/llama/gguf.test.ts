/** LLaMA's GGUF form: a Hugging Face folder written as GGUF must compute the same bits, or be refused by name. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { UnsupportedModelError } from "../errors";
import {
  ggufFile,
  readTestTensors,
  repositoryPath,
  type TestMetadata,
  type TestTensor,
  utf8,
} from "../formats/testing";
import { loadDecoder } from "../load";

const GOLDENS = repositoryPath("tests/fixtures/goldens/tiny");
const IDS = Array.from({ length: 90 }, (_, i) => 5 + ((i * 13) % 90));

const TO_GGUF: readonly (readonly [RegExp, string])[] = [
  [/^model\.embed_tokens\./, "token_embd."],
  [/^model\.norm\./, "output_norm."],
  [/^lm_head\./, "output."],
  [/^model\.layers\.(\d+)\./, "blk.$1."],
  [/self_attn\.q_proj/, "attn_q"],
  [/self_attn\.k_proj/, "attn_k"],
  [/self_attn\.v_proj/, "attn_v"],
  [/self_attn\.o_proj/, "attn_output"],
  [/input_layernorm/, "attn_norm"],
  [/post_attention_layernorm/, "ffn_norm"],
  [/mlp\.gate_proj/, "ffn_gate"],
  [/mlp\.up_proj/, "ffn_up"],
  [/mlp\.down_proj/, "ffn_down"],
];

/** Rows of q or k from half-split to interleaved order, as llama.cpp's converter does: reshape(H, 2, K/2).swapaxes(1, 2). */
function interleaved({ shape, data }: TestTensor, heads: number): TestTensor {
  const width = shape[1] ?? 1;
  const headDim = shape[0] / heads;
  const out = new Float32Array(data.length);
  for (let h = 0; h < heads; h++) {
    for (let half = 0; half < 2; half++) {
      for (let i = 0; i < headDim / 2; i++) {
        const from = (h * headDim + half * (headDim / 2) + i) * width;
        out.set(data.subarray(from, from + width), (h * headDim + 2 * i + half) * width);
      }
    }
  }
  return { shape, data: out };
}

/** A golden's folder as a GGUF file. */
function asGguf(folder: string, changes: TestMetadata = {}, extra: Record<string, TestTensor> = {}): Blob {
  const config = JSON.parse(readFileSync(`${folder}/config.json`, "utf8")) as Record<string, number>;
  const heads = config.num_attention_heads;
  const kvHeads = config.num_key_value_heads;
  const metadata: TestMetadata = {
    "general.architecture": "llama",
    "llama.block_count": config.num_hidden_layers,
    "llama.context_length": config.max_position_embeddings,
    "llama.embedding_length": config.hidden_size,
    "llama.feed_forward_length": config.intermediate_size,
    "llama.attention.head_count": heads,
    "llama.attention.head_count_kv": kvHeads,
    "llama.attention.key_length": config.head_dim,
    "llama.attention.value_length": config.head_dim,
    "llama.rope.dimension_count": config.head_dim,
    "llama.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
    "llama.rope.freq_base": 10_000,
    ...changes,
  };
  const tensors = new Map<string, TestTensor>(Object.entries(extra));
  for (const [name, tensor] of readTestTensors(`${folder}/model.safetensors`)) {
    const renamed = TO_GGUF.reduce((name, [from, to]) => name.replace(from, to), name);
    const order = name.includes("q_proj") ? heads : name.includes("k_proj") ? kvHeads : 0;
    tensors.set(renamed, order > 0 ? interleaved(tensor, order) : tensor);
  }
  return ggufFile(metadata, tensors);
}

async function logits(source: string | Blob): Promise<Float32Array> {
  await using model = await loadDecoder(source);
  return model.run(IDS).logits.data;
}

describe("the same bits as the folder", () => {
  const scaled = { "llama.rope.freq_base": 10_000 };
  test.each([
    ["llama-mha", {}],
    ["llama-gqa", {}],
    ["llama-mqa (untied)", {}],
    ["llama-bias", {}],
    ["llama-head-dim", {}],
    ["llama-linear", { "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4 }],
    ["llama-linear, by the older key", { "llama.rope.scale_linear": 4 }],
    ["llama-linear, which is what a factor without a type means", { "llama.rope.scaling.factor": 4 }],
    ["llama-gqa, where none ignores both factors", { "llama.rope.scaling.type": "none", "llama.rope.scale_linear": 4 }],
  ] as [string, TestMetadata][])("%s", async (name, changes) => {
    const folder = `${GOLDENS}/${name.split(/[ ,]/)[0]}`;
    expect(await logits(asGguf(folder, { ...scaled, ...changes }))).toEqual(await logits(folder));
  });

  test("yarn, whose ramp the format does not store: with llama.cpp's ends, 32 and 1", async () => {
    const folder = `${GOLDENS}/llama-yarn`;
    const config = readFileSync(`${folder}/config.json`, "utf8").replace('"beta_fast": 8.0', '"beta_fast": 32.0');
    const weights = readFileSync(`${folder}/model.safetensors`);
    const source = {
      read: async (path: string, start: number, end: number) => {
        if (path === "config.json") return utf8(config).slice(start, end);
        return path === "model.safetensors" ? new Uint8Array(weights.subarray(start, end)) : null;
      },
    };
    await using expected = await loadDecoder(source);
    const got = await logits(
      asGguf(folder, {
        "llama.rope.scaling.type": "yarn",
        "llama.rope.scaling.factor": 4,
        "llama.rope.scaling.original_context_length": 64,
      }),
    );
    expect(got).toEqual(expected.run(IDS).logits.data);
  });

  test("llama3 scaling, which GGUF stores as divisors of the frequencies", async () => {
    const folder = `${GOLDENS}/llama-llama3`;
    // factor 8, low 1, high 4, trained length 64, theta 500, K 12: the rule of llama.cpp's converter
    const divisors = Float32Array.from({ length: 6 }, (_, i) => {
      const wavelength = 2 * Math.PI * 500 ** (i / 6);
      if (wavelength < 64 / 4) return 1;
      if (wavelength > 64 / 1) return 8;
      const smooth = (64 / wavelength - 1) / (4 - 1);
      return 1 / ((1 - smooth) / 8 + smooth);
    });
    const file = asGguf(
      folder,
      { "llama.rope.freq_base": 500 },
      { "rope_freqs.weight": { shape: [6], data: divisors } },
    );
    const got = await logits(file);
    const expected = await logits(folder);
    // The divisors were rounded to float32 on their way, so not to the bit.
    const largest = Math.max(...expected.map(Math.abs));
    expect(Math.max(...got.map((value, i) => Math.abs(value - expected[i])))).toBeLessThan(2e-6 * largest);
  });
});

describe("refused by name", () => {
  const folder = `${GOLDENS}/llama-gqa`;
  test.each([
    [{ "general.architecture": "qwen2" }, /general.architecture.*"qwen2".*supported: .*llama/],
    [{ "llama.expert_count": 8 }, /llama.expert_count.*8/],
    [{ "llama.rope.scaling.type": "longrope" }, /llama.rope.scaling.type.*"longrope"/],
    [{ "llama.rope.dimension_count": 4 }, /llama.rope.dimension_count.*4/],
    [{ "llama.attention.value_length": 4 }, /llama.attention.value_length/],
    [
      {
        "llama.rope.scaling.type": "yarn",
        "llama.rope.scaling.factor": 2,
        "llama.rope.scaling.yarn_log_multiplier": 0.1,
      },
      /yarn_log_multiplier/,
    ],
    [{ "llama.attention.sliding_window": 8 }, /llama.attention.sliding_window/],
  ] as [TestMetadata, RegExp][])("%j", async (changes, message) => {
    const error = await loadDecoder(asGguf(folder, changes)).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(UnsupportedModelError);
    expect(String(error)).toMatch(message);
  });

  test.each([
    [{ "llama.attention.head_count_kv": 3 }, /head_count_kv": expected a divisor/],
    [{ "llama.embedding_length": 64 }, /embedding_length": expected 32/],
    [{ "llama.block_count": 3 }, /tensor "model.layers.2.\S+": missing/],
    [{ "llama.rope.freq_base": 0.5 }, /freq_base/],
    [{ "llama.attention.key_length": 2 ** 31 - 2 }, /key_length": expected an integer from 2 to 16384/],
  ] as [TestMetadata, RegExp][])("contradictions: %j", async (changes, message) => {
    await expect(loadDecoder(asGguf(folder, changes))).rejects.toThrow(message);
  });

  test("divisors of another number, or not positive", async () => {
    const wrong = { "rope_freqs.weight": { shape: [3], data: new Float32Array(3).fill(1) } };
    await expect(loadDecoder(asGguf(folder, {}, wrong))).rejects.toThrow(/rope_freqs.weight.*expected shape \[4\]/);
    const zero = { "rope_freqs.weight": { shape: [4], data: new Float32Array(4) } };
    await expect(loadDecoder(asGguf(folder, {}, zero))).rejects.toThrow(/rope_freqs.weight.*positive/);
    const both = { "rope_freqs.weight": { shape: [4], data: new Float32Array(4).fill(1) } };
    const factor = { "llama.rope.scaling.factor": 4 };
    await expect(loadDecoder(asGguf(folder, factor, both))).rejects.toThrow(
      /scaling.factor.*1, beside rope_freqs.weight/,
    );
  });

  test("a tensor that belongs nowhere keeps its own name in the message", async () => {
    const extra = { "blk.0.attn_q_norm.weight": { shape: [8], data: new Float32Array(8) } };
    await expect(loadDecoder(asGguf(folder, {}, extra))).rejects.toThrow(
      /tensor "blk.0.attn_q_norm.weight": belongs to no part/,
    );
  });
});

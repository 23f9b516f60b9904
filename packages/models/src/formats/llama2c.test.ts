import { describe, expect, it } from "vitest";
import { UnsupportedModelError } from "../errors";
import { openGguf } from "./gguf";
import { openLlama2c } from "./llama2c";
import { openSafetensors } from "./safetensors";
import { concat, expectBadFile, inMemory, readRepositoryFile, sameBits, utf8, values } from "./testing";

const STORIES = "tests/fixtures/models/stories260K/stories260K";
const F = "model.bin";
const header = (...ints: number[]) => new Uint8Array(new Int32Array(ints).buffer);
const open = (file: Uint8Array, options = {}) => openLlama2c(inMemory({ [F]: file }, options), F);

describe("stories260K", () => {
  it("holds the same numbers as .bin, as GGUF and as safetensors", async () => {
    const files = inMemory({
      bin: readRepositoryFile(`${STORIES}.bin`),
      gguf: readRepositoryFile(`${STORIES}.gguf`),
      safetensors: readRepositoryFile("packages/cli/models/stories260K/model.safetensors"),
    });
    const { config, tensors: bin } = await openLlama2c(files, "bin");
    expect(config).toEqual({
      hiddenSize: 64,
      intermediateSize: 172,
      numHiddenLayers: 5,
      numAttentionHeads: 8,
      numKeyValueHeads: 4,
      vocabSize: 512,
      maxPositionEmbeddings: 512,
      tieWordEmbeddings: true,
    });
    const safetensors = (await openSafetensors(files, { path: "safetensors" })).tensors;
    const gguf = (await openGguf(files, "gguf")).tensors;
    expect([...bin.keys()].sort()).toEqual([...safetensors.keys()].sort());
    for (const [name, tensor] of bin) {
      expect(tensor.shape).toEqual(safetensors.get(name)?.shape);
      const inGguf = gguf.get(ggufName(name));
      expect(inGguf?.shape).toEqual(tensor.shape);
      const numbers = await values(files, tensor);
      expect(sameBits(await values(files, inGguf), numbers), name).toBe(true); // also q and k: both keep rotary pairs side by side
      if (/[qk]_proj/.test(name)) continue; // Hugging Face has the halves of each head apart
      expect(sameBits(await values(files, safetensors.get(name)), numbers), name).toBe(true);
    }
  });

  function ggufName(name: string): string {
    const whole = { "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight" }[name];
    if (whole !== undefined) return whole;
    const [, layer, part] = /^model\.layers\.(\d+)\.(.*)\.weight$/.exec(name)!;
    const parts: Record<string, string> = {
      ...{ input_layernorm: "attn_norm", post_attention_layernorm: "ffn_norm" },
      ...{ "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v" },
      ...{ "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up" },
      "mlp.down_proj": "ffn_down",
    };
    return `blk.${layer}.${parts[part]}.weight`;
  }
});

describe("the layout", () => {
  // dim 8, hidden 6, layers 2, heads 4, kv heads 2, vocabulary 5, context 3; head size 2, tables of 3 each.
  const floats = 5 * 8 + 2 * (8 + 64 + 32 + 32 + 64 + 8 + 3 * 48) + 8 + 2 * 3;
  const numbered = (ints: number[], count: number) =>
    concat(header(...ints), new Uint8Array(Float32Array.from({ length: count }, (_, i) => i).buffer));
  const tied = numbered([8, 6, 2, 4, 2, 5, 3], floats);
  const untied = numbered([8, 6, 2, 4, 2, -5, 3], floats + 40);

  it("places a tied and an untied head, behind the rotary tables", async () => {
    expect((await open(tied)).tensors.has("lm_head.weight")).toBe(false);
    const files = inMemory({ [F]: untied });
    const { config, tensors } = await openLlama2c(files, F);
    expect([config.vocabSize, config.tieWordEmbeddings]).toEqual([5, false]);
    expect(tensors.get("lm_head.weight")).toMatchObject({ shape: [5, 8], end: untied.length });
    expect((await values(files, tensors.get("lm_head.weight")))[0]).toBe(floats);
    const k1 = tensors.get("model.layers.1.self_attn.k_proj.weight");
    expect(k1?.shape).toEqual([4, 8]);
    expect((await values(files, k1))[0]).toBe(40 + 16 + 128 + 32);
    expect(tensors.get("model.layers.0.mlp.down_proj.weight")?.shape).toEqual([8, 6]);
  });

  it("needs the exact size, known or not", async () => {
    for (const sizes of [true, false]) {
      expect((await open(tied, { sizes })).tensors.size).toBe(20);
      expect((await open(untied, { sizes })).tensors.size).toBe(21);
      for (const file of [
        concat(tied, new Uint8Array(1)),
        tied.subarray(0, -1),
        tied.subarray(0, 28),
        concat(tied, tied),
      ]) {
        await expectBadFile(open(file, { sizes }), {
          file: F,
          problem: /its header needs exactly 3060 bytes, and the file (has|ends|goes)/,
        });
      }
    }
    await expectBadFile(open(tied.subarray(0, 28 + 4 * 50)), { tensor: "model.layers.1.input_layernorm.weight" });
    await expectBadFile(open(tied.subarray(0, 27)), { problem: /ends at byte 27, 28 were needed/ });
  });

  it.each<[string, number[], RegExp]>([
    ["dim", [0, 6, 2, 4, 2, 5, 3], /dim is 0, and must be from 1/],
    ["a negative dim", [-8, 6, 2, 4, 2, 5, 3], /dim is -8/],
    ["a huge dim", [2 ** 30, 6, 2, 4, 2, 5, 3], /dim is 1073741824/],
    ["hidden_dim", [8, 0, 2, 4, 2, 5, 3], /hidden_dim is 0/],
    ["n_layers", [8, 6, 2 ** 31 - 1, 4, 2, 5, 3], /n_layers is 2147483647/],
    ["n_heads", [8, 6, 2, 9, 2, 5, 3], /n_heads is 9/],
    ["n_heads that do not divide", [8, 6, 2, 3, 1, 5, 3], /dim 8 is no multiple of n_heads 3/],
    ["an odd head", [12, 6, 2, 4, 2, 5, 3], /the head size 3 is odd/],
    ["n_kv_heads", [8, 6, 2, 4, 5, 5, 3], /n_kv_heads is 5/],
    ["n_kv_heads that do not divide", [8, 6, 2, 4, 3, 5, 3], /n_heads 4 is no multiple of n_kv_heads 3/],
    ["vocab_size", [8, 6, 2, 4, 2, 0, 3], /vocab_size is 0/],
    ["the least vocab_size", [8, 6, 2, 4, 2, -(2 ** 31), 3], /vocab_size is 2147483648/],
    ["seq_len", [8, 6, 2, 4, 2, 5, -3], /seq_len is -3/],
  ])("refuses a header with a wrong %s", (_, ints, problem) =>
    expectBadFile(open(concat(header(...ints), new Uint8Array(100))), { file: F, tensor: null, problem }),
  );

  it.each([1, 2])("refuses the export of version %i by name", async (version) => {
    const opening = open(concat(utf8("24ka"), header(version), new Uint8Array(248)));
    await expect(opening).rejects.toThrow(UnsupportedModelError);
    await expect(opening).rejects.toThrow(
      `model.bin: llama2.c export version ${version} is not supported (supported: 0)`,
    );
  });
});

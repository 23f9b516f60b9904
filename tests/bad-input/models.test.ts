/** Models that contradict themselves or ask for what does not run: one error that names file, key or tensor. */

import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect, loadDecoder, ModelFileError, UnsupportedModelError, writeSafetensors } from "@qkv/models";
import { TokenizerFileError } from "@qkv/tokenize";
import { describe, expect, test } from "vitest";
import { fixture, repository } from "../support/fixtures";
import { readExpected } from "../support/safetensors";
import { type Files, json, parsed, readFolder, sourceOf } from "../support/sources";

const STORIES = readFolder(repository("packages/cli/models/stories260K"));
const PYTORCH = readFolder(fixture("goldens/tiny/llama-gqa-bin"));
const LLAMA3 = readFolder(fixture("goldens/tiny/llama-llama3"));

/** The error of loading, which inspect must report as the reason; the source must be closed by both. */
async function refused(files: Files, options: object = {}): Promise<Error> {
  const source = sourceOf(files);
  const error = await loadDecoder(source, options).then(
    (model) => {
      model.dispose();
      return new Error("it loaded");
    },
    (error: unknown) => error as Error,
  );
  expect(source.closed).toBe(1);
  const inspected = sourceOf(files);
  const { runs, because } = await inspect(inspected, options);
  expect(runs).toBe(false);
  expect(because).toBe(error.message);
  expect(inspected.closed).toBe(1);
  return error;
}

function withConfig(files: Files, changes: Record<string, unknown>): Files {
  const config = { ...parsed(files["config.json"]), ...changes };
  return { ...files, "config.json": json(config) };
}

describe("config.json", () => {
  const cases: [changes: Record<string, unknown>, kind: new (...args: never[]) => Error, message: RegExp][] = [
    [
      { model_type: "mamba" },
      UnsupportedModelError,
      /config.json: .*"model_type".*"mamba".*supported: albert, .*llama/,
    ],
    [
      { model_type: "bert" },
      UnsupportedModelError,
      /config.json: .*"architectures".*LlamaForCausalLM.*supported: BertModel/,
    ],
    [{ model_type: "__proto__" }, UnsupportedModelError, /model_type/],
    [{ model_type: 7 }, ModelFileError, /"model_type": expected a string, got 7/],
    [{ hidden_act: "mish" }, UnsupportedModelError, /"hidden_act".*"mish".*silu/],
    [{ quantization_config: { bits: 4 } }, UnsupportedModelError, /quantization_config/],
    [
      { rope_parameters: { rope_type: "spiral" } },
      UnsupportedModelError,
      /"rope_parameters.rope_type".*"spiral".*yarn/,
    ],
    [{ rope_scaling: { type: "linear", factor: 2, beta: 1 } }, UnsupportedModelError, /"rope_scaling.beta"/],
    [{ rope_scaling: { type: "linear" } }, ModelFileError, /"rope_scaling.factor": expected a number.*got nothing/],
    [{ rope_scaling: { type: "linear", factor: -2 } }, ModelFileError, /"rope_scaling.factor"/],
    [{ rope_scaling: { type: "linear", factor: 1e-30 } }, ModelFileError, /rotary settings/],
    [
      { rope_scaling: { type: "longrope", short_factor: [1], long_factor: [1] } },
      ModelFileError,
      /"rope_scaling.short_factor": expected 4/,
    ],
    [{ rope_parameters: { rope_theta: 1, rope_type: "yarn", factor: 2 } }, ModelFileError, /rotary settings/],
    [{ rope_scaling: { type: "default", partial_rotary_factor: 0.5 } }, UnsupportedModelError, /partial_rotary_factor/],
    [{ hidden_size: "64" }, ModelFileError, /"hidden_size": expected an integer.*got "64"/],
    [{ hidden_size: 64.5 }, ModelFileError, /"hidden_size"/],
    [{ hidden_size: -64 }, ModelFileError, /"hidden_size"/],
    [{ hidden_size: 1e300 }, ModelFileError, /"hidden_size"/],
    [{ num_attention_heads: 0 }, ModelFileError, /"num_attention_heads"/],
    [{ num_key_value_heads: 3 }, ModelFileError, /"num_key_value_heads": expected a divisor of num_attention_heads 8/],
    [
      { num_key_value_heads: 8 },
      ModelFileError,
      /k_proj.weight.*expected shape \[64, 64\] from the config, got \[32, 64\]/,
    ],
    [{ head_dim: 7 }, ModelFileError, /"head_dim"/],
    [{ head_dim: 2 ** 31 - 2 }, ModelFileError, /"head_dim": expected an integer from 2 to 16384/],
    [
      { hidden_size: 2 ** 20, num_attention_heads: 1, num_key_value_heads: 1, head_dim: null },
      ModelFileError,
      /"head_dim": expected an even number.* up to 16384/,
    ],
    [{ hidden_size: 2 ** 31 - 2 }, ModelFileError, /"hidden_size": expected an integer from 1 to 1048576/],
    [{ num_hidden_layers: 6 }, ModelFileError, /tensor "model.layers.5.input_layernorm.weight": missing/],
    [{ num_hidden_layers: 2e9 }, ModelFileError, /"num_hidden_layers": expected an integer from 1 to 16384/],
    [
      { num_hidden_layers: 4 },
      ModelFileError,
      /tensor "model.layers.4.\S+": belongs to no part of the model, nor to 8 more/,
    ],
    [{ vocab_size: 500 }, ModelFileError, /embed_tokens.weight.*expected shape \[500, 64\]/],
    [{ tie_word_embeddings: false }, ModelFileError, /tensor "lm_head.weight": missing/],
    [{ tie_word_embeddings: "no" }, ModelFileError, /"tie_word_embeddings": expected true or false/],
    [{ attention_bias: true }, ModelFileError, /q_proj.bias": missing/],
    [{ rms_norm_eps: "small" }, ModelFileError, /"rms_norm_eps"/],
    [{ eos_token_id: 1.5 }, ModelFileError, /"eos_token_id": expected a token id/],
  ];
  test.each(cases)("%j", async (changes, kind, message) => {
    const { "generation_config.json": _, ...files } = STORIES;
    const error = await refused(withConfig(files, changes));
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toMatch(message);
  });

  test.each([
    ["", /not valid JSON/],
    ["[]", /expected a JSON object/],
    ["null", /expected a JSON object/],
    ["{", /not valid JSON/],
    ["[".repeat(1_000_000), /nested|deep|levels/],
    ['{"model_type":"llama","model_type":"bert"}', /twice/],
    ["\u0000\u0001", /not valid JSON/],
  ])("the text %j", async (text, message) => {
    const error = await refused({ ...STORIES, "config.json": new TextEncoder().encode(text.slice(0, 1_000_000)) });
    expect(error).toBeInstanceOf(ModelFileError);
    expect(error.message).toMatch(message);
    expect(error.message.length).toBeLessThan(500);
  });

  test("keys that LLaMA's own code never reads change nothing", async () => {
    const files = withConfig(LLAMA3, { is_llama_config: true, rope_interleaved: false, _name_or_path: "x" });
    await using model = await loadDecoder(sourceOf(files));
    expect(model.architecture).toBe("llama");
  });
});

test("what a file says reaches no message raw, and none at length", async () => {
  const sequence = "\u001b]0;title\u0007\u202e";
  for (const changes of [
    { rope_scaling: { type: "linear", factor: 2, [sequence]: 1 } },
    { rope_scaling: { type: "linear", factor: 2, ["x".repeat(1_000_000)]: 1 } },
    { model_type: sequence.repeat(100_000) },
    { hidden_act: sequence },
    { eos_token_id: new Array(1_000_000).fill("x") },
  ]) {
    const { message } = await refused(withConfig({ ...STORIES, "generation_config.json": json({}) }, changes));
    expect(message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(message.length).toBeLessThan(2100);
  }
});

describe("tensors", () => {
  const tensors = [...readExpected(repository("packages/cli/models/stories260K/model.safetensors"))].map(
    ([name, tensor]) => ({ name, ...tensor }),
  );

  test("one that belongs nowhere", async () => {
    const extra = { name: "model.layers.0.self_attn.q_norm.weight", shape: [8], data: new Float32Array(8) };
    const error = await refused({ ...STORIES, "model.safetensors": writeSafetensors([...tensors, extra]) });
    expect(error).toBeInstanceOf(ModelFileError);
    expect(error.message).toMatch(
      /model.safetensors: tensor "model.layers.0.self_attn.q_norm.weight": belongs to no part/,
    );
  });

  test("one that is missing", async () => {
    const rest = tensors.filter(({ name }) => name !== "model.norm.weight");
    const error = await refused({ ...STORIES, "model.safetensors": writeSafetensors(rest) });
    expect(error.message).toMatch(/tensor "model.norm.weight": missing/);
  });

  test("known leftovers of older checkpoints: frequencies are skipped, a copied head changes nothing", async () => {
    const embedding = tensors.find(({ name }) => name === "model.embed_tokens.weight");
    const leftovers = [
      { name: "model.layers.0.self_attn.rotary_emb.inv_freq", shape: [4], data: new Float32Array(4) },
      { name: "lm_head.weight", shape: [512, 64], data: embedding?.data as Float32Array },
    ];
    const files = { ...STORIES, "model.safetensors": writeSafetensors([...tensors, ...leftovers]) };
    await using model = await loadDecoder(sourceOf(files));
    await using plain = await loadDecoder(sourceOf(STORIES));
    expect(model.run([1, 2, 3]).logits.data).toEqual(plain.run([1, 2, 3]).logits.data);
  });

  test("cut short anywhere", async () => {
    const whole = STORIES["model.safetensors"];
    for (const length of [0, 7, 8, 100, 3000, whole.length - 1]) {
      const error = await refused({ ...STORIES, "model.safetensors": whole.slice(0, length) });
      expect(error).toBeInstanceOf(ModelFileError);
      expect(error.message).toContain("model.safetensors");
    }
  });

  test("a source without sizes notices when it reads, and says which file", async () => {
    const files = { ...STORIES, "model.safetensors": STORIES["model.safetensors"].slice(0, 900_000) };
    const { size: _, ...source } = sourceOf(files);
    await expect(loadDecoder(source)).rejects.toThrow(/^model.safetensors: /);
  });
});

describe("pytorch_model.bin", () => {
  const BIN = "pytorch_model.bin";
  const OLD = new Uint8Array(readFileSync(fixture("pytorch/before-1.6.bin")));
  const TWIN = readFolder(fixture("goldens/tiny/llama-gqa"));
  const logits = async (files: Files, options = {}) => {
    await using model = await loadDecoder(sourceOf(files), options);
    return model.run([1, 2, 3]).logits.data;
  };
  const moved = (name: string): Files => {
    const { [BIN]: bin, ...rest } = PYTORCH;
    return { ...rest, [name]: bin };
  };

  test("gives the bits that the same weights give as safetensors, by any name", async () => {
    const expected = await logits(TWIN);
    expect(await logits(PYTORCH)).toEqual(expected);
    expect(await logits(moved("weights.bin"), { file: "weights.bin" })).toEqual(expected);
    expect((await inspect(sourceOf(PYTORCH))).format).toBe("pytorch");
  });

  test("goes after safetensors, and before an index; an index finds its shards", async () => {
    const bad = new TextEncoder().encode("bad");
    const index = "pytorch_model.bin.index.json";
    const expected = await logits(TWIN);
    expect(await logits({ ...TWIN, [BIN]: bad, [index]: bad })).toEqual(expected);
    expect(await logits({ ...PYTORCH, [index]: bad, "other.safetensors": bad })).toEqual(expected);
    const names = [...readExpected(fixture("goldens/tiny/llama-gqa/model.safetensors")).keys(), "lm_head.weight"];
    const map = json({ weight_map: Object.fromEntries(names.map((name) => [name, "shard.bin"])) });
    expect(await logits({ ...moved("shard.bin"), [index]: map })).toEqual(expected);
    expect(await logits({ ...moved("shard.bin"), [index]: map }, { file: index })).toEqual(expected);
    const { "shard.bin": _, ...missing } = moved("shard.bin");
    expect((await refused({ ...missing, [index]: map })).message).toMatch(/its shard "shard.bin" is missing/);
  });

  test("that names what could run is refused by that name", async () => {
    const text = new TextDecoder("latin1").decode(PYTORCH[BIN]);
    const at = text.indexOf("ccollections\nOrderedDict\n");
    expect(at).toBeGreaterThan(0);
    const hostile = PYTORCH[BIN].slice();
    hostile.set(new TextEncoder().encode("csubprocess\ncheck_output\n"), at);
    const error = await refused({ ...PYTORCH, [BIN]: hostile });
    expect(error).toBeInstanceOf(UnsupportedModelError);
    expect(error.message).toMatch(/^pytorch_model.bin: the Python name "subprocess.check_output" is not supported/);
    expect(error.message).toMatch(/nothing was run/);
  });

  test("of an older PyTorch is refused with what to do, in its place and by any name", async () => {
    for (const [files, options] of [
      [{ ...PYTORCH, [BIN]: OLD }, {}],
      [{ ...PYTORCH, "x.bin": OLD }, { file: "x.bin" }],
    ] as [Files, object][]) {
      const error = await refused(files, options);
      expect(error).toBeInstanceOf(UnsupportedModelError);
      expect(error.message).toMatch(/\.bin: file format "torch.save before PyTorch 1.6".*save it anew, in Python/);
    }
  });

  test("cut short anywhere", async () => {
    const whole = PYTORCH[BIN];
    for (const length of [0, 3, 100, 3000, 60_000, whole.length - 1]) {
      const error = await refused({ ...PYTORCH, [BIN]: whole.slice(0, length) });
      expect(error).toBeInstanceOf(ModelFileError);
      expect(error.message).toContain(BIN);
    }
  });

  test("without its config", async () => {
    const error = await refused({ "x.bin": PYTORCH[BIN] });
    expect(error.message).toMatch(/^x.bin: these weights need the config.json/);
  });
});

describe("tokenizers", () => {
  test("a vocabulary larger than the embedding", async () => {
    const tokenizer = parsed(STORIES["tokenizer.json"]) as { model: { vocab: Record<string, number> } };
    tokenizer.model.vocab.extra = 512;
    const error = await refused({ ...STORIES, "tokenizer.json": json(tokenizer) });
    expect(error).toBeInstanceOf(ModelFileError);
    expect(error.message).toMatch(/513 tokens.*512 rows/);
  });

  test("a damaged one", async () => {
    const error = await refused({ ...STORIES, "tokenizer.json": STORIES["tokenizer.json"].slice(0, 1000) });
    expect(error).toBeInstanceOf(TokenizerFileError);
    expect(error.message).toContain("tokenizer.json");
  });

  test("one that is not supported leaves a model that takes ids, and says why it takes no text", async () => {
    const tokenizer = parsed(STORIES["tokenizer.json"]) as { model: { type: string } };
    tokenizer.model.type = "CharLevel";
    await using model = await loadDecoder(sourceOf({ ...STORIES, "tokenizer.json": json(tokenizer) }));
    expect(model.tokenizer).toBeNull();
    expect(() => model.generate("Once")).toThrow(/CharLevel.*pass ids instead/);
    expect(() => model.generate([1], { stop: ["x"] })).toThrow(/stop strings/);
    const { text, ids } = await model.generate([1], { maxNewTokens: 3 }).result();
    expect([text, ids]).toEqual([null, [403, 407, 261]]);
  });
});

describe("folders and files", () => {
  test.each([
    [{}, {}, /expected a config.json, or one .gguf or .bin file, found no model/],
    [
      { "a.gguf": new Uint8Array(), "b.gguf": new Uint8Array() },
      {},
      /several models \(a.gguf, b.gguf\): name the file/,
    ],
    [
      { "config.json": json({ model_type: "llama" }) },
      {},
      /neither model.safetensors nor model.safetensors.index.json nor pytorch_model.bin nor pytorch_model.bin.index/,
    ],
    [STORIES, { file: "other.gguf" }, /other.gguf: there is no such file/],
    [STORIES, { file: "../config.json" }, /\.\.\/config.json/],
    [STORIES, { file: "tokenizer.json" }, /tokenizer.json/],
  ] as [Files, object, RegExp][])("%#", async (files, options, message) => {
    const error = await refused(files, options);
    expect(error).toBeInstanceOf(ModelFileError);
    expect(error.message).toMatch(message);
  });

  test.skipIf(process.platform === "win32")("links that lead nowhere but to themselves", async () => {
    const folder = mkdtempSync(join(tmpdir(), "qkv-loop-"));
    for (const name of ["config.json", "model.gguf"]) symlinkSync(name, join(folder, name));
    for (const path of [folder, join(folder, "model.gguf")]) {
      await expect(loadDecoder(path)).rejects.toThrow(/ELOOP/);
      await expect(loadDecoder(path)).rejects.toBeInstanceOf(ModelFileError);
    }
    rmSync(folder, { recursive: true });
  });

  test("a path where nothing is", async () => {
    await expect(loadDecoder("/nowhere/at/all")).rejects.toThrow(ModelFileError);
    await expect(inspect("/nowhere/at/all")).rejects.toThrow(ModelFileError);
  });

  test("a model that does not fit says how much it takes, before it reads a weight", async () => {
    const D = 120_000; // 27 GiB, past what addresses of 64 bits may reach too, in a file that only claims to hold them
    const header = { "model.embed_tokens.weight": { dtype: "F16", shape: [D, D], data_offsets: [0, 2 * D * D] } };
    const text = new TextEncoder().encode(JSON.stringify(header));
    const head = new Uint8Array(8 + text.length);
    new DataView(head.buffer).setBigUint64(0, BigInt(text.length), true);
    head.set(text, 8);
    const config = {
      model_type: "llama",
      vocab_size: D,
      hidden_size: D,
      intermediate_size: 4,
      num_attention_heads: 40,
      num_hidden_layers: 1,
    };
    const reads: string[] = [];
    const files: Files = { "config.json": json(config), "model.safetensors": head };
    const { size: _, ...source } = sourceOf(files);
    const claims = {
      ...source,
      read: async (path: string, start: number, end: number) => {
        reads.push(`${path} ${start}`);
        return files[path]?.slice(start, end) ?? null;
      },
    };
    await expect(loadDecoder(claims)).rejects.toThrow(/weights need 27466 MiB more.*limited to (4096|16384) MiB/);
    expect(reads.some((read) => read === `model.safetensors ${head.length}`)).toBe(false);
  });
});

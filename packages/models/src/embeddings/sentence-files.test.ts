/** sentence-transformers' files: old and new keys, layouts, weights in both formats, and files that are wrong. */

import { describe, expect, test } from "vitest";
import { taskFolder } from "../../../../tests/fixtures/tasks/files";
import { JsonConfig } from "../config/json-config";
import { ModelFileError, UnsupportedModelError } from "../errors";
import { CheckedSource } from "../files/checked";
import type { FileSource } from "../files/source";
import { checkpoint, dict, floats, pickle, tensor } from "../formats/pytorch-testing";
import { writeSafetensors } from "../formats/safetensors-write";
import { inspect, loadEncoder } from "../load";
import { readSentenceFiles, type SentenceFiles } from "./sentence-files";
import { PLAIN_SENTENCES } from "./sentence-settings";

type Files = Readonly<Record<string, unknown>>;

function bytesOf(content: unknown): Uint8Array {
  if (content instanceof Uint8Array) return content;
  return new TextEncoder().encode(typeof content === "string" ? content : JSON.stringify(content));
}

/** Files in memory: objects become JSON. */
function memory(files: Files): FileSource {
  const open = (path: string) => (Object.hasOwn(files, path) ? bytesOf(files[path]) : null);
  return {
    read: async (path, start, end) => open(path)?.slice(start, end) ?? null,
    size: async (path) => open(path)?.length ?? null,
  };
}

function read(files: Files, config: object = {}, folder = ""): Promise<SentenceFiles> {
  return readSentenceFiles(new CheckedSource(memory(files)), folder, new JsonConfig(config, "config.json"));
}

/** modules.json with these classes behind the Transformer, each in a folder of its name. */
function modules(...types: readonly string[]): object[] {
  const row = (type: string, i: number) => ({
    idx: i,
    name: `${i}`,
    path: i === 0 ? "" : `${i}_${type.slice(type.lastIndexOf(".") + 1)}`,
    type: type.includes(".") ? type : `sentence_transformers.models.${type}`,
  });
  return ["Transformer", ...types].map(row);
}

const MEAN = { "modules.json": modules("Pooling"), "1_Pooling/config.json": { word_embedding_dimension: 32 } };

describe("what the files say", () => {
  test("nothing: a plain model", async () => {
    expect(await read({})).toEqual(PLAIN_SENTENCES);
  });

  test("pooling, in the keys of before version 6 and since", async () => {
    const pooling = async (config: object) => (await read({ ...MEAN, "1_Pooling/config.json": config })).pooling;
    const width = { word_embedding_dimension: 32 };
    expect(await pooling(width)).toEqual(["mean"]);
    expect(await pooling({ ...width, pooling_mode_mean_tokens: false })).toEqual(["mean"]);
    const all = [
      "pooling_mode_lasttoken",
      "pooling_mode_weightedmean_tokens",
      "pooling_mode_mean_sqrt_len_tokens",
      "pooling_mode_mean_tokens",
      "pooling_mode_max_tokens",
      "pooling_mode_cls_token",
    ];
    expect(await pooling({ ...width, ...Object.fromEntries(all.map((key) => [key, true])) })).toEqual([
      "cls",
      "max",
      "mean",
      "meanSqrtLength",
      "weightedMean",
      "lastToken",
    ]);
    expect(await pooling({ embedding_dimension: 32, pooling_mode: "lasttoken" })).toEqual(["lastToken"]);
    const named = ["weightedmean", "mean_sqrt_len_tokens", "cls"];
    // The new key counts where both are there.
    expect(await pooling({ ...width, pooling_mode_max_tokens: true, pooling_mode: named })).toEqual([
      "weightedMean",
      "meanSqrtLength",
      "cls",
    ]);
  });

  test("the Transformer's settings, by the first of its files that says something", async () => {
    const roberta = { max_seq_length: 75, do_lower_case: true };
    const found = await read({
      ...MEAN,
      "sentence_bert_config.json": {},
      "sentence_roberta_config.json": roberta,
      "sentence_xlnet_config.json": { max_seq_length: 9 },
    });
    expect(found).toMatchObject({ maxTokens: 75, lowerCase: true });
    expect((await read({ ...MEAN, "sentence_xlm-roberta_config.json": { max_seq_length: 9 } })).maxTokens).toBe(9);
    expect((await read({ ...MEAN, "sentence_bert_config.json": { max_seq_length: null } })).maxTokens).toBe(null);
    const tokenizer = { max_seq_length: 9, tokenizer_args: { model_max_length: 17 } };
    expect((await read({ ...MEAN, "sentence_bert_config.json": tokenizer })).maxTokens).toBe(17);
  });

  test("prompts and similarity", async () => {
    const file =
      '{"prompts": {"query": "q: ", "__proto__": "p"}, "default_prompt_name": "query", "similarity_fn_name": "dot"}';
    const found = await read({ ...MEAN, "config_sentence_transformers.json": file });
    expect(Object.entries(found.prompts)).toEqual([
      ["query", "q: "],
      ["document", ""],
      ["__proto__", "p"],
    ]);
    expect(found).toMatchObject({ defaultPrompt: "query", similarity: "dot" });
  });

  test("how a cross-encoder's scores are made", async () => {
    const identity = { activation_fn: "torch.nn.modules.linear.Identity" };
    const sigmoid = { activation_fn: "torch.nn.modules.activation.Sigmoid" };
    const old = { sbert_ce_default_activation_function: "torch.nn.modules.linear.Identity" };
    expect((await read({}, { sentence_transformers: identity })).scoreActivation).toBe("identity");
    expect((await read({}, old)).scoreActivation).toBe("identity");
    expect((await read({}, { ...old, sentence_transformers: sigmoid })).scoreActivation).toBe("sigmoid");
    expect((await read({}, { ...old, sentence_transformers: { version: "4.0" } })).scoreActivation).toBe("identity");
    // As version 6 saves it.
    const saved = {
      "modules.json": modules(),
      "sentence_bert_config.json": { transformer_task: "sequence-classification", module_output_name: "scores" },
      "config_sentence_transformers.json": identity,
    };
    expect(await read(saved)).toMatchObject({
      scoreActivation: "identity",
      problem: expect.stringContaining("cross-encoder"),
    });
  });
});

describe("files that do not run", () => {
  const dense = { in_features: 32, out_features: 2, activation_function: "torch.nn.modules.linear.Identity" };
  const withDense = (config: object) => ({
    ...MEAN,
    "modules.json": modules("Pooling", "Dense"),
    "2_Dense/config.json": { ...dense, ...config },
    "2_Dense/model.safetensors": writeSafetensors([]),
  });
  const withPooling = (config: object) => ({
    ...MEAN,
    "1_Pooling/config.json": { word_embedding_dimension: 32, ...config },
  });
  const bert = (config: object) => ({ ...MEAN, "sentence_bert_config.json": config });
  const cases: [what: string, files: Files, kind: new (...args: never[]) => Error, message: RegExp][] = [
    [
      "another module",
      { ...MEAN, "modules.json": modules("Pooling", "WordWeights") },
      UnsupportedModelError,
      /modules.json: module "sentence_transformers.models.WordWeights" .*supported: Dense, Normalize, LayerNorm, Dropout/,
    ],
    [
      "a module of the model's own code",
      { ...MEAN, "modules.json": modules("custom_st.Pooling") },
      UnsupportedModelError,
      /module "custom_st.Pooling"/,
    ],
    [
      "a name of Object's",
      { ...MEAN, "modules.json": modules("Pooling", "toString") },
      UnsupportedModelError,
      /toString/,
    ],
    [
      "another first module",
      { "modules.json": [{ name: "0", path: "", type: "sentence_transformers.models.BoW" }] },
      UnsupportedModelError,
      /supported: Transformer as the first/,
    ],
    [
      "no Pooling",
      { "modules.json": modules() },
      ModelFileError,
      /expected a Pooling behind the Transformer, got nothing/,
    ],
    [
      "Normalize before Pooling",
      { "modules.json": modules("Normalize") },
      UnsupportedModelError,
      /supported: Pooling behind/,
    ],
    ["two Poolings", { ...MEAN, "modules.json": modules("Pooling", "Pooling") }, UnsupportedModelError, /Pooling/],
    ["no list", { "modules.json": {} }, ModelFileError, /expected a list of 1 to 32 modules/],
    ["too long a list", { "modules.json": modules(...Array(32).fill("Dropout")) }, ModelFileError, /1 to 32/],
    ["no object", { "modules.json": [7] }, ModelFileError, /"0": expected a JSON object, got 7/],
    [
      "a path that leaves the folder",
      { "modules.json": [...modules(), { name: "1", path: "../x", type: "sentence_transformers.models.Pooling" }] },
      ModelFileError,
      /leaves the model's folder/,
    ],
    [
      "an absolute path",
      { "modules.json": [...modules(), { name: "1", path: "/etc", type: "sentence_transformers.models.Pooling" }] },
      ModelFileError,
      /absolute path/,
    ],
    [
      "a name twice",
      { "modules.json": [...modules(), ...modules()] },
      ModelFileError,
      /"1.name": expected a name of its own, got "0"/,
    ],
    [
      "no Pooling folder",
      { "modules.json": modules("Pooling") },
      ModelFileError,
      /1_Pooling\/config.json: there is no such file/,
    ],
    [
      "another pooling",
      withPooling({ pooling_mode: "median" }),
      UnsupportedModelError,
      /"pooling_mode": "median".*supported: cls, max/,
    ],
    [
      "another pooling among some",
      withPooling({ pooling_mode: ["cls", "__proto__"] }),
      UnsupportedModelError,
      /pooling_mode/,
    ],
    ["no pooling at all", withPooling({ pooling_mode: [] }), ModelFileError, /"pooling_mode": expected 1 to 16 modes/],
    ["many poolings", withPooling({ pooling_mode: Array(17).fill("cls") }), ModelFileError, /1 to 16/],
    [
      "another key of poolings",
      withPooling({ pooling_mode_median: true }),
      UnsupportedModelError,
      /pooling_mode_median/,
    ],
    ["no width", withPooling({ word_embedding_dimension: null }), ModelFileError, /word_embedding_dimension/],
    [
      "another activation",
      withDense({ activation_function: "torch.nn.modules.activation.Mish" }),
      UnsupportedModelError,
      /2_Dense\/config.json: .*Mish.*supported: torch.nn.Identity, .*Sigmoid/,
    ],
    ["an activation of elsewhere", withDense({ activation_function: "os.Tanh" }), UnsupportedModelError, /os.Tanh/],
    [
      "a Dense on tokens",
      withDense({ module_input_name: "token_embeddings" }),
      UnsupportedModelError,
      /module_input_name/,
    ],
    ["a residual Dense", withDense({ use_residual: true }), UnsupportedModelError, /use_residual/],
    [
      "a Dense without weights",
      { ...withDense({}), "2_Dense/model.safetensors": undefined, "modules.json": modules("Pooling", "Dense") },
      ModelFileError,
      /2_Dense\/config.json: its weights are missing/,
    ],
    [
      "no such default prompt",
      { ...MEAN, "config_sentence_transformers.json": { default_prompt_name: "a" } },
      ModelFileError,
      /"default_prompt_name": expected one of .*query.*got "a"/,
    ],
    [
      "a prompt that is no text",
      { ...MEAN, "config_sentence_transformers.json": { prompts: { a: 1 } } },
      ModelFileError,
      /"prompts.a": expected a string/,
    ],
    [
      "another similarity",
      { ...MEAN, "config_sentence_transformers.json": { similarity_fn_name: "maxsim" } },
      UnsupportedModelError,
      /maxsim/,
    ],
    [
      "another task",
      bert({ transformer_task: "fill-mask" }),
      UnsupportedModelError,
      /supported: feature-extraction, sequence-classification/,
    ],
    ["another output", bert({ module_output_name: "sentence_embedding" }), UnsupportedModelError, /module_output_name/],
    ["longer queries", bert({ query_expansion: {} }), UnsupportedModelError, /query_expansion/],
    ["another config", bert({ config_args: { hidden_size: 3 } }), UnsupportedModelError, /config_args/],
    ["no length", bert({ max_seq_length: 0 }), ModelFileError, /"max_seq_length": expected an integer from 1/],
    ["a huge file", { ...MEAN, "1_Pooling/config.json": " ".repeat(2 ** 20 + 1) }, ModelFileError, /longer than/],
  ];

  test.each(cases)("%s", async (_, files, kind, message) => {
    const there = Object.fromEntries(Object.entries(files).filter(([, content]) => content !== undefined));
    const error = await read(there).then(
      () => new Error("it was read"),
      (error: unknown) => error as Error,
    );
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toMatch(message);
  });

  test("another activation of scores", async () => {
    const config = { sentence_transformers: { activation_fn: "torch.nn.modules.activation.Softmax" } };
    await expect(read({}, config)).rejects.toThrow(/"sentence_transformers.activation_fn".*Softmax.*torch.nn.Sigmoid/);
  });
});

describe("models", () => {
  const TEXTS = ["Rome is a city.", "", "Anna wrote the book in London."];
  const embedded = async (source: FileSource): Promise<Float32Array[]> => {
    const model = await loadEncoder(source, { threads: 1 });
    const vectors = await model.embed(TEXTS);
    model.dispose();
    return vectors;
  };
  const json = (value: unknown) => JSON.stringify(value);

  test("as version 6 saves them, with LayerNorm and Dropout", async () => {
    const dense = await embedded(taskFolder("st-dense"));
    const weight = Float32Array.from({ length: 16 }, (_, i) => 1 + i / 8);
    const bias = Float32Array.from({ length: 16 }, (_, i) => 3 - i / 4);
    const base = "sentence_transformers.base.modules";
    const own = "sentence_transformers.sentence_transformer.modules";
    const list = modules(
      `${own}.pooling.Pooling`,
      `${base}.dense.Dense`,
      `${base}.dense.Dense`,
      `${base}.normalize.Normalize`,
      `${own}.layer_norm.LayerNorm`,
      `${own}.dropout.Dropout`,
    );
    const names = { module_input_name: "sentence_embedding", module_output_name: "sentence_embedding" };
    const vectors = await embedded(
      taskFolder("st-dense", {
        "modules.json": json([
          { idx: 0, name: "0", path: "", type: `${base}.transformer.Transformer` },
          ...list.slice(1),
        ]),
        "1_Pooling/config.json": json({ embedding_dimension: 32, pooling_mode: "mean", include_prompt: true }),
        "4_Normalize/config.json": json(names),
        "5_LayerNorm/config.json": json({ dimension: 16 }),
        "5_LayerNorm/model.safetensors": writeSafetensors([
          { name: "norm.weight", shape: [16], data: weight },
          { name: "norm.bias", shape: [16], data: bias },
        ]),
        "sentence_bert_config.json": json({
          transformer_task: "feature-extraction",
          modality_config: { text: { method: "forward", method_output_name: "last_hidden_state" } },
          module_output_name: "token_embeddings",
        }),
        "config_sentence_transformers.json": json({
          default_prompt_name: null,
          model_type: "SentenceTransformer",
          prompts: {},
          similarity_fn_name: "cosine",
        }),
      }),
    );
    for (const [i, vector] of vectors.entries()) {
      const mean = dense[i].reduce((sum, x) => sum + x, 0) / 16;
      const variance = dense[i].reduce((sum, x) => sum + (x - mean) ** 2, 0) / 16;
      for (const [d, x] of dense[i].entries()) {
        expect(vector[d]).toBeCloseTo(((x - mean) / Math.sqrt(variance + 1e-5)) * weight[d] + bias[d], 4);
      }
    }
  });

  test("a Dense of pytorch_model.bin gives the bits of the same one of safetensors, and each activation its function", async () => {
    const weight = Float32Array.from({ length: 64 }, (_, i) => ((i * 37) % 64) / 32 - 1);
    const bias = Float32Array.of(0.25, -0.5);
    const stateDict = dict({
      "linear.weight": tensor({ shape: [2, 32], length: 64 }),
      "linear.bias": tensor({ shape: [2], key: "1", length: 2 }),
    });
    const dense = (activation: string, weights: Readonly<Record<string, Uint8Array>>) =>
      embedded(
        taskFolder("st-max", {
          "modules.json": json(modules("Pooling", "Dense")),
          "2_Dense/config.json": json({
            in_features: 32,
            out_features: 2,
            bias: true,
            ...(activation !== "" && { activation_function: `torch.nn.modules.activation.${activation}` }),
          }),
          ...weights,
        }),
      );
    const safetensors = {
      "2_Dense/model.safetensors": writeSafetensors([
        { name: "linear.weight", shape: [2, 32], data: weight },
        { name: "linear.bias", shape: [2], data: bias },
      ]),
    };
    const pytorch = {
      "2_Dense/pytorch_model.bin": checkpoint(pickle(stateDict), { "0": floats(...weight), "1": floats(...bias) }),
    };
    const plain = await dense("Identity", safetensors);
    expect(await dense("Identity", pytorch)).toEqual(plain);
    const pooled = await embedded(taskFolder("st-max"));
    for (const [i, vector] of plain.entries()) {
      for (const row of [0, 1]) {
        const exact = pooled[i].reduce((sum, x, d) => sum + x * weight[32 * row + d], bias[row]);
        expect(vector[row]).toBeCloseTo(exact, 4);
      }
    }
    const erf = (x: number) => {
      let sum = 0;
      for (let t = 0.0005; t < 1; t += 0.001) sum += Math.exp(-((t * x) ** 2)) * 0.001 * x;
      return (2 / Math.sqrt(Math.PI)) * sum;
    };
    const functions: Record<string, (x: number) => number> = {
      Tanh: Math.tanh,
      "": Math.tanh,
      ReLU: (x) => Math.max(0, x),
      GELU: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
      Sigmoid: (x) => 1 / (1 + Math.exp(-x)),
    };
    for (const [name, f] of Object.entries(functions)) {
      const activated = await dense(name, safetensors);
      for (const [i, vector] of activated.entries()) {
        for (const row of [0, 1]) expect(vector[row], name).toBeCloseTo(f(plain[i][row]), 5);
      }
    }
  });

  /** The layout of versions before 2: the model in a folder of its own, the root's config.json something else. */
  function inFolder(below: FileSource, folder: string): FileSource {
    const entry = (value: unknown) => ({
      ...(value as object),
      ...((value as { path: string }).path === "" && { path: folder }),
    });
    const moved = (path: string): string | null => {
      if (path.startsWith(`${folder}/`)) return path.slice(folder.length + 1);
      return path.includes("_") && path.includes("/") ? path : null;
    };
    const open = async (path: string): Promise<Uint8Array | null> => {
      const whole = async (name: string) => below.read(name, 0, 2 ** 30);
      if (path === "config.json") return bytesOf({ __version__: "0.2.0" });
      if (path === "modules.json") {
        const list = JSON.parse(new TextDecoder().decode((await whole(path)) as Uint8Array)) as unknown[];
        return bytesOf(list.map(entry));
      }
      const name = moved(path);
      return name === null || name === "modules.json" ? null : whole(name);
    };
    return {
      read: async (path, start, end) => (await open(path))?.slice(start, end) ?? null,
      size: async (path) => (await open(path))?.length ?? null,
    };
  }

  test("a model in 0_Transformer", async () => {
    const source = inFolder(taskFolder("st-dense"), "0_Transformer");
    expect(await embedded(source)).toEqual(await embedded(taskFolder("st-dense")));
    const model = await loadEncoder(source, { file: "0_Transformer/model.safetensors", threads: 1 });
    expect(model.embeddings.dimensions).toBe(16);
    model.dispose();
    // The root's config.json is none of a model.
    await expect(loadEncoder(source, { file: "config.json" })).rejects.toThrow(ModelFileError);
  });

  test("modules that do not fit the model, or each other, or their weights", async () => {
    const because = async (overlay: Readonly<Record<string, string | Uint8Array | null>>) => {
      const { runs, because } = await inspect(taskFolder("st-dense", overlay));
      expect(runs).toBe(false);
      return because;
    };
    const pooling = json({ word_embedding_dimension: 64 });
    expect(await because({ "1_Pooling/config.json": pooling })).toMatch(
      /1_Pooling\/config.json: config key "word_embedding_dimension": expected 32, .*got 64/,
    );
    const dense = (out: number, inner: number) =>
      json({ in_features: inner, out_features: out, bias: true, activation_function: "torch.nn.Tanh" });
    expect(await because({ "3_Dense/config.json": dense(16, 32) })).toMatch(
      /3_Dense\/config.json: config key "in_features": expected 24, .*got 32/,
    );
    expect(await because({ "3_Dense/config.json": dense(17, 24) })).toMatch(
      /3_Dense\/model.safetensors: tensor "linear.weight": expected shape \[17, 24\]/,
    );
    expect(await because({ "3_Dense/model.safetensors": null })).toMatch(
      /3_Dense\/config.json: its weights are missing/,
    );
    const unread = writeSafetensors([
      { name: "linear.weight", shape: [16, 24], data: new Float32Array(384) },
      { name: "linear.bias", shape: [16], data: new Float32Array(16) },
      { name: "more", shape: [1], data: new Float32Array(1) },
    ]);
    expect(await because({ "3_Dense/model.safetensors": unread })).toMatch(/"more": belongs to no part/);
  });

  test("a cross-encoder of version 6 gives no embeddings, and reranks", async () => {
    const source = taskFolder("rerank-identity", {
      "modules.json": json(modules()),
      "sentence_bert_config.json": json({ transformer_task: "sequence-classification", module_output_name: "scores" }),
    });
    const model = await loadEncoder(source, { threads: 1 });
    await expect(model.embed("a")).rejects.toThrow(/gives no embeddings: it is a cross-encoder/);
    expect(model.embeddings.dimensions).toBe(0);
    expect(await model.rerank("a", ["b"])).toHaveLength(1);
    model.dispose();
  });
});

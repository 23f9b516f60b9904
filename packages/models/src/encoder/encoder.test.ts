import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fixture } from "../../../../tests/support/fixtures";
import { readExpected } from "../../../../tests/support/safetensors";
import { ModelKindError } from "../errors";
import type { FileSource } from "../files/source";
import { writeSafetensors } from "../formats/safetensors-write";
import { loadDecoder, loadEncoder } from "../load";
import type { Encoder } from "./encoder";

let bert: Encoder;
let mpnet: Encoder;
beforeAll(async () => {
  bert = await loadEncoder(fixture("goldens/tiny/bert-pretraining"));
  mpnet = await loadEncoder(fixture("goldens/tiny/mpnet"));
});
afterAll(() => {
  bert.dispose();
  mpnet.dispose();
});

describe("what a model says of itself", () => {
  test("heads, outputs, taps", () => {
    expect(bert.kind).toBe("encoder");
    expect(bert.heads).toEqual(["pooler", "maskedLm", "nextSentence"]);
    expect(bert.outputs).toEqual(["pooled", "logits", "nextSentenceLogits"]);
    expect(bert.taps).toEqual([
      "embeddings",
      "layers.0.attention.probs",
      "layers.0.output",
      "layers.1.attention.probs",
      "layers.1.output",
      "final",
      "pooled",
      "logits",
      "nextSentenceLogits",
    ]);
    expect(bert.contextLength).toBe(24);
    // Two of the rows belong to padding.
    expect(mpnet.contextLength).toBe(174);
  });

  test("the kind is asked for by name", async () => {
    const error = await loadDecoder(fixture("goldens/tiny/bert-pretraining")).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ModelKindError);
    expect(String(error)).toMatch(/loadDecoder: .*bert-pretraining is an encoder \(bert\): take loadEncoder/);
    await expect(loadEncoder(fixture("goldens/tiny/llama-gqa"))).rejects.toThrow(
      /a decoder \(llama\): take loadDecoder/,
    );
  });
});

describe("run", () => {
  test("computes only the outputs that are asked for", () => {
    expect(Object.keys(bert.run([2, 5, 3]).outputs)).toEqual(["pooled", "logits", "nextSentenceLogits"]);
    expect(bert.run([2, 5, 3], { outputs: [] }).outputs).toEqual({});
    const { outputs, captured } = bert.run([2, 5, 3], { outputs: ["pooled"], capture: ["logits", "layers.1.output"] });
    expect(Object.keys(outputs)).toEqual(["pooled"]);
    expect(Object.keys(captured)).toEqual(["layers.1.output", "logits"]);
    expect(captured.logits.shape).toEqual([3, 96]);
  });

  test("results are the caller's: a later pass leaves them alone", () => {
    const first = bert.run([2, 5, 3]);
    const copy = structuredClone(first);
    bert.run([2, 60, 61, 62, 3]);
    expect(first).toEqual(copy);
  });

  const wrong: [what: string, run: () => unknown, message: RegExp][] = [
    ["no ids", () => bert.run([]), /ids: expected at least one token, got none/],
    ["an id outside", () => bert.run([2, 96]), /ids\[1\]: expected an integer.*95.*got 96/],
    ["a text", () => bert.run("a text" as never), /ids: expected an array of token ids/],
    ["too many", () => bert.run(Array(25).fill(5)), /25 tokens do not fit the 24/],
    ["types of another length", () => bert.run([2, 3], { tokenTypeIds: [0] }), /tokenTypeIds: expected 2/],
    ["a type that is none", () => bert.run([2], { tokenTypeIds: [2] }), /tokenTypeIds\[0\].*got 2/],
    ["types without token types", () => mpnet.run([2], { tokenTypeIds: [0] }), /mpnet has no token types/],
    ["an output that it has not", () => mpnet.run([2], { outputs: ["pooled"] }), /no "pooled"; it has logits/],
    ["an unknown tap", () => bert.run([2], { capture: ["layers.9.output"] }), /nothing is called "layers.9.output"/],
    ["an unknown option", () => bert.run([2], { layers: 1 } as never), /layers/],
    ["an empty batch", () => bert.runBatch([]), /at least one sequence/],
    ["types of a batch", () => bert.runBatch([[2]], { tokenTypeIds: [[0], [0]] }), /expected an array of 1/],
    ["a span at the edge", () => bert.predictSpan([2, 5, 3], { start: 1, end: 1 }), /no span boundary head/],
  ];
  test.each(wrong)("%s", (_, run, message) => {
    expect(run).toThrow(message);
  });
});

describe("runPadded", () => {
  const batch = { inputIds: [[2, 5, 3], [2, 3, 0]] as number[][], attentionMask: [[1, 1, 1], [1, 1, 0]] as number[][] }; // biome-ignore format: two rows

  test("fills the padding with 0", () => {
    const { hidden, outputs } = bert.runPadded(batch, { outputs: ["logits", "pooled"] });
    expect(hidden.shape).toEqual([2, 3, 32]);
    expect(outputs.logits?.shape).toEqual([2, 3, 96]);
    expect(outputs.pooled?.shape).toEqual([2, 32]);
    expect(hidden.data.subarray(5 * 32)).toEqual(new Float32Array(32));
    expect(outputs.pooled?.data.subarray(32)).toEqual(bert.run([2, 3]).outputs.pooled?.data);
  });

  const wrong: [what: string, input: object, message: RegExp][] = [
    ["on the left", { ...batch, attentionMask: [[1, 1, 1], [0, 1, 1]] }, /attentionMask\[1\]: expected ones, then zeros/], // biome-ignore format: two rows
    ["a text of padding", { ...batch, attentionMask: [[1, 1, 1], [0, 0, 0]] }, /attentionMask\[1\].*at least one token/], // biome-ignore format: two rows
    ["ragged rows", { ...batch, inputIds: [[2, 5, 3], [2, 3]] }, /inputIds\[1\]/], // biome-ignore format: two rows
    ["a missing mask", { inputIds: batch.inputIds }, /attentionMask/],
    ["one mask", { ...batch, attentionMask: [[1, 1, 1]] }, /attentionMask: expected an array of 2 rows/],
    ["another key", { ...batch, positionIds: [] }, /positionIds/],
  ];
  test.each(wrong)("%s", (_, input, message) => {
    expect(() => bert.runPadded(input as never)).toThrow(message);
  });
});

describe("files that say more or less than they hold", () => {
  /** A golden's folder with another config, and some of its tensors under other names, or without them. */
  function changed(name: string, config: object, rename: (tensor: string) => string | null): FileSource {
    const folder = fixture(`goldens/tiny/${name}`);
    const json = JSON.parse(readFileSync(`${folder}/config.json`, "utf8")) as object;
    const tensors = [...readExpected(`${folder}/model.safetensors`)].flatMap(([tensor, { shape, data }]) => {
      const renamed = rename(tensor);
      return renamed === null ? [] : [{ name: renamed, shape, data }];
    });
    const files: Record<string, Uint8Array> = {
      "config.json": new TextEncoder().encode(JSON.stringify({ ...json, ...config })),
      "model.safetensors": writeSafetensors(tensors),
    };
    return { read: async (path, start, end) => files[path]?.slice(start, end) ?? null };
  }

  const bare: [name: string, prefix: string][] = [
    ["mpnet", "mpnet."],
    ["roberta-mlm", "roberta."],
    ["distilbert-mlm", "distilbert."],
    ["bert-pretraining", "bert."],
    ["electra", "electra."],
    ["albert", "albert."],
    ["modernbert", "model."],
  ];
  test.each(bare)("%s without the head that its class had, and without the prefix", async (name, prefix) => {
    const source = changed(name, {}, (tensor) => (tensor.startsWith(prefix) ? tensor.slice(prefix.length) : null));
    await using model = await loadEncoder(source);
    await using whole = await loadEncoder(fixture(`goldens/tiny/${name}`));
    const ids = [5, 9, 30, 31, 7];
    expect(model.outputs).not.toContain("logits");
    expect(model.run(ids).hidden).toEqual(whole.run(ids).hidden);
  });

  test("a head that is there in part is an error", async () => {
    const source = changed("mpnet", {}, (tensor) => (tensor === "lm_head.dense.weight" ? null : tensor));
    await expect(loadEncoder(source)).rejects.toThrow(/lm_head.dense.weight.*missing/);
  });

  test("gamma and beta are weight and bias of a norm, and what BERT was pretrained with stays", async () => {
    const old = (tensor: string) =>
      tensor.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
    const source = changed("bert-pretraining", { architectures: ["BertForMaskedLM"] }, old);
    await using model = await loadEncoder(source);
    expect(model.run([2, 5, 3])).toEqual(bert.run([2, 5, 3]));
  });

  const wrong: [name: string, config: object, message: RegExp][] = [
    ["albert", { num_hidden_layers: 2 ** 31 - 1 }, /"num_hidden_layers": expected an integer from 1 to 16384/],
    ["modernbert", { num_hidden_layers: 2 ** 31 - 1, layer_types: null }, /"num_hidden_layers"/],
    [
      "roberta-mlm",
      { pad_token_id: 175 },
      /"max_position_embeddings": expected more than pad_token_id \+ 1, which is 176/,
    ],
    ["mpnet", { pad_token_id: 5000 }, /"max_position_embeddings": expected more than/],
    ["mpnet", { relative_attention_num_buckets: 8 }, /"relative_attention_num_buckets".*32/],
    ["albert", { inner_group_num: 2 }, /"inner_group_num".*1/],
    ["bert-relu", { position_embedding_type: "relative_key" }, /"position_embedding_type".*absolute/],
    ["bert-relu", { is_decoder: true }, /"is_decoder".*false/],
    ["bert-relu", { architectures: ["BertForMultipleChoice"] }, /"architectures".*BertForMaskedLM/],
    ["bert-relu", { hidden_act: "mish" }, /"hidden_act".*gelu/],
    ["modernbert", { classifier_pooling: "max" }, /"classifier_pooling".*cls, mean/],
    ["bert-seqcls", { id2label: { 0: "a", 2: "b" } }, /"id2label": expected labels for 0 to 1/],
  ];
  test.each(wrong)("%s with %j", async (name, config, message) => {
    await expect(loadEncoder(changed(name, config, (tensor) => tensor))).rejects.toThrow(message);
  });
});

describe("loading", () => {
  test("contextLength cuts what a text may have, and cannot add positions", async () => {
    await using short = await loadEncoder(fixture("goldens/tiny/bert-pretraining"), { contextLength: 4 });
    expect(() => short.run([2, 5, 6, 7, 3])).toThrow(/5 tokens do not fit the 4/);
    await expect(loadEncoder(fixture("goldens/tiny/bert-pretraining"), { contextLength: 25 })).rejects.toThrow(
      /contextLength.*24/,
    );
  });

  test("SpanBERT's head is a file beside the model", async () => {
    const folder = fixture("goldens/tiny/spanbert");
    await using plain = await loadEncoder(folder);
    expect(() => plain.predictSpan([2, 5, 6, 3], { start: 1, end: 2 })).toThrow(/no span boundary head/);
    await using model = await loadEncoder(folder, { spanBoundaryHead: "sbo.safetensors" });
    const ids = Array.from({ length: 14 }, (_, i) => 5 + i);
    expect(model.predictSpan(ids, { start: 1, end: 2 }).logits.shape).toEqual([2, 96]);
    expect(() => model.predictSpan(ids, { start: 0, end: 2 })).toThrow(/span.start/);
    expect(() => model.predictSpan(ids, { start: 3, end: 13 })).toThrow(/span.end/);
    expect(() => model.predictSpan(ids, { start: 1, end: 9 })).toThrow(/9 tokens.*places of 8/);
    const other = loadEncoder(fixture("goldens/tiny/mpnet"), { spanBoundaryHead: "sbo.safetensors" });
    await expect(other).rejects.toThrow(/spanBoundaryHead: is for SpanBERT/);
  });

  test("a disposed model says so", async () => {
    const model = await loadEncoder(fixture("goldens/tiny/bert-pretraining"));
    model.dispose();
    expect(() => model.run([2, 3])).toThrow(/disposed/);
    expect(() => model.memory()).toThrow(/disposed/);
  });
});

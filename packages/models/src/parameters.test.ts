import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fixture, readJson } from "../../../tests/support/fixtures";
import { elementCount } from "./formats/tensor";
import { countParameters } from "./parameters";

const BASE = { model_type: "bert" };
const LARGE = { ...BASE, hidden_size: 1024, num_hidden_layers: 24, num_attention_heads: 16, intermediate_size: 4096 };
const THREE = { id2label: { 0: "a", 1: "b", 2: "c" } };

test("BERT-base has 110M, BERT-large 340M", () => {
  const base = countParameters({ ...BASE, architectures: ["BertModel"] });
  expect(base).toEqual({ total: 109_482_240, parts: { embeddings: 23_837_184, encoder: 85_054_464, pooler: 590_592 } });
  expect(countParameters({ ...LARGE, architectures: ["BertModel"] }).total).toBe(335_141_888);
});

test("heads add what the arithmetic says", () => {
  const parts = (head: string, more = {}) => countParameters({ ...BASE, architectures: [head], ...more }).parts;
  expect(parts("BertForSequenceClassification", THREE).classifier).toBe(2307);
  expect(parts("BertForTokenClassification", THREE)).toMatchObject({ classifier: 2307 });
  expect(parts("BertForTokenClassification", THREE)).not.toHaveProperty("pooler");
  expect(parts("BertForQuestionAnswering").qa_outputs).toBe(1538);
  // The words' vectors are the input's; what is left is a layer, its norm and a bias a word.
  expect(parts("BertForMaskedLM").cls).toBe(768 * 768 + 768 + 2 * 768 + 30522);
  expect(parts("BertForPreTraining").cls).toBe(parts("BertForMaskedLM").cls + 2 * 768 + 2);
});

test("a decoder, and one that no memory would hold", () => {
  const llama = {
    model_type: "llama",
    vocab_size: 128256,
    hidden_size: 16384,
    intermediate_size: 53248,
    num_hidden_layers: 126,
    num_attention_heads: 128,
    num_key_value_heads: 8,
  };
  expect(countParameters(llama).total).toBe(405_853_388_800);
});

test("what does not run is refused", () => {
  expect(() => countParameters({ model_type: "mamba" })).toThrow(/"model_type".*"mamba".*supported/);
  expect(() => countParameters({ ...BASE, hidden_size: -1 })).toThrow(/"hidden_size": expected an integer/);
});

describe("every tiny model has as many as its file", () => {
  // Shards and PyTorch's format hold the same model as others here; Phi-3 is taken apart by the tests that use it.
  const folders = ["tiny", "heads"].flatMap((group) => {
    const names = readdirSync(fixture(`goldens/${group}`)).filter((name) => !/sharded|-bin$|phi3/.test(name));
    return names.map((name) => fixture(`goldens/${group}/${name}`));
  });
  test.each(folders)("%s", (folder) => {
    const file = readFileSync(`${folder}/model.safetensors`);
    const header = JSON.parse(file.toString("utf8", 8, 8 + Number(file.readBigUInt64LE(0)))) as Record<
      string,
      { shape: number[] }
    >;
    const tensors = Object.entries(header).filter(([tensor]) => tensor !== "__metadata__");
    const expected = tensors.reduce((sum, [, { shape }]) => sum + elementCount(shape), 0);
    // transformers saves a second bias beside an untied output, which it does not add.
    const unused = folder.endsWith("bert-untied") ? header["cls.predictions.bias"].shape[0] : 0;
    expect(countParameters(readJson(`${folder}/config.json`)).total).toBe(expected - unused);
  });
});

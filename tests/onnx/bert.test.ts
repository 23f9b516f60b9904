/** Whole BERTs against onnxruntime, layer by layer: the same weights in a graph that was written apart from our model. */

import { type Encoder, type FileSource, type Tensor, writeSafetensors } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Random, seedOf } from "../ops/random";
import { largestDifference } from "../support/compare";
import { externalFile, fixture, readJson } from "../support/fixtures";
import { loadEncoder } from "../support/load";
import { type BertJson, type BertWeights, bertGraph } from "./bert-graph";
import { type RandomBertJson, randomBert, readFloat32 } from "./bert-weights";
import { int64 } from "./model";
import { type OnnxModel, type OnnxResult, onnxruntime, openOnnx } from "./session";

interface Text {
  readonly ids: readonly number[];
  readonly types: readonly number[];
}

type Taps = Readonly<Record<string, Tensor>>;

/** Every tap of our model for texts, each alone. */
function alone(model: Encoder, texts: readonly Text[]): Taps[] {
  return texts.map(({ ids, types }) => model.run(ids, { tokenTypeIds: types, capture: ["*"] }).captured);
}

/** The same for texts in one pass. */
function packed(model: Encoder, texts: readonly Text[]): Taps[] {
  const tokenTypeIds = texts.map(({ types }) => types);
  const results = model.runBatch(
    texts.map(({ ids }) => ids),
    { tokenTypeIds, capture: ["*"] },
  );
  return results.map(({ captured }) => captured);
}

/** The same of the graph, for texts as one padded batch; padding is cut off again. */
async function theirs(graph: OnnxModel, texts: readonly Text[]): Promise<Taps[]> {
  const T = Math.max(...texts.map(({ ids }) => ids.length));
  // Any word and type will do for padding: were it not hidden by the mask, it would show.
  const filled = (rows: readonly (readonly number[])[], filler: number) => {
    const padded = rows.flatMap((row) => [...row, ...Array<number>(T - row.length).fill(filler)]);
    return int64(padded, rows.length, T);
  };
  const results = await graph.run({
    input_ids: filled(
      texts.map(({ ids }) => ids),
      7,
    ),
    token_type_ids: filled(
      texts.map(({ types }) => types),
      1,
    ),
    attention_mask: filled(
      texts.map(({ ids }) => ids.map(() => 1)),
      0,
    ),
  });
  return texts.map(({ ids }, b) =>
    Object.fromEntries(Object.entries(results).map(([name, result]) => [name, ofText(result, b, ids.length)])),
  );
}

/** The part of a batch's result that belongs to the tokens of one text. */
function ofText({ shape, data }: OnnxResult, b: number, T: number): Tensor {
  const rest = shape.slice(1);
  const size = rest.reduce((product, n) => product * n, 1);
  const text = data.subarray(b * size, (b + 1) * size);
  if (rest.length === 1) return { shape: rest, data: text }; // [B, D]
  if (rest.length === 2) return { shape: [T, rest[1]], data: text.subarray(0, T * rest[1]) }; // [B, T, D]
  const [H, padded] = rest; // [B, H, T, T]
  const cut = new Float32Array(H * T * T);
  for (let h = 0; h < H; h++) {
    for (let t = 0; t < T; t++) {
      const row = (h * padded + t) * padded;
      cut.set(text.subarray(row, row + T), (h * T + t) * T);
    }
  }
  return { shape: [H, T, T], data: cut };
}

/** The largest difference of each tap, over all texts, in parts of the tensor's largest value. */
function differences(got: readonly Taps[], expected: readonly Taps[]): Record<string, number> {
  const worst: Record<string, number> = {};
  for (const [i, taps] of expected.entries()) {
    expect(Object.keys(got[i]).sort()).toEqual(Object.keys(taps).sort());
    for (const [name, tensor] of Object.entries(taps)) {
      expect(got[i][name].shape, name).toEqual(tensor.shape);
      const largest = tensor.data.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
      const difference = largestDifference(got[i][name].data, tensor.data) / largest;
      worst[name] = Math.max(worst[name] ?? 0, difference); // NaN stays NaN
    }
  }
  return worst;
}

/** Two numbers, each a sum that may nearly cancel: their largest value says little of what was added. */
const NEXT_SENTENCE = 3;

function expectWithin(tolerance: number, worst: Readonly<Record<string, number>>): void {
  for (const [name, difference] of Object.entries(worst)) {
    const allowed = name === "nextSentenceLogits" ? NEXT_SENTENCE * tolerance : tolerance;
    expect(difference, `${name}: largest difference, in parts of its largest value`).toBeLessThanOrEqual(allowed);
  }
}

/** Texts with random ids; the last part of each is its pair. */
function randomTexts(
  name: string,
  { vocab_size: V, type_vocab_size: kinds }: Sizes,
  lengths: readonly number[],
): Text[] {
  const random = new Random(seedOf(name));
  return lengths.map((T) => ({
    ids: Array.from({ length: T }, () => random.integer(V)),
    types: Array.from({ length: T }, (_, t) => Math.floor((t * kinds) / T)),
  }));
}

type Sizes = Pick<RandomBertJson, "vocab_size" | "type_vocab_size" | "max_position_embeddings">;

interface Case {
  readonly config: BertJson & Sizes;
  readonly weights: BertWeights;
  readonly source: string | FileSource;
}

function published(folder: string): Case {
  return {
    config: readJson(`${folder}/config.json`),
    weights: readFloat32(`${folder}/model.safetensors`),
    source: folder,
  };
}

function random(name: string, config: RandomBertJson): Case {
  const tensors = randomBert(config, seedOf(name));
  const files: Readonly<Record<string, Uint8Array>> = {
    "config.json": new TextEncoder().encode(JSON.stringify(config)),
    "model.safetensors": writeSafetensors(tensors),
  };
  const read = async (path: string, start: number, end: number) => files[path]?.slice(start, end) ?? null;
  return { config, weights: new Map(tensors.map((tensor) => [tensor.name, tensor])), source: { name, read } };
}

const RELU = random("relu", {
  model_type: "bert",
  architectures: ["BertForMaskedLM"],
  vocab_size: 101,
  hidden_size: 48,
  num_hidden_layers: 3,
  num_attention_heads: 3,
  intermediate_size: 77,
  hidden_act: "relu",
  layer_norm_eps: 1e-5,
  max_position_embeddings: 37,
  type_vocab_size: 3,
  tie_word_embeddings: false,
});

const ODD = random("odd", {
  model_type: "bert",
  architectures: ["BertForPreTraining"],
  vocab_size: 53,
  hidden_size: 35,
  num_hidden_layers: 1,
  num_attention_heads: 5,
  intermediate_size: 19,
  hidden_act: "gelu_new",
  layer_norm_eps: 1e-12,
  max_position_embeddings: 70,
  type_vocab_size: 2,
  tie_word_embeddings: true,
});

const MODELS: Readonly<Record<string, Case>> = {
  "bert-pretraining: gelu, every head of pretraining": published(fixture("goldens/tiny/bert-pretraining")),
  "3 layers, 3 heads, relu, 3 token types, untied": RELU,
  "1 layer, 5 heads of 7, gelu_new, tied": ODD,
};

/** In parts of a tensor's largest value. Measured: 1.5e-6, and 3.6e-6 for the two numbers of nextSentenceLogits. */
const TOLERANCE = 3e-6;

describe.skipIf(onnxruntime === null).each(Object.entries(MODELS))("%s", (name, { config, weights, source }) => {
  const longest = config.max_position_embeddings;
  const lengths = [1, 2, 7, 13, longest];
  const texts = randomTexts(name, config, lengths);
  let graph: OnnxModel;
  beforeAll(async () => {
    graph = await openOnnx(bertGraph(config, weights));
  });
  afterAll(() => graph.release());

  describe.each(["reference", "wasm"] as const)("%s kernels", (kernels) => {
    let model: Encoder;
    beforeAll(async () => {
      model = await loadEncoder(source, { kernels });
    });
    afterAll(() => model.dispose());

    test.each(lengths.map((T, i) => [T, i]))("every tap, %d tokens of all types", async (_, i) => {
      expectWithin(TOLERANCE, differences(alone(model, [texts[i]]), await theirs(graph, [texts[i]])));
    });

    test("a single text, without token types", async () => {
      const { ids } = texts[3];
      const { captured } = model.run(ids, { capture: ["*"] });
      expectWithin(TOLERANCE, differences([captured], await theirs(graph, [{ ids, types: ids.map(() => 0) }])));
    });

    test("our packed batch, their padded one", async () => {
      expectWithin(TOLERANCE, differences(packed(model, texts), await theirs(graph, texts)));
    });
  });
});

describe.skipIf(onnxruntime === null)("the comparison tells", () => {
  const { config, weights, source } = RELU;
  const text = randomTexts("wrong", config, [20]);
  let right: Taps[];
  beforeAll(async () => {
    const model = await loadEncoder(source);
    right = alone(model, text);
    model.dispose();
  });

  const scaled = (name: string, factor: number): BertWeights => {
    const tensor = weights.get(name) ?? { shape: [], data: new Float32Array() };
    return new Map(weights).set(name, { ...tensor, data: tensor.data.map((x) => factor * x) });
  };
  const FIRST_LAYER = "bert.encoder.layer.0";
  test.each<[string, string, BertJson, BertWeights]>([
    ["another eps", "embeddings", { ...config, layer_norm_eps: 1e-12 }, weights],
    ["another activation", "layers.0.output", { ...config, hidden_act: "gelu" }, weights],
    [
      "a bias of attention",
      "layers.0.attention.probs",
      config,
      scaled(`${FIRST_LAYER}.attention.self.query.bias`, 1.001),
    ],
    ["a bias of the last layer", "layers.2.output", config, scaled("bert.encoder.layer.2.output.dense.bias", 1.001)],
    ["a bias of the head", "logits", config, scaled("cls.predictions.bias", 1.001)],
  ])("%s, at the first tap that it changes", async (_, first, config, weights) => {
    const graph = await openOnnx(bertGraph(config, weights));
    const results = await theirs(graph, text);
    await graph.release();
    const taps = Object.keys(results[0]);
    const before = taps.slice(0, taps.indexOf(first));
    for (const name of [...before, first]) {
      const pick = (each: readonly Taps[]) => [{ [name]: each[0][name] }];
      expect(differences(pick(right), pick(results))[name] > TOLERANCE, name).toBe(name === first);
    }
  });
});

const MINILM = externalFile("QKV_MODELS", "all-MiniLM-L6-v2");

/** Measured: 1.6e-6 for texts. Random tokens give scores far from 0, and the weights of the first layer differ by 5.6e-6. */
const MINILM_TOLERANCE = 3e-6;
const MINILM_RANDOM_TOLERANCE = 1e-5;

describe.skipIf(onnxruntime === null || MINILM === null)("all-MiniLM-L6-v2 (needs QKV_MODELS)", () => {
  let graph: OnnxModel;
  let model: Encoder;
  let config: Case["config"];
  beforeAll(async () => {
    const minilm = published(MINILM as string);
    config = minilm.config;
    graph = await openOnnx(bertGraph(config, minilm.weights));
    model = await loadEncoder(minilm.source);
  });
  afterAll(async () => {
    model.dispose();
    await graph.release();
  });

  const encode = (text: string, pair?: string): Text => {
    const encoding = model.tokenizer?.encode(text, pair, { padding: false }) ?? { ids: [], typeIds: [] };
    return { ids: [...encoding.ids], types: [...encoding.typeIds] };
  };
  const SENTENCE = "The quick brown fox jumps over the lazy dog, and nobody asks why.";

  test.each<[string, () => Text]>([
    ["a word", () => encode("word")],
    ["a sentence", () => encode(SENTENCE)],
    ["a pair", () => encode(SENTENCE, "Dogs sleep through most of what foxes do.")],
  ])("every tap of %s", async (_, text) => {
    expectWithin(MINILM_TOLERANCE, differences(alone(model, [text()]), await theirs(graph, [text()])));
  });

  test("every tap of a pair of 512 random tokens", async () => {
    const texts = randomTexts("minilm", config, [config.max_position_embeddings]);
    expectWithin(MINILM_RANDOM_TOLERANCE, differences(alone(model, texts), await theirs(graph, texts)));
  });

  test("our packed batch, their padded one", async () => {
    const texts = [encode("word"), encode(SENTENCE, "A pair."), encode(`${SENTENCE} `.repeat(5))];
    expectWithin(MINILM_TOLERANCE, differences(packed(model, texts), await theirs(graph, texts)));
  });
});

/** Whole BARTs, mBARTs, Marians and Pegasuses against onnxruntime, layer by layer: as in t5.test.ts. */

import type { Seq2Seq } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { external, externalFile, fixture, readJson } from "../support/fixtures";
import { loadSeq2Seq } from "../support/load";
import { type BartJson, type BartWeights, bartGraph } from "./bart-graph";
import { type OnnxModel, onnxruntime, openOnnx } from "./session";
import {
  alone,
  differences,
  expectFirstChange,
  expectWithin,
  type Lengths,
  packed,
  padded,
  randomTexts,
  type Taps,
  type Text,
} from "./t5-bart";
import { readWeights } from "./t5-weights";

interface Case {
  readonly config: BartJson;
  readonly weights: BartWeights;
  readonly folder: string;
}

const theirs = (graph: OnnxModel, texts: readonly Text[]) => padded(graph, texts, () => ({}));

function published(folder: string): Case {
  const weights = readWeights(`${folder}/model.safetensors`);
  return { config: readJson(`${folder}/config.json`), weights, folder };
}

const carried = (name: string): [string, Case] => [name, published(fixture(`goldens/seq2seq/${name}`))];
const goldens = external("QKV_GOLDENS");
const all = (name: string): [string, Case][] =>
  goldens === null ? [] : [[name, published(externalFile("QKV_GOLDENS", `tiny/${name}`) as string)]];

const CARRIED = ["bart-beams", "bart-untied", "mbart-plain", "marian-two-vocabularies", "pegasus-no-positions"];
const MODELS: Readonly<Record<string, Case>> = Object.fromEntries([
  ...CARRIED.map(carried),
  ...["bart", "bart-scaled", "mbart", "marian", "pegasus"].flatMap(all),
]);

/** In parts of a tensor's largest value. Measured: 3.9e-6 for probabilities, as random words give scores far from 0. */
const TOLERANCE = 8e-6;

describe.skipIf(onnxruntime === null).each(Object.entries(MODELS))("%s", (name, { config, weights, folder }) => {
  const longest = config.max_position_embeddings;
  const lengths: readonly Lengths[] = [
    [1, 1],
    [2, 5],
    [longest, 2],
    [7, longest],
    [longest, longest],
  ];
  const texts = randomTexts(name, config.vocab_size, lengths, config.decoder_vocab_size);
  let graph: OnnxModel;
  beforeAll(async () => {
    graph = await openOnnx(bartGraph(config, weights));
  });
  afterAll(() => graph.release());

  describe.each(["reference", "wasm"] as const)("%s kernels", (kernels) => {
    let model: Seq2Seq;
    beforeAll(async () => {
      model = await loadSeq2Seq(folder, { kernels });
    });
    afterAll(() => model.dispose());

    test.each(lengths.map(([S, T], i) => [S, T, i]))("every tap, source of %d tokens, %d of text", async (_, __, i) => {
      expectWithin(TOLERANCE, differences(alone(model, [texts[i]]), await theirs(graph, [texts[i]])));
    });

    test("our packed batch, their padded one", async () => {
      expectWithin(TOLERANCE, differences(packed(model, texts), await theirs(graph, texts)));
    });
  });
});

describe.skipIf(onnxruntime === null)("the comparison tells", () => {
  const { config, weights, folder } = MODELS["bart-beams"];
  const texts = randomTexts("wrong", config.vocab_size, [[25, 20]]);
  let right: Taps;
  beforeAll(async () => {
    const model = await loadSeq2Seq(folder);
    [right] = alone(model, texts);
    model.dispose();
  });

  const scaled = (name: string, factor: number): BartWeights => {
    const tensor = weights.get(name) as { shape: readonly number[]; data: Float32Array };
    return new Map(weights).set(name, { ...tensor, data: tensor.data.map((x) => factor * x) });
  };
  test.each<[string, string, BartJson, BartWeights]>([
    ["words that are not scaled", "encoder.embeddings", { ...config, scale_embedding: false }, weights],
    ["another activation", "encoder.layers.0.output", { ...config, activation_function: "gelu" }, weights],
    ["positions of the decoder", "decoder.embeddings", config, scaled("model.decoder.embed_positions.weight", 1.001)],
    [
      "a bias of cross-attention",
      "decoder.layers.1.cross_attention.probs",
      config,
      scaled("model.decoder.layers.1.encoder_attn.q_proj.bias", 1.01),
    ],
    ["the logits' bias", "logits", config, scaled("final_logits_bias", 1.001)],
  ])("%s, at the first tap that it changes", async (_, first, config, weights) => {
    const graph = await openOnnx(bartGraph(config, weights));
    const [results] = await theirs(graph, texts);
    await graph.release();
    expectFirstChange(TOLERANCE, first, right, results);
  });
});

const MISAKI = externalFile("QKV_MODELS", "misaki-bart-us");

describe.skipIf(onnxruntime === null || MISAKI === null)("misaki-bart-us (needs QKV_MODELS)", () => {
  test("every tap of words, and of all positions", async () => {
    const { config, weights, folder } = published(MISAKI as string);
    const graph = await openOnnx(bartGraph(config, weights));
    await using model = await loadSeq2Seq(folder);
    const word = [1, 20, 30, 15, 8, 2]; // ids of letters between those of beginning and end
    const longest = config.max_position_embeddings;
    const texts = [
      { source: word, decoderIds: [1, 12, 40, 33] },
      ...randomTexts("misaki", config.vocab_size, [[longest, longest]]),
    ];
    expect(model.contextLength).toBe(longest);
    const expected = await theirs(graph, texts);
    expectWithin(TOLERANCE, differences(alone(model, texts), expected));
    expectWithin(TOLERANCE, differences(packed(model, texts), expected));
    await graph.release();
  });
});

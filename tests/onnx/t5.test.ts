/** Whole T5s against onnxruntime, layer by layer: the same weights in a graph that was written apart from our model. */

import { type FileSource, type Seq2Seq, writeSafetensors } from "@qkv/models";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seedOf } from "../ops/random";
import { external, externalFile, fixture, readJson } from "../support/fixtures";
import { loadSeq2Seq } from "../support/load";
import { int64 } from "./model";
import { type OnnxModel, onnxruntime, openOnnx } from "./session";
import {
  alone,
  differences,
  expectFirstChange,
  expectWithin,
  packed,
  padded,
  randomTexts,
  type Taps,
  type Text,
} from "./t5-bart";
import { bucketTable, type T5Json, type T5Weights, t5Graph } from "./t5-graph";
import { type RandomT5Json, randomT5, readWeights } from "./t5-weights";

/** An open graph, and what its buckets depend on. */
interface Oracle {
  readonly graph: OnnxModel;
  readonly config: T5Json;
}

async function openT5(config: T5Json, weights: T5Weights): Promise<Oracle> {
  return { graph: await openOnnx(t5Graph(config, weights)), config };
}

const theirs = ({ graph, config }: Oracle, texts: readonly Text[]) =>
  padded(graph, texts, (S, T) => ({
    encoder_buckets: int64(bucketTable(config, "encoder", S), S, S),
    decoder_buckets: int64(bucketTable(config, "decoder", T), T, T),
  }));

interface Case {
  readonly config: T5Json;
  readonly weights: T5Weights;
  readonly source: string | FileSource;
}

function published(folder: string): Case {
  return {
    config: readJson(`${folder}/config.json`),
    weights: readWeights(`${folder}/model.safetensors`),
    source: folder,
  };
}

function random(name: string, config: RandomT5Json): Case {
  const tensors = randomT5(config, seedOf(name));
  const files: Readonly<Record<string, Uint8Array>> = {
    "config.json": new TextEncoder().encode(JSON.stringify(config)),
    "model.safetensors": writeSafetensors(tensors),
  };
  const read = async (path: string, start: number, end: number) => files[path]?.slice(start, end) ?? null;
  return { config, weights: new Map(tensors.map((tensor) => [tensor.name, tensor])), source: { name, read } };
}

const RELU: RandomT5Json = {
  model_type: "t5",
  architectures: ["T5ForConditionalGeneration"],
  vocab_size: 101,
  d_model: 48,
  d_kv: 20, // three heads make 60: more than D
  d_ff: 77,
  num_heads: 3,
  num_layers: 3,
  num_decoder_layers: 2,
  feed_forward_proj: "relu",
  layer_norm_epsilon: 1e-5,
  relative_attention_num_buckets: 32,
  relative_attention_max_distance: 128,
  tie_word_embeddings: true,
  decoder_start_token_id: 0,
};

const RELU_CASE = random("relu", RELU);
const GATED_CASE = random("gated", {
  ...RELU,
  vocab_size: 53,
  d_model: 35,
  d_kv: 7,
  d_ff: 19,
  num_heads: 5,
  num_layers: 1,
  num_decoder_layers: 3,
  feed_forward_proj: "gated-gelu",
  layer_norm_epsilon: 1e-6,
  relative_attention_num_buckets: 14, // 7 and 14: neither is a power of two
  relative_attention_max_distance: 50,
  tie_word_embeddings: false,
});

const carried = (name: string): [string, Case] => [name, published(fixture(`goldens/seq2seq/${name}`))];
const goldens = external("QKV_GOLDENS");
const all = (name: string): [string, Case][] =>
  goldens === null ? [] : [[name, published(externalFile("QKV_GOLDENS", `tiny/${name}`) as string)]];

const MODELS: Readonly<Record<string, Case>> = Object.fromEntries([
  ["3 + 2 layers, 3 heads of 20, relu, tied", RELU_CASE],
  ["1 + 3 layers, 5 heads of 7, gated-gelu, untied, 14 buckets to 50", GATED_CASE],
  carried("t5-beams"),
  carried("t5-old"),
  carried("t5-resaved"),
  carried("t5-one-embedding"),
  carried("mt5-v4"),
  carried("umt5-tied"),
  ...["t5", "t5-v1_1", "t5-uneven", "t5-gated-silu", "mt5", "umt5"].flatMap(all),
]);

/** In parts of a tensor's largest value. Measured: 5.9e-6, for the 150 tokens; 4.3e-6 where D is more than 12. */
const TOLERANCE = 1.2e-5;
/** Measured: 1.1e-5. Where D is 6, states before a norm differ 15-fold in size, and it enlarges the small ones' rounding. */
const NARROW_TOLERANCE = 2.2e-5;

test("buckets, by hand: 8 of them to a distance of 20", () => {
  const config = { ...RELU, relative_attention_num_buckets: 8, relative_attention_max_distance: 20 };
  const lastRow = (stack: "encoder" | "decoder") => bucketTable(config, stack, 25).slice(-25).reverse();
  // 4 exact ones; then from 4, 4 * 5^(1/4) = 5.98, 4 * 5^(2/4) = 8.94, 4 * 5^(3/4) = 13.37
  expect(lastRow("decoder")).toEqual([0, 1, 2, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, ...Array<number>(11).fill(7)]);
  // 2 exact ones; then from 2, 2 * 10^(1/2) = 6.32
  expect(lastRow("encoder")).toEqual([0, 1, 2, 2, 2, 2, 2, ...Array<number>(18).fill(3)]);
  // keys after the query
  expect(bucketTable(config, "encoder", 25).slice(0, 9)).toEqual([0, 5, 6, 6, 6, 6, 6, 7, 7]);
});

describe.skipIf(onnxruntime === null).each(Object.entries(MODELS))("%s", (name, { config, weights, source }) => {
  // The last is past the last bucket of both stacks.
  const lengths = [
    [1, 1],
    [2, 5],
    [13, 2],
    [31, 17],
    [160, 150],
  ] as const;
  const texts = randomTexts(name, config.vocab_size, lengths);
  const tolerance = config.d_model > 6 ? TOLERANCE : NARROW_TOLERANCE;
  let oracle: Oracle;
  beforeAll(async () => {
    oracle = await openT5(config, weights);
  });
  afterAll(() => oracle.graph.release());

  describe.each(["reference", "wasm"] as const)("%s kernels", (kernels) => {
    let model: Seq2Seq;
    beforeAll(async () => {
      model = await loadSeq2Seq(source, { kernels });
    });
    afterAll(() => model.dispose());

    test.each(lengths.map(([S, T], i) => [S, T, i]))("every tap, source of %d tokens, %d of text", async (_, __, i) => {
      expectWithin(tolerance, differences(alone(model, [texts[i]]), await theirs(oracle, [texts[i]])));
    });

    test("our packed batch, their padded one", async () => {
      expectWithin(tolerance, differences(packed(model, texts), await theirs(oracle, texts)));
    });
  });
});

describe.skipIf(onnxruntime === null)("the comparison tells", () => {
  const { config, weights, source } = RELU_CASE;
  const text = randomTexts("wrong", config.vocab_size, [[40, 30]]);
  let right: Taps[];
  beforeAll(async () => {
    const model = await loadSeq2Seq(source);
    right = alone(model, text);
    model.dispose();
  });

  const scaled = (name: string, factor: number): T5Weights => {
    const tensor = weights.get(name) as { shape: readonly number[]; data: Float32Array };
    return new Map(weights).set(name, { ...tensor, data: tensor.data.map((x) => factor * x) });
  };
  const bias = (stack: string) => `${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;
  test.each<[string, string, T5Json, T5Weights]>([
    ["another eps", "encoder.layers.0.attention.probs", { ...config, layer_norm_epsilon: 1e-3 }, weights],
    ["another activation", "encoder.layers.0.output", { ...config, feed_forward_proj: "silu" }, weights],
    ["a bias of distances", "encoder.layers.0.attention.probs", config, scaled(bias("encoder"), 1.001)],
    ["that of the decoder", "decoder.layers.0.self_attention.probs", config, scaled(bias("decoder"), 1.001)],
    [
      "buckets that end elsewhere",
      "encoder.layers.0.attention.probs",
      { ...config, relative_attention_max_distance: 64 },
      weights,
    ],
    [
      "keys of the source",
      "decoder.layers.1.cross_attention.probs",
      config,
      scaled("decoder.block.1.layer.1.EncDecAttention.k.weight", 1.001),
    ],
    [
      "values of the source",
      "decoder.layers.1.output",
      config,
      scaled("decoder.block.1.layer.1.EncDecAttention.v.weight", 1.001),
    ],
    ["a head that is not scaled", "logits", { ...config, scale_decoder_outputs: false }, weights],
  ])("%s, at the first tap that it changes", async (_, first, config, weights) => {
    const oracle = await openT5(config, weights);
    const results = await theirs(oracle, text);
    await oracle.graph.release();
    expectFirstChange(TOLERANCE, first, right[0], results[0]);
  });
});

const TITLER = externalFile("QKV_MODELS", "t5-titler");

/** Measured: 2e-6 for a text, 1e-6 without the probabilities. Random tokens give scores far from 0: 5.5e-6. */
const TITLER_TOLERANCE = 4e-6;
const TITLER_RANDOM_TOLERANCE = 1.1e-5;

describe.skipIf(onnxruntime === null || TITLER === null)("t5-titler, FLAN-T5-small's layers (needs QKV_MODELS)", () => {
  let oracle: Oracle;
  let model: Seq2Seq;
  let config: T5Json;
  beforeAll(async () => {
    const titler = published(TITLER as string);
    config = titler.config;
    oracle = await openT5(config, titler.weights);
    model = await loadSeq2Seq(titler.source);
  });
  afterAll(async () => {
    model.dispose();
    await oracle.graph.release();
  });

  const STEP =
    "summarize agent step: intent: fix the flaky login test | actions: read the log, raised the timeout, ran it twice | " +
    "files: tests/login.test.ts, src/session.ts | symbols: openSession, waitForCookie | notes: the cookie came late. ";
  const TITLE = "Fix flaky login test by waiting for the session cookie before the page is loaded again and again";
  const encode = (text: string, length: number): number[] => {
    const ids = model.tokenizer?.encode(text, null, { padding: false }).ids ?? [];
    expect(ids.length).toBeGreaterThanOrEqual(length);
    return [...ids.slice(0, length - 1), 1];
  };
  const step = (): Text => ({
    source: encode(STEP.repeat(5), 229),
    decoderIds: [0, ...encode(TITLE.repeat(3), 32).slice(0, 31)],
  });

  test("every tap of a text of 229 tokens, 32 of its title", async () => {
    expectWithin(TITLER_TOLERANCE, differences(alone(model, [step()]), await theirs(oracle, [step()])));
  });

  test("every tap of 300 random tokens, 140 of random text", async () => {
    const texts = randomTexts("titler", config.vocab_size, [[300, 140]]);
    expectWithin(TITLER_RANDOM_TOLERANCE, differences(alone(model, texts), await theirs(oracle, texts)));
  });

  test("our packed batch, their padded one", async () => {
    const texts = [step(), { source: encode(STEP, 20), decoderIds: [0, 3, 4] }, { source: [1], decoderIds: [0] }];
    expectWithin(TITLER_TOLERANCE, differences(packed(model, texts), await theirs(oracle, texts)));
  });
});

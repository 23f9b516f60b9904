/**
 * ModernBERT (Warner et al. 2024): rotary positions, local and global attention in turn, gated MLPs, norms before what
 * they feed. Checked against transformers' `ModernBert*` classes.
 *
 * D hiddenSize, F intermediateSize, H numAttentionHeads, K head width, V vocabSize; N rows of a pass, whatever texts they
 * belong to.
 */

import {
  type Activation,
  type Address,
  attentionMask,
  type Kernels,
  type LayerNorm,
  type Linear,
  type Product,
  type RopeConfig,
  ropeAngles,
  ropeFrequencies,
} from "@qkv/core";
import { ACTIVATION_NAMES } from "../config/activation";
import { type JsonConfig, MAX_LAYERS, MAX_WIDTH } from "../config/json-config";
import { parseLabels } from "../config/labels";
import { parseRope } from "../config/rope";
import { type AttentionRules, attendWithinTexts, type BlockScratch, networkShape, SEE_ALL } from "../encoder/block";
import { COMMON_HEADS, checkHeads, type EncoderConfig, parseHead } from "../encoder/config";
import { type Head, type Heads, linearStage, NO_HEADS, type Stage, wordDecoder } from "../encoder/heads";
import { type EncoderNetwork, packedIds, packedPositions } from "../encoder/network";
import { layerTaps, product } from "../layers";
import type { Lookup } from "../weights/lookup";
import type { Weights } from "../weights/weights";

// ---- Config

/** Whether a layer's tokens see all others, or those near by. */
type LayerType = "full_attention" | "sliding_attention";

const LAYER_TYPES: Readonly<Record<LayerType, LayerType>> = {
  full_attention: "full_attention",
  sliding_attention: "sliding_attention",
};

export interface ModernBertConfig extends EncoderConfig {
  /** Of each layer. */
  readonly layerTypes: readonly LayerType[];
  readonly rope: Readonly<Record<LayerType, RopeConfig>>;
  /** Neighbours that a token sees in local layers, half of them on each side. */
  readonly localAttention: number;
  readonly attentionBias: boolean;
  readonly mlpBias: boolean;
  readonly normBias: boolean;
  /** Of the layer before the output. */
  readonly classifierBias: boolean;
  readonly classifierActivation: Activation;
  readonly classifierPooling: "cls" | "mean";
  readonly decoderBias: boolean;
}

/** Parses config.json in the keys of transformers 5 or 4. */
export function parseModernBertConfig(json: JsonConfig): ModernBertConfig {
  const hiddenSize = json.integer("hidden_size", { max: MAX_WIDTH }, 768);
  const numAttentionHeads = json.integer("num_attention_heads", {}, 12);
  checkHeads(json, "num_attention_heads", { hiddenSize, numAttentionHeads });
  const headDim = hiddenSize / numAttentionHeads;
  if (headDim % 2 !== 0) throw json.wrong("num_attention_heads", "heads of an even width, for rotary pairs");
  const maxPositionEmbeddings = json.integer("max_position_embeddings", {}, 8192);
  const numHiddenLayers = json.integer("num_hidden_layers", { max: MAX_LAYERS }, 22);
  const localAttention = json.integer("local_attention", {}, 128);
  return {
    ...parseLabels(json),
    vocabSize: json.integer("vocab_size", {}, 50368),
    hiddenSize,
    intermediateSize: json.integer("intermediate_size", { max: MAX_WIDTH }, 1152),
    numHiddenLayers,
    numAttentionHeads,
    hiddenAct: json.choice("hidden_activation", ACTIVATION_NAMES, "gelu"),
    layerNormEps: json.number("norm_eps", { min: 0 }, 1e-5),
    maxPositionEmbeddings,
    typeVocabSize: 0,
    padTokenId: json.integer("pad_token_id", { min: 0 }, 50283),
    tieWordEmbeddings: json.boolean("tie_word_embeddings", true),
    head: parseHead(json, "ModernBert", COMMON_HEADS),
    layerTypes: parseLayerTypes(json, numHiddenLayers),
    rope: parseRopes(json, headDim, maxPositionEmbeddings),
    localAttention,
    attentionBias: json.boolean("attention_bias", false),
    mlpBias: json.boolean("mlp_bias", false),
    normBias: json.boolean("norm_bias", false),
    classifierBias: json.boolean("classifier_bias", false),
    classifierActivation: json.choice("classifier_activation", ACTIVATION_NAMES, "gelu"),
    classifierPooling: json.choice("classifier_pooling", { cls: "cls", mean: "mean" } as const, "cls"),
    decoderBias: json.boolean("decoder_bias", true),
  };
}

/** transformers 5 lists the layers; before, every n-th was global, the first among them. */
function parseLayerTypes(json: JsonConfig, layers: number): LayerType[] {
  if (json.has("layer_types")) return json.choices("layer_types", layers, LAYER_TYPES);
  const every = json.integer("global_attn_every_n_layers", {}, 3);
  return Array.from({ length: layers }, (_, i) => (i % every === 0 ? "full_attention" : "sliding_attention"));
}

function parseRopes(json: JsonConfig, headDim: number, maxPositions: number): ModernBertConfig["rope"] {
  if (json.hasEntries("rope_parameters")) {
    const parameters = json.object("rope_parameters");
    const rope = (type: LayerType) => parseRope(parameters.inside(type, "rope_parameters"), headDim, maxPositions);
    return { full_attention: rope("full_attention"), sliding_attention: rope("sliding_attention") };
  }
  const rope = (theta: number): RopeConfig => ({ theta, rotaryDim: headDim, scaling: { type: "default" } });
  const globalTheta = json.number("global_rope_theta", { min: 1 }, 160_000);
  // null, unlike absence, says that local layers turn as the global ones do
  const local = json.mentions("local_rope_theta") ? globalTheta : 10_000;
  return {
    full_attention: rope(globalTheta),
    sliding_attention: rope(json.number("local_rope_theta", { min: 1 }, local)),
  };
}

// ---- Weights

interface ModernBertLayer {
  readonly type: LayerType;
  /** null in the first layer, whose input is normed already */
  readonly attentionNorm: LayerNorm | null;
  /** q, k, v [D, D] */
  readonly qkv: readonly [Product, Product, Product];
  readonly attentionOutput: Linear; // [D, D]
  readonly mlpNorm: LayerNorm;
  /** what goes through the activation, and what it is multiplied by, [F, D] each */
  readonly inputGate: readonly [Product, Product];
  readonly output: Linear; // [D, F]
  readonly probsTap: string;
  readonly outputTap: string;
}

interface ModernBertWeights {
  readonly words: Lookup; // [V, D]
  readonly norm: LayerNorm;
  readonly layers: readonly ModernBertLayer[];
  readonly finalNorm: LayerNorm;
}

function modelWeights(w: Weights, c: ModernBertConfig): ModernBertWeights {
  const { hiddenSize: D, layerNormEps: eps } = c;
  const bias = { bias: c.normBias };
  return {
    words: w.lookup("embeddings.tok_embeddings", c.vocabSize, D),
    norm: w.layerNorm("embeddings.norm", D, eps, bias),
    layers: c.layerTypes.map((type, i) => layerWeights(w.at(`layers.${i}`), c, type, i)),
    finalNorm: w.layerNorm("final_norm", D, eps, bias),
  };
}

function layerWeights(w: Weights, c: ModernBertConfig, type: LayerType, layer: number): ModernBertLayer {
  const { hiddenSize: D, intermediateSize: F, layerNormEps: eps } = c;
  const norm = { bias: c.normBias };
  const [q, k, v] = w.linears("attn.Wqkv", [D, D, D], D, { bias: c.attentionBias, exactPart: 2 });
  const [input, gate] = w.linears("mlp.Wi", [F, F], D, { bias: c.mlpBias });
  return {
    type,
    attentionNorm: layer === 0 ? null : w.layerNorm("attn_norm", D, eps, norm),
    qkv: [product(q), product(k), product(v)],
    attentionOutput: w.linear("attn.Wo", D, D, { bias: c.attentionBias }),
    mlpNorm: w.layerNorm("mlp_norm", D, eps, norm),
    inputGate: [product(input), product(gate)],
    output: w.linear("mlp.Wo", D, F, { bias: c.mlpBias }),
    ...layerTaps(layer),
  };
}

function modelHeads(root: Weights, c: ModernBertConfig, words: Lookup): Heads {
  const { hiddenSize: D, head } = c;
  if (head === "none" && !root.has("head.dense.weight")) return NO_HEADS;
  const dense: Stage = {
    linear: root.linear("head.dense", D, D, { bias: c.classifierBias }),
    activation: c.classifierActivation,
    norm: root.layerNorm("head.norm", D, c.layerNormEps, { bias: c.normBias }),
  };
  const classifier = (outputs: number): Stage => linearStage(root.linear("classifier", outputs, D, { bias: true }));
  const byToken = (last: Stage): Head => ({ reads: "token", stages: [dense, last] });
  switch (head) {
    case "sequenceClassification": {
      const reads = c.classifierPooling === "cls" ? "first" : "mean";
      return { ...NO_HEADS, sequenceClassification: { reads, stages: [dense, classifier(c.labels.length)] } };
    }
    case "tokenClassification":
      return { ...NO_HEADS, tokenClassification: byToken(classifier(c.labels.length)) };
    case "questionAnswering":
      return { ...NO_HEADS, questionAnswering: byToken(classifier(2)) };
    default:
      return {
        ...NO_HEADS,
        maskedLm: byToken(wordDecoder(root, "decoder", c.decoderBias ? "decoder.bias" : null, words, c)),
      };
  }
}

// ---- State of a pass

interface ModernBertScratch extends BlockScratch {
  readonly normed: Address; // [N, D]
  readonly gate: Address; // [N, F]
  /** Of each layer type, [N, K/2] each. */
  readonly angles: Readonly<Record<LayerType, { readonly cos: Address; readonly sin: Address }>>;
}

// ---- The model

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createModernBert(
  config: ModernBertConfig,
  root: Weights,
  kernels: Kernels,
): EncoderNetwork<ModernBertScratch> {
  const w = root.has("model.embeddings.tok_embeddings.weight") ? root.at("model") : root;
  const { words, norm, layers, finalNorm } = modelWeights(w, config);
  const heads = modelHeads(root, config, words);
  root.finish();
  const { hiddenSize: D, intermediateSize: F, numAttentionHeads: H, hiddenAct, rope } = config;
  const K = D / H;
  const side = Math.floor(config.localAttention / 2);
  const rules: Readonly<Record<LayerType, AttentionRules>> = {
    full_attention: SEE_ALL,
    sliding_attention: { mask: attentionMask({ window: { left: side, right: side } }), bias: null },
  };
  const shape = networkShape(kernels, config, layers);

  const normTo = (out: Address, x: Address, { weight, bias, width, eps }: LayerNorm, N: number) =>
    kernels.layerNorm(out, x, weight, bias, N, width, eps);

  /** cos and sin of every row's position. */
  const fillAngles = (s: ModernBertScratch, positions: readonly number[]): void => {
    const length = positions.reduce((most, position) => Math.max(most, position + 1), 0);
    for (const type of Object.values(LAYER_TYPES)) {
      const { cos, sin } = s.angles[type];
      const size = positions.length * (K / 2);
      const frequencies = ropeFrequencies(rope[type], length);
      ropeAngles(frequencies, positions, kernels.arena.f32(cos, size), kernels.arena.f32(sin, size));
    }
  };

  return {
    ...shape,
    heads,

    createScratch(rows) {
      const buffer = (width: number) => kernels.arena.allocate(4 * rows * width, "scratch");
      const angles = () => ({ cos: buffer(K / 2), sin: buffer(K / 2) });
      return {
        ...shape.createScratch(rows),
        normed: buffer(D),
        gate: buffer(F),
        angles: { full_attention: angles(), sliding_attention: angles() },
      };
    },

    *forward(s, texts, capture, due) {
      const ids = packedIds(texts);
      const N = ids.length;
      fillAngles(s, packedPositions(texts));
      words.lookUp(kernels, s.x, ids);
      normTo(s.x, s.x, norm, N);
      capture?.rows("embeddings", texts, s.x, D);

      for (const layer of layers) {
        // x += attention(norm(x))
        const input = layer.attentionNorm === null ? s.x : s.normed;
        if (layer.attentionNorm !== null) normTo(s.normed, s.x, layer.attentionNorm, N);
        const [toQ, toK, toV] = layer.qkv;
        toQ.out = s.q;
        toK.out = s.k;
        toV.out = s.v;
        kernels.matmuls(input, N, layer.qkv);
        const { cos, sin } = s.angles[layer.type];
        kernels.rope(s.q, cos, sin, N, H, K, K, "half-split");
        kernels.rope(s.k, cos, sin, N, H, K, K, "half-split");
        yield* attendWithinTexts(kernels, s, texts, rules[layer.type], layer.probsTap, { capture, due });
        kernels.matmul(s.projected, s.attended, layer.attentionOutput.weight, layer.attentionOutput.bias, N);
        kernels.add(s.x, s.x, s.projected, N * D);
        if (due()) yield;

        // x += mlp(norm(x))
        normTo(s.normed, s.x, layer.mlpNorm, N);
        const [toInput, toGate] = layer.inputGate;
        toInput.out = s.intermediate;
        toGate.out = s.gate;
        kernels.matmuls(s.normed, N, layer.inputGate);
        kernels.gate(s.intermediate, s.intermediate, s.gate, N * F, hiddenAct);
        kernels.matmul(s.projected, s.intermediate, layer.output.weight, layer.output.bias, N);
        kernels.add(s.x, s.x, s.projected, N * D);

        capture?.rows(layer.outputTap, texts, s.x, D);
        if (due()) yield;
      }
      normTo(s.normed, s.x, finalNorm, N);
      return s.normed;
    },
  };
}

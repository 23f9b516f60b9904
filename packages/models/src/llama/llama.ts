/**
 * LLaMA (Touvron et al. 2023), and what shares its computation: Llama 1, 2, 3, SmolLM2, TinyStories.
 * Checked against transformers' `LlamaForCausalLM` at every tap.
 *
 * D hiddenSize, H numAttentionHeads, G numKeyValueHeads, K headDim, F intermediateSize, V vocabSize, R rotary width;
 * N rows of a pass, whatever sequences they belong to.
 */

import {
  type Activation,
  type Address,
  type Arena,
  type AttentionCall,
  CAUSAL,
  frequenciesGoByLength,
  type Kernels,
  KvCache,
  type Linear,
  type Matrix,
  type Product,
  type RmsNorm,
  type RopeConfig,
  type RopeFrequencies,
  ropeAngles,
  ropeFrequencies,
} from "@qkv/core";
import { ACTIVATION_NAMES } from "../config/activation";
import { type JsonConfig, MAX_HEAD_DIM, MAX_LAYERS, MAX_WIDTH } from "../config/json-config";
import { parseRope } from "../config/rope";
import { type AttentionPass, attendToPast, attentionPass } from "../decoder/attention";
import type { DecoderNetwork } from "../decoder/network";
import { CHUNK_ROWS, type Segment } from "../decoder/segments";
import { attentionCall, layerTaps, noProbs, type ProbsRoom, product } from "../layers";
import type { Capture } from "../taps/capture";
import type { Weights } from "../weights/weights";

// ---- Config

export interface LlamaConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly hiddenAct: Activation;
  readonly rmsNormEps: number;
  readonly maxPositionEmbeddings: number;
  readonly rope: RopeConfig;
  /** q, k, v and o have biases. */
  readonly attentionBias: boolean;
  /** gate, up and down have biases. */
  readonly mlpBias: boolean;
  /** The head is the embedding's transpose. */
  readonly tieWordEmbeddings: boolean;
}

/** Parses config.json, with transformers' defaults for what older files leave out. */
export function parseLlamaConfig(json: JsonConfig): LlamaConfig {
  const hiddenSize = json.integer("hidden_size", { max: MAX_WIDTH });
  const numAttentionHeads = json.integer("num_attention_heads");
  const numKeyValueHeads = json.integer("num_key_value_heads", {}, numAttentionHeads);
  if (numAttentionHeads % numKeyValueHeads !== 0) {
    throw json.wrong("num_key_value_heads", `a divisor of num_attention_heads ${numAttentionHeads}`);
  }
  if (!json.has("head_dim") && hiddenSize % numAttentionHeads !== 0) {
    throw json.wrong("num_attention_heads", `a divisor of hidden_size ${hiddenSize}`);
  }
  const headDim = json.integer("head_dim", { min: 2, max: MAX_HEAD_DIM }, hiddenSize / numAttentionHeads);
  if (headDim % 2 !== 0 || headDim > MAX_HEAD_DIM)
    throw json.wrong("head_dim", `an even number, for rotary pairs, up to ${MAX_HEAD_DIM}`);
  const maxPositionEmbeddings = json.integer("max_position_embeddings", {}, 2048);
  return {
    vocabSize: json.integer("vocab_size"),
    hiddenSize,
    intermediateSize: json.integer("intermediate_size"),
    numHiddenLayers: json.integer("num_hidden_layers", { max: MAX_LAYERS }),
    numAttentionHeads,
    numKeyValueHeads,
    headDim,
    hiddenAct: json.choice("hidden_act", ACTIVATION_NAMES, "silu"),
    rmsNormEps: json.number("rms_norm_eps", { min: 0 }, 1e-6),
    maxPositionEmbeddings,
    rope: parseRope(json, headDim, maxPositionEmbeddings),
    attentionBias: json.boolean("attention_bias", false),
    mlpBias: json.boolean("mlp_bias", false),
    tieWordEmbeddings: json.boolean("tie_word_embeddings", false),
  };
}

// ---- Weights

interface LlamaLayer {
  readonly inputNorm: RmsNorm;
  /** q [H*K, D], k and v [G*K, D] */
  readonly qkv: readonly [Product, Product, Product];
  readonly o: Linear; // [D, H*K]
  readonly postAttentionNorm: RmsNorm;
  /** gate and up [F, D] */
  readonly gateUp: readonly [Product, Product];
  readonly down: Linear; // [D, F]
  readonly probsTap: string;
  readonly outputTap: string;
}

interface LlamaWeights {
  readonly embedTokens: Matrix; // [V, D]
  readonly layers: readonly LlamaLayer[];
  readonly norm: RmsNorm;
  readonly lmHead: Matrix; // [V, D]
}

function layerWeights(w: Weights, c: LlamaConfig, layer: number): LlamaLayer {
  const { hiddenSize: D, intermediateSize: F, numAttentionHeads: H, numKeyValueHeads: G, headDim: K } = c;
  const attention = w.at("self_attn");
  const mlp = w.at("mlp");
  const bias = c.attentionBias;
  return {
    inputNorm: w.rmsNorm("input_layernorm", D, c.rmsNormEps),
    qkv: [
      product(attention.linear("q_proj", H * K, D, { bias })),
      product(attention.linear("k_proj", G * K, D, { bias })),
      product(attention.linear("v_proj", G * K, D, { bias })),
    ],
    o: attention.linear("o_proj", D, H * K, { bias }),
    postAttentionNorm: w.rmsNorm("post_attention_layernorm", D, c.rmsNormEps),
    gateUp: [
      product(mlp.linear("gate_proj", F, D, { bias: c.mlpBias })),
      product(mlp.linear("up_proj", F, D, { bias: c.mlpBias })),
    ],
    down: mlp.linear("down_proj", D, F, { bias: c.mlpBias }),
    ...layerTaps(layer),
  };
}

function modelWeights(root: Weights, c: LlamaConfig): LlamaWeights {
  const w = root.at("model");
  const embedTokens = w.embedding("embed_tokens", c.vocabSize, c.hiddenSize);
  const layers: LlamaLayer[] = [];
  for (let i = 0; i < c.numHiddenLayers; i++) {
    layers.push(layerWeights(w.at(`layers.${i}`), c, i));
    // Old checkpoints saved the frequencies, which follow from the config.
    w.skip(`layers.${i}.self_attn.rotary_emb.inv_freq`);
  }
  const norm = w.rmsNorm("norm", c.hiddenSize, c.rmsNormEps);
  // A head in the file of a tied model is read, as transformers 5 does: a copy gives the same bits, another is meant.
  const tied = c.tieWordEmbeddings && !root.has("lm_head.weight");
  const lmHead = tied ? embedTokens : root.embedding("lm_head", c.vocabSize, c.hiddenSize);
  root.finish();
  return { embedTokens, layers, norm, lmHead };
}

// ---- State of a pass

interface LlamaScratch {
  readonly x: Address; // [N, D] the residual stream
  readonly normed: Address; // [N, D]
  readonly q: Address; // [N, H*K]
  readonly attended: Address; // [N, H*K]
  readonly projected: Address; // [N, D] what attention or MLP adds to x
  readonly gate: Address; // [N, F]
  readonly up: Address; // [N, F]
  readonly cos: Address; // [N, R/2]
  readonly sin: Address; // [N, R/2]
  readonly attention: AttentionCall;
  readonly probs: ProbsRoom;
}

// ---- The model

export class Llama implements DecoderNetwork<LlamaScratch> {
  readonly config: LlamaConfig;
  readonly arena: Arena;
  readonly vocabSize: number;
  readonly maxPositions: number;
  readonly taps: readonly string[];
  readonly #kernels: Kernels;
  readonly #weights: LlamaWeights;

  /** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
  constructor(config: LlamaConfig, weights: Weights, kernels: Kernels) {
    this.config = config;
    this.#kernels = kernels;
    this.arena = kernels.arena;
    this.#weights = modelWeights(weights, config);
    this.vocabSize = config.vocabSize;
    this.maxPositions =
      config.rope.scaling.type === "dynamic" ? Number.POSITIVE_INFINITY : config.maxPositionEmbeddings;
    const layerTaps = this.#weights.layers.flatMap((layer) => [layer.probsTap, layer.outputTap]);
    this.taps = ["embeddings", ...layerTaps, "final"];
  }

  createCache(capacity: number): KvCache {
    const { numHiddenLayers: layers, numKeyValueHeads: kvHeads, headDim } = this.config;
    return new KvCache({ layers, kvHeads, headDim, capacity }, this.arena);
  }

  createScratch(): LlamaScratch {
    const {
      hiddenSize: D,
      intermediateSize: F,
      numAttentionHeads: H,
      numKeyValueHeads,
      headDim: K,
      rope,
    } = this.config;
    const rows = (width: number) => this.arena.allocate(4 * CHUNK_ROWS * width, "scratch");
    return {
      x: rows(D),
      normed: rows(D),
      q: rows(H * K),
      attended: rows(H * K),
      projected: rows(D),
      gate: rows(F),
      up: rows(F),
      cos: rows(rope.rotaryDim / 2),
      sin: rows(rope.rotaryDim / 2),
      attention: attentionCall({ heads: H, kvHeads: numKeyValueHeads, headDim: K }, CAUSAL),
      probs: noProbs(),
    };
  }

  *forward(
    s: LlamaScratch,
    segments: readonly Segment[],
    capture: Capture | null,
    due: () => boolean,
  ): Generator<void, void> {
    const { hiddenSize: D } = this.config;
    const { embedTokens, layers, norm } = this.#weights;
    const k = this.#kernels;
    const ids = segments.length === 1 ? segments[0].ids : segments.flatMap((segment) => segment.ids);
    const N = ids.length;

    k.embedding(s.x, embedTokens, ids);
    capture?.rows("embeddings", segments, s.x, D);
    this.#angles(s, segments);

    const pass = attentionPass(s, segments, capture);
    for (let i = 0; i < layers.length; i++) {
      const layer = layers[i];
      // x += attention(norm(x))
      this.#norm(s, layer.inputNorm, N);
      this.#attention(i, layer, s, N, pass);
      k.add(s.x, s.x, s.projected, N * D);

      // x += mlp(norm(x))
      this.#norm(s, layer.postAttentionNorm, N);
      this.#mlp(layer, s, N);
      k.add(s.x, s.x, s.projected, N * D);

      capture?.rows(layer.outputTap, segments, s.x, D);
      if (due()) yield;
    }

    this.#norm(s, norm, N);
    capture?.rows("final", segments, s.normed, D);
    for (const { cache, ids } of segments) cache.advance(ids.length);
  }

  logits(s: LlamaScratch, row: number, rows: number, out: Address): void {
    this.#kernels.matmul(out, s.normed + 4 * row * this.config.hiddenSize, this.#weights.lmHead, null, rows);
  }

  /** normed = norm(x). */
  #norm(s: LlamaScratch, { weight, width, eps }: RmsNorm, N: number): void {
    this.#kernels.rmsNorm(s.normed, s.x, weight, N, width, eps);
  }

  /** projected = o(attention(rope(q), rope(k), v)), each segment over its own past. */
  #attention(index: number, layer: LlamaLayer, s: LlamaScratch, N: number, pass: AttentionPass): void {
    const { numAttentionHeads: H, numKeyValueHeads: G, headDim: K, hiddenSize: D, rope } = this.config;
    const k = this.#kernels;
    const R = rope.rotaryDim;
    const [toQ, toK, toV] = layer.qkv;
    for (const { cache, row, first, rows } of pass.written) {
      // k and v are written where they stay
      toQ.out = s.q + 4 * first * H * K;
      toK.out = cache.keyRow(index, row);
      toV.out = cache.valueRow(index, row);
      k.matmuls(s.normed + 4 * first * D, rows, layer.qkv);
      const angles = 4 * first * (R / 2);
      k.rope(toQ.out, s.cos + angles, s.sin + angles, rows, H, K, R, "half-split");
      k.rope(toK.out, s.cos + angles, s.sin + angles, rows, G, K, R, "half-split");
    }
    attendToPast(k, s.attention, index, layer.probsTap, pass);
    k.matmul(s.projected, s.attended, layer.o.weight, layer.o.bias, N);
  }

  /** projected = down(act(gate(x)) * up(x)). */
  #mlp(layer: LlamaLayer, s: LlamaScratch, N: number): void {
    const k = this.#kernels;
    const [toGate, toUp] = layer.gateUp;
    toGate.out = s.gate;
    toUp.out = s.up;
    k.matmuls(s.normed, N, layer.gateUp);
    k.gate(s.gate, s.gate, s.up, N * this.config.intermediateSize, this.config.hiddenAct);
    k.matmul(s.projected, s.gate, layer.down.weight, layer.down.bias, N);
  }

  /** cos and sin of every row's position: once a pass, all layers share them. */
  #angles(s: LlamaScratch, segments: readonly Segment[]): void {
    const half = this.config.rope.rotaryDim / 2;
    let row = 0;
    for (const { ids, position, reach } of segments) {
      const cos = this.arena.f32(s.cos + 4 * row * half, ids.length * half);
      const sin = this.arena.f32(s.sin + 4 * row * half, ids.length * half);
      const positions = ids.map((_, t) => position + t);
      ropeAngles(this.#frequencies(reach), positions, cos, sin);
      row += ids.length;
    }
  }

  /** The frequencies for a pass that reaches so far. Most scalings do not go by that: theirs are computed once. */
  #frequencies(reach: number): RopeFrequencies {
    const { rope } = this.config;
    if (frequenciesGoByLength(rope)) return ropeFrequencies(rope, reach);
    this.#fixedFrequencies ??= ropeFrequencies(rope, reach);
    return this.#fixedFrequencies;
  }
  #fixedFrequencies: RopeFrequencies | null = null;
}

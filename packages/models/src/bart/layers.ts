/**
 * The layers of BART and its family, which differ in one thing: where they normalise. Norms come last in BART and Marian,
 * x = norm(x + f(x)) (Vaswani et al. 2017), and first in mBART and Pegasus, x = x + f(norm(x)).
 *
 * D dModel, H heads of the stack, K = D / H, F ffnDim of the stack; N rows of a pass.
 */

import {
  type Activation,
  type Address,
  type AttentionCall,
  BIDIRECTIONAL,
  CAUSAL,
  type Kernels,
  type LayerNorm,
  type Linear,
  type Product,
} from "@qkv/core";
import { type AttentionPass, attendToMemory, attendToPast } from "../decoder/attention";
import { attendWithinTexts, layerNorm, SEE_ALL } from "../encoder/block";
import type { PackedText } from "../encoder/network";
import { attentionCall, layerTaps, noProbs, type ProbsRoom, product } from "../layers";
import { decoderLayerTaps } from "../seq2seq/network";
import type { Capture } from "../taps/capture";
import type { Weights } from "../weights/weights";
import { type BartConfig, LAYER_NORM_EPS } from "./config";

/** What the layers of a model have in common. */
export interface LayerForm {
  readonly normFirst: boolean;
  readonly activation: Activation;
}

// ---- Weights

interface SelfAttention {
  /** q, k, v [D, D] */
  readonly qkv: readonly [Product, Product, Product];
  readonly out: Linear; // [D, D]
  readonly norm: LayerNorm;
}

interface Mlp {
  readonly fc1: Linear; // [F, D]
  readonly fc2: Linear; // [D, F]
  readonly norm: LayerNorm;
}

export interface BartEncoderLayer extends ReturnType<typeof layerTaps> {
  readonly self: SelfAttention;
  readonly mlp: Mlp;
}

export interface BartDecoderLayer extends ReturnType<typeof decoderLayerTaps> {
  readonly self: SelfAttention;
  readonly crossQ: Linear; // [D, D]
  /** k, v [D, D] of the encoder's states */
  readonly crossKv: readonly [Product, Product];
  readonly crossOut: Linear; // [D, D]
  readonly crossNorm: LayerNorm;
  readonly mlp: Mlp;
}

function attentionWeights(w: Weights, D: number) {
  const linear = (name: string) => w.linear(name, D, D, { bias: true });
  return { q: linear("q_proj"), k: linear("k_proj"), v: linear("v_proj"), out: linear("out_proj") };
}

function selfAttention(w: Weights, D: number): SelfAttention {
  const { q, k, v, out } = attentionWeights(w.at("self_attn"), D);
  const norm = w.layerNorm("self_attn_layer_norm", D, LAYER_NORM_EPS);
  return { qkv: [product(q), product(k), product(v)], out, norm };
}

function mlpWeights(w: Weights, D: number, F: number): Mlp {
  return {
    fc1: w.linear("fc1", F, D, { bias: true }),
    fc2: w.linear("fc2", D, F, { bias: true }),
    norm: w.layerNorm("final_layer_norm", D, LAYER_NORM_EPS),
  };
}

/** `encoder.layers.{i}` */
export function encoderLayer(w: Weights, { dModel: D, encoder }: BartConfig, layer: number): BartEncoderLayer {
  return { self: selfAttention(w, D), mlp: mlpWeights(w, D, encoder.ffnDim), ...layerTaps(layer) };
}

/** `decoder.layers.{i}` */
export function decoderLayer(w: Weights, { dModel: D, decoder }: BartConfig, layer: number): BartDecoderLayer {
  const cross = attentionWeights(w.at("encoder_attn"), D);
  return {
    self: selfAttention(w, D),
    crossQ: cross.q,
    crossKv: [product(cross.k), product(cross.v)],
    crossOut: cross.out,
    crossNorm: w.layerNorm("encoder_attn_layer_norm", D, LAYER_NORM_EPS),
    mlp: mlpWeights(w, D, decoder.ffnDim),
    ...decoderLayerTaps(layer),
  };
}

// ---- Buffers of a pass

export interface BartScratch {
  readonly x: Address; // [N, D] the hidden states
  readonly normed: Address; // [N, D] where norms come first
  readonly q: Address; // [N, D]
  readonly k: Address; // [N, D] the encoder's; a decoder's lie in its cache
  readonly v: Address; // [N, D]
  readonly attended: Address; // [N, D]
  readonly projected: Address; // [N, D] what is added to x: of a sublayer, or of positions
  readonly intermediate: Address; // [N, F]
  readonly attention: AttentionCall;
  readonly crossAttention: AttentionCall;
  readonly probs: ProbsRoom;
}

export function createScratch(
  kernels: Kernels,
  c: BartConfig,
  normFirst: boolean,
  N: number,
  stack: "encoder" | "decoder",
): BartScratch {
  const { dModel: D } = c;
  const { attentionHeads: H, ffnDim: F } = c[stack];
  const rows = (width: number) => kernels.arena.allocate(4 * N * width, "scratch");
  const shape = { heads: H, kvHeads: H, headDim: D / H };
  const own = stack === "encoder" ? D : 0;
  return {
    x: rows(D),
    normed: rows(normFirst ? D : 0),
    q: rows(D),
    k: rows(own),
    v: rows(own),
    attended: rows(D),
    projected: rows(D),
    intermediate: rows(F),
    attention: attentionCall(shape, stack === "encoder" ? BIDIRECTIONAL : CAUSAL),
    crossAttention: attentionCall(shape, BIDIRECTIONAL),
    probs: noProbs(),
  };
}

// ---- Sublayers

/** Rows that go through a layer. */
export interface LayerRows {
  readonly kernels: Kernels;
  readonly s: BartScratch;
  readonly N: number;
  readonly form: LayerForm;
}

/** What a sublayer reads: norm(x) where norms come first, else x. */
function inputOf({ kernels, s, N, form }: LayerRows, { weight, bias, width, eps }: LayerNorm): Address {
  if (!form.normFirst) return s.x;
  kernels.layerNorm(s.normed, s.x, weight, bias, N, width, eps);
  return s.normed;
}

/** x += to(from); where norms come last, x = norm(x). */
function addTo({ kernels, s, N, form }: LayerRows, from: Address, to: Linear, norm: LayerNorm): void {
  kernels.matmul(s.projected, from, to.weight, to.bias, N);
  kernels.add(s.x, s.x, s.projected, N * norm.width);
  if (!form.normFirst) layerNorm(kernels, s.x, norm, N);
}

/** intermediate = act(fc1(...)) */
function widen(rows: LayerRows, { fc1, norm }: Mlp): void {
  const { kernels, s, N, form } = rows;
  kernels.matmul(s.intermediate, inputOf(rows, norm), fc1.weight, fc1.bias, N);
  kernels.activate(s.intermediate, s.intermediate, N * fc1.weight.rows, form.activation);
}

// ---- Layers

/** f is attention of each text to itself, then the MLP. Yields between products where `due` says so. */
export function* runEncoderLayer(
  rows: LayerRows,
  { self, mlp, probsTap, outputTap }: BartEncoderLayer,
  texts: readonly PackedText[],
  capture: Capture | null,
  due: () => boolean,
): Generator<void, void> {
  const { kernels, s, N } = rows;
  const [toQ, toK, toV] = self.qkv;
  toQ.out = s.q;
  toK.out = s.k;
  toV.out = s.v;
  kernels.matmuls(inputOf(rows, self.norm), N, self.qkv);
  if (due()) yield;
  yield* attendWithinTexts(kernels, s, texts, SEE_ALL, probsTap, { capture, due });
  addTo(rows, s.attended, self.out, self.norm);
  if (due()) yield;

  widen(rows, mlp);
  if (due()) yield;
  addTo(rows, s.intermediate, mlp.fc2, mlp.norm);
  capture?.rows(outputTap, texts, s.x, mlp.norm.width);
  if (due()) yield;
}

/** f is attention to the past, then attention to the source, then the MLP. `index`: which layer of the caches. */
export function runDecoderLayer(rows: LayerRows, layer: BartDecoderLayer, index: number, pass: AttentionPass): void {
  const { kernels, s, N } = rows;
  const { self, crossQ, crossOut, crossNorm, mlp } = layer;
  const D = self.norm.width;

  const input = inputOf(rows, self.norm);
  const [toQ, toK, toV] = self.qkv;
  for (const { cache, row, first, rows: count } of pass.written) {
    toQ.out = s.q + 4 * first * D;
    toK.out = cache.keyRow(index, row);
    toV.out = cache.valueRow(index, row);
    kernels.matmuls(input + 4 * first * D, count, self.qkv);
  }
  attendToPast(kernels, s.attention, index, layer.selfProbsTap, pass);
  addTo(rows, s.attended, self.out, self.norm);

  kernels.matmul(s.q, inputOf(rows, crossNorm), crossQ.weight, crossQ.bias, N);
  attendToMemory(kernels, s.crossAttention, index, layer.crossProbsTap, pass);
  addTo(rows, s.attended, crossOut, crossNorm);

  widen(rows, mlp);
  addTo(rows, s.intermediate, mlp.fc2, mlp.norm);
  pass.capture?.rows(layer.outputTap, pass.segments, s.x, D);
}

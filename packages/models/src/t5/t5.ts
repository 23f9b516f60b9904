/**
 * T5 (Raffel et al. 2020), T5 v1.1, FLAN-T5, mT5 (Xue et al. 2021) and UMT5 (Chung et al. 2023), as encoder-decoders and as
 * encoders alone. Checked against transformers' `T5*`, `MT5*` and `UMT5*` classes at every tap.
 *
 * D dModel, H numHeads, K dKv, F dFf, V vocabSize; N rows of a pass, whatever texts or sequences they belong to.
 */

import {
  type Address,
  type AttentionCall,
  BIDIRECTIONAL,
  CAUSAL,
  type Kernels,
  KvCache,
  type Linear,
  type Mask,
  type Product,
  type RmsNorm,
} from "@qkv/core";
import { MAX_CONTEXT } from "../config/json-config";
import { attendToMemory, attendToPast, attentionPass } from "../decoder/attention";
import { CHUNK_ROWS } from "../decoder/segments";
import { attendWithinTexts } from "../encoder/block";
import { NO_HEADS } from "../encoder/heads";
import { type EncoderNetwork, packedIds } from "../encoder/network";
import { attentionCall, layerTaps, noProbs, type ProbsRoom, product } from "../layers";
import { lmHead, scaleInPlace, sharedWords } from "../seq2seq/embeddings";
import { decoderLayerTaps, decoderTaps, type Seq2SeqNetwork } from "../seq2seq/network";
import { remember } from "../seq2seq/remember";
import type { Lookup } from "../weights/lookup";
import type { Weights } from "../weights/weights";
import type { T5Config } from "./config";
import { RelativePositions } from "./relative-positions";

// ---- Weights

interface T5Mlp {
  readonly norm: RmsNorm;
  /** gate and up [F, D]; one [F, D] where there is no gate */
  readonly wi: readonly Product[];
  readonly wo: Linear; // [D, F]
}

interface T5EncoderLayer {
  readonly norm: RmsNorm;
  /** q, k, v [H*K, D] */
  readonly qkv: readonly [Product, Product, Product];
  readonly o: Linear; // [D, H*K]
  readonly mlp: T5Mlp;
  readonly probsTap: string;
  readonly outputTap: string;
}

interface T5DecoderLayer extends ReturnType<typeof decoderLayerTaps> {
  readonly norm: RmsNorm;
  readonly qkv: readonly [Product, Product, Product];
  readonly o: Linear;
  readonly crossNorm: RmsNorm;
  readonly crossQ: Linear; // [H*K, D]
  /** k, v [H*K, D] of the encoder's states */
  readonly crossKv: readonly [Product, Product];
  readonly crossO: Linear; // [D, H*K]
  readonly mlp: T5Mlp;
}

function mlpWeights(w: Weights, c: T5Config): T5Mlp {
  const dense = w.at("DenseReluDense");
  const names = c.isGatedAct ? ["wi_0", "wi_1"] : ["wi"];
  return {
    norm: w.rmsNorm("layer_norm", c.dModel, c.layerNormEpsilon),
    wi: names.map((name) => product(dense.linear(name, c.dFf, c.dModel, { bias: false }))),
    wo: dense.linear("wo", c.dModel, c.dFf, { bias: false }),
  };
}

function attentionWeights(w: Weights, { dModel: D, numHeads: H, dKv: K }: T5Config) {
  const into = (name: string) => product(w.linear(name, H * K, D, { bias: false }));
  return { q: into("q"), k: into("k"), v: into("v"), o: w.linear("o", D, H * K, { bias: false }) };
}

function encoderLayer(w: Weights, c: T5Config, layer: number): T5EncoderLayer {
  const { q, k, v, o } = attentionWeights(w.at("layer.0.SelfAttention"), c);
  const norm = w.at("layer.0").rmsNorm("layer_norm", c.dModel, c.layerNormEpsilon);
  return { norm, qkv: [q, k, v], o, mlp: mlpWeights(w.at("layer.1"), c), ...layerTaps(layer) };
}

function decoderLayer(w: Weights, c: T5Config, layer: number): T5DecoderLayer {
  const self = attentionWeights(w.at("layer.0.SelfAttention"), c);
  const cross = attentionWeights(w.at("layer.1.EncDecAttention"), c);
  // T5's first checkpoints have one, which nobody reads: cross-attention knows no distances.
  w.skip("layer.1.EncDecAttention.relative_attention_bias.weight");
  return {
    norm: w.at("layer.0").rmsNorm("layer_norm", c.dModel, c.layerNormEpsilon),
    qkv: [self.q, self.k, self.v],
    o: self.o,
    crossNorm: w.at("layer.1").rmsNorm("layer_norm", c.dModel, c.layerNormEpsilon),
    crossQ: cross.q,
    crossKv: [cross.k, cross.v],
    crossO: cross.o,
    mlp: mlpWeights(w.at("layer.2"), c),
    ...decoderLayerTaps(layer),
  };
}

/** The biases of a stack of so many layers: the encoder's look both ways, the decoder's back. */
function relativePositions(
  stack: Weights,
  layers: number,
  c: T5Config,
  kernels: Kernels,
  bidirectional: boolean,
): RelativePositions {
  const buckets = c.relativeAttentionNumBuckets;
  const tables = Array.from({ length: c.biasInEveryLayer ? layers : 1 }, (_, i) =>
    stack.table(`block.${i}.layer.0.SelfAttention.relative_attention_bias.weight`, buckets, c.numHeads),
  );
  const shape = { bidirectional, numBuckets: buckets, maxDistance: c.relativeAttentionMaxDistance };
  return new RelativePositions(kernels, tables, c.numHeads, shape);
}

// ---- Buffers of a pass

interface T5Scratch {
  readonly x: Address; // [N, D] the residual stream
  readonly normed: Address; // [N, D]
  readonly q: Address; // [N, H*K]
  readonly k: Address; // [N, H*K] the encoder's; a decoder's lie in its cache
  readonly v: Address; // [N, H*K]
  readonly attended: Address; // [N, H*K]
  readonly projected: Address; // [N, D] what attention or MLP adds to x
  readonly gate: Address; // [N, F]
  readonly up: Address; // [N, F]
  readonly attention: AttentionCall;
  readonly crossAttention: AttentionCall;
  readonly probs: ProbsRoom;
}

function createScratch(kernels: Kernels, c: T5Config, N: number, stack: "encoder" | "decoder"): T5Scratch {
  const inner = c.numHeads * c.dKv;
  const rows = (width: number) => kernels.arena.allocate(4 * N * width, "scratch");
  // Scores are not divided by sqrt(K): the weights were initialised so that they need not be.
  const call = (mask: Mask) => ({
    ...attentionCall({ heads: c.numHeads, kvHeads: c.numHeads, headDim: c.dKv }, mask),
    scale: 1,
  });
  const own = stack === "encoder" ? inner : 0;
  return {
    x: rows(c.dModel),
    normed: rows(c.dModel),
    q: rows(inner),
    k: rows(own),
    v: rows(own),
    attended: rows(inner),
    projected: rows(c.dModel),
    gate: rows(c.dFf),
    up: rows(c.isGatedAct ? c.dFf : 0),
    attention: call(stack === "encoder" ? BIDIRECTIONAL : CAUSAL),
    crossAttention: call(BIDIRECTIONAL),
    probs: noProbs(),
  };
}

// ---- Blocks

/** normed = norm(x), which has no mean to subtract and no bias to add. */
function norm(kernels: Kernels, s: T5Scratch, { weight, width, eps }: RmsNorm, N: number): void {
  kernels.rmsNorm(s.normed, s.x, weight, N, width, eps);
}

/** x += projection(attended) */
function addAttended(kernels: Kernels, s: T5Scratch, o: Linear, N: number): void {
  kernels.matmul(s.projected, s.attended, o.weight, null, N);
  kernels.add(s.x, s.x, s.projected, N * o.weight.rows);
}

/** x += wo(act(wi(norm(x)))), or with a gate x += wo(act(wi_0(n)) * wi_1(n)). */
function addMlp(kernels: Kernels, s: T5Scratch, { norm: before, wi, wo }: T5Mlp, c: T5Config, N: number): void {
  norm(kernels, s, before, N);
  const [toGate, toUp] = wi;
  toGate.out = s.gate;
  if (toUp !== undefined) toUp.out = s.up;
  kernels.matmuls(s.normed, N, wi);
  if (toUp === undefined) kernels.activate(s.gate, s.gate, N * c.dFf, c.denseActFn);
  else kernels.gate(s.gate, s.gate, s.up, N * c.dFf, c.denseActFn);
  kernels.matmul(s.projected, s.gate, wo.weight, null, N);
  kernels.add(s.x, s.x, s.projected, N * c.dModel);
}

// ---- The encoder

/** `encoder.*`; a model of its own where a checkpoint has no decoder. */
function t5Encoder(w: Weights, c: T5Config, kernels: Kernels, words: Lookup): EncoderNetwork<T5Scratch> {
  const stack = w.at("encoder");
  const { dModel: D } = c;
  const layers = Array.from({ length: c.numLayers }, (_, i) => encoderLayer(stack.at(`block.${i}`), c, i));
  const positions = relativePositions(stack, c.numLayers, c, kernels, true);
  const finalNorm = stack.rmsNorm("final_layer_norm", D, c.layerNormEpsilon);
  return {
    arena: kernels.arena,
    vocabSize: c.vocabSize,
    hiddenSize: D,
    maxPositions: Math.min(c.nPositions, MAX_CONTEXT),
    typeVocabSize: 0,
    taps: ["embeddings", ...layers.flatMap(({ probsTap, outputTap }) => [probsTap, outputTap]), "final"],
    heads: NO_HEADS,
    spanBoundary: null,
    createScratch: (rows) => createScratch(kernels, c, rows, "encoder"),

    *forward(s, texts, capture, due) {
      const ids = packedIds(texts);
      const N = ids.length;
      positions.reach(texts.reduce((longest, text) => Math.max(longest, text.ids.length), 0));
      words.lookUp(kernels, s.x, ids);
      capture?.rows("embeddings", texts, s.x, D);

      for (const [i, layer] of layers.entries()) {
        // x += attention(norm(x))
        norm(kernels, s, layer.norm, N);
        const [toQ, toK, toV] = layer.qkv;
        toQ.out = s.q;
        toK.out = s.k;
        toV.out = s.v;
        kernels.matmuls(s.normed, N, layer.qkv);
        if (due()) yield;
        const rules = { mask: BIDIRECTIONAL, bias: positions.of(i) };
        yield* attendWithinTexts(kernels, s, texts, rules, layer.probsTap, { capture, due });
        addAttended(kernels, s, layer.o, N);
        if (due()) yield;

        addMlp(kernels, s, layer.mlp, c, N);
        capture?.rows(layer.outputTap, texts, s.x, D);
        if (due()) yield;
      }
      norm(kernels, s, finalNorm, N);
      return s.normed;
    },
  };
}

/** Lays out the weights of an encoder alone. */
export function createT5Encoder(c: T5Config, root: Weights, kernels: Kernels): EncoderNetwork<T5Scratch> {
  const words = sharedWords(root, c.vocabSize, c.dModel);
  const encoder = t5Encoder(root, c, kernels, words.encoder);
  root.finish();
  return encoder;
}

// ---- The model

/** Lays out the weights; throws where the checkpoint does not fit the config. `weights.read` brings the numbers. */
export function createT5(c: T5Config, root: Weights, kernels: Kernels): Seq2SeqNetwork<T5Scratch> {
  const { dModel: D, numHeads: H, dKv: K, numDecoderLayers: L } = c;
  const words = sharedWords(root, c.vocabSize, D);
  const encoder = t5Encoder(root, c, kernels, words.encoder);
  const stack = root.at("decoder");
  const layers = Array.from({ length: L }, (_, i) => decoderLayer(stack.at(`block.${i}`), c, i));
  const positions = relativePositions(stack, L, c, kernels, false);
  const finalNorm = stack.rmsNorm("final_layer_norm", D, c.layerNormEpsilon);
  const { head, own } = lmHead(root, words.decoder, c.tieWordEmbeddings, D);
  root.finish();
  const scaled = c.scaleDecoderOutputs ?? !own;
  const cache = (capacity: number) => new KvCache({ layers: L, kvHeads: H, headDim: K, capacity }, kernels.arena);

  return {
    arena: kernels.arena,
    vocabSize: c.vocabSize,
    maxPositions: Number.POSITIVE_INFINITY,
    taps: decoderTaps(layers),
    encoder,
    createCache: cache,
    createMemory: cache,
    createScratch: () => createScratch(kernels, c, CHUNK_ROWS, "decoder"),
    remember: (hidden, rows, memory, due) =>
      remember(
        kernels,
        layers.map(({ crossKv }) => crossKv),
        hidden,
        rows,
        memory,
        due,
      ),

    *forward(s, segments, capture, due) {
      const ids = segments.flatMap((segment) => segment.ids);
      const N = ids.length;
      positions.reach(segments.reduce((longest, { position, ids }) => Math.max(longest, position + ids.length), 0));
      words.decoder.lookUp(kernels, s.x, ids);
      capture?.rows("embeddings", segments, s.x, D);

      const pass = attentionPass(s, segments, capture);
      for (const [i, layer] of layers.entries()) {
        // x += attention(norm(x)), to the past
        norm(kernels, s, layer.norm, N);
        const [toQ, toK, toV] = layer.qkv;
        for (const { cache, row, first, rows } of pass.written) {
          toQ.out = s.q + 4 * first * H * K;
          toK.out = cache.keyRow(i, row);
          toV.out = cache.valueRow(i, row);
          kernels.matmuls(s.normed + 4 * first * D, rows, layer.qkv);
        }
        s.attention.bias = positions.of(i);
        attendToPast(kernels, s.attention, i, layer.selfProbsTap, pass);
        addAttended(kernels, s, layer.o, N);

        // x += attention(norm(x)), to the source
        norm(kernels, s, layer.crossNorm, N);
        kernels.matmul(s.q, s.normed, layer.crossQ.weight, null, N);
        attendToMemory(kernels, s.crossAttention, i, layer.crossProbsTap, pass);
        addAttended(kernels, s, layer.crossO, N);

        addMlp(kernels, s, layer.mlp, c, N);
        capture?.rows(layer.outputTap, segments, s.x, D);
        if (due()) yield;
      }
      norm(kernels, s, finalNorm, N);
      capture?.rows("final", segments, s.normed, D);
      for (const { cache, ids } of segments) cache.advance(ids.length);
    },

    logits(s, row, rows, out) {
      let x = s.normed + 4 * row * D;
      if (scaled) {
        kernels.arena.f32(s.projected, rows * D).set(kernels.arena.f32(x, rows * D));
        x = s.projected;
        scaleInPlace(kernels, x, rows * D, 1 / Math.sqrt(D));
      }
      kernels.matmul(out, x, head, null, rows);
    },
  };
}

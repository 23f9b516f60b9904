/** What the encoders' pages share of a pass over packed texts: its buffers, and attention of each text to itself. */

import {
  type Activation,
  type Address,
  type AttentionCall,
  BIDIRECTIONAL,
  type Kernels,
  type LayerNorm,
  type Linear,
  type Mask,
  type PositionBias,
  type Product,
} from "@qkv/core";
import { attentionCall, captureProbs, layerTaps, noProbs, type ProbsRoom, product } from "../layers";
import type { Capture } from "../taps/capture";
import type { Weights } from "../weights/weights";
import type { EncoderConfig } from "./config";
import type { EncoderNetwork, PackedText } from "./network";

/** Shape of a layer. */
export interface BlockShape {
  /** D */
  readonly hiddenSize: number;
  /** Width of what the first layer's input is made from. */
  readonly embeddingSize: number;
  /** F */
  readonly intermediateSize: number;
  /** H */
  readonly numAttentionHeads: number;
}

/** Buffers of a pass of N rows. */
export interface BlockScratch {
  readonly x: Address; // [N, D] the hidden states
  readonly q: Address; // [N, D]
  readonly k: Address; // [N, D]
  readonly v: Address; // [N, D]
  readonly attended: Address; // [N, D], or embeddings
  readonly projected: Address; // [N, D] what attention or MLP adds to x, or embeddings
  readonly intermediate: Address; // [N, F]
  readonly attention: AttentionCall;
  readonly probs: ProbsRoom;
}

export function createBlockScratch(kernels: Kernels, shape: BlockShape, rows: number): BlockScratch {
  const { hiddenSize: D, embeddingSize: E, intermediateSize: F, numAttentionHeads: H } = shape;
  const buffer = (width: number) => kernels.arena.allocate(4 * rows * width, "scratch");
  return {
    x: buffer(D),
    q: buffer(D),
    k: buffer(D),
    v: buffer(D),
    attended: buffer(Math.max(D, E)),
    projected: buffer(Math.max(D, E)),
    intermediate: buffer(F),
    attention: attentionCall({ heads: H, kvHeads: H, headDim: D / H }, BIDIRECTIONAL),
    probs: noProbs(),
  };
}

/** Which keys a layer's queries see beyond what packing says, and what is added to their scores. */
export interface AttentionRules {
  readonly mask: Mask;
  readonly bias: PositionBias | null;
}

/** Where attention of a pass finds its queries, keys and values, and leaves its results. */
export type AttentionBuffers = Pick<BlockScratch, "q" | "k" | "v" | "attended" | "attention" | "probs">;

export const SEE_ALL: AttentionRules = { mask: BIDIRECTIONAL, bias: null };

/** Queries at a time: of a long text, all of them would hold the event loop for too long. */
const QUERIES = 128;

/** attended = attention(q, k, v), each text to itself; nothing is computed between texts. Yields where `due` says so. */
export function* attendWithinTexts(
  kernels: Kernels,
  s: AttentionBuffers,
  texts: readonly PackedText[],
  { mask, bias }: AttentionRules,
  probsTap: string,
  { capture, due }: Pick<LayerPass, "capture" | "due">,
): Generator<void, void> {
  const call = s.attention;
  const { heads: H, headDim: K } = call;
  let row = 0;
  for (const { sequence, ids } of texts) {
    const T = ids.length;
    const offset = 4 * row * H * K;
    for (let first = 0; first < T; first += QUERIES) {
      const at = offset + 4 * first * H * K;
      call.mask = mask;
      call.bias = bias;
      call.q = s.q + at;
      call.keys = s.k + offset;
      call.values = s.v + offset;
      call.queries = Math.min(QUERIES, T - first);
      call.keyCount = T;
      call.position = first;
      kernels.attention(s.attended + at, call);
      if (capture?.wants(probsTap))
        captureProbs(kernels, call, s.attended + at, s.probs, probsTap, { sequence, first, keys: T }, capture);
      if (first + QUERIES < T && due()) yield;
    }
    row += T;
  }
}

/** What a layer is told by the pass that it is a part of. */
export interface LayerPass {
  readonly hiddenAct: Activation;
  /** Every token of a text sees every other if left out. */
  readonly rules?: AttentionRules;
  readonly capture: Capture | null;
  readonly due: () => boolean;
}

/** A layer of BERT's form, under whichever names a checkpoint has it: norms follow what they normalise. */
export interface PostNormLayer {
  /** q, k, v [D, D] */
  readonly qkv: readonly [Product, Product, Product];
  readonly attentionOutput: Linear; // [D, D]
  readonly attentionNorm: LayerNorm;
  readonly intermediate: Linear; // [F, D]
  readonly output: Linear; // [D, F]
  readonly outputNorm: LayerNorm;
  readonly probsTap: string;
  readonly outputTap: string;
}

/** What a checkpoint calls the parts of such a layer. */
export type PostNormNames = Readonly<
  Record<
    "query" | "key" | "value" | "attentionOutput" | "attentionNorm" | "intermediate" | "output" | "outputNorm",
    string
  >
>;

/** A layer's weights, by the checkpoint's names for them. */
export function postNormWeights(w: Weights, c: EncoderConfig, names: PostNormNames, layer: number): PostNormLayer {
  const { hiddenSize: D, intermediateSize: F, layerNormEps: eps } = c;
  const bias = { bias: true };
  return {
    qkv: [
      product(w.linear(names.query, D, D, bias)),
      product(w.linear(names.key, D, D, bias)),
      product(w.linear(names.value, D, D, { bias: true, exact: true })),
    ],
    attentionOutput: w.linear(names.attentionOutput, D, D, bias),
    attentionNorm: w.layerNorm(names.attentionNorm, D, eps),
    intermediate: w.linear(names.intermediate, F, D, bias),
    output: w.linear(names.output, D, F, bias),
    outputNorm: w.layerNorm(names.outputNorm, D, eps),
    ...layerTaps(layer),
  };
}

/**
 * x = norm(x + attention(x)), then x = norm(x + mlp(x)) (Vaswani et al. 2017). Yields between products where `due` says
 * so: one of them may take as long as others can wait.
 */
export function* postNormLayer(
  kernels: Kernels,
  layer: PostNormLayer,
  s: BlockScratch,
  texts: readonly PackedText[],
  N: number,
  { hiddenAct, rules = SEE_ALL, capture, due }: LayerPass,
): Generator<void, void> {
  const [toQ, toK, toV] = layer.qkv;
  toQ.out = s.q;
  toK.out = s.k;
  toV.out = s.v;
  kernels.matmuls(s.x, N, layer.qkv);
  if (due()) yield;
  yield* attendWithinTexts(kernels, s, texts, rules, layer.probsTap, { capture, due });
  kernels.matmul(s.projected, s.attended, layer.attentionOutput.weight, layer.attentionOutput.bias, N);
  addAndNorm(kernels, s, layer.attentionNorm, N);
  if (due()) yield;

  const F = layer.intermediate.weight.rows;
  kernels.matmul(s.intermediate, s.x, layer.intermediate.weight, layer.intermediate.bias, N);
  kernels.activate(s.intermediate, s.intermediate, N * F, hiddenAct);
  if (due()) yield;
  kernels.matmul(s.projected, s.intermediate, layer.output.weight, layer.output.bias, N);
  addAndNorm(kernels, s, layer.outputNorm, N);
  capture?.rows(layer.outputTap, texts, s.x, layer.outputNorm.width);
  if (due()) yield;
}

/** x = norm(x + projected) */
function addAndNorm(kernels: Kernels, s: BlockScratch, norm: LayerNorm, N: number): void {
  kernels.add(s.x, s.x, s.projected, N * norm.width);
  layerNorm(kernels, s.x, norm, N);
}

/** x = norm(x), in place. */
export function layerNorm(kernels: Kernels, x: Address, norm: LayerNorm, N: number): void {
  kernels.layerNorm(x, x, norm.weight, norm.bias, N, norm.width, norm.eps);
}

/**
 * What follows of a network from its config and the names of its layers.
 *
 * @param embeddingSize where it is not the hidden size
 */
export function networkShape(
  kernels: Kernels,
  config: EncoderConfig,
  layers: readonly Pick<PostNormLayer, "probsTap" | "outputTap">[],
  embeddingSize = config.hiddenSize,
): Omit<EncoderNetwork<BlockScratch>, "forward" | "heads"> {
  const { vocabSize, hiddenSize, maxPositionEmbeddings, typeVocabSize } = config;
  return {
    arena: kernels.arena,
    vocabSize,
    hiddenSize,
    maxPositions: maxPositionEmbeddings,
    typeVocabSize,
    taps: ["embeddings", ...layers.flatMap(({ probsTap, outputTap }) => [probsTap, outputTap]), "final"],
    spanBoundary: null,
    createScratch: (rows) => createBlockScratch(kernels, { ...config, embeddingSize }, rows),
  };
}

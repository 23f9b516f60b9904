/**
 * The passes of BART and its family: an encoder and a decoder of the same form, of whose parts each family's page says
 * which it has.
 *
 * D dModel; N rows of a pass, whatever texts or sequences they belong to.
 */

import { type Address, type Kernels, KvCache, type LayerNorm } from "@qkv/core";
import { attentionPass } from "../decoder/attention";
import { CHUNK_ROWS } from "../decoder/segments";
import { layerNorm } from "../encoder/block";
import { NO_HEADS } from "../encoder/heads";
import { type EncoderNetwork, packedIds, packedPositions } from "../encoder/network";
import { lmHead, scaleInPlace, sharedWords, type WordTables } from "../seq2seq/embeddings";
import { decoderTaps, type Seq2SeqNetwork } from "../seq2seq/network";
import { remember } from "../seq2seq/remember";
import type { Lookup } from "../weights/lookup";
import type { Weights } from "../weights/weights";
import type { BartConfig } from "./config";
import {
  type BartScratch,
  createScratch,
  decoderLayer,
  encoderLayer,
  type LayerForm,
  runDecoderLayer,
  runEncoderLayer,
} from "./layers";
import type { PositionVectors } from "./positions";

/** What a family's stack has around its layers. */
export interface StackParts {
  readonly words: Lookup;
  readonly positions: PositionVectors;
  /** Of what the first layer reads. */
  readonly embeddingNorm: LayerNorm | null;
  /** Of what the last layer hands on. */
  readonly finalNorm: LayerNorm | null;
}

/** What sets a family apart. */
export interface BartParts {
  readonly normFirst: boolean;
  readonly encoder: StackParts;
  readonly decoder: StackParts;
}

/** Where the two stacks are: inside of "model.", unless the file is of a class without a head. */
export function stacksOf(root: Weights): Weights {
  return root.has("encoder.layers.0.self_attn.q_proj.weight") ? root : root.at("model");
}

/** The tables of a model whose stacks share their words: a file may have kept them under the head's name alone. */
export function wordsOf(root: Weights, w: Weights, c: BartConfig): WordTables {
  const inStacks = ["shared", "encoder.embed_tokens", "decoder.embed_tokens"].some((name) => w.has(`${name}.weight`));
  if (inStacks || !headOnly(root, c)) return sharedWords(w, c.vocabSize, c.dModel);
  const words = root.lookup("lm_head", c.vocabSize, c.dModel);
  return { encoder: words, decoder: words };
}

/** Whether words that a file does not have by their own name are those of its head. */
export function headOnly(root: Weights, c: BartConfig): boolean {
  return c.tieWordEmbeddings && root.has("lm_head.weight");
}

/** What fairseq kept beside the weights, and the conversions of 2020 with it. */
const FAIRSEQ_BUFFERS = ["encoder.version", "decoder.version", "model.encoder.version", "model.decoder.version"];

/** Lays out what the parts leave: layers, head, and the bias of its logits. */
export function createNetwork(
  c: BartConfig,
  root: Weights,
  w: Weights,
  kernels: Kernels,
  parts: BartParts,
): Seq2SeqNetwork<BartScratch> {
  const { dModel: D, decoderVocabSize } = c;
  const { words, finalNorm } = parts.decoder;
  const { layers: L, attentionHeads: H } = c.decoder;
  const form = { normFirst: parts.normFirst, activation: c.activationFunction };
  const encoder = createEncoder(c, w.at("encoder"), kernels, parts.encoder, form);
  const layers = Array.from({ length: L }, (_, i) => decoderLayer(w.at(`decoder.layers.${i}`), c, i));
  const { head } = lmHead(root, words, c.tieWordEmbeddings, D);
  // [1, V]; files that leave it out mean zeros
  const bias = root.has("final_logits_bias") ? root.table("final_logits_bias", 1, decoderVocabSize) : null;
  for (const name of FAIRSEQ_BUFFERS) root.skip(name);
  root.finish();
  const cache = (capacity: number) => new KvCache({ layers: L, kvHeads: H, headDim: D / H, capacity }, kernels.arena);
  const crossKv = layers.map((layer) => layer.crossKv);

  return {
    arena: kernels.arena,
    vocabSize: decoderVocabSize,
    maxPositions: c.maxPositionEmbeddings,
    taps: decoderTaps(layers),
    encoder,
    createCache: cache,
    createMemory: cache,
    createScratch: () => createScratch(kernels, c, form.normFirst, CHUNK_ROWS, "decoder"),
    remember: (hidden, rows, memory, due) => remember(kernels, crossKv, hidden, rows, memory, due),

    *forward(s, segments, capture, due) {
      const ids = segments.flatMap((segment) => segment.ids);
      const positions = segments.flatMap((segment) => segment.ids.map((_, t) => segment.position + t));
      embed(kernels, s, c, parts.decoder, ids, positions);
      capture?.rows("embeddings", segments, s.x, D);

      const rows = { kernels, s, N: ids.length, form };
      const pass = attentionPass(s, segments, capture);
      for (const [i, layer] of layers.entries()) {
        runDecoderLayer(rows, layer, i, pass);
        if (due()) yield;
      }
      const final = finish(kernels, s, finalNorm, ids.length);
      capture?.rows("final", segments, final, D);
      for (const { cache, ids } of segments) cache.advance(ids.length);
    },

    logits(s, row, rows, out) {
      const x = (finalNorm === null ? s.x : s.normed) + 4 * row * D;
      kernels.matmul(out, x, head, bias, rows);
    },
  };
}

/** `encoder.*` */
function createEncoder(
  c: BartConfig,
  w: Weights,
  kernels: Kernels,
  parts: StackParts,
  form: LayerForm,
): EncoderNetwork<BartScratch> {
  const layers = Array.from({ length: c.encoder.layers }, (_, i) => encoderLayer(w.at(`layers.${i}`), c, i));
  return {
    arena: kernels.arena,
    vocabSize: c.vocabSize,
    hiddenSize: c.dModel,
    maxPositions: c.maxPositionEmbeddings,
    typeVocabSize: 0,
    taps: ["embeddings", ...layers.flatMap(({ probsTap, outputTap }) => [probsTap, outputTap]), "final"],
    heads: NO_HEADS,
    spanBoundary: null,
    createScratch: (rows) => createScratch(kernels, c, form.normFirst, rows, "encoder"),

    *forward(s, texts, capture, due) {
      const ids = packedIds(texts);
      embed(kernels, s, c, parts, ids, packedPositions(texts));
      capture?.rows("embeddings", texts, s.x, c.dModel);
      const rows = { kernels, s, N: ids.length, form };
      for (const layer of layers) yield* runEncoderLayer(rows, layer, texts, capture, due);
      return finish(kernels, s, parts.finalNorm, ids.length);
    },
  };
}

/** x = norm(words * scale + positions) */
function embed(
  kernels: Kernels,
  s: BartScratch,
  { dModel: D, scaleEmbedding }: BartConfig,
  { words, positions, embeddingNorm }: StackParts,
  ids: readonly number[],
  at: readonly number[],
): void {
  const N = ids.length;
  words.lookUp(kernels, s.x, ids);
  if (scaleEmbedding) scaleInPlace(kernels, s.x, N * D, Math.sqrt(D));
  positions(kernels, s.projected, at);
  kernels.add(s.x, s.x, s.projected, N * D);
  if (embeddingNorm !== null) layerNorm(kernels, s.x, embeddingNorm, N);
}

/** Where the final states are: norm(x), or x as the last layer left it. */
function finish(kernels: Kernels, s: BartScratch, norm: LayerNorm | null, N: number): Address {
  if (norm === null) return s.x;
  kernels.layerNorm(s.normed, s.x, norm.weight, norm.bias, N, norm.width, norm.eps);
  return s.normed;
}

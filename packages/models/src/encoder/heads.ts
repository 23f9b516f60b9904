/** Heads: what is computed of an encoder's hidden states. Weights and arithmetic; which model has which is on its page. */

import type { Activation, Address, Kernels, LayerNorm, Linear } from "@qkv/core";
import type { Lookup } from "../weights/lookup";
import type { Weights } from "../weights/weights";
import type { EncoderConfig } from "./config";

/** One stage of a head: y = norm(activation(x · weightᵀ + bias)). */
export interface Stage {
  readonly linear: Linear;
  readonly activation: Activation | "tanh" | null;
  readonly norm: LayerNorm | null;
}

/**
 * A head: stages that follow each other.
 * - `token`: on every hidden state, [T, O]
 * - `first`: on that of the first token, [O]
 * - `mean`: on their mean over the text, [O]
 */
export interface Head {
  readonly reads: "token" | "first" | "mean";
  readonly stages: readonly Stage[];
}

/** Every head that a checkpoint may bring. Those that it does not are null. */
export interface Heads {
  /** `pooled` [D]: the first token's state through a layer that was trained with the sentence's tasks (BERT, ALBERT). */
  readonly pooler: Head | null;
  /** `logits` [T, V]: which word stands at each place. */
  readonly maskedLm: Head | null;
  /** `nextSentenceLogits` [2]: the second text follows the first; it does not. */
  readonly nextSentence: Head | null;
  /** `logits` [C] */
  readonly sequenceClassification: Head | null;
  /** `logits` [T, C] */
  readonly tokenClassification: Head | null;
  /** `startLogits` and `endLogits`, [T] each */
  readonly questionAnswering: Head | null;
  /** `logits` [T]: above 0 where a token was replaced (ELECTRA's discriminator). */
  readonly replacedTokens: Head | null;
}

export type HeadName = keyof Heads;

export const NO_HEADS: Heads = {
  pooler: null,
  maskedLm: null,
  nextSentence: null,
  sequenceClassification: null,
  tokenClassification: null,
  questionAnswering: null,
  replacedTokens: null,
};

/**
 * SpanBERT's span boundary objective (Joshi et al. 2020): a span's tokens from the two states at its borders and their
 * place in the span.
 */
export interface SpanBoundaryHead {
  /** [longest span, P] */
  readonly positions: { readonly address: Address; readonly rows: number; readonly width: number };
  /** From 2 D + P to D. */
  readonly stages: readonly Stage[];
  /** [V, D] */
  readonly decoder: Linear;
}

/** Rows that a head computes at once: few, because a row of words' logits has a megabyte in some models. */
export const HEAD_ROWS = 16;

/** The widest row that a head reads or writes. */
export function headWidth(head: Head): number {
  return Math.max(...head.stages.map(({ linear }) => Math.max(linear.weight.rows, linear.weight.columns)));
}

/** How many numbers a head gives for each row. */
export function headOutputs(head: Head): number {
  return (head.stages.at(-1) as Stage).linear.weight.rows;
}

/**
 * Runs up to HEAD_ROWS rows through stages.
 *
 * @param buffers two of HEAD_ROWS rows of the widest width; the input is in the first
 * @returns the address of the result, one of the two
 */
export function runStages(
  kernels: Kernels,
  stages: readonly Stage[],
  rows: number,
  buffers: readonly [Address, Address],
): Address {
  let [from, to] = buffers;
  for (const { linear, activation, norm } of stages) {
    const width = linear.weight.rows;
    kernels.matmul(to, from, linear.weight, linear.bias, rows);
    // c tanh(x / c) with c = 1
    if (activation === "tanh") kernels.softCap(to, to, rows * width, 1);
    else if (activation !== null) kernels.activate(to, to, rows * width, activation);
    if (norm !== null) kernels.layerNorm(to, to, norm.weight, norm.bias, rows, norm.width, norm.eps);
    [from, to] = [to, from];
  }
  return from;
}

/** A stage that is a linear layer alone. */
export function linearStage(linear: Linear): Stage {
  return { linear, activation: null, norm: null };
}

/**
 * The heads of single tokens, which all families have under the same names: `classifier`, `qa_outputs`. Nothing for
 * checkpoints with another head.
 */
export function tokenHeads(root: Weights, c: EncoderConfig): Partial<Heads> {
  const head = (name: string, outputs: number): Head => ({
    reads: "token",
    stages: [linearStage(root.linear(name, outputs, c.hiddenSize, { bias: true }))],
  });
  if (c.head === "tokenClassification") return { tokenClassification: head("classifier", c.labels.length) };
  if (c.head === "questionAnswering") return { questionAnswering: head("qa_outputs", 2) };
  return {};
}

/** A layer that keeps the width, with an activation. */
export function denseStage(w: Weights, name: string, D: number, activation: Stage["activation"]): Stage {
  return { linear: w.linear(name, D, D, { bias: true }), activation, norm: null };
}

/**
 * The last stage of a masked language model: every word's vector against the state, and a bias for each. The vectors are
 * those of the input unless the config unties them, or the file has others of its own, as transformers reads it.
 *
 * @param decoder the layer's name, of which older checkpoints keep the tied copies
 * @param bias where its bias is kept; null for none
 */
export function wordDecoder(
  w: Weights,
  decoder: string,
  bias: string | null,
  words: Lookup,
  config: { readonly tieWordEmbeddings: boolean },
): Stage {
  const own = `${decoder}.weight`;
  const tied = config.tieWordEmbeddings && (!w.has(own) || w.isSame(own, words));
  if (tied) w.skip(own);
  const weight = tied ? words.asMatrix() : w.embedding(decoder, words.rows, words.columns);
  if (bias === null) return linearStage({ weight, bias: null });
  const ownBias = `${decoder}.bias`;
  // Untied, transformers saves two and adds the layer's own; tied, they are the same vector.
  const biasName = w.has(bias, true) && (config.tieWordEmbeddings || !w.has(ownBias, true)) ? bias : ownBias;
  for (const name of [bias, ownBias]) if (name !== biasName) w.skip(name);
  return linearStage({ weight, bias: w.vector(biasName, words.rows) });
}

/** By this tensor a file is known to have SpanBERT's head, in the names of SpanBERT's code. */
export const SPAN_BOUNDARY_BIAS = "sbo.bias";

/** `sbo.*`: two layers with GELU and a norm each, a table of places, and a bias for each word. */
export function spanBoundaryHead(
  root: Weights,
  c: { readonly hiddenSize: number; readonly layerNormEps: number },
  words: Lookup,
): SpanBoundaryHead {
  const w = root.at("sbo");
  const [rows, width] = w.matrixShape("position_embeddings.weight");
  const D = c.hiddenSize;
  const mlp = w.at("mlp_layer_norm");
  const stage = (layer: number, inputs: number): Stage => ({
    linear: mlp.linear(`linear${layer}`, D, inputs, { bias: true }),
    activation: "gelu",
    norm: mlp.layerNorm(`layer_norm${layer}`, D, c.layerNormEps),
  });
  return {
    positions: { address: w.table("position_embeddings.weight", rows, width), rows, width },
    stages: [stage(1, 2 * D + width), stage(2, D)],
    decoder: { weight: words.asMatrix(), bias: w.vector("bias", words.rows) },
  };
}

/** What heads give, by name, and how each is computed for the texts of a pass. */

import type { Address, Kernels } from "@qkv/core";
import { HEAD_ROWS, type Head, type HeadName, type Heads, headOutputs, headWidth, runStages } from "./heads";
import type { EncoderNetwork, PackedText } from "./network";

/** See `Heads` for their shapes. */
export type OutputName = "pooled" | "logits" | "nextSentenceLogits" | "startLogits" | "endLogits";

/** Which head gives an output: the first of these that the model has. */
const OUTPUTS: Readonly<Record<OutputName, readonly HeadName[]>> = {
  pooled: ["pooler"],
  logits: ["maskedLm", "sequenceClassification", "tokenClassification", "replacedTokens", "nextSentence"],
  nextSentenceLogits: ["nextSentence"],
  startLogits: ["questionAnswering"],
  endLogits: ["questionAnswering"],
};

/** What these heads can give. */
export function outputNames(heads: Heads): OutputName[] {
  return (Object.keys(OUTPUTS) as OutputName[]).filter((name) => headOf(heads, name) !== null);
}

/** The head that gives an output; null where the model has none. */
export function headOf(heads: Heads, output: OutputName): Head | null {
  const name = OUTPUTS[output].find((each) => heads[each] !== null);
  return name === undefined ? null : heads[name];
}

/** Shape of an output of one text of T tokens, of which the head computed `rows`. */
export function outputShape(heads: Heads, output: OutputName, rows: number): number[] {
  const head = headOf(heads, output) as Head;
  if (head.reads !== "token") return [headOutputs(head)];
  // One number a token, where that is all that the architecture knows, has no axis of its own.
  return head === heads.replacedTokens || head === heads.questionAnswering ? [rows] : [rows, headOutputs(head)];
}

/** Two buffers that stages go to and fro between. */
export type HeadBuffers = readonly [Address, Address];

/** Buffers for all heads of a network; null where it has none. */
export function createHeadBuffers(network: EncoderNetwork): HeadBuffers | null {
  const heads = Object.values<Head | null>({ ...network.heads }).filter((head) => head !== null);
  const widths = heads.map(headWidth);
  if (network.spanBoundary !== null) {
    const { stages, decoder } = network.spanBoundary;
    widths.push(headWidth({ reads: "token", stages }), decoder.weight.rows);
  }
  if (widths.length === 0) return null;
  const bytes = 4 * HEAD_ROWS * Math.max(...widths);
  return [network.arena.allocate(bytes, "scratch"), network.arena.allocate(bytes, "scratch")];
}

/** Rows of a text that a head is wanted of. */
interface HeadInput {
  readonly text: number;
  /** Where its rows begin in the pass. */
  readonly start: number;
  /** Which of them; all rows of a head that reads the mean. */
  readonly rows: readonly number[];
}

/**
 * Computes one head for every text of a pass. Rows of several texts share a product; a row's bits do not depend on it.
 *
 * @param hidden [N, D]
 * @param tokenRows for heads that read tokens, which of each text; null for all
 * @returns for each text [rows, O]
 */
export function* headOutput(
  kernels: Kernels,
  head: Head,
  hidden: Address,
  texts: readonly PackedText[],
  tokenRows: readonly (readonly number[] | null)[],
  buffers: HeadBuffers,
  due: () => boolean,
): Generator<void, Float32Array[]> {
  const D = head.stages[0].linear.weight.columns;
  const O = headOutputs(head);
  let start = 0;
  const inputs: HeadInput[] = texts.map(({ ids }, text) => {
    const rows = head.reads === "token" ? (tokenRows[text] ?? ids.map((_, t) => t)) : [0];
    const input = { text, start, rows };
    start += ids.length;
    return input;
  });
  const out = inputs.map(({ rows }) => new Float32Array(rows.length * O));
  const queue = inputs.flatMap(({ text, start, rows }) => rows.map((row, i) => ({ text, row: start + row, i })));
  for (let at = 0; at < queue.length; at += HEAD_ROWS) {
    const chunk = queue.slice(at, at + HEAD_ROWS);
    const target = kernels.arena.f32(buffers[0], chunk.length * D);
    chunk.forEach(({ text, row }, j) => {
      const values =
        head.reads === "mean"
          ? meanRow(kernels, hidden + 4 * row * D, texts[text].ids.length, D)
          : kernels.arena.f32(hidden + 4 * row * D, D);
      target.set(values, j * D);
    });
    const result = kernels.arena.f32(runStages(kernels, head.stages, chunk.length, buffers), chunk.length * O);
    chunk.forEach(({ text, i }, j) => {
      out[text].set(result.subarray(j * O, (j + 1) * O), i * O);
    });
    if (due()) yield;
  }
  return out;
}

/** Mean of rows [T, D], summed in double precision. */
function meanRow(kernels: Kernels, address: Address, T: number, D: number): Float64Array {
  const values = kernels.arena.f32(address, T * D);
  const mean = new Float64Array(D);
  for (let t = 0; t < T; t++) for (let d = 0; d < D; d++) mean[d] += values[t * D + d];
  return mean.map((sum) => sum / T);
}

/** The outputs of one text, by name, from what its heads gave. */
export function namedOutput(output: OutputName, head: Head, values: Float32Array): Float32Array {
  if (output !== "startLogits" && output !== "endLogits") return values;
  const offset = output === "startLogits" ? 0 : 1;
  return Float32Array.from({ length: values.length / headOutputs(head) }, (_, t) => values[2 * t + offset]);
}

/** What the comparisons of whole encoder-decoders with onnxruntime share: texts, feeds, the cutting of padding. */

import type { Seq2Seq, Tensor } from "@qkv/models";
import { expect } from "vitest";
import { Random, seedOf } from "../ops/random";
import { largestDifference } from "../support/compare";
import { int64, type Tensor as OnnxTensor } from "./model";
import type { OnnxModel, OnnxResult } from "./session";

/** Ids of a source, and those that the decoder is given. */
export interface Text {
  readonly source: readonly number[];
  readonly decoderIds: readonly number[];
}

/** Tensors by the names of our taps. */
export type Taps = Readonly<Record<string, Tensor>>;

/** Lengths of a source and of a text. */
export type Lengths = readonly [S: number, T: number];

const CAPTURE = { capture: ["*"] };

/** Every tap of our model for texts, each alone. */
export function alone(model: Seq2Seq, texts: readonly Text[]): Taps[] {
  return texts.map(({ source, decoderIds }) => model.run(source, decoderIds, CAPTURE).captured);
}

/** The same for texts in one pass. */
export function packed(model: Seq2Seq, texts: readonly Text[]): Taps[] {
  return model.runBatch(texts, CAPTURE).map(({ captured }) => captured);
}

/**
 * The same of a graph, for texts as one padded batch; padding is cut off again.
 *
 * @param more feeds that depend on the padded lengths
 */
export async function padded(
  graph: OnnxModel,
  texts: readonly Text[],
  more: (...lengths: Lengths) => Readonly<Record<string, OnnxTensor>>,
): Promise<Taps[]> {
  const S = Math.max(...texts.map(({ source }) => source.length));
  const T = Math.max(...texts.map(({ decoderIds }) => decoderIds.length));
  const filled = (rows: readonly (readonly number[])[], length: number, filler: number) => {
    const ids = rows.flatMap((row) => [...row, ...Array<number>(length - row.length).fill(filler)]);
    return int64(ids, rows.length, length);
  };
  const sources = texts.map(({ source }) => source);
  const ones = sources.map((ids) => ids.map(() => 1));
  const decoderIds = texts.map((text) => text.decoderIds);
  const results = await graph.run({
    // Any word will do for padding: were it not hidden by the mask, it would show.
    input_ids: filled(sources, S, 7),
    attention_mask: filled(ones, S, 0),
    decoder_input_ids: filled(decoderIds, T, 7),
    ...more(S, T),
  });
  return texts.map((text, b) =>
    Object.fromEntries(Object.entries(results).map(([name, result]) => [name, ofText(name, result, b, text)])),
  );
}

/** The part of a batch's result that belongs to the tokens of one text. */
function ofText(name: string, { shape, data }: OnnxResult, b: number, { source, decoderIds }: Text): Tensor {
  const rest = shape.slice(1);
  const size = rest.reduce((product, n) => product * n, 1);
  const text = data.subarray(b * size, (b + 1) * size);
  const queries = name.startsWith("encoder.") ? source.length : decoderIds.length;
  // [B, N, D]
  if (rest.length === 2) return { shape: [queries, rest[1]], data: text.subarray(0, queries * rest[1]) };
  const keys = name.endsWith("self_attention.probs") ? decoderIds.length : source.length;
  const [H, allQueries, allKeys] = rest; // [B, H, queries, keys]
  const cut = new Float32Array(H * queries * keys);
  for (let h = 0; h < H; h++) {
    for (let t = 0; t < queries; t++) {
      const row = (h * allQueries + t) * allKeys;
      cut.set(text.subarray(row, row + keys), (h * queries + t) * keys);
    }
  }
  return { shape: [H, queries, keys], data: cut };
}

/** The largest difference of each tap, over all texts, in parts of the tensor's largest value. */
export function differences(got: readonly Taps[], expected: readonly Taps[]): Record<string, number> {
  const worst: Record<string, number> = {};
  for (const [i, taps] of expected.entries()) {
    expect(Object.keys(got[i]).sort()).toEqual(Object.keys(taps).sort());
    for (const [name, tensor] of Object.entries(taps)) {
      expect(got[i][name].shape, name).toEqual(tensor.shape);
      const largest = tensor.data.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
      const difference = largestDifference(got[i][name].data, tensor.data) / largest;
      worst[name] = Math.max(worst[name] ?? 0, difference); // NaN stays NaN
    }
  }
  return worst;
}

export function expectWithin(tolerance: number, worst: Readonly<Record<string, number>>): void {
  for (const [name, difference] of Object.entries(worst)) {
    expect(difference, `${name}: largest difference, in parts of its largest value`).toBeLessThanOrEqual(tolerance);
  }
}

/** That a changed graph differs at tap `first`, and at none before it. */
export function expectFirstChange(tolerance: number, first: string, ours: Taps, theirs: Taps): void {
  const taps = Object.keys(theirs);
  for (const name of [...taps.slice(0, taps.indexOf(first)), first]) {
    const pick = (each: Taps) => [{ [name]: each[name] }];
    expect(differences(pick(ours), pick(theirs))[name] > tolerance, name).toBe(name === first);
  }
}

/** Texts with random ids, of these lengths. */
export function randomTexts(
  name: string,
  vocabSize: number,
  lengths: readonly Lengths[],
  decoderVocabSize = vocabSize,
): Text[] {
  const random = new Random(seedOf(name));
  const ids = (length: number, end: number) => Array.from({ length }, () => random.integer(end));
  return lengths.map(([S, T]) => ({ source: ids(S, vocabSize), decoderIds: ids(T, decoderVocabSize) }));
}

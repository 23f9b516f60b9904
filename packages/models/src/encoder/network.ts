/** What an encoder architecture gives: the part of a model that is its own page. */

import type { Address, Arena } from "@qkv/core";
import type { Capture } from "../taps/capture";
import type { Heads, SpanBoundaryHead } from "./heads";

/** A text in a pass: its rows lie behind those of the texts before it, and attend to each other alone. */
export interface PackedText {
  /** Which text of the pass. */
  readonly sequence: number;
  /** At least one. */
  readonly ids: readonly number[];
  /** Of each id, which of the two texts of a pair it belongs to; null for a text without a pair. */
  readonly typeIds: readonly number[] | null;
  /** The first of its rows among its positions: a text is never cut, so always 0. */
  readonly first: 0;
}

/**
 * An encoder: rows of texts in, rows of hidden states out. It holds weights and scratch layouts, no state.
 *
 * @typeParam Scratch addresses of the buffers of one pass; opaque to the caller, who keeps one for each pass under way
 */
export interface EncoderNetwork<Scratch = unknown> {
  readonly arena: Arena;
  readonly vocabSize: number;
  /** D */
  readonly hiddenSize: number;
  /** Most tokens of a text. */
  readonly maxPositions: number;
  /** How many token types there are; 0 where the architecture has none. */
  readonly typeVocabSize: number;
  /** Every name of the network itself that can be captured, in the order of its computation. */
  readonly taps: readonly string[];
  /** What it was trained to say, beyond hidden states. */
  readonly heads: Heads;
  readonly spanBoundary: SpanBoundaryHead | null;

  /** Buffers for a pass of so many rows. */
  createScratch(rows: number): Scratch;

  /**
   * Runs the rows of all texts, and gives the address of their final hidden states, [N, D], in the scratch.
   * Yields where `due` says so, within layers too, that a caller can let others run.
   */
  forward(
    scratch: Scratch,
    texts: readonly PackedText[],
    capture: Capture | null,
    due: () => boolean,
  ): Generator<void, Address>;
}

/** Ids of all texts, one behind the other. */
export function packedIds(texts: readonly PackedText[]): readonly number[] {
  return texts.length === 1 ? (texts[0] as PackedText).ids : texts.flatMap(({ ids }) => ids);
}

/** The token type of every row; 0 where a text has none. */
export function packedTypes(texts: readonly PackedText[]): number[] {
  return texts.flatMap(({ ids, typeIds }) => typeIds ?? ids.map(() => 0));
}

/** Positions of every row, counted from 0 in each text. */
export function packedPositions(texts: readonly PackedText[]): number[] {
  return texts.flatMap(({ ids }) => ids.map((_, t) => t));
}

/**
 * Positions as fairseq's models count them: from the padding id + 1 on, over the tokens that are not padding, which stay
 * at the padding id itself.
 */
export function packedPositionsAfterPadding(texts: readonly PackedText[], padId: number): number[] {
  return texts.flatMap(({ ids }) => {
    let position = padId;
    return ids.map((id) => (id === padId ? padId : ++position));
  });
}

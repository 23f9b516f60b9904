/** Attention of the rows of a decoder's pass: to the past of their own sequence, and to the source that they tell of. */

import type { Address, AttentionCall, Kernels } from "@qkv/core";
import { captureProbs, type ProbsRoom } from "../layers";
import type { Capture } from "../taps/capture";
import { type AdjacentRows, adjacentRows, type Memory, type Segment } from "./segments";

/** Where a pass has its queries and wants its results; and what is captured of it. */
export interface AttentionPass {
  /** [N, H*K] */
  readonly q: Address;
  /** [N, H*K] */
  readonly attended: Address;
  readonly segments: readonly Segment[];
  /** Where their keys and values are written. */
  readonly written: readonly AdjacentRows[];
  readonly probs: ProbsRoom;
  readonly capture: Capture | null;
}

/** What all layers of a pass share. */
export function attentionPass(
  { q, attended, probs }: Pick<AttentionPass, "q" | "attended" | "probs">,
  segments: readonly Segment[],
  capture: Capture | null,
): AttentionPass {
  return { q, attended, segments, written: adjacentRows(segments), probs, capture };
}

/** attended = attention of every segment to its own past and itself, under the call's mask. */
export function attendToPast(
  kernels: Kernels,
  call: AttentionCall,
  layer: number,
  tap: string,
  pass: AttentionPass,
): void {
  const { segments, capture, probs } = pass;
  const rowBytes = 4 * call.heads * call.headDim;
  let row = 0;
  for (const { sequence, ids, first, position, cache, base, keyRows, reach } of segments) {
    const T = ids.length;
    call.q = pass.q + row * rowBytes;
    call.keys = cache.keyRow(layer, base);
    call.values = cache.valueRow(layer, base);
    call.keyRows = keyRows;
    call.queries = T;
    call.keyCount = position + T;
    call.position = position;
    const attended = pass.attended + row * rowBytes;
    kernels.attention(attended, call);
    if (capture?.wants(tap))
      captureProbs(kernels, call, attended, probs, tap, { sequence, first, keys: reach }, capture);
    row += T;
  }
}

/**
 * attended = attention of every segment to its source. Neighbours with the same source, as beams are, make one call: a
 * query's place among them means nothing here.
 */
export function attendToMemory(
  kernels: Kernels,
  call: AttentionCall,
  layer: number,
  tap: string,
  pass: AttentionPass,
): void {
  const { segments, capture, probs } = pass;
  const rowBytes = 4 * call.heads * call.headDim;
  call.keyRows = null;
  call.position = 0;
  let row = 0;
  for (let i = 0; i < segments.length; ) {
    const { sequence, memory, first } = segments[i];
    const { cache, first: start, length } = memory as Memory;
    let T = 0;
    const captured = capture?.wants(tap) ?? false;
    do T += segments[i++].ids.length;
    while (!captured && i < segments.length && segments[i].memory === memory);
    call.q = pass.q + row * rowBytes;
    call.keys = cache.keyRow(layer, start);
    call.values = cache.valueRow(layer, start);
    call.queries = T;
    call.keyCount = length;
    const attended = pass.attended + row * rowBytes;
    kernels.attention(attended, call);
    if (captured)
      captureProbs(kernels, call, attended, probs, tap, { sequence, first, keys: length }, capture as Capture);
    row += T;
  }
}

/** SpanBERT's span boundary objective, on the hidden states of a text. */

import { checkInteger, checkOptions } from "@qkv/core";
import type { Tensor } from "../taps/capture";
import { HEAD_ROWS, runStages, type SpanBoundaryHead } from "./heads";
import type { PassRunner } from "./pass";

/** What the head says of a span. */
export interface SpanPrediction {
  /** [span, D], before the words */
  readonly hidden: Tensor;
  /** [span, V] */
  readonly logits: Tensor;
}

/**
 * Row i of the input is the state before the span, the state behind it, and the vector of place i (Joshi et al. 2020,
 * section 3.2).
 *
 * @param hidden [T, D] of the whole text
 */
export function predictSpan(
  runner: PassRunner,
  head: SpanBoundaryHead,
  hidden: Float32Array,
  span: { readonly start: number; readonly end: number },
): SpanPrediction {
  const { kernels, network } = runner;
  const D = network.hiddenSize;
  const V = network.vocabSize;
  checkOptions("predictSpan: span", span, ["start", "end"]);
  const start = checkInteger("span.start", span.start, 1);
  const end = checkInteger("span.end", span.end, start, hidden.length / D - 2);
  const length = end - start + 1;
  const { rows, width, address } = head.positions;
  if (length > rows) throw new RangeError(`span: ${length} tokens, and this head knows the places of ${rows}`);
  const left = hidden.slice((start - 1) * D, start * D);
  const right = hidden.slice((end + 1) * D, (end + 2) * D);
  const states = new Float32Array(length * D);
  const logits = new Float32Array(length * V);
  const buffers = runner.headBuffers();
  for (let at = 0; at < length; at += HEAD_ROWS) {
    const count = Math.min(HEAD_ROWS, length - at);
    const input = kernels.arena.f32(buffers[0], count * (2 * D + width));
    for (let i = 0; i < count; i++) {
      const row = i * (2 * D + width);
      input.set(left, row);
      input.set(right, row + D);
      input.set(kernels.arena.f32(address + 4 * (at + i) * width, width), row + 2 * D);
    }
    const state = runStages(kernels, head.stages, count, buffers);
    states.set(kernels.arena.f32(state, count * D), at * D);
    const out = state === buffers[0] ? buffers[1] : buffers[0];
    kernels.matmul(out, state, head.decoder.weight, head.decoder.bias, count);
    logits.set(kernels.arena.f32(out, count * V), at * V);
  }
  return { hidden: { data: states, shape: [length, D] }, logits: { data: logits, shape: [length, V] } };
}

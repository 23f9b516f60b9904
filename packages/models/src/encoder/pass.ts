/** One pass of an encoder over packed texts: hidden states, and the outputs of the heads that are asked for. */

import type { Kernels } from "@qkv/core";
import type { Capture } from "../taps/capture";
import type { Head } from "./heads";
import type { EncoderNetwork, PackedText } from "./network";
import { createHeadBuffers, type HeadBuffers, headOf, headOutput, namedOutput, type OutputName } from "./outputs";
import { PassBuffers } from "./pass-buffers";

/** A text to encode. */
export interface EncoderInput {
  /** At least one. */
  readonly ids: readonly number[];
  /** Of each id; null for 0. */
  readonly typeIds: readonly number[] | null;
  /** For which of its tokens heads that read tokens are computed; all if left out. */
  readonly headRows?: readonly number[];
}

/** What a pass gives for a text. */
export interface EncoderOutput {
  /** [T, D], a view that is valid until the next pass. */
  readonly hidden: Float32Array;
  /** Arrays of their own. */
  readonly outputs: Readonly<Partial<Record<OutputName, Float32Array>>>;
}

/** What one pass is to do. */
export interface EncoderPass {
  readonly inputs: readonly EncoderInput[];
  readonly outputs: readonly OutputName[];
  readonly capture: Capture | null;
  /** Told about each text, in order. */
  readonly each: (index: number, output: EncoderOutput) => void;
}

/** Runs passes of one network, with buffers that are kept for the next. */
export class PassRunner {
  readonly network: EncoderNetwork;
  readonly kernels: Kernels;
  readonly #buffers: PassBuffers;
  readonly #head: HeadBuffers | null;

  /** @param rows what the first buffers have room for; they are laid out with the weights */
  constructor(network: EncoderNetwork, kernels: Kernels, rows: number) {
    this.network = network;
    this.kernels = kernels;
    this.#head = createHeadBuffers(network);
    this.#buffers = new PassBuffers(network, rows);
  }

  /** One pass. Yields where `due` says so. @throws OutOfMemoryError where buffers for so many rows do not fit */
  *run({ inputs, outputs, capture, each }: EncoderPass, due: () => boolean): Generator<void, void> {
    const { network, kernels } = this;
    const texts = inputs.map(({ ids, typeIds }, sequence): PackedText => ({ sequence, ids, typeIds, first: 0 }));
    const rows = texts.reduce((sum, { ids }) => sum + ids.length, 0);
    const buffers = this.#buffers.take(rows);
    try {
      const hidden = yield* network.forward(buffers.scratch, texts, capture, due);
      const D = network.hiddenSize;
      capture?.rows("final", texts, hidden, D);
      const byHead = new Map<Head, Float32Array[]>();
      for (const name of outputs) {
        const head = headOf(network.heads, name);
        if (head === null || byHead.has(head)) continue;
        const tokenRows = inputs.map(({ headRows }) => headRows ?? null);
        const shared = this.#head as HeadBuffers;
        byHead.set(head, yield* headOutput(kernels, head, hidden, texts, tokenRows, shared, due));
      }
      let row = 0;
      for (const [index, { ids }] of texts.entries()) {
        const named: Partial<Record<OutputName, Float32Array>> = {};
        for (const name of outputs) {
          const head = headOf(network.heads, name);
          if (head !== null) named[name] = namedOutput(name, head, (byHead.get(head) as Float32Array[])[index]);
        }
        each(index, { hidden: network.arena.f32(hidden + 4 * row * D, ids.length * D), outputs: named });
        row += ids.length;
      }
    } finally {
      this.#buffers.give(buffers);
    }
  }

  /** Buffers of heads, for work that is done before anybody else gets a turn. */
  headBuffers(): HeadBuffers {
    return this.#head as HeadBuffers;
  }
}

/** Synchronous passes of an encoder-decoder: sources through the encoder, ids through the decoder, taps on the way. */

import { checkInteger, type KvCache } from "@qkv/core";
import type { LanePools } from "../decoder/lane";
import { LOGIT_ROWS, runPass } from "../decoder/pass";
import type { Room } from "../decoder/pools";
import { Capture, selectTaps, type Tensor } from "../taps/capture";
import { EncodedSource } from "./encoded";
import type { Seq2SeqInputs, Source } from "./inputs";
import type { Seq2SeqNetwork } from "./network";
import type { SourceEncoder } from "./source-encoder";

/** Options of `run`. */
export interface Seq2SeqRunOptions {
  /** Taps to keep, by name or with `*`: "decoder.layers.*.cross_attention.probs", "logits". See `Seq2Seq.taps`. */
  readonly capture?: readonly string[];
  /** Logits of only so many last positions of the decoder; of all if left out. 0 for none. */
  readonly logitsToKeep?: number;
  /** From this model's `createCache`: the decoder's ids continue what it holds, and are added to it. */
  readonly cache?: KvCache;
}

/** A source with the ids that the decoder is given of its text. */
export interface Seq2SeqInput {
  readonly source: Source;
  /** [T], the start token first. */
  readonly decoderIds: ArrayLike<number>;
}

/** What a pass gives. */
export interface Seq2SeqRunResult {
  /** [positions kept, V] */
  readonly logits: Tensor;
  /** [S, D]: the encoder's last states. */
  readonly encoderHidden: Tensor;
  /** By tap name. */
  readonly captured: Readonly<Record<string, Tensor>>;
}

/** What the passes are made of. */
export interface PassParts {
  readonly network: Seq2SeqNetwork;
  readonly encoder: SourceEncoder;
  readonly pools: LanePools;
  readonly inputs: Seq2SeqInputs;
}

const ENCODER = "encoder.";
const DECODER = "decoder.";

export class Seq2SeqPasses {
  /** Every name that `capture` can take. */
  readonly taps: readonly string[];
  readonly #parts: PassParts;

  constructor(parts: PassParts) {
    const { network } = parts;
    this.#parts = parts;
    this.taps = [
      ...network.encoder.taps.map((name) => ENCODER + name),
      ...network.taps.map((name) => DECODER + name),
      "logits",
    ];
  }

  /**
   * See `Seq2Seq.runBatch`.
   *
   * @param names what messages call each source and its ids
   */
  run(
    given: readonly Seq2SeqInput[],
    options: Seq2SeqRunOptions,
    names: readonly (readonly [source: string, decoderIds: string])[],
  ): Seq2SeqRunResult[] {
    const { capture: patterns = [], logitsToKeep = Number.POSITIVE_INFINITY, cache } = options;
    const { network, inputs, pools } = this.#parts;
    if (logitsToKeep !== Number.POSITIVE_INFINITY) checkInteger("logitsToKeep", logitsToKeep, 0);
    if (cache !== undefined && !pools.caches.isWithCaller(cache))
      throw new TypeError("cache: expected one from this model's createCache that was not released");
    const taps = selectTaps(patterns, this.taps);
    const texts = given.map(({ decoderIds }, i) => inputs.decoderIds(names[i][1], decoderIds, cache));
    const kept = texts.map((ids) => Math.min(ids.length, logitsToKeep));
    const computed = texts.map((ids, b) => (taps.has("logits") ? ids.length : kept[b]));
    const V = network.vocabSize;
    const logits = computed.map((rows) => new Float32Array(rows * V));
    const sources = given.map(({ source }, i) => ({ source, name: names[i][0] }));
    return this.withSources(sources, stackTaps(taps, ENCODER), (encoded, ofEncoder) => {
      const ofDecoder = this.decode(
        texts.map((ids, b) => ({ ids, encoded: encoded[b], cache })),
        stackTaps(taps, DECODER),
        computed,
        (b, row, values) => logits[b].set(values, row * V),
      );
      return texts.map((_, b) => ({
        // A copy only where both are given: who changes one must not change the other.
        logits: {
          data: taps.has("logits") ? logits[b].slice((computed[b] - kept[b]) * V) : logits[b],
          shape: [kept[b], V],
        },
        // Theirs who encoded it.
        encoderHidden:
          given[b].source instanceof EncodedSource
            ? { ...encoded[b].hidden, data: encoded[b].hidden.data.slice() }
            : encoded[b].hidden,
        captured: {
          ...named(ENCODER, ofEncoder[b]),
          ...named(DECODER, ofDecoder[b]),
          ...(taps.has("logits") ? { logits: { data: logits[b], shape: [computed[b], V] } } : {}),
        },
      }));
    });
  }

  /** Encodes the sources that are not, lets `use` have all of them, and disposes those that it made. */
  withSources<T>(
    sources: readonly { readonly source: Source; readonly name: string }[],
    taps: ReadonlySet<string> | null,
    use: (encoded: readonly EncodedSource[], captured: readonly Record<string, Tensor>[]) => T,
  ): T {
    const { network, inputs, encoder } = this.#parts;
    const prepared = sources.map(({ source, name }) => inputs.prepared(name, source));
    const open = prepared.flatMap((each, i) => (each instanceof EncodedSource ? [] : [{ i, ids: each }]));
    if (taps !== null && taps.size > 0 && open.length < sources.length)
      throw new TypeError("capture: the encoder's taps need a source that is not encoded yet");
    const made: EncodedSource[] = [];
    try {
      const byInput = [...prepared] as EncodedSource[];
      const captured = sources.map(() => ({}) as Record<string, Tensor>);
      for (const indices of encoder.passes(open.map(({ ids }) => ids))) {
        const some = indices.map((k) => open[k]);
        const ids = some.map((each) => each.ids);
        const lengths = ids.map(({ length }) => length);
        const capture = taps === null || taps.size === 0 ? null : new Capture(taps, lengths, network.arena);
        const step = encoder.encode(ids, capture, never).next(); // synchronous: nobody else gets a turn
        const encoded = step.value as EncodedSource[];
        made.push(...encoded);
        for (const [k, { i }] of some.entries()) {
          byInput[i] = encoded[k];
          if (capture !== null) captured[i] = capture.take(k);
        }
      }
      return use(byInput, captured);
    } finally {
      for (const each of made) each.dispose();
    }
  }

  /** Borrows what a pass of the decoder needs, runs it, and gives everything back whatever happens. */
  decode(
    texts: readonly {
      readonly ids: readonly number[];
      readonly encoded: EncodedSource;
      readonly cache?: KvCache | undefined;
    }[],
    capture: ReadonlySet<string>,
    logitsOf: readonly number[],
    onLogits: (sequence: number, row: number, logits: Float32Array) => void,
  ): Record<string, Tensor>[] {
    const { network, pools } = this.#parts;
    const { caches, scratches, rooms } = pools;
    const borrowed: KvCache[] = [];
    const scratch = scratches.take();
    let room: Room | null = null;
    try {
      room = rooms.take(4 * LOGIT_ROWS * network.vocabSize);
      const sequences = texts.map(({ ids, encoded, cache }) => {
        let into = cache;
        if (into === undefined) {
          into = caches.take(ids.length);
          borrowed.push(into);
        }
        return { ids, cache: into, start: into.length, base: 0, memory: encoded.memory };
      });
      return runPass(network, scratch, { sequences, capture, logitsOf, logits: room.address, onLogits });
    } finally {
      for (const each of borrowed) caches.give(each);
      if (room !== null) rooms.give(room);
      scratches.give(scratch);
    }
  }
}

const never = () => false;

/** The taps of one stack, by its own names. */
function stackTaps(taps: ReadonlySet<string>, stack: string): Set<string> {
  return new Set([...taps].filter((name) => name.startsWith(stack)).map((name) => name.slice(stack.length)));
}

function named(stack: string, captured: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(captured).map(([name, tensor]) => [stack + name, tensor]));
}

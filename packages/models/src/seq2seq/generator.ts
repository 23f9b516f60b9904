/** Generation of an encoder-decoder: sources through the encoder, what is not encoded yet, and texts out of the decoder. */

import { checkInteger } from "@qkv/core";
import type { Tokenizer } from "@qkv/tokenize";
import { DecoderLane, type LanePools } from "../decoder/lane";
import {
  type GenerationHost,
  type GenerationPrompt,
  generateAll,
  generateTokens,
  generationGroups,
  positionsOf,
  streams,
} from "../generate/generate";
import { Generation, type GenerationResult } from "../generate/generation";
import type { GenerationDefaults } from "../generate/generation-config";
import { type GenerateOptions, type GenerationPlan, planGeneration } from "../generate/options";
import { Pacer } from "../pace";
import { EncodedSource, type HeldSource } from "./encoded";
import type { Seq2SeqInputs, Source } from "./inputs";
import type { Seq2SeqNetwork } from "./network";
import type { SourceEncoder } from "./source-encoder";

/** What it is made of. */
export interface GeneratorParts {
  readonly network: Seq2SeqNetwork;
  readonly encoder: SourceEncoder;
  readonly pools: LanePools;
  readonly inputs: Seq2SeqInputs;
  readonly tokenizer: Tokenizer | null;
  readonly endIds: readonly number[];
  /** Most tokens of a text with its start token. */
  readonly contextLength: number;
  /** @throws Error once the model was disposed */
  readonly checkAlive: () => void;
}

/** A plan, with what a text starts from, and how many positions it may take with that. */
interface SourcePlan extends GenerationPlan {
  readonly startId: number;
  readonly positions: number;
}

export class SourceGenerator {
  readonly #parts: GeneratorParts;

  constructor(parts: GeneratorParts) {
    this.#parts = parts;
  }

  /** See `Seq2Seq.generate`. */
  generate(source: Source, options: GenerateOptions, defaults: GenerationDefaults): Generation {
    const plan = this.#plan(options, defaults);
    const prepared = this.#parts.inputs.prepared("source", source);
    return new Generation(
      (finished) =>
        this.#holding([prepared], (held) =>
          this.#generating(held, plan, (prompts) => generateTokens(this.#host(), prompts[0], plan, finished)),
        ),
      streams(plan),
    );
  }

  /**
   * See `Seq2Seq.generateBatch`.
   *
   * @param defaults the model's own, or those of a task
   * @param onDone told how many are done, after each group of sources that share passes
   */
  async generateBatch(
    sources: readonly Source[],
    options: GenerateOptions,
    defaults: GenerationDefaults,
    onDone: (done: number) => void = () => {},
  ): Promise<GenerationResult[]> {
    const plan = this.#plan(options, defaults);
    if (!Array.isArray(sources)) throw new TypeError(`sources: expected an array, got ${String(sources)}`);
    const { inputs } = this.#parts;
    const prepared = Array.from(sources, (source: Source, i) => inputs.prepared(`sources[${i}]`, source));
    const run = (prompts: readonly GenerationPrompt[]) => one(generateAll(this.#host(), prompts, plan));
    const generating = this.#generating.bind(this);
    const results: GenerationResult[] = [];
    const all = this.#holding(prepared, async function* (held) {
      for (const group of generationGroups(held, plan)) yield* generating(group, plan, run, results.length);
    });
    for await (const found of all) {
      results.push(...found);
      onDone(results.length);
    }
    return results;
  }

  /** Encodes sources in packed passes, and leaves the event loop its turns. */
  async encodeAll(sources: readonly (readonly number[])[], signal: AbortSignal | null): Promise<EncodedSource[]> {
    const { encoder, checkAlive, inputs } = this.#parts;
    signal?.throwIfAborted();
    const pacer = new Pacer();
    const encoded: EncodedSource[] = [];
    let complete = false;
    try {
      for (const indices of encoder.passes(sources)) {
        const pass = encoder.encode(
          indices.map((i) => sources[i]),
          null,
          pacer.due,
        );
        let step = pass.next();
        for (; !step.done; step = pass.next()) {
          try {
            await pacer.rest();
            checkAlive();
            signal?.throwIfAborted();
          } catch (error) {
            pass.return([]); // gives back what it holds
            throw error;
          }
        }
        for (const [k, i] of indices.entries()) encoded[i] = step.value[k];
      }
      complete = true;
    } finally {
      if (!complete) for (const each of Object.values(encoded)) each.dispose();
    }
    for (const each of encoded) inputs.own(each);
    return encoded;
  }

  #plan(options: GenerateOptions, defaults: GenerationDefaults): SourcePlan {
    const { checkAlive, endIds, inputs, network, contextLength } = this.#parts;
    checkAlive();
    // Where a model has a vector for each position: the last token of a text needs none.
    const end = network.maxPositions;
    if (Number.isFinite(end)) {
      const { maxNewTokens, minNewTokens, maxLength } = options;
      for (const [name, value] of Object.entries({ maxNewTokens, minNewTokens }))
        if (typeof value === "number") checkInteger(name, value, 0, end);
      if (typeof maxLength === "number") checkInteger("maxLength", maxLength, 0, end + 1);
    }
    const plan = planGeneration(options, { kind: "seq2seq", endIds, vocabSize: network.vocabSize, defaults });
    if (plan.stop.length > 0) inputs.tokenizer("stop strings");
    const startId = plan.decoderStartTokenId ?? defaults.bosTokenId;
    if (startId === null) throw noStart("pass decoderStartTokenId");
    return { ...plan, startId, positions: Math.min(positionsOf(plan, 1, contextLength), end + 1) };
  }

  #host(): GenerationHost {
    const { network, pools, tokenizer, checkAlive } = this.#parts;
    return { tokenizer, checkAlive, acquire: (prompts, width) => new DecoderLane(network, pools, prompts, width) };
  }

  /** Keeps encoded sources while they are used, whoever disposes them. */
  async *#holding<T>(
    sources: readonly (readonly number[] | EncodedSource)[],
    use: (sources: readonly (readonly number[] | HeldSource)[]) => AsyncGenerator<T, void, void>,
  ): AsyncGenerator<T, void, void> {
    const held: HeldSource[] = [];
    try {
      const hold = (source: EncodedSource): HeldSource => {
        held.push(source.hold());
        return held[held.length - 1];
      };
      yield* use(sources.map((source) => (source instanceof EncodedSource ? hold(source) : source)));
    } finally {
      for (const { letGo } of held) letGo();
    }
  }

  /** Encodes what is not encoded yet, runs, and disposes what it encoded, whatever happens. */
  async *#generating<T>(
    sources: readonly (readonly number[] | HeldSource)[],
    { signal, startId, positions }: SourcePlan,
    run: (prompts: readonly GenerationPrompt[]) => AsyncGenerator<T, void, void>,
    firstIndex = 0,
  ): AsyncGenerator<T, void, void> {
    const open = sources.flatMap((each, i) => ("memory" in each ? [] : [{ i, ids: each }]));
    const made = await this.encodeAll(
      open.map(({ ids }) => ids),
      signal,
    );
    try {
      const encoded = [...sources] as Pick<HeldSource, "ids" | "memory">[];
      for (const [k, { i }] of open.entries()) encoded[i] = made[k];
      yield* run(
        encoded.map(({ ids, memory }, i) => ({
          ids: [startId],
          promptTokens: ids.length,
          textPrefix: [],
          encoderIds: ids,
          positions,
          index: firstIndex + i,
          memory,
        })),
      );
    } finally {
      for (const each of made) each.dispose();
    }
  }
}

/** Where nothing says what a text starts from. */
export function noStart(advice: string): Error {
  return new Error(`the model's files do not say which token a text starts from (decoder_start_token_id): ${advice}`);
}

async function* one<T>(value: Promise<T>): AsyncGenerator<T, void, void> {
  yield await value;
}

/** Generation of an encoder-decoder: sources through the encoder, what is not encoded yet, and texts out of the decoder. */

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
import { EncodedSource } from "./encoded";
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
        this.#generating([prepared], plan, (prompts) => generateTokens(this.#host(), prompts[0], plan, finished)),
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
    const prepared = sources.map((source: Source, i) => inputs.prepared(`sources[${i}]`, source));
    const results: GenerationResult[] = [];
    let first = 0;
    for (const group of generationGroups(prepared, plan)) {
      const run = (prompts: readonly GenerationPrompt[]) => one(generateAll(this.#host(), prompts, plan));
      for await (const found of this.#generating(group, plan, run, first)) results.push(...found);
      first += group.length;
      onDone(first);
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

  #plan(options: GenerateOptions, defaults: GenerationDefaults): GenerationPlan {
    const { checkAlive, endIds, inputs, network } = this.#parts;
    checkAlive();
    const plan = planGeneration(options, { kind: "seq2seq", endIds, vocabSize: network.vocabSize, defaults });
    if (plan.stop.length > 0) inputs.tokenizer("stop strings");
    if (plan.decoderStartTokenId === null) throw noStart("pass decoderStartTokenId");
    return plan;
  }

  #host(): GenerationHost {
    const { network, pools, tokenizer } = this.#parts;
    return { tokenizer, acquire: (prompts, width) => new DecoderLane(network, pools, prompts, width) };
  }

  /** Encodes what is not encoded yet, runs, and disposes what it encoded, whatever happens. */
  async *#generating<T>(
    sources: readonly (readonly number[] | EncodedSource)[],
    plan: GenerationPlan,
    run: (prompts: readonly GenerationPrompt[]) => AsyncGenerator<T, void, void>,
    firstIndex = 0,
  ): AsyncGenerator<T, void, void> {
    const open = sources.flatMap((each, i) => (each instanceof EncodedSource ? [] : [{ i, ids: each }]));
    const held = sources.flatMap((each) => (each instanceof EncodedSource ? [each.hold()] : []));
    let made: readonly EncodedSource[] = [];
    try {
      made = await this.encodeAll(
        open.map(({ ids }) => ids),
        plan.signal,
      );
      const encoded = [...sources] as EncodedSource[];
      for (const [k, { i }] of open.entries()) encoded[i] = made[k];
      const start = [plan.decoderStartTokenId as number];
      // Where a model has a vector for each position a text ends with the last of them, whatever it may take.
      const { contextLength, network } = this.#parts;
      const positions = Math.min(positionsOf(plan, start.length, contextLength), network.maxPositions);
      yield* run(
        encoded.map((source, i) => ({
          ids: start,
          promptTokens: source.ids.length,
          textPrefix: [],
          encoderIds: source.ids,
          positions,
          index: firstIndex + i,
          memory: source.memory,
        })),
      );
    } finally {
      for (const each of made) each.dispose();
      for (const letGo of held) letGo();
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

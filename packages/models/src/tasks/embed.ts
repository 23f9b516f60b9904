/** Embeddings of texts, as sentence-transformers' `encode` computes them. */

import { checkInteger } from "@qkv/core";
import { pool } from "../embeddings/pooling";
import {
  type CalibrationRanges,
  type EmbeddingPrecision,
  type QuantizedEmbedding,
  quantizeEmbedding,
} from "../embeddings/quantize";
import { applyModule, outputWidth, unitLength } from "../embeddings/sentence-modules";
import { type EmbeddingModule, POOLINGS, type Pooling } from "../embeddings/sentence-settings";
import type { SimilarityMetric } from "../embeddings/similarity";
import { checkTexts, kindOf, type TaskHost, type TaskOptions } from "./host";
import { checkFlag, checkOptionsOf } from "./inputs";
import { tokenizeSentences, tokenLimit } from "./sentence-texts";

const PRECISIONS: readonly (EmbeddingPrecision | "f32")[] = ["f32", "int8", "uint8", "binary", "ubinary"];

/** Options of `embed`. What is left out is as the model's files say, and without such files as for a plain model. */
export interface EmbedOptions<P extends EmbeddingPrecision | "f32" = "f32"> extends TaskOptions {
  /** How the states of tokens become one vector; of several, the vectors one behind the other. */
  readonly pooling?: Pooling | readonly Pooling[];
  /**
   * `true`: vectors of length 1, at the very end. `false`: not, even where the model's last module does it. Left out: as
   * the modules say, before `dimensions` cuts.
   */
  readonly normalize?: boolean;
  /** A text to put in front of each; "" for none. */
  readonly prompt?: string;
  /** One of the model's prompts by name. Every model has "query" and "document", if only as "". */
  readonly promptName?: string;
  /** Most tokens of a text, special ones included; the end of a longer one is cut off. */
  readonly maxTokens?: number;
  /**
   * The first so many numbers of each vector (Matryoshka). They are cut behind the model's own normalisation, as in
   * sentence-transformers: take `normalize: true` for vectors of length 1.
   */
  readonly dimensions?: number;
  /** In how many bits each number is given: see `quantizeEmbedding`. `f32` if left out. */
  readonly precision?: P;
  /** For int8 and uint8: `calibrationRanges` of embeddings of the same kind. Without, each vector has its own scale. */
  readonly ranges?: CalibrationRanges;
}

/** What `embed` gives for a text. */
export type Embedding<P extends EmbeddingPrecision | "f32" = "f32"> = P extends EmbeddingPrecision
  ? QuantizedEmbedding<P>
  : Float32Array;

/** What a model's files say about its embeddings. */
export interface EmbeddingInfo {
  /** Numbers of an embedding, all of them; 0 for a model that gives none. */
  readonly dimensions: number;
  readonly pooling: readonly Pooling[];
  /** Texts that `promptName` knows. */
  readonly prompts: Readonly<Record<string, string>>;
  /** The prompt that is taken where neither `prompt` nor `promptName` is given; null for none. */
  readonly defaultPrompt: string | null;
  /** By which they are meant to be compared: see `similarity`. */
  readonly similarity: SimilarityMetric;
}

const OPTIONS: readonly (keyof EmbedOptions & string)[] = [
  "pooling",
  "normalize",
  "prompt",
  "promptName",
  "maxTokens",
  "dimensions",
  "precision",
  "ranges",
];

/** See `Encoder.embed`. */
export async function embed<P extends EmbeddingPrecision | "f32" = "f32">(
  host: TaskHost,
  texts: string | readonly string[],
  options: EmbedOptions<P> = {},
): Promise<Embedding<P> | Embedding<P>[]> {
  checkOptionsOf("embed", options, OPTIONS);
  const given = checkTexts("embed", texts);
  host.tokenizer("embed");
  if (host.sentence.problem !== null)
    throw new Error(`embed: this model gives no embeddings: ${host.sentence.problem}`);
  const plan = planOf(host, options);
  const { signal } = options;
  const prompted = given.map((text) => plan.prompt + text);
  const inputs = await tokenizeSentences(host, "embed", prompted, plan.maxTokens, signal);
  const first = await promptTokens(host, plan);
  const results = new Array<Embedding<P>>(inputs.length);
  await host.encode(
    inputs,
    [],
    (i, { hidden }) => {
      let vector = pool(hidden, host.hiddenSize, plan.pooling, first);
      for (const module of plan.modules) vector = applyModule(host.kernels, module, vector);
      vector = vector.subarray(0, plan.width);
      if (plan.normalize) vector = unitLength(vector);
      results[i] = inPrecision(Float32Array.from(vector), options);
    },
    options,
  );
  return typeof texts === "string" ? results[0] : results;
}

/** What the options and the model's files come to. */
interface Plan {
  readonly pooling: readonly Pooling[];
  readonly modules: readonly EmbeddingModule[];
  /** At the end, behind the cut. */
  readonly normalize: boolean;
  readonly prompt: string;
  readonly maxTokens: number;
  /** Of the vectors that are given. */
  readonly width: number;
}

function planOf(host: TaskHost, options: EmbedOptions<EmbeddingPrecision | "f32">): Plan {
  const { sentence } = host;
  const { normalize, dimensions, maxTokens } = options;
  if (normalize !== undefined) checkFlag("normalize", normalize);
  const pooling = options.pooling === undefined ? sentence.pooling : poolingsOf(options.pooling);
  const modules = normalize === false ? withoutLastNormalize(sentence.modules) : sentence.modules;
  const whole = embeddingWidth(host.hiddenSize, pooling, modules);
  const width = dimensions === undefined ? whole : checkInteger("dimensions", dimensions, 1, whole);
  checkPrecision(options, width);
  return {
    pooling,
    modules,
    normalize: normalize === true,
    prompt: promptOf(host, options),
    maxTokens: tokenLimit(host, maxTokens),
    width,
  };
}

function poolingsOf(given: Pooling | readonly Pooling[]): readonly Pooling[] {
  const poolings: readonly Pooling[] = typeof given === "string" ? [given] : given;
  if (!Array.isArray(poolings)) {
    throw new TypeError(`pooling: expected a name or an array of names, got ${kindOf(given)}`);
  }
  if (poolings.length === 0) throw new RangeError("pooling: expected at least one name, got none");
  for (const pooling of poolings) {
    if (!POOLINGS.includes(pooling)) {
      throw new RangeError(`pooling: expected one of ${POOLINGS.join(", ")}, got ${String(pooling)}`);
    }
  }
  return [...poolings];
}

function withoutLastNormalize(modules: readonly EmbeddingModule[]): readonly EmbeddingModule[] {
  return modules.at(-1)?.type === "normalize" ? modules.slice(0, -1) : modules;
}

/**
 * How many numbers an embedding has.
 *
 * @throws RangeError for a pooling that the modules cannot take
 */
export function embeddingWidth(
  hiddenSize: number,
  pooling: readonly Pooling[],
  modules: readonly EmbeddingModule[],
): number {
  let width = hiddenSize * pooling.length;
  for (const module of modules) {
    const next = outputWidth(module, width);
    if (next === null) {
      throw new RangeError(
        `pooling: ${pooling.join(" and ")} give ${width} numbers, which the model's ${module.type} module does not take`,
      );
    }
    width = next;
  }
  return width;
}

function checkPrecision({ precision = "f32", ranges }: EmbedOptions<EmbeddingPrecision | "f32">, width: number): void {
  if (!PRECISIONS.includes(precision)) {
    throw new RangeError(`precision: expected one of ${PRECISIONS.join(", ")}, got ${String(precision)}`);
  }
  if (precision !== "f32") quantizeEmbedding(new Float32Array(width), precision, rangesOf(ranges));
  else if (ranges !== undefined) throw new RangeError("ranges: are for the precisions int8 and uint8");
}

function rangesOf(ranges: CalibrationRanges | undefined): { ranges?: CalibrationRanges } {
  return ranges === undefined ? {} : { ranges };
}

function inPrecision<P extends EmbeddingPrecision | "f32">(
  vector: Float32Array,
  { precision, ranges }: EmbedOptions<P>,
): Embedding<P> {
  const made =
    precision === undefined || precision === "f32"
      ? vector
      : quantizeEmbedding(vector, precision as EmbeddingPrecision, rangesOf(ranges));
  return made as Embedding<P>;
}

function promptOf({ sentence }: TaskHost, { prompt, promptName }: EmbedOptions<EmbeddingPrecision | "f32">): string {
  if (prompt !== undefined) {
    if (promptName !== undefined) throw new TypeError("embed: expected prompt or promptName, got both");
    if (typeof prompt !== "string") throw new TypeError(`prompt: expected a string, got ${kindOf(prompt)}`);
    return prompt;
  }
  const name = promptName ?? sentence.defaultPrompt;
  if (name === null) return "";
  if (!Object.hasOwn(sentence.prompts, name)) {
    throw new RangeError(
      `promptName: expected one of ${Object.keys(sentence.prompts).join(", ")}, got ${String(name)}`,
    );
  }
  return sentence.prompts[name];
}

/**
 * How many tokens at the front are the prompt's, and not pooled: as sentence-transformers counts them, those of the prompt
 * alone with the special tokens in front of it, whether or not the text's first word has grown together with it.
 */
async function promptTokens(host: TaskHost, { prompt, maxTokens }: Plan): Promise<number> {
  if (host.sentence.includePrompt || prompt === "") return 0;
  const [{ ids }] = await tokenizeSentences(host, "embed", [prompt], maxTokens, undefined);
  const last = ids.at(-1);
  return last !== undefined && host.tokenizer("embed").isSpecial(last) ? ids.length - 1 : ids.length;
}

/** Documents by how well they answer a query, as sentence-transformers' CrossEncoder scores them. */

import type { ScoreActivation } from "../embeddings/sentence-settings";
import { checkTexts, kindOf, type TaskHost, type TaskOptions } from "./host";
import { checkHead, checkOptionsOf, checkTopK } from "./inputs";
import { sigmoid } from "./scores";
import { tokenizeSentences, tokenLimit } from "./sentence-texts";

/** Options of `rerank`. */
export interface RerankOptions extends TaskOptions {
  /** How many of the best to give; all if left out. */
  readonly topK?: number;
  /**
   * What makes a score of the model's output: nothing, or 1 / (1 + e^-x). If left out, what the model's files say
   * (`activation_fn`), else `sigmoid`.
   */
  readonly activation?: ScoreActivation;
  /** Most tokens of a pair, special ones included; of a longer one, the end of the longer text is cut off. */
  readonly maxTokens?: number;
}

/** A document with its score. */
export interface RankedDocument {
  /** Which of the given documents. */
  readonly index: number;
  /** More is better. */
  readonly score: number;
  readonly document: string;
}

const ACTIVATIONS: readonly ScoreActivation[] = ["identity", "sigmoid"];

/** See `Encoder.rerank`. */
export async function rerank(
  host: TaskHost,
  query: string,
  documents: readonly string[],
  options: RerankOptions = {},
): Promise<RankedDocument[]> {
  checkOptionsOf("rerank", options, ["topK", "activation", "maxTokens"]);
  if (typeof query !== "string") throw new TypeError(`rerank: query: expected a string, got ${kindOf(query)}`);
  if (!Array.isArray(documents)) {
    throw new TypeError(`rerank: documents: expected an array of texts, got ${kindOf(documents)}`);
  }
  const given = [...checkTexts("rerank", documents)];
  const { topK = given.length, activation = host.sentence.scoreActivation, signal } = options;
  checkTopK(options.topK);
  if (!ACTIVATIONS.includes(activation)) {
    throw new RangeError(`activation: expected one of ${ACTIVATIONS.join(", ")}, got ${String(activation)}`);
  }
  checkCrossEncoder(host);
  host.tokenizer("rerank");
  const pairs = given.map((document) => [query, document] as const);
  const inputs = await tokenizeSentences(host, "rerank", pairs, tokenLimit(host, options.maxTokens), signal);
  const logits = new Float64Array(inputs.length);
  await host.encode(
    inputs,
    ["logits"],
    (i, { outputs }) => {
      logits[i] = (outputs.logits as Float32Array)[0];
    },
    options,
  );
  // By the output itself: scores close to 1 are equal before it is. Sorting is stable, so equals stay as given.
  const order = Array.from(logits.keys()).sort((a, b) => compare(logits[b], logits[a]));
  return order.slice(0, topK).map((index) => ({
    index,
    score: activation === "sigmoid" ? sigmoid(logits[index]) : logits[index],
    document: given[index],
  }));
}

/** As the sign of a - b, with NaN below every number. */
function compare(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(b)) - Number(Number.isNaN(a));
  return a < b ? -1 : a > b ? 1 : 0;
}

/** @throws Error for a model that is no cross-encoder */
function checkCrossEncoder(host: TaskHost): void {
  checkHead("rerank", host, "sequenceClassification");
  const { labels } = host.config;
  if (labels.length === 1) return;
  throw new Error(
    `rerank needs a cross-encoder, a classifier of texts with one output; this one has ${labels.length} ` +
      `(${labels.slice(0, 5).join(", ")}): see classify, which takes pairs`,
  );
}

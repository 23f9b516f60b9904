/** What an encoder lends to its tasks: texts to ids, and ids through the model in packed passes. */

import type { Tokenizer } from "@qkv/tokenize";
import type { SentenceSettings } from "../embeddings/sentence-settings";
import { Pacer } from "../pace";
import type { Cutting, TaskHost, TaskOptions, TextOrPair, TokenizedText } from "../tasks/host";
import type { EncoderConfig } from "./config";
import type { OutputName } from "./outputs";
import { packByTokens } from "./padded-batches";
import type { EncoderInput, EncoderOutput, PassRunner } from "./pass";
import { Turns } from "./turns";

/** Rows of a pass, unless the caller says otherwise: enough that weights are read seldom, few enough for the caches. */
export const DEFAULT_BATCH_TOKENS = 512;

/** What the host is made of. */
export interface TaskHostParts {
  readonly runner: PassRunner;
  readonly config: EncoderConfig;
  readonly tokenizer: Tokenizer | null;
  readonly tokenizerProblem: string | null;
  readonly maxTokens: number;
  readonly sentence: SentenceSettings;
  /** @throws Error once the model was disposed */
  readonly checkAlive: () => void;
}

export function createTaskHost(parts: TaskHostParts): TaskHost {
  const { runner, config, maxTokens: longest, sentence, checkAlive } = parts;
  const { network, kernels } = runner;

  const tokenizer = (task: string): Tokenizer => {
    checkAlive();
    if (parts.tokenizer !== null) return parts.tokenizer;
    throw new Error(`${task} needs a tokenizer, and this model has none: ${parts.tokenizerProblem}`);
  };

  const tokenize = (call: string, texts: readonly TextOrPair[], cutting: Cutting = {}): TokenizedText[] => {
    const { maxTokens = longest, strategy = "longestFirst", stride = 0 } = cutting;
    const truncation = { maxLength: Math.min(maxTokens, longest), strategy, stride };
    const hasTypes = network.typeVocabSize > 1;
    const by = cutting.tokenizer ?? tokenizer(call);
    const encodings = named(call, () => by.encodeBatch(texts, { truncation }));
    return encodings.map((encoding) => ({
      encoding,
      ids: encoding.ids,
      typeIds: hasTypes ? encoding.typeIds : null,
    }));
  };

  const turns = new Turns();

  const encode = async (
    inputs: readonly EncoderInput[],
    outputs: readonly OutputName[],
    each: (index: number, output: EncoderOutput) => void,
    { batchTokens = DEFAULT_BATCH_TOKENS, signal, onProgress }: TaskOptions,
  ): Promise<void> => {
    for (const [i, { ids }] of inputs.entries()) checkText(i, ids, network.vocabSize);
    const pacer = new Pacer();
    const batches = packByTokens(
      inputs.map(({ ids }) => ids.length),
      batchTokens,
    );
    let texts = 0;
    for (const indices of batches) {
      const pass = {
        inputs: indices.map((i) => inputs[i]),
        outputs,
        capture: null,
        each: (i: number, output: EncoderOutput) => each(indices[i], output),
      };
      const done = await turns.take(signal);
      try {
        checkAlive();
        for (const _ of runner.run(pass, pacer.due)) {
          await pacer.rest();
          checkAlive();
          signal?.throwIfAborted();
        }
      } finally {
        done();
      }
      texts += indices.length;
      onProgress?.({ done: texts, total: inputs.length });
      if (pacer.due()) await pacer.rest();
    }
    signal?.throwIfAborted();
  };

  return {
    kernels,
    config,
    heads: network.heads,
    hiddenSize: network.hiddenSize,
    maxTokens: longest,
    sentence,
    tokenizer,
    tokenize,
    encode,
  };
}

/** A tokenizer's ids may have gaps, and then reach further than its number of tokens, which is what loading compares. */
function checkText(index: number, ids: readonly number[], vocabSize: number): void {
  if (ids.length === 0) throw new RangeError(`texts[${index}] has no tokens`);
  const wrong = ids.find((id) => id >= vocabSize);
  if (wrong === undefined) return;
  throw new RangeError(`texts[${index}]: the tokenizer gives the id ${wrong}, and the model has ${vocabSize} words`);
}

/** What a text cannot be cut to is said by the tokenizer, which does not know for whom. */
function named<T>(call: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof RangeError) || !error.message.startsWith("truncation:")) throw error;
    throw new RangeError(`${call}: texts cannot be cut as asked: ${error.message}`, { cause: error });
  }
}

/** Whether a text follows another: BERT's second task of pretraining (Devlin et al. 2019, section 3.1). */

import { kindOf, type TaskHost, type TaskOptions } from "./host";
import { checkHead, checkOptionsOf, checkPair, tokenizeAll } from "./inputs";
import { softmax } from "./scores";

/** What the next sentence head says of a pair. */
export interface NextSentence {
  /** Probability, 0 to 1, that the second text followed the first where it was taken from. */
  readonly isNext: number;
  /** Of "it follows" and of "it does not". */
  readonly logits: readonly [isNext: number, isRandom: number];
}

/** A pair of texts. */
export type TextPair = readonly [first: string, second: string];

/** See `Encoder.nextSentence`. */
export async function nextSentence(
  host: TaskHost,
  given: TextPair | readonly TextPair[],
  options: TaskOptions,
): Promise<NextSentence | NextSentence[]> {
  const call = "nextSentence";
  checkOptionsOf(call, options, []);
  checkHead(call, host, "nextSentence");
  if (!Array.isArray(given)) throw new TypeError(`${call}: expected a pair or an array of pairs, got ${kindOf(given)}`);
  const isOne = typeof given[0] === "string";
  const pairs = isOne ? [checkPair("pair", given)] : given.map((pair: unknown, i) => checkPair(`pairs[${i}]`, pair));
  const inputs = await tokenizeAll(host, call, pairs, options);
  const results: NextSentence[] = [];
  await host.encode(
    inputs,
    ["nextSentenceLogits"],
    (index, { outputs }) => {
      const [isNext, isRandom] = outputs.nextSentenceLogits as Float32Array;
      results[index] = { isNext: softmax([isNext, isRandom])[0], logits: [isNext, isRandom] };
    },
    options,
  );
  return isOne ? results[0] : results;
}

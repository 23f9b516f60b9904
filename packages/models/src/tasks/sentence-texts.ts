/** Texts as sentence-transformers puts them into a model: its lengths, its lower case; in pieces that let others run. */

import { checkInteger } from "@qkv/core";
import { Tokenizer } from "@qkv/tokenize";
import type { EncoderInput } from "../encoder/pass";
import type { TaskHost, TextOrPair } from "./host";
import { paced } from "./inputs";

/**
 * Most tokens of a text: what the caller wants, else what sentence-transformers' files say, else the tokenizer's; never
 * more than the model takes.
 *
 * @throws RangeError
 */
export function tokenLimit(host: TaskHost, wanted: number | undefined): number {
  if (wanted !== undefined) return checkInteger("maxTokens", wanted, 1, host.maxTokens);
  const said = host.sentence.maxTokens ?? host.tokenizer("embed").modelMaxLength ?? host.maxTokens;
  return Math.min(said, host.maxTokens);
}

/**
 * Ids of texts or pairs, cut to a length.
 *
 * @param call for messages
 * @throws the signal's reason; RangeError for a length that has no room for special tokens
 */
export function tokenizeSentences(
  host: TaskHost,
  call: string,
  texts: readonly TextOrPair[],
  maxTokens: number,
  signal: AbortSignal | undefined,
): Promise<EncoderInput[]> {
  // Lowering the text itself would spoil "[MASK]": the tokenizer lowers what is no special token.
  const lowering = host.sentence.lowerCase ? { tokenizer: lowerCased(host.tokenizer(call)) } : {};
  // Ids alone: encodings of a hundred thousand texts would be heavy.
  return paced(texts, signal, (text) => {
    const [{ ids, typeIds }] = host.tokenize(call, [text], { maxTokens, ...lowering });
    return { ids, typeIds };
  });
}

/** Made once for each tokenizer. */
const LOWER_CASED = new WeakMap<Tokenizer, Tokenizer>();

/** `do_lower_case`: the same tokenizer behind a Lowercase, unless it has one. As sentence-transformers rebuilds it. */
function lowerCased(tokenizer: Tokenizer): Tokenizer {
  let made = LOWER_CASED.get(tokenizer);
  if (made === undefined) {
    const json = JSON.parse(tokenizer.save()) as { normalizer: Normalizer | null };
    const all = json.normalizer === null ? [] : (json.normalizer.normalizers ?? [json.normalizer]);
    const hasOne = all.some(({ type, lowercase }) => type === "Lowercase" || lowercase === true);
    const normalizer = { type: "Sequence", normalizers: [{ type: "Lowercase" }, ...all] };
    made = hasOne ? tokenizer : Tokenizer.fromTokenizerJson({ ...json, normalizer });
    LOWER_CASED.set(tokenizer, made);
  }
  return made;
}

/** What is asked of a normalizer of tokenizer.json. */
interface Normalizer {
  readonly type: string;
  readonly lowercase?: boolean;
  readonly normalizers?: readonly Normalizer[];
}

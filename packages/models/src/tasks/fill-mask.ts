/** Which words fit where a text has masks, by a masked language model. */

import type { Tokenizer } from "@qkv/tokenize";
import type { EncoderOutput } from "../encoder/pass";
import { Pacer } from "../pace";
import { checkTexts, kindOf, type TaskHost, type TaskOptions, type TokenizedText } from "./host";
import { checkHead, checkOptionsOf, checkTopK, paced } from "./inputs";
import { largest, softmax } from "./scores";

/** What the mask is called: in BERT's family, and in RoBERTa's. No file of ours names it otherwise. */
const MASK_TOKENS = ["[MASK]", "<mask>"];

const DEFAULT_TOP_K = 5;

/** Logits that are held until they are ranked: 64 MB, some hundred masks of BERT. */
const MAX_HELD_LOGITS = 2 ** 24;

/** Options of `Encoder.fillMask`. */
export interface FillMaskOptions extends TaskOptions {
  /** Most tokens for each mask: 5 if left out, or all of `targets`. */
  readonly topK?: number;
  /** The words to choose from, each a single token; all of the vocabulary if left out. */
  readonly targets?: string | readonly string[];
}

/** A token for a mask. */
export interface MaskFilling {
  /** The token's text: with its leading space in RoBERTa's family; "##s" for the rest of a word in BERT's. */
  readonly token: string;
  readonly id: number;
  /** Probability among the whole vocabulary, 0 to 1. */
  readonly score: number;
  /** The whole text with this token in the mask's place, as the tokenizer decodes it; other masks stay. */
  readonly text: string;
}

/** See `Encoder.fillMask`. */
export async function fillMask(
  host: TaskHost,
  given: string | readonly string[],
  options: FillMaskOptions,
): Promise<MaskFilling[][] | MaskFilling[][][]> {
  const call = "fillMask";
  checkOptionsOf(call, options, ["topK", "targets"]);
  const { targets } = options;
  checkTopK(options.topK);
  checkHead(call, host, "maskedLm");
  const texts = checkTexts(call, given);
  const tokenizer = host.tokenizer(call);
  const maskId = findMask(call, tokenizer);
  const targetIds = targets === undefined ? null : checkTargets(tokenizer, targets);
  const topK = options.topK ?? targetIds?.length ?? DEFAULT_TOP_K;

  const inputs = await paced(texts, options.signal, (text, i) =>
    maskedText(host, tokenizer, maskId, `${call}: texts[${i}]`, text),
  );
  const pacer = new Pacer();
  const results: MaskFilling[][][] = [];
  let done = 0;
  for (const group of groupsOf(inputs.map(({ headRows }) => headRows.length * host.config.vocabSize))) {
    const some = group.map((i) => inputs[i]);
    const logits: Float32Array[] = [];
    const onProgress = (progress: { done: number }) =>
      options.onProgress?.({ done: done + progress.done, total: texts.length });
    const keep = (index: number, { outputs }: EncoderOutput) => {
      logits[index] = outputs.logits as Float32Array;
    };
    await host.encode(some, ["logits"], keep, { ...options, onProgress });
    done += group.length;
    for (const [i, input] of some.entries()) {
      const V = logits[i].length / input.headRows.length;
      const byMask: MaskFilling[][] = [];
      for (let m = 0; m < input.headRows.length; m++) {
        const fillings: MaskFilling[] = [];
        for (const { id, score } of rank(logits[i].subarray(m * V, (m + 1) * V), targetIds, topK)) {
          if (pacer.due()) await pacer.rest();
          options.signal?.throwIfAborted();
          fillings.push(filling(tokenizer, input, m, id, score));
        }
        byMask.push(fillings);
      }
      results.push(byMask);
    }
  }
  return typeof given === "string" ? results[0] : results;
}

function findMask(call: string, tokenizer: Tokenizer): number {
  for (const token of MASK_TOKENS) {
    const id = tokenizer.tokenToId(token);
    if (id !== null && tokenizer.isSpecial(id)) return id;
  }
  throw new Error(`${call} needs a mask, and this model's tokenizer has no special token ${MASK_TOKENS.join(" or ")}`);
}

/** Ids of words, each once. Where transformers takes the first piece of a word that it does not know, this throws. */
function checkTargets(tokenizer: Tokenizer, given: string | readonly string[]): number[] {
  const targets: unknown = typeof given === "string" ? [given] : given;
  if (!Array.isArray(targets)) throw new TypeError(`targets: expected an array of words, got ${kindOf(given)}`);
  if (targets.length === 0) throw new RangeError("targets: expected at least one word, got none");
  const ids = targets.map((target: unknown, i): number => {
    if (typeof target !== "string") throw new TypeError(`targets[${i}]: expected a string, got ${kindOf(target)}`);
    const exact = tokenizer.tokenToId(target);
    if (exact !== null) return exact;
    const { ids, tokens } = tokenizer.encode(target, { addSpecialTokens: false });
    if (ids.length === 1 && ids[0] !== tokenizer.unkId) return ids[0];
    const pieces = tokens.length === 0 ? "none" : tokens.slice(0, 10).join(" ");
    throw new RangeError(
      `targets[${i}]: expected a single token, got ${JSON.stringify(target)}, whose tokens are ${pieces}`,
    );
  });
  return [...new Set(ids)];
}

/** A text and where its masks are. The mask counts as such wherever it is written, whatever the tokenizer's file says. */
function maskedText(
  host: TaskHost,
  tokenizer: Tokenizer,
  maskId: number,
  where: string,
  text: string,
): TokenizedText & { headRows: number[] } {
  const truncation = { maxLength: host.maxTokens };
  const encoding = tokenizer.encode(text, { truncation, parseSpecialTokens: true });
  const { ids } = encoding;
  if (encoding.overflowing.some((part) => part.ids.includes(maskId))) {
    throw new RangeError(`${where}: a mask lies beyond the ${host.maxTokens} tokens that this model takes`);
  }
  const headRows = ids.flatMap((id, row) => (id === maskId ? [row] : []));
  if (headRows.length === 0) {
    throw new RangeError(`${where} has no mask: write ${tokenizer.idToToken(maskId)} where a word is wanted`);
  }
  return { encoding, ids, typeIds: null, headRows };
}

/** Texts in a row whose logits are held together. */
function groupsOf(sizes: readonly number[]): number[][] {
  const groups: number[][] = [];
  let sum = 0;
  for (const [i, size] of sizes.entries()) {
    sum += size;
    const last = groups.at(-1);
    if (last !== undefined && sum <= MAX_HELD_LOGITS) last.push(i);
    else {
      groups.push([i]);
      sum = size;
    }
  }
  return groups;
}

/** The best tokens of a mask. */
function rank(logits: Float32Array, targets: readonly number[] | null, topK: number): { id: number; score: number }[] {
  const scores = softmax(logits);
  if (targets === null) return largest(logits, topK).map((id) => ({ id, score: scores[id] }));
  const order = [...targets].sort((a, b) => logits[b] - logits[a] || a - b);
  return order.slice(0, topK).map((id) => ({ id, score: scores[id] }));
}

function filling(
  tokenizer: Tokenizer,
  { encoding, ids, headRows }: TokenizedText & { headRows: number[] },
  mask: number,
  id: number,
  score: number,
): MaskFilling {
  const added = encoding.specialTokensMask;
  // Padding that is filled in leaves no trace, as in transformers.
  const filled = ids
    .map((each, row) => (row === headRows[mask] ? id : each))
    .filter((each, row) => added[row] === 0 && each !== tokenizer.padId);
  return {
    token: tokenizer.decode([id], { skipSpecialTokens: false }),
    id,
    score,
    // Special tokens that the text contains go, unless masks are among them.
    text: tokenizer.decode(filled, { skipSpecialTokens: headRows.length === 1 }),
  };
}

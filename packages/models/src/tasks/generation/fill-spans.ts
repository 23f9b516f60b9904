/** Gaps of a text, filled by a model that was trained on span corruption. */

import type { Tokenizer } from "@qkv/tokenize";
import { checkTexts } from "../host";
import {
  type GenerationTaskHost,
  splitOptions,
  type TextResult,
  type TextSequence,
  type TextToTextOptions,
} from "./host";
import { parseSpans, SENTINEL, type Sentinels, sentinel, sentinelsOf } from "./sentinels";
import { generateTexts } from "./texts";

/** One way to fill the gaps. */
export interface FilledSequence extends TextSequence {
  /** The text with its gaps filled. A gap that the model left out keeps its sentinel. */
  readonly text: string;
  /** What fills each gap, in the order in which they stand in the text; null for one that the model left out. */
  readonly spans: readonly (string | null)[];
  /** What the model wrote: sentinels, each with what stands behind it. */
  readonly generated: string;
}

/** The first, and with beams the best, way to fill the gaps, and all of them. */
export interface FilledSpans extends TextResult, FilledSequence {
  readonly text: string;
  readonly sequences: readonly FilledSequence[];
}

/** A text in parts: `before[i]` stands in front of gap i. */
interface Gapped {
  readonly before: readonly string[];
  readonly numbers: readonly number[];
  readonly after: string;
}

const CALL = "fillSpans";

/** See `Seq2Seq.fillSpans`. */
export async function fillSpans(
  host: GenerationTaskHost,
  given: string | readonly string[],
  options: TextToTextOptions,
): Promise<FilledSpans | FilledSpans[]> {
  const split = splitOptions(CALL, options);
  const texts = checkTexts(CALL, given);
  const tokenizer = host.tokenizer(CALL);
  const sentinels = sentinelsOf(CALL, tokenizer);
  const gapped = texts.map((text, i) => gapsOf(`${CALL}: texts[${i}]`, text, sentinels));
  const check = (ids: readonly number[], i: number): void => {
    const lost = gapped[i].numbers.find((number) => !ids.includes(sentinels.ids[number]));
    if (lost === undefined) return;
    throw new RangeError(
      `${CALL}: texts[${i}]: ${sentinel(lost)} is not among its tokens: it was cut off, or needs a space in front of it`,
    );
  };
  const form = { added: 0, ids: ({ ids }: { readonly ids: readonly number[] }) => ids, parseSpecialTokens: true };
  const settings = { prefix: "", defaults: host.defaults };
  const results = await generateTexts(host, { call: CALL, texts, options: split, settings, form, check });
  const filled = results.map((result, i): FilledSpans => {
    const sequences = result.sequences.map((sequence) => fill(sequence, gapped[i], tokenizer, sentinels));
    return { ...result, ...sequences[0], sequences };
  });
  return typeof given === "string" ? filled[0] : filled;
}

function gapsOf(where: string, text: string, { ids }: Sentinels): Gapped {
  const before: string[] = [];
  const numbers: number[] = [];
  let end = 0;
  for (const match of text.matchAll(SENTINEL)) {
    const number = Number(match[1]);
    if (number >= ids.length || match[0] !== sentinel(number))
      throw new RangeError(`${where}: ${match[0]} is none of the ${ids.length} sentinels ${sentinel(0)} and on`);
    if (numbers.includes(number)) throw new RangeError(`${where}: ${match[0]} stands there twice`);
    before.push(text.slice(end, match.index));
    numbers.push(number);
    end = match.index + match[0].length;
  }
  if (numbers.length === 0)
    throw new RangeError(
      `${where} has no gap: write ${sentinel(0)} where words are wanted, ${sentinel(1)} at the next place`,
    );
  return { before, numbers, after: text.slice(end) };
}

function fill(
  sequence: TextSequence,
  { before, numbers, after }: Gapped,
  tokenizer: Tokenizer,
  sentinels: Sentinels,
): FilledSequence {
  // Embeddings are often padded to a round number of rows: ids past the vocabulary have no text.
  const isKnown = (id: number) => id < tokenizer.vocabSize;
  const isText = (id: number) => isKnown(id) && !tokenizer.isSpecial(id);
  const found = parseSpans(sequence.ids, sentinels, isText);
  const spans: (string | null)[] = [];
  let text = "";
  for (const [i, number] of numbers.entries()) {
    const ids = found.get(number);
    const span = ids === undefined ? null : tokenizer.decode(ids);
    text += before[i];
    // A first piece that begins with a space is a word of its own.
    const isWord = ids?.[0] !== undefined && tokenizer.idToToken(ids[0])?.startsWith("\u2581") === true;
    if (span !== null && isWord && text !== "" && !/\s$/u.test(text)) text += " ";
    text += span ?? sentinel(number);
    spans.push(span);
  }
  const written = sequence.ids.filter((id) => isText(id) || sentinels.numbers.has(id));
  return {
    ...sequence,
    text: text + after,
    spans,
    generated: tokenizer.decode(written, { skipSpecialTokens: false }),
  };
}

/** Labels of tokens, and the entities that they make: names, places, parts of speech. */

import { checkInteger } from "@qkv/core";
import type { Encoding, Tokenizer } from "@qkv/tokenize";
import {
  AGGREGATIONS,
  type Aggregation,
  groupTokens,
  type LabelledSpan,
  mergeEntities,
  mergeTokens,
  type ScoredToken,
} from "./entities";
import { checkTexts, kindOf, type TaskHost, type TaskOptions } from "./host";
import { checkHead, checkOptionsOf, encodeParts, tokenizeAll } from "./inputs";
import { softmax } from "./scores";
import { windowsOf } from "./windows";

/** A part of a text with its label. */
export interface Entity {
  /** The entity's type, without B- or I-; under the aggregation "none" the token's label as it is. */
  readonly label: string;
  /** Probability, 0 to 1: of an entity the mean over its tokens, or words. */
  readonly score: number;
  /** `text.slice(start, end)`: UTF-16 units. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Options of `Encoder.tokenClassify`. */
export interface TokenClassifyOptions extends TaskOptions {
  /** "simple" if left out. */
  readonly aggregation?: Aggregation;
  /** Labels to leave out: types of entities, or under "none" labels of tokens. ["O"] if left out. */
  readonly ignoreLabels?: readonly string[];
  /** Tokens that two windows share where a text is longer than the model. A quarter of a window if left out. */
  readonly stride?: number;
}

/** See `Encoder.tokenClassify`. */
export async function tokenClassify(
  host: TaskHost,
  given: string | readonly string[],
  options: TokenClassifyOptions,
): Promise<Entity[] | Entity[][]> {
  const call = "tokenClassify";
  checkOptionsOf(call, options, ["aggregation", "ignoreLabels", "stride"]);
  const { aggregation = "simple", ignoreLabels = ["O"] } = options;
  if (!AGGREGATIONS.includes(aggregation)) {
    throw new RangeError(`aggregation: expected one of ${AGGREGATIONS.join(", ")}, got ${String(aggregation)}`);
  }
  if (!Array.isArray(ignoreLabels) || !ignoreLabels.every((label) => typeof label === "string")) {
    throw new TypeError(`ignoreLabels: expected an array of strings, got ${kindOf(ignoreLabels)}`);
  }
  checkHead(call, host, "tokenClassification");
  const texts = checkTexts(call, given);
  const tokenizer = host.tokenizer(call);
  const room = host.maxTokens - tokenizer.encode("").length;
  if (room < 1) throw new RangeError(`${call}: ${host.maxTokens} tokens are too few for a text among special tokens`);
  const stride = checkInteger("stride", options.stride ?? Math.floor(room / 4), 0, room - 1);

  const inputs = await tokenizeAll(host, call, texts, options, { stride });
  const parts = inputs.map((input) => windowsOf(input, 0).filter(({ encoding }) => hasText(encoding)));
  const found = parts.map((windows) => windows.map((): LabelledSpan[] => []));
  const { labels } = host.config;
  const wordPieces = isWordPiece(tokenizer);
  const isWanted = ({ label }: LabelledSpan) => !ignoreLabels.includes(label);
  await encodeParts(
    host,
    parts,
    ["logits"],
    (text, window, { outputs }) => {
      const { encoding } = parts[text][window];
      const continues = wordPieces ? continuesPiece(encoding) : continuesText(encoding, texts[text], tokenizer.unkId);
      const tokens = scoredTokens(encoding, outputs.logits as Float32Array, labels.length, continues);
      const spans = groupTokens(tokens, labels, aggregation);
      found[text][window] = aggregation === "none" ? spans : spans.filter(isWanted);
    },
    options,
  );
  const results = found.map((windows, i) => {
    const spans = aggregation === "none" ? mergeTokens(windows, stride).filter(isWanted) : merged(windows);
    return spans.map((span): Entity => ({ ...span, text: texts[i].slice(span.start, span.end) }));
  });
  return typeof given === "string" ? results[0] : results;
}

function merged(windows: readonly LabelledSpan[][]): readonly LabelledSpan[] {
  return windows.length === 1 ? windows[0] : mergeEntities(windows);
}

function hasText({ specialTokensMask }: Encoding): boolean {
  return specialTokensMask.includes(0);
}

function scoredTokens(
  { offsets, specialTokensMask }: Encoding,
  logits: Float32Array,
  C: number,
  continues: (row: number) => boolean,
): ScoredToken[] {
  return offsets.flatMap(([start, end], row) => {
    if (specialTokensMask[row] === 1) return [];
    const scores = softmax(logits.subarray(row * C, (row + 1) * C));
    return [{ start, end, continuesWord: continues(row), scores }];
  });
}

/**
 * Whether the tokenizer has words and marks what continues one, as WordPiece does. It is told by a word that no
 * vocabulary has: WordPiece cuts it into a piece and ##pieces, or finds it unknown as a whole.
 */
function isWordPiece(tokenizer: Tokenizer): boolean {
  const { tokens } = tokenizer.encode("qzxjqzxjqzxjqzxj", { addSpecialTokens: false });
  return tokens.length === 1 || tokens[1]?.startsWith("##") === true;
}

function continuesPiece({ wordIds }: Encoding): (row: number) => boolean {
  return (row) => row > 0 && wordIds[row] !== null && wordIds[row] === wordIds[row - 1];
}

/** Of other tokenizers words are what white space parts, as transformers has it: punctuation belongs to the word. */
function continuesText({ offsets, ids }: Encoding, text: string, unkId: number | null): (row: number) => boolean {
  return (row) => {
    const [start] = offsets[row];
    return start > 0 && ids[row] !== unkId && !/\s/.test(text.slice(start - 1, start + 1));
  };
}

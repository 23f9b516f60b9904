/** Labels of tokens to entities: words, spans of one type, and what windows that overlap say of the same place. */

import { argmax } from "./scores";

/** How the labels of tokens become entities. See `Encoder.tokenClassify`. */
export type Aggregation = "none" | "simple" | "first" | "average" | "max";

export const AGGREGATIONS: readonly Aggregation[] = ["none", "simple", "first", "average", "max"];

/** A token, and what the model says of it. */
export interface ScoredToken {
  /** In the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** It belongs to the word of the token before it. */
  readonly continuesWord: boolean;
  /** Probability of each label. */
  readonly scores: ArrayLike<number>;
}

/** A part of the text with a label. */
export interface LabelledSpan {
  readonly label: string;
  readonly score: number;
  readonly start: number;
  readonly end: number;
}

/** Tokens in a row as entities, those without a meaning ("O") too. */
export function groupTokens(
  tokens: readonly ScoredToken[],
  labels: readonly string[],
  aggregation: Aggregation,
): LabelledSpan[] {
  if (aggregation === "none") return tokens.map((token) => labelled([token], token.scores, labels));
  const words =
    aggregation === "simple"
      ? tokens.map((token) => labelled([token], token.scores, labels))
      : wordsOf(tokens).map((word) => labelled(word, wordScores(word, aggregation), labels));
  return joinSpans(words);
}

function labelled(tokens: readonly ScoredToken[], scores: ArrayLike<number>, labels: readonly string[]): LabelledSpan {
  const best = argmax(scores);
  return { label: labels[best], score: scores[best], start: tokens[0].start, end: tokens[tokens.length - 1].end };
}

function wordsOf(tokens: readonly ScoredToken[]): ScoredToken[][] {
  const words: ScoredToken[][] = [];
  for (const token of tokens) {
    const last = words.at(-1);
    if (token.continuesWord && last !== undefined) last.push(token);
    else words.push([token]);
  }
  return words;
}

/** Scores of a word: its first token's, those of the token that is surest, or the mean by label. */
function wordScores(word: readonly ScoredToken[], aggregation: "first" | "average" | "max"): ArrayLike<number> {
  if (aggregation === "first") return word[0].scores;
  const mostOf = ({ scores }: ScoredToken) => scores[argmax(scores)];
  if (aggregation === "max") return word.reduce((a, b) => (mostOf(b) > mostOf(a) ? b : a)).scores;
  return Float64Array.from(word[0].scores, (_, label) => mean(word.map(({ scores }) => scores[label])));
}

/** Neighbours of one type become one span, unless the later is marked as a beginning (B-). Its label is the type. */
function joinSpans(spans: readonly LabelledSpan[]): LabelledSpan[] {
  const groups: LabelledSpan[][] = [];
  for (const span of spans) {
    const last = groups.at(-1);
    const previous = last?.at(-1)?.label;
    const goesOn = previous !== undefined && !span.label.startsWith("B-") && typeOf(span.label) === typeOf(previous);
    if (goesOn) last?.push(span);
    else groups.push([span]);
  }
  return groups.map((group) => ({
    // Other marks than B- and I- end a span, as in transformers, but are no part of the type.
    label: group[0].label.replace(/^[BILOUES]-/, ""),
    score: mean(group.map(({ score }) => score)),
    start: group[0].start,
    end: group[group.length - 1].end,
  }));
}

function typeOf(label: string): string {
  return label.replace(/^[BI]-/, "");
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Of entities from several windows that overlap in the text the longest, of equally long ones the one with the best
 * score: an entity that a window's border cuts is whole in the next window.
 */
export function mergeEntities(windows: readonly (readonly LabelledSpan[])[]): LabelledSpan[] {
  const merged: LabelledSpan[] = [];
  for (const span of windows.flat().sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last === undefined || span.start >= last.end) merged.push(span);
    else {
      const longer = span.end - span.start - (last.end - last.start);
      if (longer > 0 || (longer === 0 && span.score > last.score)) merged[merged.length - 1] = span;
    }
  }
  return merged;
}

/**
 * Each token once, from the window in which it has more text on its narrower side; of equals from the first.
 *
 * @param windows the tokens of each, of which the last `stride` are the first of the next
 */
export function mergeTokens<T>(windows: readonly (readonly T[])[], stride: number): T[] {
  const merged: T[] = [];
  const contexts: number[] = [];
  let first = 0;
  for (const tokens of windows) {
    for (const [i, token] of tokens.entries()) {
      const context = Math.min(i, tokens.length - 1 - i);
      const at = first + i;
      if (at < merged.length && context <= contexts[at]) continue;
      merged[at] = token;
      contexts[at] = context;
    }
    first += tokens.length - stride;
  }
  return merged;
}

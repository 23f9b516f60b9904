/** Which spans of a context answer a question, in one window: probabilities, SQuAD 2.0's scores, and words. */

import type { Encoding } from "@qkv/tokenize";
import { largest, softmax } from "./scores";

/** A span of the context, in UTF-16 units. */
export interface CharSpan {
  readonly start: number;
  readonly end: number;
  /** Probability of its start times that of its end. */
  readonly score: number;
}

/** What a window says. */
export interface WindowAnswers {
  /** Best first. */
  readonly spans: readonly CharSpan[];
  /** Logits of start and end at the first token, [CLS], summed: s_null (Devlin et al. 2019, section 4.3). */
  readonly nullScore: number;
  /** Probability of start and end at [CLS]. */
  readonly nullProbability: number;
  /** The largest sum of a start's and an end's logit among all spans; -Infinity where there is none. */
  readonly bestSpanScore: number;
}

export interface SpanRules {
  /** Most spans. */
  readonly count: number;
  /** Most tokens of a span. */
  readonly maxTokens: number;
  /** Whether spans grow to whole words. */
  readonly alignToWords: boolean;
}

/**
 * The best spans of a window. A span lies in the context (sequence 1), ends where it begins or later, has at most
 * `maxTokens`, and is not white space alone; probabilities are taken over the context and [CLS].
 */
export function answersOfWindow(
  context: string,
  encoding: Encoding,
  startLogits: Float32Array,
  endLogits: Float32Array,
  { count, maxTokens, alignToWords }: SpanRules,
): WindowAnswers {
  const { sequenceIds, offsets } = encoding;
  const first = sequenceIds.indexOf(1);
  const T = first < 0 ? 0 : sequenceIds.lastIndexOf(1) + 1 - first;
  const withNull = (logits: Float32Array) =>
    softmax([logits[0], ...(first < 0 ? [] : logits.subarray(first, first + T))]);
  const starts = withNull(startLogits);
  const ends = withNull(endLogits);

  const isBlank = Array.from({ length: T }, (_, i) => context.slice(...offsets[first + i]).trim() === "");
  const longest = Math.min(maxTokens, T);
  const scores = new Float64Array(T * longest).fill(-1); // [start, tokens - 1]; -1 for what is no span
  let bestSpanScore = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < T; i++) {
    let hasText = false;
    for (let j = i; j < Math.min(i + longest, T); j++) {
      hasText ||= !isBlank[j];
      if (!hasText) continue;
      scores[i * longest + j - i] = starts[1 + i] * ends[1 + j];
      bestSpanScore = Math.max(bestSpanScore, startLogits[first + i] + endLogits[first + j]);
    }
  }
  const spans = largest(scores, count)
    .filter((index) => scores[index] >= 0)
    .map((index): CharSpan => {
      const i = first + Math.floor(index / longest);
      const j = i + (index % longest);
      const [from, to] = alignToWords ? wholeWords(encoding, i, j) : [i, j];
      return { start: offsets[from][0], end: offsets[to][1], score: scores[index] };
    });
  return {
    spans,
    nullScore: startLogits[0] + endLogits[0],
    nullProbability: starts[0] * ends[0],
    bestSpanScore,
  };
}

/** The first and the last token of the words that two tokens of the context lie in. */
function wholeWords({ wordIds, sequenceIds }: Encoding, from: number, to: number): [from: number, to: number] {
  const isSame = (a: number, b: number) => sequenceIds[b] === 1 && wordIds[a] !== null && wordIds[a] === wordIds[b];
  let [first, last] = [from, to];
  while (isSame(first, first - 1)) first--;
  while (isSame(last, last + 1)) last++;
  return [first, last];
}

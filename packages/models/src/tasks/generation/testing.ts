/** For tests: tokenizers of a few words, and a host that remembers what it is asked to generate from. */

import { Tokenizer } from "@qkv/tokenize";
import type { GeneratedSequence, GenerationResult } from "../../generate/generation";
import { type GenerationDefaults, NO_DEFAULTS } from "../../generate/generation-config";
import type { GenerateOptions } from "../../generate/options";
import type { GenerationTaskHost } from "./host";

const SPACE = "\u2581";

/** What a tokenizer is made of; ids are the places in special, words, pieces, more. */
export interface TinyVocabulary {
  readonly special: readonly string[];
  /** Each with a space in front, and on its own. */
  readonly words: readonly string[];
  /** As they are. */
  readonly pieces?: readonly string[];
  /** Special tokens behind the words. */
  readonly more?: readonly string[];
  /** What is put before and behind a text. */
  readonly before?: readonly string[];
  readonly after?: readonly string[];
}

export function tinyTokenizer({
  special,
  words,
  pieces = [],
  more = [],
  before = [],
  after = [],
}: TinyVocabulary): Tokenizer {
  const vocab = [...special, ...words.flatMap((word) => [SPACE + word, word]), ...pieces, ...more];
  const token = (content: string) => ({
    ...{ id: vocab.indexOf(content), content, special: true },
    ...{ single_word: false, lstrip: false, rstrip: false, normalized: false },
  });
  const around = (tokens: readonly string[]) => tokens.map((id) => ({ SpecialToken: { id, type_id: 0 } }));
  const template = [...around(before), { Sequence: { id: "A", type_id: 0 } }, ...around(after)];
  const metaspace = { type: "Metaspace", replacement: SPACE, prepend_scheme: "always", split: true };
  return Tokenizer.fromTokenizerJson({
    added_tokens: [...special, ...more].map(token),
    normalizer: null,
    pre_tokenizer: metaspace,
    post_processor: {
      type: "TemplateProcessing",
      single: template,
      pair: [...template, { Sequence: { id: "B", type_id: 0 } }],
      special_tokens: Object.fromEntries(
        [...before, ...after].map((id) => [id, { id, ids: [vocab.indexOf(id)], tokens: [id] }]),
      ),
    },
    decoder: metaspace,
    model: {
      type: "Unigram",
      unk_id: vocab.indexOf("<unk>"),
      vocab: vocab.map((text) => [text, -1]),
      byte_fallback: false,
    },
  });
}

/** What a host was asked. */
export interface Asked {
  readonly sources: readonly (readonly number[])[];
  readonly options: GenerateOptions;
  readonly defaults: GenerationDefaults;
}

/** A host that writes what it is told to, and what it was asked. */
export interface RecordingHost extends GenerationTaskHost {
  readonly asked: Asked[];
}

/**
 * @param write ids of a text for the n-th source of a call; none if left out
 */
export function recordingHost(
  tokenizer: Tokenizer,
  parts: Partial<GenerationTaskHost> = {},
  write: (index: number) => readonly number[] = () => [],
): RecordingHost {
  const asked: Asked[] = [];
  const resultOf = (ids: readonly number[], promptTokens: number): GenerationResult => {
    const text = tokenizer.decode(ids);
    const sequence: GeneratedSequence = { text, ids, finishReason: "stop", score: null, tokenScores: null };
    return { ...sequence, sequences: [sequence], promptTokens, seed: null };
  };
  return {
    architecture: "t5",
    defaults: NO_DEFAULTS,
    maxTokens: 512,
    canGrow: false,
    tokenizer: () => tokenizer,
    generate: async (sources, options, defaults, onDone) => {
      asked.push({ sources, options, defaults });
      onDone(sources.length);
      return sources.map((source, i) => resultOf(write(i), source.length));
    },
    ...parts,
    asked,
  };
}

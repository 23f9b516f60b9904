/** Stage 5: turns token strings back into text, as tokenizer.json's decoders do and as sentencepiece and run.c do. */

import { unreachable } from "../errors";
import {
  BYTE_LEVEL_OPTIONS,
  flagOr,
  inSnakeCase,
  integerFrom,
  type JsonCursor,
  type StepCount,
  textUpTo,
} from "../json";
import { MAX_GROWTH, MAX_PATTERN_LENGTH, MAX_STRIP } from "../limits";
import {
  formatReplace,
  grownByReplace,
  parseReplace,
  type Replace,
  replaceIn,
  replaceString,
} from "../normalizers/replace";
import { type PrependScheme, parseMetaspace } from "../pre-tokenizers/metaspace";
import { type SentencePieceDecoder, sentencePieceStage } from "../sources/sentence-piece-decoder";
import { byteLevelStage } from "./byte-level";
import type { Sink } from "./sink";
import {
  byteFallbackStage,
  dummyPrefixStage,
  fuseStage,
  type InvalidBytes,
  joinStage,
  metaspaceStage,
  replaceStage,
  stripStage,
  tokenStage,
} from "./stages";
import { bpeStage, ctcStage, wordPieceStage } from "./words";

export type Decoder =
  | Replace
  | { readonly type: "BPEDecoder"; readonly suffix: string }
  /** The options do nothing here, and are kept for saving. */
  | {
      readonly type: "ByteLevel";
      readonly addPrefixSpace?: boolean;
      readonly trimOffsets?: boolean;
      readonly useRegex?: boolean;
    }
  | { readonly type: "WordPiece"; readonly prefix: string; readonly cleanup: boolean }
  | {
      readonly type: "CTC";
      readonly padToken: string;
      readonly wordDelimiterToken: string;
      readonly cleanup: boolean;
    }
  | { readonly type: "ByteFallback"; readonly invalid: InvalidBytes }
  | { readonly type: "Fuse" }
  | { readonly type: "Strip"; readonly content: string; readonly start: number; readonly stop: number }
  | {
      readonly type: "Metaspace";
      readonly replacement: string;
      readonly prependScheme: PrependScheme;
      /** Does nothing here, and is kept for saving. */
      readonly split?: boolean;
    }
  | { readonly type: "StripDummyPrefix" }
  | SentencePieceDecoder
  | { readonly type: "Sequence"; readonly decoders: readonly Decoder[] };

const SUPPORTED =
  "null, BPEDecoder, ByteLevel, WordPiece, Metaspace, CTC, Replace, Fuse, Strip, ByteFallback, Sequence";

/** Opens the decoder as a chain that ends in `out`: push token strings into it, then finish. Null puts spaces between. */
export function openDecoder(decoder: Decoder | null, out: Sink): Sink {
  return decoder === null ? joinStage(" ", out) : openStage(decoder, out);
}

function openStage(decoder: Decoder, next: Sink): Sink {
  switch (decoder.type) {
    case "Replace": {
      const { pattern, content } = decoder;
      // A regular expression sees the whole token.
      return pattern.type === "String" && pattern.string !== ""
        ? replaceStage(pattern.string, content, next)
        : tokenStage((token) => replaceIn(decoder, token), next);
    }
    case "BPEDecoder":
      return bpeStage(decoder.suffix, next);
    case "ByteLevel":
      return byteLevelStage(next);
    case "WordPiece":
      return wordPieceStage(decoder.prefix, decoder.cleanup, next);
    case "CTC":
      return ctcStage(decoder.padToken, decoder.wordDelimiterToken, decoder.cleanup, next);
    case "ByteFallback":
      return byteFallbackStage(decoder.invalid, next);
    case "Fuse":
      return fuseStage(next);
    case "Strip":
      return stripStage(decoder.content, decoder.start, decoder.stop, next);
    case "Metaspace":
      return metaspaceStage(decoder.replacement, decoder.prependScheme !== "never", next);
    case "StripDummyPrefix":
      return dummyPrefixStage(next);
    case "SentencePiece":
      return sentencePieceStage(decoder, next);
    case "Sequence":
      return decoder.decoders.reduceRight((sink, step) => openStage(step, sink), next);
    default:
      return unreachable(decoder, "decoder");
  }
}

/** Reads `decoder` of a tokenizer.json. */
export function parseDecoder(json: JsonCursor): Decoder | null {
  const decoder = parseStep(json, { steps: 0 });
  if (decoder !== null && grow(1, decoder) > MAX_GROWTH) {
    json.fail(`replacements that lengthen a text at most ${MAX_GROWTH} times`);
  }
  return decoder;
}

/** Greatest length that a decoder makes of a token of `length`. */
function grow(length: number, decoder: Decoder): number {
  switch (decoder.type) {
    case "Replace":
      return grownByReplace(decoder, length);
    case "BPEDecoder":
      return grownByReplace(replaceString(decoder.suffix, " "), length);
    case "CTC":
      return grownByReplace(replaceString(decoder.wordDelimiterToken, " "), length);
    case "Sequence":
      return decoder.decoders.reduce(grow, length);
    default:
      return length;
  }
}

const pattern = textUpTo(MAX_PATTERN_LENGTH);

function parseStep(json: JsonCursor, count: StepCount): Decoder | null {
  if (json.isNull) return null;
  const type = json.get("type");
  const kind = type.value;
  switch (kind) {
    case "Replace":
      return parseReplace(json);
    case "BPEDecoder":
      return { type: kind, ...json.options({ suffix: pattern }) };
    case "ByteLevel":
      return { type: kind, ...json.options(BYTE_LEVEL_OPTIONS) };
    case "WordPiece":
      return { type: kind, ...json.options({ prefix: pattern, cleanup: flagOr(true) }) };
    case "CTC":
      return {
        type: kind,
        ...json.options({ pad_token: pattern, word_delimiter_token: pattern, cleanup: flagOr(true) }),
      };
    case "ByteFallback":
      json.onlyKeys(["type"]);
      return { type: kind, invalid: "run" };
    case "Fuse":
      json.onlyKeys(["type"]);
      return { type: kind };
    case "Strip": {
      const times = integerFrom(0, MAX_STRIP);
      return { type: kind, ...json.options({ content: (content) => content.character(), start: times, stop: times }) };
    }
    case "Metaspace":
      return { type: kind, ...parseMetaspace(json) };
    case "Sequence":
      return { type: kind, decoders: json.sequence("decoders", count, parseStep) };
    default:
      return type.unsupported(SUPPORTED);
  }
}

/** The decoder as tokenizer.json has it. */
export function formatDecoder(decoder: Decoder | null): unknown {
  if (decoder === null) return null;
  switch (decoder.type) {
    case "Replace":
      return formatReplace(decoder);
    case "ByteLevel":
      return {
        type: "ByteLevel",
        add_prefix_space: true,
        trim_offsets: true,
        use_regex: true,
        ...inSnakeCase(decoder),
      };
    case "Metaspace":
      return { split: true, ...inSnakeCase(decoder) };
    case "ByteFallback":
      return { type: "ByteFallback" };
    case "SentencePiece":
      throw new TypeError("a sentencepiece model is saved in Hugging Face's components");
    case "StripDummyPrefix":
      // Behind a Fuse the whole text is the first token.
      return { type: "Sequence", decoders: [{ type: "Fuse" }, { type: "Strip", content: " ", start: 1, stop: 0 }] };
    case "Sequence":
      return { type: "Sequence", decoders: decoder.decoders.map(formatDecoder) };
    default:
      return inSnakeCase(decoder);
  }
}

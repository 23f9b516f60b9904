/** Stage 5: turns token strings back into text, as tokenizer.json's decoders do and as sentencepiece and run.c do. */

import { unreachable } from "../errors";
import type { JsonCursor, StepCount } from "../json";
import { MAX_GROWTH, MAX_PATTERN_LENGTH, MAX_STRIP } from "../limits";
import { formatReplace, grownByReplace, parseReplace, type Replace, replaceIn } from "../normalizers/replace";
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
      return grownByReplace(spaceFor(decoder.suffix), length);
    case "CTC":
      return grownByReplace(spaceFor(decoder.wordDelimiterToken), length);
    case "Sequence":
      return decoder.decoders.reduce(grow, length);
    default:
      return length;
  }
}

function spaceFor(string: string): Replace {
  return { type: "Replace", pattern: { type: "String", string }, content: " " };
}

function parseStep(json: JsonCursor, count: StepCount): Decoder | null {
  if (json.isNull) return null;
  const type = json.get("type");
  const kind = type.value;
  switch (kind) {
    case "Replace":
      return parseReplace(json);
    case "BPEDecoder":
      json.onlyKeys(["type", "suffix"]);
      return { type: kind, suffix: json.get("suffix").string(MAX_PATTERN_LENGTH) };
    case "ByteLevel":
      json.onlyKeys(["type", "add_prefix_space", "trim_offsets", "use_regex"]);
      return {
        type: kind,
        addPrefixSpace: json.get("add_prefix_space").boolean(true),
        trimOffsets: json.get("trim_offsets").boolean(true),
        useRegex: json.get("use_regex").boolean(true),
      };
    case "WordPiece":
      json.onlyKeys(["type", "prefix", "cleanup"]);
      return {
        type: kind,
        prefix: json.get("prefix").string(MAX_PATTERN_LENGTH),
        cleanup: json.get("cleanup").boolean(true),
      };
    case "CTC":
      json.onlyKeys(["type", "pad_token", "word_delimiter_token", "cleanup"]);
      return {
        type: kind,
        padToken: json.get("pad_token").string(MAX_PATTERN_LENGTH),
        wordDelimiterToken: json.get("word_delimiter_token").string(MAX_PATTERN_LENGTH),
        cleanup: json.get("cleanup").boolean(true),
      };
    case "ByteFallback":
      json.onlyKeys(["type"]);
      return { type: kind, invalid: "run" };
    case "Fuse":
      json.onlyKeys(["type"]);
      return { type: kind };
    case "Strip": {
      json.onlyKeys(["type", "content", "start", "stop"]);
      const [start, stop] = [json.get("start").integer(0, MAX_STRIP), json.get("stop").integer(0, MAX_STRIP)];
      return { type: kind, content: json.get("content").character(), start, stop };
    }
    case "Metaspace":
      return { type: kind, ...parseMetaspace(json) };
    case "Sequence": {
      json.onlyKeys(["type", "decoders"]);
      const steps = json.get("decoders").steps(count);
      return { type: kind, decoders: steps.map((step) => parseStep(step, count)).filter((step) => step !== null) };
    }
    default:
      return type.unsupported(SUPPORTED);
  }
}

/** The decoder as tokenizer.json has it. */
export function formatDecoder(decoder: Decoder | null): unknown {
  if (decoder === null) return null;
  const { type } = decoder;
  switch (type) {
    case "Replace":
      return formatReplace(decoder);
    case "ByteLevel":
      return {
        type,
        add_prefix_space: decoder.addPrefixSpace ?? true,
        trim_offsets: decoder.trimOffsets ?? true,
        use_regex: decoder.useRegex ?? true,
      };
    case "CTC":
      return {
        type,
        pad_token: decoder.padToken,
        word_delimiter_token: decoder.wordDelimiterToken,
        cleanup: decoder.cleanup,
      };
    case "Metaspace":
      return {
        type,
        replacement: decoder.replacement,
        prepend_scheme: decoder.prependScheme,
        split: decoder.split ?? true,
      };
    case "ByteFallback":
    case "Fuse":
      return { type };
    case "BPEDecoder":
    case "WordPiece":
    case "Strip":
      return { ...decoder };
    case "SentencePiece":
      throw new TypeError("a sentencepiece model is saved in Hugging Face's components");
    case "StripDummyPrefix":
      // Behind a Fuse the whole text is the first token.
      return { type: "Sequence", decoders: [{ type: "Fuse" }, { type: "Strip", content: " ", start: 1, stop: 0 }] };
    case "Sequence":
      return { type, decoders: decoder.decoders.map(formatDecoder) };
    default:
      return unreachable(decoder, "decoder");
  }
}

/**
 * Stage 5: turns token strings back into text. Replace, ByteFallback, Fuse, Strip, Metaspace, Sequence as in
 * tokenizer.json, and StripDummyPrefix for what sentencepiece and run.c do.
 */

import {
  byteFallbackStage,
  dummyPrefixStage,
  fuseStage,
  type InvalidBytes,
  joinStage,
  metaspaceStage,
  replaceStage,
  type Sink,
  stripStage,
} from "./decoder-stages";
import { unreachable } from "./errors";
import type { JsonCursor, StepCount } from "./json";
import { MAX_GROWTH, MAX_STRIP } from "./limits";
import { growthOfReplacement, parseReplacement } from "./normalizer";
import { type PrependScheme, parseMetaspace } from "./pre-tokenizer";

export type Decoder =
  | {
      readonly type: "Replace";
      readonly pattern: string;
      readonly content: string;
    }
  | { readonly type: "ByteFallback"; readonly invalid: InvalidBytes }
  | { readonly type: "Fuse" }
  | {
      readonly type: "Strip";
      readonly content: string;
      readonly start: number;
      readonly stop: number;
    }
  | {
      readonly type: "Metaspace";
      readonly replacement: string;
      readonly prependScheme: PrependScheme;
    }
  | { readonly type: "StripDummyPrefix" }
  | { readonly type: "Sequence"; readonly decoders: readonly Decoder[] };

const SUPPORTED = "null, Replace, ByteFallback, Fuse, Strip, Metaspace, Sequence";

/** Opens the decoder as a chain that ends in `out`: push token strings into it, then finish. Null puts spaces between. */
export function openDecoder(decoder: Decoder | null, out: Sink): Sink {
  return decoder === null ? joinStage(" ", out) : openStage(decoder, out);
}

function openStage(decoder: Decoder, next: Sink): Sink {
  switch (decoder.type) {
    case "Replace":
      return replaceStage(decoder.pattern, decoder.content, next);
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
    case "Sequence":
      return decoder.decoders.reduceRight((sink, step) => openStage(step, sink), next);
    default:
      return unreachable(decoder, "decoder");
  }
}

/** Reads `decoder` of a tokenizer.json. */
export function parseDecoder(json: JsonCursor): Decoder | null {
  const decoder = parseStep(json, { steps: 0 });
  if (growth(decoder) > MAX_GROWTH) json.fail(`replacements that lengthen a text at most ${MAX_GROWTH} times`);
  return decoder;
}

function growth(decoder: Decoder | null): number {
  if (decoder?.type === "Replace") return growthOfReplacement(decoder);
  if (decoder?.type !== "Sequence") return 1;
  return decoder.decoders.reduce((product, step) => product * growth(step), 1);
}

function parseStep(json: JsonCursor, count: StepCount): Decoder | null {
  if (json.isNull) return null;
  const type = json.get("type");
  switch (type.value) {
    case "Replace":
      return { type: "Replace", ...parseReplacement(json) };
    case "ByteFallback":
      json.onlyKeys(["type"]);
      return { type: "ByteFallback", invalid: "run" };
    case "Fuse":
      json.onlyKeys(["type"]);
      return { type: "Fuse" };
    case "Strip": {
      json.onlyKeys(["type", "content", "start", "stop"]);
      const [start, stop] = [json.get("start").integer(0, MAX_STRIP), json.get("stop").integer(0, MAX_STRIP)];
      return {
        type: "Strip",
        content: json.get("content").character(),
        start,
        stop,
      };
    }
    case "Metaspace": {
      const { replacement, prependScheme } = parseMetaspace(json);
      return { type: "Metaspace", replacement, prependScheme };
    }
    case "Sequence": {
      json.onlyKeys(["type", "decoders"]);
      const steps = json
        .get("decoders")
        .steps(count)
        .map((step) => parseStep(step, count));
      return {
        type: "Sequence",
        decoders: steps.filter((step) => step !== null),
      };
    }
    default:
      return type.unsupported(SUPPORTED);
  }
}

/** Stage 1: rewrites the text before it is cut, and keeps track of where each part of it comes from. */

import { unreachable, unsupported } from "../errors";
import { flagOr, inSnakeCase, type JsonCursor, optional, type StepCount, textUpTo } from "../json";
import { MAX_GROWTH, MAX_PATTERN_LENGTH } from "../limits";
import { type AlignedText, TextWriter } from "../text/aligned-text";
import { toForm } from "../text/normalization-forms";
import { type BertNormalizer, normalizeBert } from "./bert";
import { lowercase, nmt, spellBytes, strip, stripAccents } from "./characters";
import { type Charsmap, charsmapFromBase64, charsmapToBase64, normalizePrecompiled } from "./charsmap";
import { formatReplace, grownByReplace, parseReplace, prefixed, type Replace, replaceAligned } from "./replace";
import { normalizeSentencePiece, type SentencePieceNormalizer } from "./sentence-piece";

/** Those without options. */
const PLAIN = {
  NFC: (source: AlignedText) => toForm("NFC", source),
  NFD: (source: AlignedText) => toForm("NFD", source),
  NFKC: (source: AlignedText) => toForm("NFKC", source),
  NFKD: (source: AlignedText) => toForm("NFKD", source),
  StripAccents: stripAccents,
  Lowercase: lowercase,
  Nmt: nmt,
  ByteLevel: spellBytes,
};
type PlainNormalizer = keyof typeof PLAIN;

export type Normalizer =
  | BertNormalizer
  | { readonly type: PlainNormalizer }
  | { readonly type: "Strip"; readonly stripLeft: boolean; readonly stripRight: boolean }
  | { readonly type: "Precompiled"; readonly charsmap: Charsmap }
  | Replace
  | { readonly type: "Prepend"; readonly prepend: string }
  | { readonly type: "Sequence"; readonly normalizers: readonly Normalizer[] }
  | SentencePieceNormalizer;

const SUPPORTED =
  "null, BertNormalizer, Strip, StripAccents, NFC, NFD, NFKC, NFKD, Lowercase, Nmt, Precompiled, Replace, Prepend, ByteLevel, Sequence";

/** The text as the model sees it. An empty text stays empty: no prefix is put before nothing. */
export function normalize(normalizer: Normalizer | null, source: AlignedText): AlignedText {
  return normalizer === null ? source : run(normalizer, source, source.origin);
}

/** `origin` is where the text starts in the user's, whatever was taken off since. */
function run(normalizer: Normalizer, source: AlignedText, origin: number): AlignedText {
  switch (normalizer.type) {
    case "BertNormalizer":
      return normalizeBert(normalizer, source);
    case "Strip":
      return strip(source, normalizer.stripLeft, normalizer.stripRight);
    case "Precompiled":
      return normalizePrecompiled(normalizer.charsmap, source);
    case "Replace":
      return replaceAligned(normalizer, source, origin);
    case "Prepend":
      return prepend(normalizer.prepend, source, origin);
    case "Sequence":
      return normalizer.normalizers.reduce((text, step) => checkLength(run(step, text, origin), source), source);
    case "SentencePiece":
      return normalizeSentencePiece(normalizer, source);
    default:
      return PLAIN[normalizer.type](source);
  }
}

/** What the check of the file counts once (a charsmap behind a decomposition) may still lengthen a text twice. */
function checkLength(result: AlignedText, source: AlignedText): AlignedText {
  if (result.text.length <= MAX_GROWTH * (source.text.length + 1)) return result;
  throw new RangeError(`the normalizer lengthens this text more than ${MAX_GROWTH} times`);
}

/** The prefix stands for the first character. An empty one takes the first character's own place away, as the reference does. */
function prepend(prefix: string, source: AlignedText, origin: number): AlignedText {
  const { text } = source;
  if (text === "") return source;
  const writer = new TextWriter(source);
  if (prefix !== "") {
    writer.put(prefix, 0);
    writer.copy(0, text.length);
    return writer.finish();
  }
  const first = String.fromCodePoint(text.codePointAt(0) as number);
  writer.copy(first.length, text.length);
  return prefixed(first, origin, origin, writer.finish());
}

/** Reads `normalizer` of a tokenizer.json. */
export function parseNormalizer(json: JsonCursor): Normalizer | null {
  const normalizer = parseStep(json, { steps: 0 });
  if (normalizer !== null && grow({ length: 1, form: 1, isMapped: false }, normalizer).length > MAX_GROWTH) {
    json.fail(`prefixes and replacements that lengthen a text at most ${MAX_GROWTH} times`);
  }
  return normalizer;
}

function parseStep(json: JsonCursor, count: StepCount): Normalizer | null {
  if (json.isNull) return null;
  const type = json.get("type");
  const kind = type.value;
  switch (kind) {
    case "BertNormalizer":
      return {
        type: kind,
        ...json.options({
          clean_text: flagOr(true),
          handle_chinese_chars: flagOr(true),
          strip_accents: optional(null, flagOr(true)),
          lowercase: flagOr(true),
        }),
      };
    case "Strip":
      return { type: kind, ...json.options({ strip_left: flagOr(true), strip_right: flagOr(true) }) };
    case "Precompiled": {
      json.onlyKeys(["type", "precompiled_charsmap"]);
      const charsmap = json.get("precompiled_charsmap");
      return { type: kind, charsmap: charsmapFromBase64(charsmap.string(), (...problem) => charsmap.fail(...problem)) };
    }
    case "Replace":
      return parseReplace(json);
    case "Prepend":
      return { type: kind, ...json.options({ prepend: textUpTo(MAX_PATTERN_LENGTH) }) };
    case "Sequence":
      return { type: kind, normalizers: json.sequence("normalizers", count, parseStep) };
    default:
      if (typeof kind !== "string" || !Object.hasOwn(PLAIN, kind)) return type.unsupported(SUPPORTED);
      json.onlyKeys(["type"]);
      return { type: kind as PlainNormalizer };
  }
}

/** The normalizer as tokenizer.json has it. */
export function formatNormalizer(normalizer: Normalizer | null): unknown {
  if (normalizer === null) return null;
  const { type } = normalizer;
  switch (type) {
    case "Precompiled":
      return { type, precompiled_charsmap: charsmapToBase64(normalizer.charsmap) };
    case "Replace":
      return formatReplace(normalizer);
    case "Sequence":
      return { type, normalizers: normalizer.normalizers.map(formatNormalizer) };
    case "SentencePiece":
      throw unsupported("tokenizer.json", "normalizer", type, SUPPORTED);
    default:
      return inSnakeCase(normalizer);
  }
}

/** How long a text of one character can get, and how much of that Unicode's decompositions have used up. */
interface Growth {
  readonly length: number;
  readonly form: number;
  /** A charsmap is among the steps. */
  readonly isMapped: boolean;
}

/** Longest decompositions in UTF-16 units: U+FDFA has 18, U+1F82 four; an ideograph of BERT's gets two spaces. */
const COMPATIBLE_GROWTH = 18;
const CANONICAL_GROWTH = 4;
/** Most bytes of UTF-8 for a UTF-16 unit. */
const BYTES_GROWTH = 3;

/** A single character is the worst case: a prefix lengthens it the most times. */
function grow(growth: Growth, normalizer: Normalizer): Growth {
  const { length, form, isMapped } = growth;
  /** What is decomposed once does not decompose again, unless other text is put in. */
  const decomposed = (by: number): Growth =>
    by > form ? { ...growth, length: (length / form) * by, form: by } : growth;
  const put = (text: string, to: number): Growth => ({ ...growth, length: to, form: isDecomposed(text) ? form : 1 });
  switch (normalizer.type) {
    case "BertNormalizer":
    case "NFC":
    case "NFD":
      return decomposed(CANONICAL_GROWTH);
    case "NFKC":
    case "NFKD":
      return decomposed(COMPATIBLE_GROWTH);
    case "ByteLevel":
      return { ...growth, length: length * BYTES_GROWTH, form: 1 };
    case "Precompiled":
      // Charsmaps are decompositions with more rules: behind another one, only what goes beyond it counts.
      return isMapped
        ? { ...growth, length: length * normalizer.charsmap.growth }
        : { ...decomposed(normalizer.charsmap.growth), isMapped: true };
    case "Replace":
      return put(normalizer.content, grownByReplace(normalizer, length));
    case "Prepend":
      return put(normalizer.prepend, length + normalizer.prepend.length);
    case "Sequence":
      return normalizer.normalizers.reduce(grow, growth);
    // Lowercase makes two units of U+0130 only, and of those no more.
    case "Lowercase":
    case "Nmt":
    case "Strip":
    case "StripAccents":
    case "SentencePiece":
      return growth;
    default:
      return unreachable(normalizer, "normalizer");
  }
}

function isDecomposed(text: string): boolean {
  return text.normalize("NFKD") === text;
}

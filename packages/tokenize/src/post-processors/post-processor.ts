/** Stage 4: puts special tokens around a text and its pair, and trims offsets. The types of tokenizer.json. */

import { addedSegment, joinParts, type Part, type Rows, type Segment } from "../encoding/rows";
import { unreachable } from "../errors";
import { BYTE_LEVEL_OPTIONS, flagOr, inSnakeCase, type JsonCursor, type StepCount } from "../json";
import { MAX_LENGTH_OPTION, MAX_TEMPLATE_IDS, MAX_VOCAB_SIZE } from "../limits";
import { unitOfByte } from "../text/byte-alphabet";
import { whiteSpace } from "../text/characters";

export type PostProcessor =
  | {
      readonly type: "TemplateProcessing";
      readonly single: readonly TemplatePiece[];
      readonly pair: readonly TemplatePiece[];
    }
  | { readonly type: "BertProcessing"; readonly cls: SpecialToken; readonly sep: SpecialToken }
  | {
      readonly type: "RobertaProcessing";
      readonly cls: SpecialToken;
      readonly sep: SpecialToken;
      readonly trimOffsets: boolean;
      readonly addPrefixSpace: boolean;
    }
  | {
      readonly type: "ByteLevel";
      readonly trimOffsets: boolean;
      readonly addPrefixSpace: boolean;
      /** Means nothing here; kept for saving. */
      readonly useRegex: boolean;
    }
  | { readonly type: "Sequence"; readonly processors: readonly PostProcessor[] };

export interface SpecialToken {
  readonly id: number;
  readonly token: string;
}

/** The text (sequence 0) or its pair (1), or special tokens. */
export type TemplatePiece =
  | { readonly type: "Text"; readonly sequence: 0 | 1; readonly typeId: number }
  | {
      readonly type: "Special";
      readonly name: string;
      readonly ids: readonly number[];
      readonly tokens: readonly string[];
      readonly typeId: number;
    };

export function textPiece(sequence: 0 | 1, typeId = 0): TemplatePiece {
  return { type: "Text", sequence, typeId };
}

export function specialPiece(id: number, token: string, typeId = 0): TemplatePiece {
  return { type: "Special", name: token, ids: [id], tokens: [token], typeId };
}

/** The same tokens before and behind a text and its pair. */
export function templateAround(
  before: readonly TemplatePiece[],
  behind: readonly TemplatePiece[],
  pairTypeId: number,
): PostProcessor {
  const single = [...before, textPiece(0), ...behind];
  return { type: "TemplateProcessing", single, pair: [...single, ...before, textPiece(1, pairTypeId), ...behind] };
}

const SUPPORTED = "null, TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, Sequence";

/** How many tokens come around a text, or a text and its pair. */
export function countAdded(processor: PostProcessor | null, hasPair: boolean): number {
  switch (processor?.type) {
    case undefined:
    case "ByteLevel":
      return 0;
    case "TemplateProcessing":
      return (hasPair ? processor.pair : processor.single).reduce(
        (sum, piece) => sum + (piece.type === "Special" ? piece.ids.length : 0),
        0,
      );
    case "BertProcessing":
      return hasPair ? 3 : 2;
    case "RobertaProcessing":
      return hasPair ? 4 : 2;
    case "Sequence":
      return processor.processors.reduce((sum, step) => sum + countAdded(step, hasPair), 0);
    default:
      return unreachable(processor, "post-processor");
  }
}

/** What the trimming of offsets looks at. */
export interface PostProcessorSource {
  /** The text, and its pair if there is one. */
  readonly texts: readonly string[];
  tokenOf(segment: Segment, row: number): string;
}

/** `parts`: the text, or the text and its pair. What comes out is to be joined in order. */
export function postProcess(
  processor: PostProcessor | null,
  parts: readonly Part[],
  addSpecialTokens: boolean,
  source: PostProcessorSource,
): readonly Part[] {
  switch (processor?.type) {
    case undefined:
      return parts;
    case "TemplateProcessing": {
      const pieces: Part[] = [];
      for (const piece of parts.length === 2 ? processor.pair : processor.single) {
        if (piece.type === "Text") pieces.push(withType(parts[piece.sequence], piece.typeId));
        else if (addSpecialTokens) pieces.push(specialPart(piece.ids, piece.tokens, piece.typeId));
      }
      return pieces;
    }
    case "BertProcessing": {
      if (!addSpecialTokens) return parts;
      const { cls, sep } = processor;
      return parts
        .slice(0, 2)
        .map((part, i) => joinParts([...(i === 0 ? [single(cls, 0)] : []), part, single(sep, i)]));
    }
    case "RobertaProcessing": {
      const { cls, sep, trimOffsets, addPrefixSpace } = processor;
      const trimmed = trimOffsets ? parts.map((part) => trimPart(part, addPrefixSpace, source)) : parts;
      // All of RoBERTa's text is of one type. What was cut off becomes so with the special tokens only, as in tokenizers.
      const typed = trimmed.slice(0, 2).map((part) => withType(part, 0, addSpecialTokens));
      if (!addSpecialTokens) return typed;
      return typed.map((part, i) => joinParts([single(i === 0 ? cls : sep, 0), part, single(sep, 0)]));
    }
    case "ByteLevel":
      return processor.trimOffsets ? parts.map((part) => trimPart(part, processor.addPrefixSpace, source)) : parts;
    case "Sequence":
      return processor.processors.reduce((result, step) => postProcess(step, result, addSpecialTokens, source), parts);
    default:
      return unreachable(processor, "post-processor");
  }
}

function single(special: SpecialToken, typeId: number): Part {
  return specialPart([special.id], [special.token], typeId);
}

function specialPart(ids: readonly number[], texts: readonly string[], typeId: number): Part {
  return { rows: [addedSegment(ids, texts, typeId, 1)], overflowing: [] };
}

function withType(part: Part, typeId: number, overflowingToo = false): Part {
  const typed = (rows: Rows): Rows => rows.map((segment) => ({ ...segment, typeId }));
  return { rows: typed(part.rows), overflowing: overflowingToo ? part.overflowing.map(typed) : part.overflowing };
}

function trimPart(part: Part, addPrefixSpace: boolean, source: PostProcessorSource): Part {
  const trim = (rows: Rows): Rows => rows.map((segment, i) => trimSegment(segment, i === 0, addPrefixSpace, source));
  return { rows: trim(part.rows), overflowing: part.overflowing.map(trim) };
}

const SPACE_BYTE = unitOfByte[0x20];

function isSpaceUnit(unit: number): boolean {
  return unit === SPACE_BYTE || whiteSpace.has(unit);
}

/** Takes the spaces at the ends of each token out of its offsets. */
function trimSegment(
  segment: Segment,
  isFirst: boolean,
  addPrefixSpace: boolean,
  source: PostProcessorSource,
): Segment {
  if (segment.ranges === null) return segment;
  const text = source.texts[segment.sequence];
  const starts = [...segment.ranges.starts];
  const ends = [...segment.ranges.ends];
  for (let row = 0; row < starts.length; row++) {
    const token = source.tokenOf(segment, row);
    let leading = 0;
    while (leading < token.length && isSpaceUnit(token.charCodeAt(leading))) leading++;
    let trailing = 0;
    while (trailing < token.length && isSpaceUnit(token.charCodeAt(token.length - 1 - trailing))) trailing++;
    // A single space in front of the first token is the one that was put there.
    if (addPrefixSpace && leading === 1 && ((isFirst && row === 0) || starts[row] === 0)) leading = 0;
    if (leading === 0 && trailing === 0) continue;
    starts[row] = Math.min(moved(text, starts[row], leading), ends[row]);
    if (ends[row] >= trailing) ends[row] = Math.max(moved(text, ends[row], -trailing), starts[row]);
  }
  return { ...segment, ranges: { starts, ends, words: segment.ranges.words } };
}

/** `count` characters further on, or back. */
function moved(text: string, offset: number, count: number): number {
  let at = offset;
  for (let left = count; left > 0; left--) at += (text.charCodeAt(at) & 0xfc00) === 0xd800 ? 2 : 1;
  for (let left = count; left < 0; left++) at -= (text.charCodeAt(at - 1) & 0xfc00) === 0xdc00 ? 2 : 1;
  return at;
}

/** Reads `post_processor` of a tokenizer.json; `exists` tells whether an id is in the vocabulary. */
export function parsePostProcessor(json: JsonCursor, exists: (id: number) => boolean): PostProcessor | null {
  return parseStep(json, exists, { steps: 0, ids: 0, hasTemplate: false });
}

/** What the whole post-processor adds up to so far. */
interface Count extends StepCount {
  ids: number;
  hasTemplate: boolean;
}

function parseStep(json: JsonCursor, exists: (id: number) => boolean, count: Count): PostProcessor | null {
  if (json.isNull) return null;
  const type = json.get("type");
  const kind = type.value;
  const end = (pair: JsonCursor): SpecialToken => {
    if (pair.array().length !== 2) pair.fail("[token, id]");
    return { token: pair.item(0).string(), id: knownId(pair.item(1), exists) };
  };
  switch (kind) {
    case "TemplateProcessing": {
      json.onlyKeys(["type", "single", "pair", "special_tokens"]);
      // The second would see the first one's pieces as its texts; the reference panics.
      if (count.hasTemplate) type.unsupported("one TemplateProcessing");
      count.hasTemplate = true;
      const read = templateReader(json.get("special_tokens"), exists, count);
      const pair = json.get("pair");
      const single = read(json.get("single"), 1);
      // Older files have no template for pairs.
      return { type: kind, single, pair: pair.isNull ? [...single, textPiece(1, 1)] : read(pair, 2) };
    }
    case "BertProcessing":
      return { type: kind, ...json.options({ sep: end, cls: end }) };
    case "RobertaProcessing":
      return {
        type: kind,
        ...json.options({ sep: end, cls: end, trim_offsets: flagOr(true), add_prefix_space: flagOr(true) }),
      };
    case "ByteLevel":
      return { type: kind, ...json.options(BYTE_LEVEL_OPTIONS) };
    case "Sequence":
      return {
        type: kind,
        processors: json.sequence("processors", count, (step) => parseStep(step, exists, count)),
      };
    default:
      return type.unsupported(SUPPORTED);
  }
}

function knownId(json: JsonCursor, exists: (id: number) => boolean): number {
  const id = json.integer(0, MAX_VOCAB_SIZE - 1);
  return exists(id) ? id : json.fail("an id of the vocabulary");
}

function templateReader(
  specials: JsonCursor,
  exists: (id: number) => boolean,
  count: Count,
): (json: JsonCursor, texts: 1 | 2) => TemplatePiece[] {
  const known = new Map<string, { ids: number[]; tokens: string[] }>();
  const special = (name: string): { ids: number[]; tokens: string[] } => {
    const list = specials.get(name).get("ids");
    // A piece without ids counts too, as it costs time with every text.
    count.ids += Math.max(1, list.array().length);
    if (count.ids > MAX_TEMPLATE_IDS) list.fail(`at most ${MAX_TEMPLATE_IDS} ids in all templates`, `${count.ids}`);
    const found = known.get(name);
    if (found !== undefined) return found;
    const ids = list.items().map((id) => knownId(id, exists));
    const tokens = specials.get(name).get("tokens");
    if (tokens.array().length !== ids.length) tokens.fail(`${ids.length} tokens, one for each id`);
    const made = { ids, tokens: tokens.items().map((token) => token.string()) };
    known.set(name, made);
    return made;
  };
  return (json, texts) => {
    const pieces = json.items().map((piece): TemplatePiece => {
      piece.onlyKeys(["Sequence", "SpecialToken"]);
      const sequence = piece.get("Sequence");
      const which = sequence.isNull ? piece.get("SpecialToken") : sequence;
      which.onlyKeys(["id", "type_id"]);
      const typeId = which.get("type_id").isNull ? 0 : which.get("type_id").integer(0, MAX_LENGTH_OPTION);
      if (sequence.isNull) {
        const name = which.get("id").string();
        return { type: "Special", name, ...special(name), typeId };
      }
      const id = which.get("id");
      if (texts === 1 && id.value === "B") id.fail('"A", the only text of a single template');
      return { type: "Text", sequence: id.oneOf<0 | 1>({ A: 0, B: 1 }), typeId };
    });
    // A text given twice would double with it; one left out would be lost.
    const given = pieces.flatMap((piece) => (piece.type === "Text" ? [piece.sequence] : []));
    if (given.length !== texts || new Set(given).size !== texts) {
      json.fail(texts === 1 ? "the text exactly once" : "the text and its pair exactly once each");
    }
    return pieces;
  };
}

/** As tokenizer.json writes it. */
export function formatPostProcessor(processor: PostProcessor | null): unknown {
  switch (processor?.type) {
    case undefined:
      return null;
    case "TemplateProcessing": {
      const { single, pair } = processor;
      const specials = [...single, ...pair].filter((piece) => piece.type === "Special");
      const format = (piece: TemplatePiece): unknown =>
        piece.type === "Text"
          ? { Sequence: { id: "AB"[piece.sequence], type_id: piece.typeId } }
          : { SpecialToken: { id: piece.name, type_id: piece.typeId } };
      return {
        type: "TemplateProcessing",
        single: single.map(format),
        pair: pair.map(format),
        special_tokens: Object.fromEntries(
          specials.map(({ name, ids, tokens }) => [name, { id: name, ids: [...ids], tokens: [...tokens] }]),
        ),
      };
    }
    case "BertProcessing":
    case "RobertaProcessing": {
      const { sep, cls } = processor;
      return { ...inSnakeCase(processor), sep: [sep.token, sep.id], cls: [cls.token, cls.id] };
    }
    case "ByteLevel":
      return inSnakeCase(processor);
    case "Sequence":
      return { type: "Sequence", processors: processor.processors.map(formatPostProcessor) };
    default:
      return unreachable(processor, "post-processor");
  }
}

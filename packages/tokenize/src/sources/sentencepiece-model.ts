/**
 * What sentencepiece's .model files say: a ModelProto (github.com/google/sentencepiece, src/sentencepiece_model.proto) with
 * the pieces and how texts are normalized.
 */

import { describe, fileError, unsupported } from "../errors";
import { MAX_PIECE_LENGTH, MAX_VOCAB_SIZE } from "../limits";
import { byteOfToken } from "../utf8";
import { ProtobufReader } from "./protobuf";

/** SentencePiece.Type. */
export const NORMAL = 1;
export const UNKNOWN = 2;
export const CONTROL = 3;
export const USER_DEFINED = 4;
export const UNUSED = 5;
export const BYTE = 6;

/** TrainerSpec.ModelType. */
const UNIGRAM = 1;
const BPE = 2;

export interface NormalizerSpec {
  /** Empty for none. */
  charsmap: Uint8Array;
  addDummyPrefix: boolean;
  removeExtraWhitespaces: boolean;
  escapeWhitespaces: boolean;
}

/** What of a .model file decides about ids. */
export interface SentencePieceModel {
  readonly type: "unigram" | "bpe";
  readonly pieces: readonly string[];
  /** Floats. */
  readonly scores: Float64Array;
  /** NORMAL to BYTE. */
  readonly types: Uint8Array;
  readonly unkId: number;
  readonly byteFallback: boolean;
  readonly whitespaceAsSuffix: boolean;
  readonly bosPiece: string;
  readonly eosPiece: string;
  readonly padPiece: string;
  /** What decoding shows for an unknown token. */
  readonly unkSurface: string;
  readonly normalizer: NormalizerSpec;
}

export function readSentencePiece(bytes: Uint8Array, file: string): SentencePieceModel {
  const pieces: string[] = [];
  const scores: number[] = [];
  const types: number[] = [];
  const trainer = {
    modelType: UNIGRAM,
    whitespaceAsSuffix: false,
    byteFallback: false,
    bosPiece: "<s>",
    eosPiece: "</s>",
    padPiece: "<pad>",
    unkSurface: " \u2047 ",
  };
  const normalizer = newNormalizerSpec();
  const denormalizer = newNormalizerSpec();
  const model = new ProtobufReader(bytes, file, "the model");
  while (model.next()) {
    switch (model.field) {
      case 1: {
        if (pieces.length === MAX_VOCAB_SIZE) model.fail(`at most ${MAX_VOCAB_SIZE} pieces`, "more");
        const { piece, score, type } = readPiece(model, pieces.length);
        pieces.push(piece);
        scores.push(score);
        types.push(type);
        break;
      }
      case 2:
        readTrainerSpec(model.message("trainer_spec"), trainer);
        break;
      case 3:
        readNormalizerSpec(model.message("normalizer_spec"), normalizer);
        break;
      case 5:
        readNormalizerSpec(model.message("denormalizer_spec"), denormalizer);
        break;
    }
  }
  if (trainer.modelType !== UNIGRAM && trainer.modelType !== BPE) {
    const value = trainer.modelType === 3 ? "word" : trainer.modelType === 4 ? "char" : trainer.modelType;
    throw unsupported(file, "trainer_spec.model_type", value, "unigram, bpe");
  }
  if (denormalizer.charsmap.length > 0) {
    const value = "with a precompiled_charsmap";
    throw unsupported(file, "denormalizer_spec", value, "none");
  }
  return {
    ...trainer,
    type: trainer.modelType === BPE ? "bpe" : "unigram",
    pieces,
    scores: Float64Array.from(scores),
    types: Uint8Array.from(types),
    unkId: checkPieces(pieces, types, trainer.byteFallback, file),
    normalizer,
  };
}

function newNormalizerSpec(): NormalizerSpec {
  return {
    charsmap: new Uint8Array(0),
    addDummyPrefix: true,
    removeExtraWhitespaces: true,
    escapeWhitespaces: true,
  };
}

function readPiece(model: ProtobufReader, id: number): { piece: string; score: number; type: number } {
  const reader = model.message(`piece ${id}`);
  let piece = "";
  let score = 0;
  let type = NORMAL;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        piece = reader.string();
        if (piece.length > MAX_PIECE_LENGTH) reader.fail(`at most ${MAX_PIECE_LENGTH} characters`, `${piece.length}`);
        break;
      case 2:
        score = reader.float();
        if (!Number.isFinite(score)) reader.fail("a finite score", `${score}`);
        break;
      case 3:
        type = reader.int32();
        if (type < NORMAL || type > BYTE) reader.fail(`a type from ${NORMAL} to ${BYTE}`, `${type}`);
        break;
    }
  }
  // At once, as nothing is smaller than many empty pieces.
  if (piece === "") model.fail("a piece with a text", "an empty one");
  return { piece, score, type };
}

interface TrainerSpec {
  modelType: number;
  whitespaceAsSuffix: boolean;
  byteFallback: boolean;
  bosPiece: string;
  eosPiece: string;
  padPiece: string;
  unkSurface: string;
}

function readTrainerSpec(reader: ProtobufReader, spec: TrainerSpec): void {
  while (reader.next()) {
    switch (reader.field) {
      case 3:
        spec.modelType = reader.int32();
        break;
      case 24:
        spec.whitespaceAsSuffix = reader.boolean();
        break;
      case 35:
        spec.byteFallback = reader.boolean();
        break;
      case 44:
        spec.unkSurface = reader.string();
        if (spec.unkSurface.length > MAX_PIECE_LENGTH) reader.fail(`at most ${MAX_PIECE_LENGTH} characters`, "more");
        break;
      // An empty name means the default, as in sentencepiece.
      case 46:
        spec.bosPiece = reader.string() || "<s>";
        break;
      case 47:
        spec.eosPiece = reader.string() || "</s>";
        break;
      case 48:
        spec.padPiece = reader.string() || "<pad>";
        break;
    }
  }
}

function readNormalizerSpec(reader: ProtobufReader, spec: NormalizerSpec): void {
  while (reader.next()) {
    switch (reader.field) {
      case 2:
        spec.charsmap = reader.bytes();
        break;
      case 3:
        spec.addDummyPrefix = reader.boolean();
        break;
      case 4:
        spec.removeExtraWhitespaces = reader.boolean();
        break;
      case 5:
        spec.escapeWhitespaces = reader.boolean();
        break;
    }
  }
}

/** What sentencepiece checks when it loads a model; returns the id of the unknown piece. */
function checkPieces(pieces: readonly string[], types: readonly number[], byteFallback: boolean, file: string): number {
  const fail = (at: string, expected: string, got: string): never => {
    throw fileError(file, at, expected, got);
  };
  let unkId = -1;
  const texts = new Set<string>();
  const reserved = new Set<string>();
  const bytes = new Set<number>();
  for (const [id, piece] of pieces.entries()) {
    const at = `piece ${id}`;
    const names = isText(types[id]) ? texts : reserved;
    if (names.has(piece)) fail(at, "a piece of its own", describe(piece));
    names.add(piece);
    if (types[id] === UNKNOWN) {
      if (unkId >= 0) fail(at, `one unknown piece (${unkId})`, "another");
      unkId = id;
    }
    if (types[id] !== BYTE) continue;
    if (!byteFallback) fail(at, "byte_fallback for a byte piece", "false");
    const byte = byteOfToken(piece);
    if (byte < 0) fail(at, "<0x00> to <0xFF> for a byte piece", describe(piece));
    bytes.add(byte);
  }
  if (unkId < 0) fail("the pieces", "an unknown piece", `${pieces.length} of other types`);
  if (byteFallback && bytes.size !== 256) fail("the pieces", "256 byte pieces, for byte_fallback", `${bytes.size}`);
  return unkId;
}

/** Whether a piece of this type may be found in a text. */
export function isText(type: number): boolean {
  return type === NORMAL || type === USER_DEFINED || type === UNUSED;
}

/** Tokenizers from sentencepiece's .model files, which give what its own encode and decode give; and T5's, which differ. */

import type { AddedToken } from "../added-tokens";
import type { Decoder } from "../decoders/decoder";
import { fileError, unsupported } from "../errors";
import { MAX_ADDED_TOKEN_LENGTH } from "../limits";
import { byteTokenIds, PLAIN_BPE } from "../models/bpe";
import { MergeTable } from "../models/merge-table";
import type { SentencePieceBpeConfig } from "../models/sentence-piece-bpe";
import { NORMAL_PIECE, RESERVED_PIECE, type UnigramConfig, USER_DEFINED_PIECE } from "../models/unigram";
import { parseCharsmap } from "../normalizers/charsmap";
import { specialPiece, templateAround } from "../post-processors/post-processor";
import { Vocabulary } from "../vocabulary";
import { NO_PARTS, type TokenizerParts } from "./parts";
import {
  CONTROL,
  isText,
  NORMAL,
  readSentencePiece,
  type SentencePieceModel,
  UNUSED,
  USER_DEFINED,
} from "./sentencepiece-model";
import { specialToken } from "./vocab-txt";

export { BYTE, CONTROL, NORMAL, readSentencePiece, UNKNOWN } from "./sentencepiece-model";

/** Ids, tokens and offsets as sentencepiece's own `encode` gives them, without BOS and EOS. */
export function partsOfSentencePiece(bytes: Uint8Array, file: string): TokenizerParts {
  return partsOfSentencePieceModel(readSentencePiece(bytes, file), file);
}

/** The same for what another format says of such a model. */
export function partsOfSentencePieceModel(model: SentencePieceModel, file: string): TokenizerParts {
  const { pieces, types, unkId, normalizer } = model;
  const ids = new Map<string, number>();
  const controlIds = new Set<number>();
  // Of equal names the reserved one counts, as in sentencepiece.
  for (let id = 0; id < pieces.length; id++) if (isText(types[id])) ids.set(pieces[id], id);
  for (let id = 0; id < pieces.length; id++) if (!isText(types[id])) ids.set(pieces[id], id);
  for (let id = 0; id < pieces.length; id++) {
    if (types[id] === CONTROL) controlIds.add(id);
    // These may be asked for in a text, and are added tokens in a tokenizer.json.
    const isMarked = types[id] === CONTROL || types[id] === USER_DEFINED;
    if (isMarked && pieces[id].length > MAX_ADDED_TOKEN_LENGTH) {
      throw fileError(file, `piece ${id}`, `at most ${MAX_ADDED_TOKEN_LENGTH} characters`, `${pieces[id].length}`);
    }
  }
  const controlId = (piece: string): number | null => {
    const id = ids.get(piece);
    return id !== undefined && controlIds.has(id) ? id : null;
  };
  const charsmapFail = (expected: string, got: string): never => {
    throw fileError(file, "precompiled_charsmap", expected, got);
  };
  return {
    ...NO_PARTS,
    kind: "sentencepiece",
    vocabulary: new Vocabulary(pieces, ids),
    normalizer: {
      type: "SentencePiece",
      charsmap: normalizer.charsmap.length === 0 ? null : parseCharsmap(normalizer.charsmap, charsmapFail),
      addDummyPrefix: normalizer.addDummyPrefix,
      removeExtraWhitespaces: normalizer.removeExtraWhitespaces,
      escapeWhitespaces: normalizer.escapeWhitespaces,
      whitespaceAsSuffix: model.whitespaceAsSuffix,
      userDefined: pieces.filter((_, id) => types[id] === USER_DEFINED),
    },
    model: model.type === "unigram" ? unigramOf(model, ids) : bpeOf(model, ids),
    decoder: decoderOf(model),
    specialIds: controlIds,
    bosId: controlId(model.bosPiece),
    eosId: controlId(model.eosPiece),
    unkId,
    padId: controlId(model.padPiece),
  };
}

function byteIdsOf(model: SentencePieceModel, ids: ReadonlyMap<string, number>): Int32Array | null {
  return model.byteFallback ? byteTokenIds((token) => ids.get(token)) : null;
}

function unigramOf(model: SentencePieceModel, ids: ReadonlyMap<string, number>): UnigramConfig {
  const { pieces, scores, types, unkId } = model;
  const roles = types.map((type) =>
    type === NORMAL ? NORMAL_PIECE : type === USER_DEFINED ? USER_DEFINED_PIECE : RESERVED_PIECE,
  );
  return { type: "Unigram", pieces, scores, unkId, byteIds: byteIdsOf(model, ids), roles };
}

function bpeOf(model: SentencePieceModel, ids: ReadonlyMap<string, number>): SentencePieceBpeConfig {
  const { pieces, scores, types, unkId } = model;
  const textIds = new Map<string, number>();
  const texts: (string | null)[] = [];
  const looseCharacters: string[] = [];
  for (let id = 0; id < pieces.length; id++) {
    texts.push(isText(types[id]) ? pieces[id] : null);
    if (isText(types[id])) textIds.set(pieces[id], id);
  }
  // A character that is no piece may still merge into one; only then is it looked for as such.
  for (let id = 0; id < pieces.length; id++) {
    for (const character of texts[id] ?? "") {
      if (textIds.has(character)) continue;
      textIds.set(character, pieces.length + looseCharacters.length);
      looseCharacters.push(character);
      texts.push(character);
    }
  }
  const withUnknown = new Map(textIds).set(pieces[unkId], unkId);
  const idsOfType = (type: number): number[] => pieces.map((_, id) => id).filter((id) => types[id] === type);
  return {
    type: "SentencePieceBpe",
    pieces,
    scores,
    unkId,
    userDefined: idsOfType(USER_DEFINED),
    unused: new Set(idsOfType(UNUSED)),
    bpe: {
      ...PLAIN_BPE,
      ids: withUnknown,
      merges: MergeTable.fromScores({ texts, ids: textIds, scores }),
      vocabSize: pieces.length,
      looseCharacters,
      byteIds: byteIdsOf(model, ids),
      unkToken: pieces[unkId],
      fuseUnk: true,
    },
  };
}

function decoderOf(model: SentencePieceModel): Decoder {
  const { addDummyPrefix, removeExtraWhitespaces } = model.normalizer;
  const stage: Decoder = {
    type: "SentencePiece",
    unkPiece: model.pieces[model.unkId],
    unkSurface: model.unkSurface,
    strip: removeExtraWhitespaces ? "all" : addDummyPrefix ? "first" : "none",
  };
  return model.byteFallback
    ? { type: "Sequence", decoders: [stage, { type: "ByteFallback", invalid: "each" }] }
    : stage;
}

/**
 * What transformers' T5Tokenizer makes of a .model: the tokens <extra_id_N> behind the pieces, the highest number first, `</s>`
 * at the end of each text, words cut at white space, and scores compared as tokenizers does.
 */
export function addT5Sentinels(parts: TokenizerParts, count: number, file: string): TokenizerParts {
  const { model, normalizer, vocabulary, eosId } = parts;
  if (model.type !== "Unigram" || normalizer?.type !== "SentencePiece" || eosId === null) {
    throw unsupported(file, "T5Tokenizer's model", eosId === null ? "without </s>" : model.type, "Unigram with </s>");
  }
  const sentinels = new Map<string, number>();
  for (let number = count - 1; number >= 0; number--) {
    const content = `<extra_id_${number}>`;
    if (vocabulary.idOf(content) === undefined) sentinels.set(content, vocabulary.size + sentinels.size);
  }
  const withSentinels = vocabulary.with(sentinels);
  const addedTokens: AddedToken[] = [];
  const add = (id: number | null | undefined): void => {
    if (id !== null && id !== undefined) addedTokens.push(specialToken(id, withSentinels.tokenOf(id) as string));
  };
  for (const id of [parts.padId, eosId, parts.unkId]) add(id);
  for (let number = count - 1; number >= 0; number--) add(withSentinels.idOf(`<extra_id_${number}>`));
  const metaspace = { type: "Metaspace", replacement: "\u2581", prependScheme: "always", split: true } as const;
  return {
    ...parts,
    vocabulary: withSentinels,
    addedTokens,
    normalizer: normalizer.charsmap === null ? null : { type: "Precompiled", charsmap: normalizer.charsmap },
    preTokenizer: { type: "Sequence", preTokenizers: [{ type: "WhitespaceSplit" }, metaspace] },
    model: { ...model, roles: null },
    postProcessor: templateAround([], [specialPiece(eosId, vocabulary.tokenOf(eosId) as string)], 0),
    decoder: metaspace,
    specialIds: new Set(addedTokens.map(({ id }) => id)),
  };
}

/**
 * A GGUF file's metadata. Keys: github.com/ggml-org/ggml docs/gguf.md; defaults: llama.cpp's llama-vocab.cpp.
 */

import { unsupported } from "../errors";
import { MAX_CHARSMAP_BYTES } from "../limits";
import { byteOfToken } from "../utf8";
import { partsOfGgufBert } from "./gguf-bert";
import { partsOfGgufGpt2 } from "./gguf-gpt2";
import { GgufMetadata, type GgufTokenizerMetadata } from "./gguf-metadata";
import type { TokenizerParts } from "./parts";
import { BYTE, CONTROL, NORMAL, partsOfSentencePieceModel, UNKNOWN } from "./sentencepiece";

export function partsOfGguf(metadata: GgufTokenizerMetadata, file: string): TokenizerParts {
  const source = new GgufMetadata(metadata, file);
  const model = source.get("model");
  switch (model) {
    case undefined:
      return source.fail("model", "a string", model);
    case "llama":
      return partsOfPieces(source, "bpe", { bos: true, eos: false }, { bos: 1, eos: 2, unk: 0 });
    case "t5":
      return partsOfPieces(source, "unigram", { bos: false, eos: true }, { bos: null, eos: 1, unk: 2 });
    case "gpt2":
      return partsOfGgufGpt2(source);
    case "bert":
      return partsOfGgufBert(source);
    default:
      throw unsupported(file, "tokenizer.ggml.model", model, "llama, gpt2, bert, t5");
  }
}

/** A sentencepiece model as llama.cpp's converter stores it: pieces, scores and types, which are sentencepiece's own. */
function partsOfPieces(
  source: GgufMetadata,
  type: "bpe" | "unigram",
  added: { bos: boolean; eos: boolean },
  defaults: { bos: number | null; eos: number; unk: number },
): TokenizerParts {
  const pieces = source.tokens();
  const scores = source.numbers("scores", pieces.length);
  const given = source.tokenTypes(pieces.length);
  const bosId =
    defaults.bos === null
      ? source.idOrNull("bos_token_id", pieces.length)
      : source.id("bos_token_id", defaults.bos, pieces.length);
  const eosId = source.id("eos_token_id", defaults.eos, pieces.length);
  const unkId = source.id("unknown_token_id", defaults.unk, pieces.length);
  if (unkId === null) source.fail("unknown_token_id", "an id", null);
  const types = Uint8Array.from(pieces, (piece, id) => {
    const value = given?.[id] ?? NORMAL;
    if (value < NORMAL || value > BYTE) source.fail(`token_type[${id}]`, `${NORMAL} to ${BYTE}`, value);
    if (id === unkId) return UNKNOWN;
    if (id === bosId || id === eosId) return CONTROL;
    // Only one piece is the unknown one, an empty one is none, and what looks like a byte is one.
    if (value === UNKNOWN || piece === "") return CONTROL;
    return byteOfToken(piece) >= 0 ? BYTE : value;
  });
  const charsmap = source.bytes("precompiled_charsmap", MAX_CHARSMAP_BYTES) ?? new Uint8Array(0);
  const parts = partsOfSentencePieceModel(
    {
      type,
      pieces,
      scores: Float64Array.from(scores),
      types,
      unkId: unkId as number,
      byteFallback: types.includes(BYTE),
      whitespaceAsSuffix: false,
      bosPiece: bosId === null ? "" : pieces[bosId],
      eosPiece: eosId === null ? "" : pieces[eosId],
      padPiece: "",
      unkSurface: " \u2047 ",
      normalizer: {
        charsmap,
        addDummyPrefix: source.flag("add_space_prefix", true),
        removeExtraWhitespaces: source.flag("remove_extra_whitespaces", false),
        escapeWhitespaces: true,
      },
    },
    source.file,
  );
  return {
    ...parts,
    kind: "gguf",
    specialIds: new Set([...parts.specialIds, unkId as number]),
    postProcessor: source.template(bosId, eosId, added),
    bosId,
    eosId,
    padId: source.idOrNull("padding_token_id", pieces.length),
  };
}

/** A sentencepiece tokenizer in Hugging Face's components, for saving as tokenizer.json. */

import type { AddedToken } from "../added-tokens";
import type { Decoder } from "../decoders/decoder";
import { describe, unsupported } from "../errors";
import { MAX_MERGES } from "../limits";
import type { BpeConfig } from "../models/bpe";
import { MergeTable } from "../models/merge-table";
import type { SentencePieceBpeConfig } from "../models/sentence-piece-bpe";
import type { Normalizer } from "../normalizers/normalizer";
import { replaceString } from "../normalizers/replace";
import type { SentencePieceNormalizer } from "../normalizers/sentence-piece";
import type { PreTokenizer } from "../pre-tokenizers/pre-tokenizer";
import { idsOf } from "../vocabulary";
import type { TokenizerParts } from "./parts";
import { specialToken } from "./vocab-txt";

const SPACE = "\u2581";

/**
 * The nearest thing to `parts` that a tokenizer.json can hold; parts of other sources stay as they are. What differs:
 * tokenizers compares Unigram's sums as doubles (other cuts where sums are equal as floats) and finds reserved pieces in a
 * text; Precompiled goes by grapheme clusters; user-defined symbols become added tokens; BPE merges only characters that
 * are pieces, lists the ways to a piece where sentencepiece takes the leftmost, and knows no unused pieces; bytes have the
 * whole character's offsets; decoding takes the spaces off the first token alone.
 *
 * @throws UnsupportedTokenizerError for a space behind the text, and more merges than a file may have
 */
export function toTokenizerJsonPipeline(parts: TokenizerParts): TokenizerParts {
  const { normalizer, model, vocabulary } = parts;
  if (normalizer?.type !== "SentencePiece") return parts;
  const userDefined = new Set(normalizer.userDefined);
  const { addDummyPrefix, removeExtraWhitespaces, escapeWhitespaces } = normalizer;
  const isPrefixedOnce = userDefined.size > 0 && addDummyPrefix && removeExtraWhitespaces && escapeWhitespaces;
  const prefix: PreTokenizer = { type: "Metaspace", replacement: SPACE, prependScheme: "first", split: false };
  const addedTokens: AddedToken[] = [...parts.addedTokens];
  const known = new Set(addedTokens.map(({ id }) => id));
  for (let id = 0; id < vocabulary.size; id++) {
    const content = vocabulary.tokenOf(id);
    const special = parts.specialIds.has(id);
    if (content === undefined || known.has(id) || !(special || userDefined.has(content))) continue;
    addedTokens.push({ ...specialToken(id, content), special });
  }
  return {
    ...parts,
    addedTokens,
    normalizer: normalizerOf(normalizer, !isPrefixedOnce),
    preTokenizer: isPrefixedOnce ? prefix : null,
    model:
      model.type === "SentencePieceBpe" ? bpeOf(model) : model.type === "Unigram" ? { ...model, roles: null } : model,
    decoder: parts.decoder === null ? null : decoderOf(parts.decoder),
  };
}

function decoderOf(decoder: Decoder): Decoder {
  const [stage, ...rest] = decoder.type === "Sequence" ? decoder.decoders : [decoder];
  if (stage.type === "Sequence") return { type: "Sequence", decoders: [decoderOf(stage), ...rest] };
  if (stage.type !== "SentencePiece") return decoder;
  const decoders: Decoder[] = [
    // Metaspace takes all spaces off the first token, before the unknown token brings its own.
    stage.strip === "all"
      ? { type: "Metaspace", replacement: SPACE, prependScheme: "always" }
      : replaceString(SPACE, " "),
    replaceString(stage.unkPiece, stage.unkSurface),
    { type: "ByteFallback", invalid: "run" },
    { type: "Fuse" },
  ];
  if (stage.strip === "first") decoders.push({ type: "Strip", content: " ", start: 1, stop: 0 });
  // Its own bytes are among these already.
  return { type: "Sequence", decoders: [...decoders, ...rest.filter(({ type }) => type !== "ByteFallback")] };
}

function normalizerOf(normalizer: SentencePieceNormalizer, withPrefix: boolean): Normalizer {
  const { charsmap, addDummyPrefix, removeExtraWhitespaces, escapeWhitespaces, whitespaceAsSuffix } = normalizer;
  if (whitespaceAsSuffix && addDummyPrefix) {
    throw unsupported(
      "tokenizer.json",
      "normalizer",
      "a space behind the text (treat_whitespace_as_suffix)",
      "a space in front",
    );
  }
  const replace = (regex: string, content: string): Normalizer => ({
    type: "Replace",
    pattern: { type: "Regex", regex },
    content,
  });
  const normalizers: Normalizer[] = [];
  if (charsmap !== null) normalizers.push({ type: "Precompiled", charsmap });
  if (removeExtraWhitespaces) {
    // At the end sentencepiece takes escaped spaces off, so U+2581 itself as well. A space left in front is Metaspace's prefix.
    const end = escapeWhitespaces ? `[ ${SPACE}]+\\z` : " +\\z";
    normalizers.push(replace(withPrefix ? `\\A +|${end}` : end, ""), replace(" {2,}", " "));
  }
  if (addDummyPrefix && withPrefix) normalizers.push({ type: "Prepend", prepend: escapeWhitespaces ? SPACE : " " });
  if (escapeWhitespaces) normalizers.push(replaceString(" ", SPACE));
  return { type: "Sequence", normalizers };
}

/** All ways to put a piece together from two pieces are merges, ordered by the piece's score. */
function bpeOf(model: SentencePieceBpeConfig): BpeConfig {
  const { pieces, scores, unused } = model;
  const texts: number[] = [];
  for (const [piece, id] of model.bpe.ids) {
    if (id < pieces.length && id !== model.unkId && !unused.has(id) && piece !== "") texts.push(id);
  }
  texts.sort((a, b) => scores[b] - scores[a] || a - b);
  const triples: number[] = [];
  for (const id of texts) {
    const piece = pieces[id];
    for (let cut = 1; cut < piece.length; cut++) {
      const left = model.bpe.ids.get(piece.slice(0, cut));
      const right = model.bpe.ids.get(piece.slice(cut));
      if (left === undefined || right === undefined || left >= pieces.length || right >= pieces.length) continue;
      triples.push(left, right, id);
    }
    if (triples.length > MAX_MERGES * 3) {
      throw unsupported("tokenizer.json", "model.merges", `more than for ${describe(piece)}`, `at most ${MAX_MERGES}`);
    }
  }
  return {
    ...model.bpe,
    ids: idsOf(pieces),
    merges: MergeTable.fromList(Int32Array.from(triples)),
    looseCharacters: [],
  };
}

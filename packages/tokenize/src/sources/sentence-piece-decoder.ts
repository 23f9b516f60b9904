/** sentencepiece's Decode as a stage of a decoder: pieces become text. Byte pieces pass, for ByteFallback to follow. */

import type { Sink } from "../decoders/sink";
import { byteOfToken } from "../utf8";

export interface SentencePieceDecoder {
  readonly type: "SentencePiece";
  readonly unkPiece: string;
  /** What is shown for the unknown piece, usually " \u2047 ". */
  readonly unkSurface: string;
  /**
   * Whether pieces lose the space that they start with, at the start of the text: none does, the first one, or all up to
   * the first that leaves something over.
   */
  readonly strip: "none" | "first" | "all";
}

const SPACE = "\u2581";

export function sentencePieceStage(decoder: SentencePieceDecoder, next: Sink): Sink {
  let isAtStart = decoder.strip !== "none";
  let piece = "";
  return {
    push(part, ends) {
      piece += part;
      if (!ends) return;
      let text = piece;
      piece = "";
      if (text === decoder.unkPiece) {
        text = decoder.unkSurface;
      } else if (byteOfToken(text) < 0) {
        if (isAtStart && text.startsWith(SPACE)) {
          text = text.slice(1);
          if (decoder.strip === "first") isAtStart = false;
        }
        text = text.replaceAll(SPACE, " ");
      }
      if (text !== "") isAtStart = false;
      next.push(text, true);
    },
    finish: () => next.finish(),
  };
}

/** Decoders that put spaces between words: WordPiece, BPEDecoder, CTC. */

import type { Sink } from "./sink";
import { tokenStage } from "./stages";

/** What the reference tidies up in each token, in this order: it takes the spaces out, and shortens the words. */
export const TIDIED = [" .", " ?", " !", " ,", " ' ", " n't", " 'm", " do not", " 's", " 've", " 're"];

export const DO_NOT = " do not";

/** Rust's str::replace: an empty string is found between all characters and at both ends. */
function replaced(text: string, string: string, content: string): string {
  if (string !== "") return text.replaceAll(string, content);
  return content + Array.from(text, (character) => character + content).join("");
}

/** Any of them: most tokens have none. */
const UNTIDY = / (?:[.?!,]|' |n't|do not|'(?:[ms]|[vr]e))/;

function tidy(text: string): string {
  if (!UNTIDY.test(text)) return text;
  return TIDIED.reduce((result, from) => result.replaceAll(from, from === DO_NOT ? " don't" : from.trim()), text);
}

/** A space before each token but the first, unless it has the prefix of a continuation. */
export function wordPieceStage(prefix: string, cleanup: boolean, next: Sink): Sink {
  return tokenStage((token, isFirst) => {
    const text = isFirst ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
    return cleanup ? tidy(text) : text;
  }, next);
}

/** The end of a word becomes a space, and nothing in the last token: a token with one waits for the next. */
export function bpeStage(suffix: string, next: Sink): Sink {
  let token = "";
  let waiting: string | null = null;
  return {
    push(text, ends) {
      if (waiting !== null) next.push(replaced(waiting, suffix, " "), true);
      waiting = null;
      token += text;
      if (!ends) return;
      const at = token.indexOf(suffix);
      if (at >= 0) waiting = token.slice(at);
      next.push(at < 0 ? token : token.slice(0, at), at < 0);
      token = "";
    },
    finish() {
      if (waiting !== null) next.push(replaced(waiting, suffix, ""), true);
      next.finish();
    },
  };
}

/** Takes repeated tokens once and padding out; what is then empty is no token. */
export function ctcStage(padToken: string, wordDelimiter: string, cleanup: boolean, next: Sink): Sink {
  let last: string | null = null;
  return tokenStage((token) => {
    if (token === last) return null;
    last = token;
    let text = replaced(token, padToken, "");
    if (cleanup) text = replaced(tidy(text), wordDelimiter, " ");
    return text === "" ? null : text;
  }, next);
}

/** BertPreTokenizer, in one go over the text: white space goes, and every punctuation character is a word of its own. */

import type { Matcher } from "../patterns/pattern";
import { whiteSpace } from "../text/characters";
import { punctuation } from "./punctuation";

const WORD = 0;
const SPACE = 1;
const MARK = 2;

/** Of the ASCII characters, without a call for each. */
const asciiKinds = Uint8Array.from({ length: 128 }, (_, code) => kindOf(code));

function kindOf(code: number): number {
  return whiteSpace.has(code) ? SPACE : punctuation.has(code) ? MARK : WORD;
}

/** The words are its matches. */
export const bertMatcher: Matcher = (text, from, to, found) => {
  let start = from;
  for (let at = from; at < to; ) {
    const unit = text.charCodeAt(at);
    const code = unit < 0xd800 ? unit : (text.codePointAt(at) as number);
    const kind = code < 128 ? asciiKinds[code] : kindOf(code);
    const end = code > 0xffff ? at + 2 : at + 1;
    if (kind !== WORD) {
      if (at > start) found(start, at);
      if (kind === MARK) found(at, end);
      start = end;
    }
    at = end;
  }
  if (to > start) found(start, to);
};

/** Decoding GPT-2's byte alphabet: the bytes of all tokens are one stream of UTF-8. */

import { byteOfUnit } from "../text/byte-alphabet";
import { Utf8Assembler, utf8Of } from "../utf8";
import type { Sink } from "./sink";

/** Makes one token of all. What is no UTF-8 becomes U+FFFD, one for each start of a character that breaks off. */
export function byteLevelStage(next: Sink): Sink {
  const utf8 = new Utf8Assembler(false);
  let held = "";
  return {
    push(text, ends) {
      held += text;
      if (!ends) return;
      let result = "";
      if (isAlphabet(held)) {
        for (let at = 0; at < held.length; at++) result += utf8.push(byteOfUnit(held.charCodeAt(at)));
      } else {
        for (const byte of utf8Of(held)) result += utf8.push(byte);
      }
      held = "";
      next.push(result, false);
    },
    finish() {
      next.push(utf8.flush(), true);
      next.finish();
    },
  };
}

/** A token with any other character stands for its own UTF-8: an added token. */
function isAlphabet(token: string): boolean {
  for (let at = 0; at < token.length; at++) if (byteOfUnit(token.charCodeAt(at)) < 0) return false;
  return true;
}

/** UnicodeScripts: a new word where the script changes. */

import type { Matcher } from "../patterns/pattern";
import { scriptOf } from "../text/scripts";

/** The words are its matches. Characters without a script stay with what comes before; before the first script they go. */
export const scriptMatcher: Matcher = (text, from, to, found) => {
  let start = -1;
  let last = 0;
  for (let at = from; at < to; ) {
    const code = text.codePointAt(at) as number;
    const script = scriptOf(code);
    if (script !== 0 && script !== last) {
      if (start !== -1) found(start, at);
      start = at;
      last = script;
    }
    at += code > 0xffff ? 2 : 1;
  }
  if (start !== -1) found(start, to);
};

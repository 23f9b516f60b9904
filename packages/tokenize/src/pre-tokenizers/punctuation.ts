/** What counts as punctuation and as a digit. */

import { CharacterSet, codeRanges } from "../text/characters";

/** ASCII's symbols too. The reference's table (crate unicode_categories) is older: compared over all code points. */
export const punctuation = new CharacterSet(
  /[\p{P}$+<=>^`|~\u166d\u{111c9}]/u,
  new RegExp(
    `[${codeRanges(
      "61d 9fd a76 c77 c84 1b4e 1b4f 1b7d-1b7f 2e43-2e4f 2e52-2e5d 10d6e 10ead 10ed0 10f55-10f59 10f86-10f89 113d4 113d5 113d7 113d8 1144b-1144f 1145a 1145b 1145d 11660-1166c 116b9 1183b 11944-11946 119e2 11a3f-11a46 11a9a-11a9c 11a9e-11aa2 11b00-11b09 11be1 11c41-11c45 11c70 11c71 11ef7 11ef8 11f43-11f4f 11fff 12ff1 12ff2 16d6d-16d6f 16e97-16e9a 16fe2 1e5ff 1e95e 1e95f",
    )}]`,
    "u",
  ),
);

/** Rust's `char::is_numeric`. */
export const numeric = new CharacterSet(/\p{N}/u);

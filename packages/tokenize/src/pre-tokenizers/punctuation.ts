/** What counts as punctuation and as a digit. */

import { CharacterSet, codeClass } from "../text/characters";

/** ASCII's symbols too. The reference's table (crate unicode_categories) is older: compared over all code points. The ranges span gaps. */
export const punctuation = new CharacterSet(
  /[\p{P}$+<=>^`|~\u166d\u{111c9}]/u,
  codeClass(
    "61d 9fd-a76 c77-c84 1b4e-1b4f 1b7d-1b7f 2e43-2e5d 10d6e-10f89 113d4-1145d 11660-116b9 1183b-11fff 12ff1-12ff2 16d6d-16fe2 1e5ff-1e95f",
  ),
);

/** Rust's `char::is_numeric`. */
export const numeric = new CharacterSet(/\p{N}/u);

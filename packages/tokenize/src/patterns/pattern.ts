/** What Split and Replace look for: a string, or a regular expression in the Oniguruma syntax of tokenizer.json. */

export type Pattern =
  | { readonly type: "String"; readonly string: string }
  | { readonly type: "Regex"; readonly regex: string };

/**
 * Calls `found` for every match in `text` from `from` to `to`, left to right, none overlapping another. What lies outside
 * is not seen: `^` matches at `from`, a lookahead at `to` finds the end. Time near-linear in the length, whatever the text.
 */
export type Matcher = (text: string, from: number, to: number, found: (start: number, end: number) => void) => void;

/** What Split and Replace look for: a string, or a regular expression in the Oniguruma syntax of tokenizer.json. */

import { unsupported } from "../errors";
import type { JsonCursor } from "../json";
import { MAX_REGEX_LENGTH } from "../limits";
import { regexMatcher } from "./regex-matcher";
import { compileRegex } from "./regex-program";
import { parseRegex } from "./regex-syntax";
import type { RegexFailure } from "./regex-text";
import { scannerOf } from "./scanners";

export type Pattern =
  | { readonly type: "String"; readonly string: string }
  | { readonly type: "Regex"; readonly regex: string };

/**
 * Calls `found` for every match in `text` from `from` to `to`, left to right, none overlapping another. What lies outside
 * is not seen: `^` matches at `from`, a lookahead at `to` finds the end. Time near-linear in the length, whatever the text.
 */
export type Matcher = (text: string, from: number, to: number, found: (start: number, end: number) => void) => void;

const compiled = new WeakMap<Pattern, Matcher>();

/** The matcher of a pattern, made once. `fail` is called for a regular expression that is broken or asks for what is not built. */
export function compilePattern(pattern: Pattern, fail: RegexFailure = failPlainly): Matcher {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  const matcher =
    pattern.type === "String"
      ? stringMatcher(pattern.string)
      : (scannerOf(pattern.regex) ?? compileEngine(pattern.regex, fail));
  compiled.set(pattern, matcher);
  return matcher;
}

/** The matcher of a regular expression that knows no pattern by heart. */
export function compileEngine(regex: string, fail: RegexFailure = failPlainly): Matcher {
  const program = compileRegex(parseRegex(regex, fail), (kind, what) => fail(kind, what, regex.length));
  return regexMatcher(program);
}

/** Reads `{"String": ...}` or `{"Regex": ...}`; a regular expression is compiled at once, to see that it can be. */
export function parsePattern(json: JsonCursor): Pattern {
  json.onlyKeys(["String", "Regex"]);
  const string = json.get("String");
  const regex = json.get("Regex");
  if (string.isNull === regex.isNull) json.fail("one of String and Regex");
  if (!string.isNull) return { type: "String", string: string.string(MAX_REGEX_LENGTH) };
  const pattern: Pattern = { type: "Regex", regex: regex.string(MAX_REGEX_LENGTH) };
  compilePattern(pattern, (kind, what, at) => {
    if (kind === "broken") return regex.fail(`${what} at character ${at} of the regular expression`);
    throw unsupported(regex.file, regex.at, `${what} at character ${at}`, "Oniguruma's syntax without it");
  });
  return pattern;
}

/** The form of tokenizer.json. */
export function formatPattern(pattern: Pattern): unknown {
  return pattern.type === "String" ? { String: pattern.string } : { Regex: pattern.regex };
}

const failPlainly: RegexFailure = (kind, what, at) => {
  throw new SyntaxError(
    `regular expression, character ${at}: ${kind === "broken" ? "expected" : "unsupported"} ${what}`,
  );
};

/** An empty string matches between all characters, as the empty regular expression does that the reference makes of it. */
function stringMatcher(string: string): Matcher {
  if (string === "") return compileEngine("");
  return (text, from, to, found) => {
    const part = from === 0 && to === text.length ? text : text.slice(from, to);
    for (let at = part.indexOf(string); at !== -1; at = part.indexOf(string, at + string.length)) {
      found(from + at, from + at + string.length);
    }
  };
}

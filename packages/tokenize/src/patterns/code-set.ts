/** Sets of code points that a pattern asks about: ranges, properties, and what a class makes of them. */

import { CharacterSet, type CodeTest, codeClass } from "../text/characters";

export { CodeSet, type CodeTest } from "../text/characters";

/** Code points from `ranges[2i]` to `ranges[2i + 1]`, in any order, found by halving. */
export function rangesTest(ranges: readonly number[]): CodeTest {
  const pairs: [number, number][] = [];
  for (let i = 0; i < ranges.length; i += 2) pairs.push([ranges[i], ranges[i + 1]]);
  pairs.sort((a, b) => a[0] - b[0]);
  const merged: number[] = [];
  for (const [from, to] of pairs) {
    const last = merged.length - 1;
    if (last > 0 && from <= merged[last] + 1) merged[last] = Math.max(merged[last], to);
    else merged.push(from, to);
  }
  if (merged.length === 2) return (code) => code >= merged[0] && code <= merged[1];
  return (code) => {
    let low = 0;
    let high = merged.length / 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (merged[middle * 2 + 1] < code) low = middle + 1;
      else high = middle;
    }
    return low * 2 < merged.length && merged[low * 2] <= code;
  };
}

/** POSIX brackets, and the properties of the same names where they mean the same. */
const POSIX: Readonly<Record<string, string>> = {
  alnum: "[\\p{Alphabetic}\\p{Nd}]",
  alpha: "\\p{Alphabetic}",
  ascii: "[\\0-\\x7f]",
  blank: "[\\p{Zs}\\t]",
  cntrl: "\\p{Cc}",
  digit: "\\p{Nd}",
  graph: "[^\\p{White_Space}\\p{Cc}\\p{Cn}\\p{Cs}]",
  lower: "\\p{Lowercase}",
  print: "[^\\p{Cc}\\p{Cn}\\p{Cs}\\u2028\\u2029]",
  punct: "[\\p{P}\\p{S}]",
  space: "\\p{White_Space}",
  upper: "\\p{Uppercase}",
  xdigit: "[0-9A-Fa-f]",
  word: "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]",
};

/** What Unicode 17 assigns: Oniguruma 6.9.10 and Rust's regex know Unicode 16, where these are unassigned. The ranges span gaps. */
const assignedLater = new CharacterSet(
  codeClass(
    "88f c5c cdc 1acf-1aeb 20c1 2b96 a7ce-a7cf a7d2 a7d4 a7f1 fbc3-fbd2 fd90-fd91 fdc8-fdce 10940-10959 10ec5-10efb 11b60-11b67 11db0-11de9 16ea0-16ed3 16ff2-16ff6 187f8-187ff 18d09-18df2 1ccfa-1ccfc 1ceba-1cef0 1e6c0-1e6ff 1f6d8 1f777-1f77a 1f8d0-1f8d8 1fa54-1fa57 1fa8a-1fa8e 1fac8-1facd 1faea-1faef 1fbfa 2b73a-2b73f 2cea2-2cead 323b0-33479",
  ),
);
/** Unassigned in every version so far. */
const UNASSIGNED = 0x378;

function inUnicode16(set: CharacterSet): CodeTest {
  return (code) => set.has(assignedLater.has(code) ? UNASSIGNED : code);
}

const named = new Map<string, CodeTest>();

/** A POSIX bracket's characters. */
export function posixTest(name: string): CodeTest | undefined {
  return Object.hasOwn(POSIX, name) ? kept(`[:${name}:]`, () => POSIX[name]) : undefined;
}

/** A property's characters. Case, spaces, `-` and `_` in its name do not count, as in Oniguruma. */
export function propertyTest(name: string): CodeTest | undefined {
  if (!/^[A-Za-z0-9_ -]+$/.test(name)) return undefined;
  const key = name.replace(/[ _-]/g, "").toLowerCase();
  if (key !== "punct" && Object.hasOwn(POSIX, key)) return posixTest(key);
  return kept(key, () => unicodeSource(name));
}

function kept(key: string, source: () => string | undefined): CodeTest | undefined {
  const known = named.get(key);
  if (known !== undefined) return known;
  const pattern = source();
  if (pattern === undefined) return undefined;
  const test = inUnicode16(new CharacterSet(new RegExp(pattern, "u")));
  named.set(key, test);
  return test;
}

/** `\w` in a class, and in Rust's regular expressions but for its two joiners. */
const wordTest = posixTest("word") as CodeTest;
/** `\w` and `\b` outside of classes: Oniguruma looks Latin-1 up in a table that has these six as well. */
export const isWord: CodeTest = (code) =>
  wordTest(code) || (code < 0xbf && /[\xb2\xb3\xb9\xbc-\xbe]/.test(String.fromCharCode(code)));
/** `\w` of Rust's regex crate, at its Unicode 16. */
export const isRustWord: CodeTest = (code) => wordTest(code) || code === 0x200c || code === 0x200d;

/** JavaScript takes Unicode's names only as they are written: try the usual capitals. */
function unicodeSource(name: string): string | undefined {
  const words = name.trim().split(/[ _-]+/);
  const titled = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1).toLowerCase()).join("_");
  for (const spelling of [name, titled, name.toUpperCase()]) {
    for (const source of [`\\p{${spelling}}`, `\\p{Script=${spelling}}`]) {
      try {
        new RegExp(source, "u");
        return source;
      } catch {
        // Not a name that this engine knows: the next spelling.
      }
    }
  }
  return undefined;
}

let foldings: ReadonlyMap<number, readonly number[]> | undefined;

/** The code points that differ from `code` only in case (Unicode's simple case folding), itself included. */
export function caseVariants(code: number): readonly number[] {
  foldings ??= readFoldings();
  return foldings.get(code) ?? [code];
}

function readFoldings(): Map<number, number[]> {
  const variants = new Map<number, number[]>();
  // No cased letter lies above plane 1.
  for (let code = 0; code < 0x20000; code++) {
    const character = String.fromCodePoint(code);
    if (!/\p{Changes_When_Casemapped}/u.test(character)) continue;
    const upper = character.toUpperCase();
    for (const target of [character.toLowerCase(), upper, upper.toLowerCase().normalize("NFC")]) {
      const folded = target.codePointAt(0) as number;
      // Foldings to several characters are left out, here as in the regular expressions of JavaScript.
      if (String.fromCodePoint(folded) !== target || folded === code) continue;
      if (!/^(.)\1$/isu.test(character + target)) continue;
      const group = [...new Set([...(variants.get(folded) ?? [folded]), ...(variants.get(code) ?? [code])])];
      for (const member of group) variants.set(member, group);
    }
  }
  return variants;
}

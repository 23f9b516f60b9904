// Every scanner gives the same matches as the engine that runs its regular expression.

import fc from "fast-check";
import { expect, test } from "vitest";
import { awkwardTexts } from "../../../../tests/support/tokenizer-fixtures";
import { compileEngine, type Matcher } from "./pattern";
import { scannedRegexes, scannerOf } from "./scanners";

const { texts } = awkwardTexts();

/** Characters of every kind that an expression tells apart, in pieces that make its branches likely. */
const piece = fc.oneof(
  fc.constantFrom(
    ..." \t\n\r'/_-.a0bAB\u00e9\u01c5\u02b0\u017f\u4e00\u3042\u30fc\u0301\u0660\u00b2\u00a0\u2028\u200d$",
  ),
  fc.constantFrom(
    "'s",
    "'LL",
    "'re",
    "'V",
    "'\u017f",
    "<|endoftext|>",
    "   ",
    "\r\n",
    "1234",
    "\u{1d400}",
    "\u{1f600}",
    "\u{1d7d8}",
  ),
  fc.string({ unit: "grapheme", maxLength: 3 }),
);
const awkward = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""));

function matches(matcher: Matcher, text: string, from = 0, to = text.length): string {
  const found: number[][] = [];
  matcher(text, from, to, (start, end) => found.push([start, end]));
  return JSON.stringify(found);
}

test.each(scannedRegexes())("%s", (regex) => {
  const scan = scannerOf(regex) as Matcher;
  const engine = compileEngine(regex);
  for (const text of Object.values(texts)) expect(matches(scan, text)).toBe(matches(engine, text));
  fc.assert(
    fc.property(awkward, fc.nat(4), fc.nat(4), (text, skipped, left) => {
      // Not between the units of a pair.
      const from = [...text].slice(0, skipped).join("").length;
      const to = Math.max(from, text.length - [...text].slice(-left - 1, -1).join("").length);
      const end = (text.charCodeAt(to) & 0xfc00) === 0xdc00 ? to - 1 : to;
      expect(matches(scan, text, from, Math.max(from, end))).toBe(matches(engine, text, from, Math.max(from, end)));
    }),
    { numRuns: 1000 },
  );
});

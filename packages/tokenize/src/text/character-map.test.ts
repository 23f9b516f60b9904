/** Rewriting character by character: what moves, what stays, and parts with rules of their own. */

import { expect, test } from "vitest";
import { type AlignedText, alignedText } from "./aligned-text";
import { CharacterMap } from "./character-map";

function shown(result: AlignedText | null): unknown {
  if (result === null || result.starts === null || result.ends === null) return result?.text;
  return [result.text, [...result.starts].join(" "), [...result.ends].join(" ")];
}

const rules: Readonly<Record<string, string>> = { x: "", a: "𝐚", "😀": "b", 𝐛: "𝐁" };
const map = new CharacterMap((character) => rules[character] ?? character.toUpperCase());

test("a text that stays is the source itself", () => {
  const source = alignedText("A B 😁 C");
  expect(map.apply(source)).toBe(source);
});

test("one unit for one unit, one pair for one pair: nothing moves", () => {
  expect(shown(map.apply(alignedText("cd𝐛 é")))).toBe("CD𝐁 É");
});

test("longer, shorter, and gone", () => {
  expect(shown(map.apply(alignedText("cx😀aß𝐛d")))).toEqual(["Cb𝐚SS𝐁D", "0 2 4 4 5 5 6 6 8", "1 4 5 5 6 6 8 8 9"]);
  expect(shown(map.apply(alignedText("xx")))).toEqual(["", "", ""]);
  expect(shown(map.apply(alignedText("")))).toBe("");
});

test("on a text that has moved before, and on one that is longer than what memory is kept for", () => {
  const once = map.apply(alignedText("--cad--", 2, 5)) as AlignedText;
  expect(shown(once)).toEqual(["C𝐚D", "2 3 3 4", "3 4 4 5"]);
  expect(shown(map.apply({ ...once, text: "c😀d" }))).toEqual(["CbD", "2 3 4", "3 4 5"]);
  const long = map.apply(alignedText("caß".repeat(100_000))) as AlignedText;
  expect(long.text).toBe("C𝐚SS".repeat(100_000));
  expect([long.starts?.at(-1), long.ends?.at(-1), long.starts?.length]).toEqual([299_999, 300_000, 500_000]);
});

test("a part takes the character before it along", () => {
  const rule = (character: string): string | null => (character === "+" ? null : character === "-" ? "" : character);
  const parts: string[] = [];
  const joined = new CharacterMap(rule, (part) => {
    parts.push(part);
    return { text: `${part.length}${part[0]}`, origins: [part.length - 1, 0] };
  });
  expect(shown(joined.apply(alignedText("+ab++c-+d")))).toEqual([
    "1+a3bc2-d",
    "0 0 1 4 2 5 7 6 8",
    "1 1 2 5 3 6 8 7 9",
  ]);
  expect(parts).toEqual(["+", "b++", "-+"]);
  expect(new CharacterMap(rule).apply(alignedText("ab+"))).toBeNull();
});

import { describe, expect, it } from "vitest";
import { Trie } from "./trie";

describe("Trie", () => {
  it("finds what was added, and nothing else", () => {
    const strings = new Map<string, number>();
    const trie = new Trie();
    for (let i = 0; i < 5000; i++) {
      const text = (i * 7919).toString(3 + (i % 5));
      strings.set(text, i);
      trie.add(text, i);
    }
    for (const [text, value] of strings) expect(trie.find(`<${text}>`, 1, 1 + text.length)).toBe(value);
    for (let i = 0; i < 5000; i++) {
      const text = (i * 104729).toString(7);
      expect(trie.find(text, 0, text.length)).toBe(strings.get(text) ?? -1);
    }
    expect(trie.find("", 0, 0)).toBe(-1);
  });

  it("knows the longest string that stands at a place and ends in time", () => {
    const trie = new Trie();
    for (const text of ["a", "abc", "abcdef", "\u{1F600}"]) trie.add(text, 0);
    expect(trie.longestAt("abcdeg", 0, 6)).toBe(3);
    expect(trie.longestAt("xabcdef", 1, 7)).toBe(6);
    expect(trie.longestAt("xabcdef", 1, 6)).toBe(3);
    expect(trie.longestAt("xabcdef", 0, 7)).toBe(0);
    expect(trie.longestAt("\u{1F600}", 0, 2)).toBe(2);
    expect(trie.longestAt("\u{1F600}", 1, 2)).toBe(0);
  });

  it("takes the last one of equal strings and has no place for the empty one", () => {
    const trie = new Trie();
    trie.add("a", 1);
    trie.add("a", 2);
    trie.add("", 3);
    expect(trie.find("a", 0, 1)).toBe(2);
    expect(trie.longestAt("b", 0, 1)).toBe(0);
  });
});

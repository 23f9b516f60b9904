/**
 * Texts to tokenize, made from what the repository has. Words, numbers and names are exchanged at random, from a seed, so
 * that a tokenizer which remembers words does not have all of them after the first page.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Kind } from "./protocol";

/** Random numbers from 0 to below `end`. */
type Random = (end: number) => number;

/** mulberry32. */
function seeded(seed: number): Random {
  let state = seed | 0;
  return (end) => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) % end;
  };
}

function pick<T>(from: readonly T[], random: Random): T {
  return from[random(from.length)];
}

const EMOJI = [
  ..."😀😂🥹😍🤔🙄😴🤯🎉🔥✨💯🚀👀🙏💔🐱🌍🍕⚽🎸📈✅❌",
  ...["❤️", "☀️", "👍🏽", "👩🏿‍💻", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇯🇵", "🇧🇷", "1️⃣", "🤷‍♀️", "🧑‍🚀"],
];

/** Whole paths of a folder's files, in an order that does not change. */
function filesUnder(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending) && !name.includes("node_modules"))
    .sort()
    .map((name) => join(folder, name));
}

/** The lines that each kind of text starts from. `root` is the repository's folder. */
export function readLines(root: string): Readonly<Record<Kind, readonly string[]>> {
  const read = (paths: readonly string[]): string[] => paths.flatMap((path) => readFileSync(path, "utf8").split("\n"));
  const folders = ["core", "models", "tokenize"].map((name) => join(root, "packages", name, "src"));
  const code = read(folders.flatMap((folder) => filesUnder(folder, ".ts")));
  const pages = read([
    ...["README.md", "CONTRIBUTING.md"].map((name) => join(root, name)),
    ...filesUnder(join(root, "docs"), ".md"),
  ]);
  // Prose is in pages, tables and examples left out, and in comments.
  const comments = code.flatMap((line) => /^\s*(?:\/\/|\/?\*\*?)\s+(.*?)(?:\s*\*\/)?$/.exec(line)?.[1] ?? []);
  const english = [...pages, ...comments].filter((line) => /^[\w"(`*-].*\w \w+ \w/.test(line));
  const multilingual = read([join(root, "tests/fixtures/tokenizers/make/multilingual.txt")]);
  const chinese = multilingual.filter((line) => /\p{Script=Han}.*。/u.test(line) && !/\p{Script=Hiragana}/u.test(line));
  return { English: english, code, Chinese: chinese, emoji: english };
}

/** A text of about so many UTF-8 bytes. */
export function makeText(kind: Kind, lines: readonly string[], bytes: number, seed: number): string {
  const random = seeded(seed * 7919 + kind.length);
  const words = lines.flatMap((line) => line.match(/[A-Za-z]{3,}/g) ?? []);
  const parts: string[] = [];
  for (let made = 0; made < bytes; ) {
    // Runs of lines, as they follow each other.
    const at = random(lines.length);
    for (const line of lines.slice(at, at + 1 + random(20))) {
      const varied = `${vary(kind, line, words, random)}\n`;
      parts.push(varied);
      made += Buffer.byteLength(varied);
    }
  }
  return parts.join("");
}

function vary(kind: Kind, line: string, words: readonly string[], random: Random): string {
  switch (kind) {
    case "Chinese":
      // About half of the characters stay; the new ones are from the more usual half of the block.
      return line.replace(/\p{Script=Han}/gu, (character) =>
        random(2) === 0 ? character : String.fromCodePoint(0x4e00 + random(0x2800)),
      );
    case "emoji":
      return exchange(line, words, random).replace(/ /g, (space) =>
        random(2) === 0 ? space : ` ${Array.from({ length: 1 + random(3) }, () => pick(EMOJI, random)).join("")} `,
      );
    default:
      return exchange(line, words, random);
  }
}

/** One word in six is another, one in thirty a name that nobody has, and numbers change. */
function exchange(line: string, words: readonly string[], random: Random): string {
  return line
    .replace(/\d+/g, (digits) => String(random(10 ** Math.min(9, digits.length))))
    .replace(/[A-Za-z]{3,}/g, (word) => {
      const what = random(30);
      if (what < 5) return pick(words, random);
      return what === 5 ? name(random) : word;
    });
}

function name(random: Random): string {
  const syllables = Array.from(
    { length: 2 + random(2) },
    () => pick([..."bdfgklmnprstvz"], random) + pick([..."aeiou"], random),
  );
  const joined = syllables.join("");
  return joined[0].toUpperCase() + joined.slice(1);
}

/** Cut at line ends into documents of 2 to 6 kB. */
export function documentsOf(text: string, seed: number): string[] {
  const random = seeded(seed);
  const documents: string[] = [];
  for (let from = 0; from < text.length; ) {
    const newline = text.indexOf("\n", from + 2000 + random(4000));
    const to = newline === -1 ? text.length : newline + 1;
    documents.push(text.slice(from, to));
    from = to;
  }
  return documents;
}

/** Twelve words each. */
export function queriesOf(text: string, count: number): string[] {
  const words = text.split(/\s+/).filter((word) => word !== "");
  return Array.from({ length: Math.min(count, Math.floor(words.length / 12)) }, (_, i) =>
    words.slice(i * 12, i * 12 + 12).join(" "),
  );
}

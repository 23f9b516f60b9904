/** NFC, NFD, NFKC and NFKD with alignment, by the engine's own Unicode tables. */

import type { AlignedText } from "./aligned-text";
import { CharacterMap, type Rewritten } from "./character-map";
import { CharacterSet } from "./characters";
import { afterUnicode9 } from "./unicode-versions";

export type NormalizationForm = "NFC" | "NFD" | "NFKC" | "NFKD";

/** Second characters of compositions that are no marks: Hangul vowels and final consonants. */
const COMPOSABLE = /[\p{M}\u1161-\u1175\u11a8-\u11c2]/u;

/** One mark of each combining class from 1 to 240, in that order: whole characters, so that sorting shows where a mark belongs. */
const CLASSES =
  "\u0334\u093c\u3099\u094d\u05b0\u05b1\u05b2\u05b3\u05b4\u05b5\u05b6\u05b7\u05b8\u05b9\u05bb\u05bc\u05bd\u05bf\u05c1\u05c2" +
  "\ufb1e\u064b\u064c\u064d\u0618\u0619\u061a\u0651\u0652\u0670\u0711\u0c55\u0c56\u0e38\u0e48\u0eb8\u0ec8\u0f71\u0f72\u0f74" +
  "\u0321\u1dce\u031b\u302a\u0316\u059a\u302e\u{1d16d}\u05ae\u0300\u0315\u035c\u035d\u0345";

/** Longest part that is remembered, and how many of them. */
const MAX_KEPT_PART = 8;
const MAX_KEPT_PARTS = 4096;

/** All that can stand in a run of marks: halfwidth Kana marks become marks. */
const marks = new CharacterSet(/[\p{M}\uff9e\uff9f]/u);
/** Every how many units we look for marks, and how often in a row they make a long run. */
const STRIDE = 32;
const LONG_RUN = 3;
const MARK = /\p{M}/u;
const NON_ASCII = /[^\0-\x7f]/;

const maps = new Map<NormalizationForm, CharacterMap>();
const ranks = new Map<string, number>();

/** The text in the form. Characters after Unicode 9 count as having neither class nor decomposition, as in the reference. */
export function toForm(form: NormalizationForm, source: AlignedText): AlignedText {
  const { text } = source;
  if (!NON_ASCII.test(text) || (!mayHaveLongRun(text) && text.normalize(form) === text)) return source;
  let map = maps.get(form);
  if (map === undefined) {
    map = mapOf(form);
    maps.set(form, map);
  }
  return map.apply(source) as AlignedText;
}

/** Engines sort a run of marks in quadratic time (ICU inserts one after the other): such texts are left to the map. */
function mayHaveLongRun(text: string): boolean {
  let found = 0;
  for (let at = 0; at < text.length && found < LONG_RUN; at += STRIDE) {
    const unit = text.charCodeAt(at);
    found = marks.has(text.codePointAt((unit & 0xfc00) === 0xdc00 ? at - 1 : at) as number) ? found + 1 : 0;
  }
  return found === LONG_RUN;
}

/** Of a character that no longer decomposes: 0 for a starter, else a number that grows with its combining class. */
export function combiningRank(character: string): number {
  if (!MARK.test(character)) return 0;
  let rank = ranks.get(character);
  if (rank === undefined) {
    rank = probeRank(character);
    ranks.set(character, rank);
  }
  return rank;
}

function probeRank(character: string): number {
  if (afterUnicode9.test(character)) return 0;
  const rank = (CLASSES + character).normalize("NFD").lastIndexOf(character);
  // At the end: of the last class, or a starter, which nothing passes.
  return rank === CLASSES.length && (character + CLASSES).normalize("NFD").startsWith(character) ? 0 : rank;
}

/** The full decomposition of one character. */
export function decompose(character: string, isCompatible: boolean): string {
  return afterUnicode9.test(character) ? character : character.normalize(isCompatible ? "NFKD" : "NFD");
}

function mapOf(form: NormalizationForm): CharacterMap {
  const isCompatible = form === "NFKC" || form === "NFKD";
  const composes = form === "NFC" || form === "NFKC";
  const kept = new Map<string, Rewritten>();
  return new CharacterMap(
    (character) => {
      const first = String.fromCodePoint(decompose(character, isCompatible).codePointAt(0) as number);
      if (combiningRank(first) > 0 || (composes && COMPOSABLE.test(first))) return null;
      return afterUnicode9.test(character) ? character : character.normalize(form);
    },
    (part) => {
      let made = kept.get(part);
      if (made !== undefined) return made;
      const letters = decomposed(part, isCompatible);
      made = aligned(composes ? recomposed(letters) : letters, part);
      if (kept.size === MAX_KEPT_PARTS) kept.clear();
      if (part.length <= MAX_KEPT_PART) kept.set(part, made);
      return made;
    },
  );
}

/**
 * A character on its way. `change` counts as the reference's crate does: 1 for one that is added, 0 for one that stands
 * for the next old character, -n for one that stands for it and takes n more old characters away.
 */
interface Letter {
  readonly text: string;
  readonly rank: number;
  readonly change: number;
}

/** Decomposed and in canonical order. */
function decomposed(part: string, isCompatible: boolean): Letter[] {
  const letters: Letter[] = [];
  let run: Letter[] = [];
  const endRun = (): void => {
    if (run.length > 1) run.sort((a, b) => a.rank - b.rank);
    for (const letter of run) letters.push(letter);
    run = [];
  };
  for (const character of part) {
    let change = 0;
    for (const text of decompose(character, isCompatible)) {
      const rank = combiningRank(text);
      if (rank === 0) endRun();
      (rank === 0 ? letters : run).push({ text, rank, change });
      change = 1;
    }
  }
  endRun();
  return letters;
}

/** Starters take up the marks and vowels behind them that compose and are not blocked. */
function recomposed(letters: readonly Letter[]): Letter[] {
  const result: Letter[] = [];
  let starter: Letter | null = null;
  let waiting: Letter[] = [];
  const emit = (): void => {
    if (starter !== null) result.push(starter);
    for (const letter of waiting) result.push(letter);
    waiting = [];
  };
  for (const letter of letters) {
    if (starter === null) {
      if (letter.rank === 0) starter = letter;
      else result.push(letter);
      continue;
    }
    const isBlocked = waiting.length > 0 && waiting[waiting.length - 1].rank >= letter.rank;
    const text: string | null = isBlocked ? null : compose(starter.text, letter.text);
    if (text !== null) {
      starter = { text, rank: 0, change: starter.change + letter.change - 1 };
    } else if (letter.rank === 0) {
      emit();
      starter = letter;
    } else {
      waiting.push(letter);
    }
  }
  emit();
  return result;
}

function compose(first: string, second: string): string | null {
  if (!COMPOSABLE.test(second)) return null;
  const text = (first + second).normalize("NFC");
  const isOne = text.length === ((text.codePointAt(0) as number) > 0xffff ? 2 : 1);
  return isOne && !afterUnicode9.test(text) ? text : null;
}

/** Goes through the old characters as the changes say. */
function aligned(letters: readonly Letter[], part: string): Rewritten {
  const starts: number[] = [];
  for (let at = 0; at < part.length; at += (part.codePointAt(at) as number) > 0xffff ? 2 : 1) starts.push(at);
  let text = "";
  const origins: number[] = [];
  let taken = 0;
  for (const letter of letters) {
    const origin = starts[letter.change > 0 ? Math.max(0, taken - 1) : taken];
    if (letter.change <= 0) taken += 1 - letter.change;
    text += letter.text;
    for (let i = 0; i < letter.text.length; i++) origins.push(origin);
  }
  return { text, origins };
}

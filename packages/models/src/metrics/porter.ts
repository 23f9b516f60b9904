/** The Porter stemmer, with the changes that NLTK makes to it: what ROUGE's stemming is. */

/** Words that the rules get wrong, and their stems. */
const IRREGULAR: ReadonlyMap<string, string> = new Map(
  Object.entries({
    skies: "sky",
    sky: "sky",
    dying: "die",
    lying: "lie",
    tying: "tie",
    news: "news",
    innings: "inning",
    inning: "inning",
    outings: "outing",
    outing: "outing",
    cannings: "canning",
    canning: "canning",
    howe: "howe",
    proceed: "proceed",
    exceed: "exceed",
    succeed: "succeed",
  }),
);

/** A suffix, and what it becomes. */
type Rule = readonly [suffix: string, replacement: string];

// Where a suffix ends in another, the longer stands first.
const STEP_2: readonly Rule[] = [
  ["ational", "ate"],
  ["tional", "tion"],
  ["enci", "ence"],
  ["anci", "ance"],
  ["izer", "ize"],
  ["bli", "ble"],
  ["alli", "al"],
  ["entli", "ent"],
  ["eli", "e"],
  ["ousli", "ous"],
  ["ization", "ize"],
  ["ation", "ate"],
  ["ator", "ate"],
  ["alism", "al"],
  ["iveness", "ive"],
  ["fulness", "ful"],
  ["ousness", "ous"],
  ["aliti", "al"],
  ["iviti", "ive"],
  ["biliti", "ble"],
  ["fulli", "ful"],
];

const STEP_3: readonly Rule[] = [
  ["icate", "ic"],
  ["ative", ""],
  ["alize", "al"],
  ["iciti", "ic"],
  ["ical", "ic"],
  ["ful", ""],
  ["ness", ""],
];

const STEP_4: readonly string[] = [
  ...["al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion"],
  ...["ou", "ism", "ate", "iti", "ous", "ive", "ize"],
];

/**
 * The stem of an English word in lower case: connection, connected and connecting all give "connect". Porter's algorithm
 * (1980, "An algorithm for suffix stripping") as NLTK's PorterStemmer has it, in its standard mode. O(length).
 *
 * @example
 * porterStem("relational"); // "relat"
 */
export function porterStem(word: string): string {
  const irregular = IRREGULAR.get(word);
  if (irregular !== undefined) return irregular;
  if (word.length <= 2) return word;
  return step5(step4(step3(step2(step1c(step1b(step1a(word)))))));
}

/** For each letter, whether it is a vowel: a, e, i, o, u, and y after a consonant. All else is a consonant, digits too. */
function vowels(word: string): boolean[] {
  const out: boolean[] = [];
  for (let i = 0; i < word.length; i++) {
    out.push("aeiou".includes(word[i]) || (word[i] === "y" && i > 0 && !out[i - 1]));
  }
  return out;
}

/** Porter's m: how often a vowel is followed by a consonant. */
function measure(stem: string): number {
  return vowels(stem).filter((vowel, i, all) => !vowel && i > 0 && all[i - 1]).length;
}

/** Porter's *o: consonant, vowel, consonant at the end, the last not w, x or y; for NLTK, also vowel, consonant alone. */
function endsShort(stem: string): boolean {
  const [first, second, third] = vowels(stem).slice(-3);
  if (stem.length === 2) return first && !second;
  return stem.length > 2 && !first && second && !third && !/[wxy]$/.test(stem);
}

function endsDouble(word: string): boolean {
  const { length } = word;
  return length >= 2 && word[length - 1] === word[length - 2] && !vowels(word)[length - 1];
}

/** The word without so many letters at its end. */
function without(word: string, letters: number): string {
  return word.slice(0, word.length - letters);
}

function step1a(word: string): string {
  if (word.endsWith("ies")) return without(word, word.length === 4 ? 1 : 2);
  if (word.endsWith("sses")) return without(word, 2);
  return word.endsWith("s") && !word.endsWith("ss") ? without(word, 1) : word;
}

function step1b(word: string): string {
  if (word.endsWith("ied")) return without(word, word.length === 4 ? 1 : 2);
  if (word.endsWith("eed")) return measure(without(word, 3)) > 0 ? without(word, 1) : word;
  const suffix = ["ed", "ing"].find((each) => word.endsWith(each) && vowels(without(word, each.length)).includes(true));
  if (suffix === undefined) return word;
  const stem = without(word, suffix.length);
  if (/(?:at|bl|iz)$/.test(stem)) return `${stem}e`;
  if (endsDouble(stem)) return /[lsz]$/.test(stem) ? stem : without(stem, 1);
  return measure(stem) === 1 && endsShort(stem) ? `${stem}e` : stem;
}

function step1c(word: string): string {
  const stem = without(word, 1);
  return word.endsWith("y") && stem.length > 1 && !vowels(stem)[stem.length - 1] ? `${stem}i` : word;
}

/** The first rule whose suffix is there, if the stem has a vowel-consonant sequence. */
function replaced(word: string, rules: readonly Rule[]): string {
  const rule = rules.find(([suffix]) => word.endsWith(suffix));
  if (rule === undefined) return word;
  const stem = without(word, rule[0].length);
  return measure(stem) > 0 ? stem + rule[1] : word;
}

function step2(word: string): string {
  // -ally becomes -al first, which may then go as a part of -ational and its like.
  if (word.endsWith("alli") && measure(without(word, 4)) > 0) return step2(without(word, 2));
  // The l counts for the stem, so that geology goes as archaeology does.
  if (word.endsWith("logi")) return measure(without(word, 3)) > 0 ? without(word, 1) : word;
  return replaced(word, STEP_2);
}

function step3(word: string): string {
  return replaced(word, STEP_3);
}

function step4(word: string): string {
  const suffix = STEP_4.find((each) => word.endsWith(each));
  if (suffix === undefined) return word;
  const stem = without(word, suffix.length);
  return measure(stem) > 1 && (suffix !== "ion" || /[st]$/.test(stem)) ? stem : word;
}

function step5(word: string): string {
  let out = word;
  if (word.endsWith("e")) {
    const stem = without(word, 1);
    const m = measure(stem);
    if (m > 1 || (m === 1 && !endsShort(stem))) out = stem;
  }
  return out.endsWith("ll") && measure(without(out, 1)) > 1 ? without(out, 1) : out;
}

/** Metrics of token classification: which spans a sequence of tags marks, and their precision, recall and F1. */

import { checkOptions } from "@qkv/core";
import { shown } from "../errors";
import { checkArray } from "./check";
import { checkSameLength, LabelCounts, type LabelScores } from "./counts";

/**
 * How tags mark spans. `conll`: as the evaluation of CoNLL-2000 reads them, whichever of B, I, E, S they use, and making
 * the best of sequences that no scheme allows (a span that begins with I). The others go by the rules of their scheme,
 * and what breaks them is no span.
 */
export type TagScheme = "conll" | "IOB1" | "IOB2" | "IOE2" | "IOBES" | "BILOU";

/** Options of `tagSpans` and `spanScores`. */
export interface TagSchemeOptions {
  /** `conll` if left out. */
  readonly scheme?: TagScheme;
}

/** A marked span of tokens. */
export interface TagSpan {
  readonly type: string;
  /** Its first token. */
  readonly start: number;
  /** The token after its last. */
  readonly end: number;
}

interface Tag {
  /** O, or B, I, E, S, which BILOU calls B, I, L, U. */
  readonly prefix: string;
  readonly type: string;
}

/** Rules of a scheme for neighbouring tags; `same` says that their types are the same. */
interface Rules {
  readonly prefixes: string;
  /** Whether a span starts here, if none goes on. */
  readonly starts: (before: string, here: string, same: boolean) => boolean;
  /** Whether a span of this type goes on here. */
  readonly continues: (before: string, here: string) => boolean;
  /** Whether a span that does not go on was complete. */
  readonly closes: (last: string, next: string, same: boolean) => boolean;
}

const always = () => true;
const isOpen = (prefix: string) => prefix === "B" || prefix === "I";
const isClosing = (prefix: string) => prefix === "E" || prefix === "S";

const BIES: Omit<Rules, "prefixes"> = {
  starts: (_before, here) => here === "B" || here === "S",
  continues: (before, here) => isOpen(before) && (here === "I" || here === "E"),
  closes: isClosing,
};

const RULES: Readonly<Record<TagScheme, Rules>> = {
  conll: { prefixes: "BIES", starts: (_before, here) => here !== "O", continues: BIES.continues, closes: always },
  IOB1: {
    prefixes: "BI",
    // B only parts a span from one of the same type right before it.
    starts: (before, here, same) => (here === "I" ? before !== "I" || !same : here === "B" && before !== "O" && same),
    continues: (before, here) => isOpen(before) && here === "I",
    closes: (last, next, same) => !(last === "B" && next === "B" && !same),
  },
  IOB2: {
    prefixes: "BI",
    starts: (_before, here) => here === "B",
    continues: (before, here) => isOpen(before) && here === "I",
    closes: always,
  },
  IOE2: {
    prefixes: "IE",
    starts: (before, here, same) => here !== "O" && (before !== "I" || !same),
    continues: (before, here) => before === "I" && here !== "O",
    closes: isClosing,
  },
  IOBES: { prefixes: "BIES", ...BIES },
  BILOU: { prefixes: "BILU", ...BIES },
};

const OUTSIDE: Tag = { prefix: "O", type: "" };
/** A tag without a type, such as a bare B, marks spans of this type. */
const NO_TYPE = "_";

/**
 * The spans that tags mark, as seqeval reads them.
 *
 * @param tags "O", or a prefix of the scheme, a hyphen and a type: "B-PER"
 * @throws RangeError for a tag that is none of the scheme; TypeError for what is no string, and for unknown options
 * @example
 * tagSpans(["B-PER", "I-PER", "O", "B-LOC"]);
 * // [{ type: "PER", start: 0, end: 2 }, { type: "LOC", start: 3, end: 4 }]
 */
export function tagSpans(tags: readonly string[], options: TagSchemeOptions = {}): TagSpan[] {
  return spansOf(tags, rulesOf("tagSpans", options), "tags");
}

/**
 * Precision, recall and F1 of spans: one is right if its type and both its ends are. By type, over all spans (`micro`,
 * what is meant by "the F1" of named entity recognition), and averaged over types (`macro`). As seqeval, from 0 to 1;
 * what would be divided by 0 is 0.
 *
 * @param predictions the tags of each text
 * @param references as many texts, with as many tags each
 * @throws RangeError for other lengths, and for a tag that is none of the scheme; TypeError for what is no string, and
 *   for unknown options
 * @example
 * spanScores([["B-PER", "O", "B-LOC"]], [["B-PER", "I-PER", "B-LOC"]]).micro.f1; // 0.5
 */
export function spanScores(
  predictions: readonly (readonly string[])[],
  references: readonly (readonly string[])[],
  options: TagSchemeOptions = {},
): LabelScores<string> {
  const rules = rulesOf("spanScores", options);
  checkSameLength(predictions, references, "spanScores");
  const counts = new LabelCounts<string>();
  for (let i = 0; i < references.length; i++) {
    checkSameLength(predictions[i], references[i], `spanScores: text ${i}`);
    const expected = spansOf(references[i], rules, `references[${i}]`);
    for (const { type } of expected) counts.expected(type);
    // No two spans of a text start at the same token.
    const byStart = new Map(expected.map((span) => [span.start, span]));
    for (const { type, start, end } of spansOf(predictions[i], rules, `predictions[${i}]`)) {
      counts.predicted(type);
      const other = byStart.get(start);
      if (other?.type === type && other.end === end) counts.right(type);
    }
  }
  return counts.scores();
}

function rulesOf(where: string, options: TagSchemeOptions): Rules {
  checkOptions(where, options, ["scheme"]);
  const { scheme = "conll" } = options;
  if (!Object.hasOwn(RULES, scheme)) {
    throw new RangeError(`scheme: expected one of ${Object.keys(RULES).join(", ")}, got ${String(scheme)}`);
  }
  return RULES[scheme];
}

function spansOf(tags: readonly string[], rules: Rules, where: string): TagSpan[] {
  checkArray(where, tags);
  const spans: TagSpan[] = [];
  let start = -1;
  let before = OUTSIDE;
  for (let i = 0; i <= tags.length; i++) {
    const here = i === tags.length ? OUTSIDE : parse(tags[i], rules.prefixes, `${where}[${i}]`);
    const same = here.type === before.type;
    if (start >= 0 && same && rules.continues(before.prefix, here.prefix)) {
      before = here;
      continue;
    }
    if (start >= 0 && rules.closes(before.prefix, here.prefix, same)) spans.push({ type: before.type, start, end: i });
    start = rules.starts(before.prefix, here.prefix, same) ? i : -1;
    before = here;
  }
  return spans;
}

function parse(tag: string, prefixes: string, where: string): Tag {
  if (typeof tag !== "string") throw new TypeError(`${where}: expected a tag, got ${String(tag)}`);
  if (tag === "O") return OUTSIDE;
  const [prefix] = tag;
  if (prefix === undefined || !prefixes.includes(prefix) || (tag.length > 1 && tag[1] !== "-")) {
    const known = [...prefixes].map((each) => `${each}-`).join(", ");
    throw new RangeError(`${where}: expected O, or one of ${known} and a type, got ${shown(tag)}`);
  }
  return { prefix: prefix === "L" ? "E" : prefix === "U" ? "S" : prefix, type: tag.slice(2) || NO_TYPE };
}

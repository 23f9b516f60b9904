/** Parsing a template's source, with the place of a mistake, which the parser itself does not tell. */

import { ChatTemplateError } from "./errors";
import type { Jinja, Program } from "./interpreter";

/** Longest source in UTF-16 units; the longest known ones have about 30,000. */
export const MAX_TEMPLATE_LENGTH = 1 << 18;

/** Longest run of white space: the lexer's time grows with its square. */
const MAX_WHITE_SPACE = 1 << 10;

/** @throws ChatTemplateError */
export function parseTemplate(jinja: Jinja, given: string, file: string): Program {
  if (given.length > MAX_TEMPLATE_LENGTH) {
    throw new ChatTemplateError(
      file,
      `a template of ${given.length} characters, at most ${MAX_TEMPLATE_LENGTH} are read`,
    );
  }
  const source = given.replace(/\r\n?/g, "\n"); // as Jinja does
  const run = new RegExp(`\\s{${MAX_WHITE_SPACE}}`).exec(source);
  if (run !== null) {
    const where = lineAndColumn(source, run.index);
    throw new ChatTemplateError(file, `${where}: more than ${MAX_WHITE_SPACE} characters of white space in a row`);
  }
  let tokens: ReturnType<Jinja["tokenize"]>;
  try {
    tokens = jinja.tokenize(source, { lstrip_blocks: true, trim_blocks: true });
  } catch (cause) {
    throw syntaxError(source, file, firstBadTag(jinja, source), cause);
  }
  let last = 0;
  const watched = new Proxy(tokens, {
    get(target, key) {
      const index = typeof key === "string" ? Number(key) : Number.NaN;
      if (index > last) last = index;
      return Reflect.get(target, key);
    },
  });
  try {
    return jinja.parse(watched);
  } catch (cause) {
    const opened = tokens.slice(0, last + 1).filter(({ type }) => OPENING.has(type)).length;
    throw syntaxError(source, file, tagStarts(source)[Math.max(0, opened - 1)] ?? 0, cause);
  }
}

const OPENING: ReadonlySet<string> = new Set(["OpenStatement", "OpenExpression", "Comment"]);

function syntaxError(source: string, file: string, at: number, cause: unknown): ChatTemplateError {
  // The parser runs off the end of its tokens where something is left open; deep nesting ends at the stack's limit.
  const why =
    cause instanceof RangeError
      ? "nested too deep"
      : cause instanceof TypeError
        ? "the template ends where more is expected"
        : (cause as Error).message;
  return new ChatTemplateError(file, `${lineAndColumn(source, at)}: ${why}`, { cause });
}

/** Where `{{`, `{%` and `{#` begin, without the generation tags, which the lexer takes out beforehand. */
function tagStarts(source: string): number[] {
  return tagsOf(source).map(([start]) => start);
}

function tagsOf(source: string): [start: number, end: number][] {
  const tags: [number, number][] = [];
  // One tag a match: a comment, or code in which texts are skipped; without its end, the rest of the source.
  const pattern =
    /\{#[\s\S]*?(?:#\}|$)|\{[{%](?:"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'|[^"'}%]|[}%](?!\}))*(?:[}%]\}|$)?/g;
  for (const match of source.matchAll(pattern)) {
    if (/^\{%-?\s*(end)?generation\s*-?%\}$/.test(match[0])) continue;
    tags.push([match.index, match.index + match[0].length]);
  }
  return tags;
}

/** The start of the first tag whose prefix the lexer refuses: the lexer only looks ahead within a tag. */
function firstBadTag(jinja: Jinja, source: string): number {
  const tags = tagsOf(source);
  const isBad = (end: number): boolean => {
    try {
      jinja.tokenize(source.slice(0, end), { lstrip_blocks: true, trim_blocks: true });
      return false;
    } catch {
      return true;
    }
  };
  let [low, high] = [0, tags.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBad(tags[middle][1])) high = middle;
    else low = middle + 1;
  }
  return tags[low]?.[0] ?? 0;
}

function lineAndColumn(source: string, at: number): string {
  const before = source.slice(0, at);
  return `line ${before.split("\n").length}, column ${at - before.lastIndexOf("\n")}`;
}

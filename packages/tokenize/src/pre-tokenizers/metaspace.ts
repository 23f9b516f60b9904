/** Spaces that are put before words, and Metaspace: spaces written as a character of their own, words cut before it. */

import type { JsonCursor } from "../json";
import { originalStart, TextWriter } from "../text/aligned-text";
import { Spans } from "../text/spans";
import { splitWords } from "./split";
import type { Words } from "./words";

export type PrependScheme = "always" | "first" | "never";

export interface Metaspace {
  readonly type: "Metaspace";
  /** One character that stands for a space, usually U+2581. */
  readonly replacement: string;
  /** Whether a word that does not start with a space gets one: every word, only the text's first, or none. */
  readonly prependScheme: PrependScheme;
  /** Cut before every replacement character. */
  readonly split: boolean;
}

export function metaspace(words: Words, { replacement, prependScheme, split }: Metaspace): Words {
  const { text } = words.text;
  // One unit for one unit leaves everything in its place.
  const isNarrow = replacement.length === 1;
  const given = isNarrow ? { ...words, text: { ...words.text, text: text.replaceAll(" ", replacement) } } : words;
  const wantsPrefix = (start: number): boolean =>
    prependScheme !== "never" &&
    text.charCodeAt(start) !== 0x20 &&
    !text.startsWith(replacement, start) &&
    (prependScheme === "always" || originalStart(words.text, start) === 0);
  const spaced = rewritten(given, replacement, wantsPrefix, !isNarrow);
  if (!split) return spaced;
  return splitWords(
    spaced,
    (spacedText, from, to, found) => {
      const part = spacedText.slice(from, to);
      for (let at = part.indexOf(replacement); at !== -1; at = part.indexOf(replacement, at + replacement.length)) {
        found(from + at, from + at + replacement.length);
      }
    },
    "MergedWithNext",
  );
}

/** ByteLevel's prefix: a space before every word that starts with none. */
export function prefixSpaces(words: Words): Words {
  const { text } = words.text;
  return rewritten(words, " ", (start) => text.charCodeAt(start) !== 0x20, false);
}

/** Puts `space` before the words that want it, and with `all` in the place of every space. The same words if nothing changes. */
function rewritten(words: Words, space: string, wantsPrefix: (start: number) => boolean, all: boolean): Words {
  const { text, spans } = words;
  const hasSpace = (start: number, end: number): boolean => all && text.text.slice(start, end).includes(" ");
  let changes = false;
  for (let i = 0; i < spans.length && !changes; i++) {
    changes = wantsPrefix(spans.start(i)) || hasSpace(spans.start(i), spans.end(i));
  }
  if (!changes) return words;
  const writer = new TextWriter(text);
  const moved = new Spans();
  let length = 0;
  for (let i = 0; i < spans.length; i++) {
    const start = spans.start(i);
    const end = spans.end(i);
    const movedStart = length;
    if (wantsPrefix(start)) {
      writer.put(space, start);
      length += space.length;
    }
    let copied = start;
    if (all) {
      for (let at = start; at < end; at++) {
        if (text.text.charCodeAt(at) !== 0x20) continue;
        writer.copy(copied, at);
        writer.put(space, at);
        length += at - copied + space.length;
        copied = at + 1;
      }
    }
    writer.copy(copied, end);
    length += end - copied;
    moved.push(movedStart, length);
  }
  return { text: writer.finish(), spans: moved, byteLevel: words.byteLevel };
}

/** The fields of a Metaspace, the same in pre-tokenizers and decoders. Older files say `add_prefix_space`. */
export function parseMetaspace(json: JsonCursor): Omit<Metaspace, "type"> {
  json.onlyKeys(["type", "replacement", "str_rep", "add_prefix_space", "prepend_scheme", "split"]);
  const scheme = json.get("prepend_scheme");
  const legacy = json.get("add_prefix_space");
  let prependScheme: PrependScheme = "always";
  switch (scheme.value) {
    case undefined:
      if (!legacy.boolean(true)) prependScheme = "never";
      break;
    case "always":
    case "first":
    case "never":
      prependScheme = scheme.value;
      if (!legacy.boolean(true) && prependScheme !== "never") legacy.fail(`agreement with prepend_scheme`);
      break;
    default:
      scheme.unsupported("always, first, never");
  }
  return {
    replacement: json.get("replacement").character(),
    prependScheme,
    split: json.get("split").boolean(true),
  };
}

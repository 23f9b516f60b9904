/** The words that the pre-tokenizer cuts, and their spelling in GPT-2's byte alphabet. */

import { type AlignedText, TextWriter } from "../text/aligned-text";
import { spelled } from "../text/byte-alphabet";
import { Spans } from "../text/spans";

export interface Words {
  readonly text: AlignedText;
  /** The words as ranges of `text`, in order and none empty; what lies between them belongs to none. */
  readonly spans: Spans;
  /**
   * Each word stands for its UTF-8 bytes spelled in GPT-2's byte alphabet. The text has not been rewritten: models that
   * work on bytes take it as it is; for others see `spellBytes`.
   */
  readonly byteLevel: boolean;
}

/** The whole text as one word; an empty text has none. */
export function wholeText(text: AlignedText): Words {
  const spans = new Spans();
  if (text.text !== "") spans.push(0, text.text.length);
  return { text, spans, byteLevel: false };
}

/** The words spelled in the byte alphabet; each letter of the spelling stands for its whole character. */
export function spellBytes(words: Words): Words {
  if (!words.byteLevel) return words;
  const { text, spans } = words;
  const writer = new TextWriter(text);
  const spelledSpans = new Spans();
  const spell = speller();
  let length = 0;
  for (let i = 0; i < spans.length; i++) {
    const start = length;
    const end = spans.end(i);
    for (let at = spans.start(i); at < end; ) {
      const plain = plainEnd(text.text, at, end);
      writer.copy(at, plain);
      length += plain - at;
      at = plain;
      if (at === end) break;
      const character = String.fromCodePoint(text.text.codePointAt(at) as number);
      const spelling = spell(character);
      writer.putOver(spelling, at, at + character.length);
      length += spelling.length;
      at += character.length;
    }
    spelledSpans.push(start, length);
  }
  return { text: writer.finish(), spans: spelledSpans, byteLevel: false };
}

/** Where the printable ASCII ends that starts at `at`: it spells itself. */
function plainEnd(text: string, at: number, end: number): number {
  let plain = at;
  while (plain < end) {
    const unit = text.charCodeAt(plain);
    if (unit <= 0x20 || unit >= 0x7f) break;
    plain++;
  }
  return plain;
}

/** Spells a character, and remembers it for the text. */
function speller(): (character: string) => string {
  const known = new Map<string, string>();
  return (character) => {
    let spelling = known.get(character);
    if (spelling === undefined) {
      spelling = spelled(character);
      known.set(character, spelling);
    }
    return spelling;
  };
}

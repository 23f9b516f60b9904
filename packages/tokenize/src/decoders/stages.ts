/**
 * The decoder's stages as transducers: text goes in by pieces and comes out as early as it is certain.
 * decode() and decodeStream() run the same stages, so the two agree by construction.
 */

import { byteOfToken, Utf8Assembler } from "../utf8";
import type { Sink } from "./sink";

/** Puts a separator between tokens. */
export function joinStage(separator: string, next: Sink): Sink {
  let inFirst = true;
  let atStart = true;
  return {
    push(text, ends) {
      next.push(!inFirst && atStart ? separator + text : text, ends);
      atStart = ends;
      if (ends) inFirst = false;
    },
    finish: () => next.finish(),
  };
}

/** Rewrites whole tokens; null leaves one out. */
export function tokenStage(rewrite: (token: string, isFirst: boolean) => string | null, next: Sink): Sink {
  let held = "";
  let isFirst = true;
  return {
    push(text, ends) {
      held += text;
      if (!ends) return;
      const made = rewrite(held, isFirst);
      held = "";
      isFirst = false;
      if (made !== null) next.push(made, true);
    },
    finish: () => next.finish(),
  };
}

/** Replaces a string inside each token. Holds back what may be the beginning of a match. */
export function replaceStage(pattern: string, content: string, next: Sink): Sink {
  let held = "";
  return {
    push(text, ends) {
      held += text;
      let done = "";
      let from = 0;
      for (let at = held.indexOf(pattern); at !== -1; at = held.indexOf(pattern, from)) {
        done += held.slice(from, at) + content;
        from = at + pattern.length;
      }
      let keep = ends ? 0 : Math.min(pattern.length - 1, held.length - from);
      while (keep > 0 && !held.endsWith(pattern.slice(0, keep))) keep--;
      done += held.slice(from, held.length - keep);
      held = held.slice(held.length - keep);
      next.push(done, ends);
    },
    finish: () => next.finish(),
  };
}

/** Makes one token of all. */
export function fuseStage(next: Sink): Sink {
  return {
    push: (text) => next.push(text, false),
    finish() {
      next.push("", true);
      next.finish();
    },
  };
}

/** Takes up to `start` and `stop` times the character `content` off the two ends of each token. */
export function stripStage(content: string, start: number, stop: number, next: Sink): Sink {
  let toStrip = start;
  let heldBack = 0;
  return {
    push(text, ends) {
      let from = 0;
      while (toStrip > 0 && text.startsWith(content, from)) {
        from += content.length;
        toStrip--;
      }
      if (from < text.length) toStrip = 0;
      let to = text.length;
      while (to > from && text.endsWith(content, to)) to -= content.length;
      // The run of `content` at the end belongs to the token unless it turns out to be the very end.
      const run = (text.length - to) / content.length;
      let done = "";
      if (to > from) {
        done = content.repeat(heldBack) + text.slice(from, to);
        heldBack = 0;
      }
      heldBack += run;
      const certain = Math.max(0, heldBack - stop);
      done += content.repeat(certain);
      heldBack -= certain;
      next.push(done, ends);
      if (ends) {
        toStrip = start;
        heldBack = 0;
      }
    },
    finish: () => next.finish(),
  };
}

/** Turns the replacement character into a space; in the first token it vanishes, unless nothing was put before it. */
export function metaspaceStage(replacement: string, dropInFirst: boolean, next: Sink): Sink {
  let inFirst = true;
  return {
    push(text, ends) {
      next.push(text.replaceAll(replacement, inFirst && dropInFirst ? "" : " "), ends);
      if (ends) inFirst = false;
    },
    finish: () => next.finish(),
  };
}

/** Takes one leading space off the first token: the dummy prefix that encoding put there (sentencepiece, run.c). */
export function dummyPrefixStage(next: Sink): Sink {
  let atStart = true;
  return {
    push(text, ends) {
      const cut = atStart && text.startsWith(" ") ? 1 : 0;
      if (text !== "" || ends) atStart = false;
      next.push(text.slice(cut), ends);
    },
    finish: () => next.finish(),
  };
}

/** A longer token is no byte. */
const BYTE_TOKEN_LENGTH = "<0xXX>".length;

/** How wrong bytes read: `each`, one U+FFFD a wrong byte; `run`, one for every byte of a run that has a wrong one. */
export type InvalidBytes = "each" | "run";

/** Turns runs of `<0xXX>` tokens into text. Under `run`, a run is certain only when it has ended. */
export function byteFallbackStage(invalid: InvalidBytes, next: Sink): Sink {
  const bytes = new Utf8Assembler();
  let run = "";
  let runLength = 0;
  let part = "";
  let isText = false;

  function pushByte(byte: number): void {
    const text = bytes.push(byte);
    if (invalid === "run") {
      run += text;
      runLength++;
    } else {
      for (const character of text) next.push(character, true);
    }
  }

  function endRun(): void {
    const wrongBefore = bytes.wrongBytes;
    const rest = bytes.flush();
    if (invalid === "each") {
      for (const character of rest) next.push(character, true);
    } else if (runLength > 0) {
      if (wrongBefore === 0 && rest === "") next.push(run, true);
      else for (let i = 0; i < runLength; i++) next.push("\uFFFD", true);
      run = "";
      runLength = 0;
    }
  }

  return {
    push(text, ends) {
      part += text;
      const byte = ends && !isText ? byteOfToken(part) : -1;
      if (byte >= 0) {
        pushByte(byte);
        part = "";
      } else if (ends || isText || part.length > BYTE_TOKEN_LENGTH) {
        if (!isText) endRun();
        next.push(part, ends);
        part = "";
        isText = !ends;
      }
    },
    finish() {
      endRun();
      next.finish();
    },
  };
}

/** How things look: colours, sizes, and text from outside on one line. */

import picocolors from "picocolors";
import type { Output, Terminal } from "./terminal";

/** Colours for a stream: none where it is no terminal, or NO_COLOR is set (https://no-color.org). */
export function coloursFor(stream: Output, env: Terminal["env"]): ReturnType<typeof picocolors.createColors> {
  return picocolors.createColors(stream.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb");
}

/** Text that may come from a file, for a message: control and format characters, which can drive a terminal, escaped. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
}

/**
 * Text that a model made, for a terminal: its vocabulary is from a file too, and escape sequences drive terminals. Lines
 * and tabs stay, and so do the joiners that emoji need.
 */
export function forTerminal(text: string): string {
  return text.replace(/(?![\n\t])\p{Cc}/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
}

/** A value as one line of JSON, in which control characters that JSON lets through (C1, line separators) are escaped too. */
export function jsonLine(value: unknown): string {
  const escaped = (c: string) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return `${JSON.stringify(value).replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, escaped)}\n`;
}

/** A number of bytes, to three digits: "1.04 MB". */
export function formatBytes(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  if (power === 0) return `${bytes} bytes`;
  const value = bytes / 1000 ** power;
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${units[power]}`;
}

/** A count with its thousands apart: "260,032". */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

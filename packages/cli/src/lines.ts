/** JSON lines from standard input, as they come: a value a line, each answered by a line. */

import { addAbortSignal, Readable } from "node:stream";
import { jsonLine, oneLine } from "./output";
import { type Terminal, write } from "./terminal";

/** Longest line in UTF-16 units: texts of books, and not what would exhaust the memory before it ends. */
const MAX_LINE = 1 << 27;

/**
 * Answers every line of standard input, in order; those that arrive together are written together. A broken line ends
 * it: what came before is answered, and the error tells the line's number.
 *
 * @param answer may throw; its message is put behind the line's number
 */
export async function answerLines(terminal: Terminal, answer: (value: unknown) => unknown): Promise<void> {
  const { stdin, stdout, signal } = terminal;
  if (stdin instanceof Readable) addAbortSignal(signal, stdin);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let number = 0;
  let parts: string[] = [];
  let length = 0;
  const take = async (text: string, isLast: boolean): Promise<void> => {
    const lines = text.split("\n");
    const rest = lines.pop() as string;
    if (lines.length > 0) {
      lines[0] = parts.join("") + lines[0];
      parts = [];
      length = 0;
    }
    parts.push(rest);
    length += rest.length;
    if (isLast && length > 0) lines.push(parts.join(""));
    let answers = "";
    let failure: Error | null = null;
    for (const line of lines) {
      number++;
      try {
        answers += jsonLine(answer(JSON.parse(line)));
      } catch (cause) {
        const what = cause instanceof SyntaxError ? `not JSON: ${excerpt(line)}` : (cause as Error).message;
        failure = new Error(`line ${number} of standard input: ${what}`, { cause });
        break;
      }
    }
    if (answers !== "") await write(stdout, answers);
    if (failure !== null) throw failure;
    if (length > MAX_LINE)
      throw new Error(`line ${number + 1} of standard input is longer than ${MAX_LINE} characters`);
  };
  for await (const chunk of stdin) await take(decode(decoder, chunk as Uint8Array, number), false);
  await take(decode(decoder, new Uint8Array(), number), true);
}

function decode(decoder: TextDecoder, bytes: Uint8Array, lines: number): string {
  try {
    return decoder.decode(bytes, { stream: bytes.length > 0 });
  } catch {
    throw new Error(`standard input is not UTF-8 text (after line ${lines})`);
  }
}

function excerpt(line: string): string {
  const shown = oneLine(line.slice(0, 60));
  return line === "" ? "an empty line" : `${shown}${line.length > 60 ? "\u2026" : ""}`;
}

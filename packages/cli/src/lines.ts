/** JSON lines from standard input, as they come: a value a line, each answered by a line. */

import { jsonLine, oneLine } from "./output";
import { type Terminal, write } from "./terminal";
import { lineSlices } from "./text-lines";

/**
 * Answers every line of standard input, in order; those that arrive together are written together. A broken line ends
 * it: what came before is answered, and the error tells the line's number.
 *
 * @param answer may throw; its message is put behind the line's number
 */
export async function answerLines(terminal: Terminal, answer: (value: unknown) => unknown): Promise<void> {
  for await (const { first, lines } of lineSlices(terminal)) {
    let answers = "";
    let failure: Error | null = null;
    for (const [i, line] of lines.entries()) {
      try {
        answers += jsonLine(answer(JSON.parse(line)));
      } catch (cause) {
        const what = cause instanceof SyntaxError ? `not JSON: ${excerpt(line)}` : (cause as Error).message;
        failure = new Error(`line ${first + i + 1} of standard input: ${what}`, { cause });
        break;
      }
    }
    if (answers !== "") await write(terminal.stdout, answers);
    if (failure !== null) throw failure;
  }
}

function excerpt(line: string): string {
  const shown = oneLine(line.slice(0, 60));
  return line === "" ? "an empty line" : `${shown}${line.length > 60 ? "\u2026" : ""}`;
}

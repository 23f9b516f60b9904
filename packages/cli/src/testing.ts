/** For tests: the command line in this process, with streams that only remember. */

import { Readable, Writable } from "node:stream";
import { main } from "./main";
import type { Terminal } from "./terminal";

export interface FakeTerminalOptions {
  readonly isTTY?: boolean;
  readonly stdin?: Readable;
  readonly env?: Terminal["env"];
  readonly signal?: AbortSignal;
  /** Called with what is written to stdout, and with all so far; an error that it throws is the stream's. */
  readonly onOutput?: (text: string, all: string) => void;
}

/** Runs `main`, and gives its exit code and all that it wrote. */
export async function runInProcess(argv: readonly string[], options: FakeTerminalOptions = {}) {
  const { isTTY = false, stdin = Readable.from([]), env = {}, onOutput = () => {} } = options;
  const output = { stdout: "", stderr: "" };
  const stream = (name: keyof typeof output, listen: (text: string, all: string) => void) => {
    const writable = new Writable({
      write(chunk, _, done) {
        try {
          listen(String(chunk), output[name] + String(chunk));
          output[name] += String(chunk);
          done();
        } catch (error) {
          done(error as Error);
        }
      },
    });
    return Object.assign(
      writable.on("error", () => {}),
      { isTTY },
    );
  };
  const terminal: Terminal = {
    stdout: stream("stdout", onOutput),
    stderr: stream("stderr", () => {}),
    stdin: Object.assign(stdin, { isTTY }),
    env,
    signal: options.signal ?? new AbortController().signal,
    blocking: (work) => work(),
  };
  const code = await main(argv, terminal);
  return { code, ...output };
}

/** What a command has of the world: streams, environment and Ctrl-C. Passed in, so that tests can stand in for it. */

import { addAbortSignal, Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { OutputError } from "./errors";

/** A stream that may be a terminal. */
export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean };
/** See `Output`. */
export type Input = NodeJS.ReadableStream & { readonly isTTY?: boolean };

/** Where a command reads and writes. */
export interface Terminal {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin: Input;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /**
   * Runs work that holds the event loop, during which no handler hears Ctrl-C: the system's default, which ends the
   * process, stands in for it.
   */
  blocking<T>(work: () => T): T;
}

/** The process's own. The first Ctrl-C aborts the signal, the second ends the process. */
export function processTerminal(): Terminal {
  const controller = new AbortController();
  const interrupt = () => controller.abort(new Error("interrupted"));
  process.once("SIGINT", interrupt);
  // Failed writes are reported to `write`; without a listener the event would also throw out of nowhere.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    get stdin() {
      return process.stdin; // opened by the first look at it
    },
    env: process.env,
    signal: controller.signal,
    blocking(work) {
      process.off("SIGINT", interrupt);
      try {
        return work();
      } finally {
        if (!controller.signal.aborted) process.once("SIGINT", interrupt);
      }
    },
  };
}

/** Writes and waits until it is taken, so that a slow reader slows us down and one that left is noticed. */
export function write(stream: Output, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => (error ? reject(new OutputError(error)) : resolve()));
  });
}

/** All of standard input, as text. @throws Error if it is not UTF-8; the signal's reason */
export async function readStdin({ stdin, signal }: Terminal): Promise<string> {
  if (stdin instanceof Readable) addAbortSignal(signal, stdin);
  const bytes = await buffer(stdin);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Error("standard input is not UTF-8 text");
  }
}

/** What ends a command: a wrong command line, or output that nobody takes. Everything else is a failure of its own kind. */

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Standard output could not be written. */
export class OutputError extends Error {
  override readonly name = "OutputError";
  /** Whether the reader left, as `head` does when it has enough. */
  readonly closed: boolean;

  constructor(cause: NodeJS.ErrnoException) {
    super(`cannot write the output: ${cause.message}`, { cause });
    this.closed = cause.code === "EPIPE";
  }
}

/** What ends a command: a wrong command line, or output that nobody takes. Everything else is a failure of its own kind. */

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What the library calls the values that flags give; its checks throw RangeErrors that begin with these names. */
const FLAGS: Readonly<Record<string, string>> = {
  contextLength: "--context",
  maxNewTokens: "--max-new-tokens",
  temperature: "--temperature",
  topK: "--top-k",
  topP: "--top-p",
  seed: "--seed",
  noRepeatNgramSize: "--no-repeat-ngram-size",
  stopIds: "--stop-ids",
  capture: "--tap",
  dtype: "--dtype",
  activations: "--activations",
  threads: "--threads",
  turbo: "--turbo",
  kernels: "--kernels",
  batchTokens: "--batch-tokens",
  pooling: "--pooling",
  promptName: "--prompt-name",
  dimensions: "--dimensions",
  precision: "--precision",
  maxTokens: "--max-tokens",
  targets: "--target",
  scores: "--scores",
  hypothesisTemplate: "--template",
  windowTokens: "--window-tokens",
  stride: "--stride",
};

/** The library's RangeError about the value of a flag as a UsageError that names the flag; any other error as it is. */
export function namingFlags(error: unknown): unknown {
  if (!(error instanceof RangeError)) return error;
  const [name] = /^\w+(?=(\[\d+\])?:)/.exec(error.message) ?? [];
  if (name === undefined || !Object.hasOwn(FLAGS, name)) return error;
  const rest = error.message.slice(name.length).replace(/^\[\d+\]/, "");
  return new UsageError(`${FLAGS[name]}${rest}`, { cause: error });
}

/** The same for work that is under way. */
export async function namingFlagsOf<R>(work: Promise<R>): Promise<R> {
  return work.catch((error: unknown) => {
    throw namingFlags(error);
  });
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

/** What ends a command: a wrong command line, or output that nobody takes. Everything else is a failure of its own kind. */

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What the library calls the values that say how text is made; its errors name several of them where they contradict. */
const GENERATION_FLAGS: Readonly<Record<string, string>> = {
  maxNewTokens: "--max-new-tokens",
  minNewTokens: "--min-new-tokens",
  numBeams: "--num-beams",
  lengthPenalty: "--length-penalty",
  earlyStopping: "--early-stopping",
  numBeamGroups: "--num-beam-groups",
  diversityPenalty: "--diversity-penalty",
  numReturnSequences: "--num-return-sequences",
  temperature: "--temperature",
  topK: "--top-k",
  topP: "--top-p",
  minP: "--min-p",
  seed: "--seed",
  repetitionPenalty: "--repetition-penalty",
  noRepeatNgramSize: "--no-repeat-ngram-size",
  encoderRepetitionPenalty: "--encoder-repetition-penalty",
  encoderNoRepeatNgramSize: "--encoder-no-repeat-ngram-size",
  suppressTokens: "--suppress-ids",
  forcedBosTokenId: "--forced-bos-id",
  decoderStartTokenId: "--decoder-start-id",
  stop: "--stop",
  stopIds: "--stop-ids",
};

/** What the library calls the values that flags give; its checks throw RangeErrors that begin with these names. */
const FLAGS: Readonly<Record<string, string>> = {
  ...GENERATION_FLAGS,
  contextLength: "--context",
  source: "--ids",
  decoderIds: "--decoder-ids",
  from: "--from",
  to: "--to",
  prefix: "--prefix",
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
  const { message } = error;
  const [name] = /^\w+(?=(\[\d+\])?:)/.exec(message) ?? [];
  if (name !== undefined && Object.hasOwn(FLAGS, name)) {
    const rest = message.slice(name.length).replace(/^\[\d+\]/, "");
    return new UsageError(`${FLAGS[name]}${inFlags(rest)}`, { cause: error });
  }
  const task = /^(?:summarize|translate): (?!texts\[)/.exec(message);
  if (task !== null) return new UsageError(inLanguageFlags(message.slice(task[0].length)), { cause: error });
  const [option] = /^\w+(?= )/.exec(message) ?? [];
  if (option === undefined || !Object.hasOwn(GENERATION_FLAGS, option)) return error;
  return new UsageError(`${GENERATION_FLAGS[option]}${inFlags(message.slice(option.length))}`, { cause: error });
}

/** Names of options within a message as their flags. Those of one word are words of the language too, unless they have a value. */
export function inFlags(text: string): string {
  return text
    .replace(/\b[a-z]+(?:[A-Z][a-z]*)+\b/g, (name) => GENERATION_FLAGS[name] ?? name)
    .replace(/\b(temperature|seed):? (?=\d)/g, "--$1 ")
    .replace("--num-beams: null", "--num-beams 1") // what turns beams off
    .replace("truncate: true", "--truncate")
    .replace("load with a larger contextLength", "give a larger --context");
}

/** The same of languages: "from" and "to" where they are options. */
function inLanguageFlags(text: string): string {
  return inFlags(text)
    .replace(/\bfrom and to\b/, "--from and --to")
    .replace(/\b(leave out|pass) (from|to)\b/, "$1 --$2")
    .replace(/^to is\b/, "--to is")
    .replace(/\beither prefix\b/, "either --prefix")
    .replace(/\btext2text takes\b/, "qkv generate takes");
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

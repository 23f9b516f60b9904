/* The errors of this package: a file that is broken, one that asks for what is not built, a text that it cannot encode. */

import { MAX_SHOWN_TEXT } from "./limits";

/** Longest piece of a bad value that an error message shows. */
const MAX_SHOWN = 60;

/**
 * A tokenizer file (or metadata) that breaks its own format: cut short, of the wrong types, or contradicting itself.
 *
 * @example
 * if (error instanceof TokenizerFileError) console.error(error.file, error.at);
 */
export class TokenizerFileError extends Error {
  override readonly name = "TokenizerFileError";
  /** The file as the caller named it. */
  readonly file: string;
  /** Where in the file: a JSON path, a metadata key, or a token and its byte offset. */
  readonly at: string;
  readonly expected: string;
  readonly got: string;

  constructor(problem: {
    file: string;
    at: string;
    expected: string;
    got: string;
  }) {
    const [at, expected, got] = [problem.at, problem.expected, problem.got].map(printable);
    super(`${printable(problem.file)}: ${at}: expected ${expected}, got ${got}`);
    this.file = problem.file;
    this.at = at;
    this.expected = expected;
    this.got = got;
  }
}

/**
 * A sound tokenizer file that uses a component or an option which this package does not implement.
 *
 * @example
 * if (error instanceof UnsupportedTokenizerError) console.error(error.component, error.value);
 */
export class UnsupportedTokenizerError extends Error {
  override readonly name = "UnsupportedTokenizerError";
  readonly file: string;
  /** The component or option: `pre_tokenizer.type`, `model.dropout`, `tokenizer.ggml.model`. */
  readonly component: string;
  /** Its value, shortened. */
  readonly value: string;
  readonly supported: string;

  constructor(problem: {
    file: string;
    component: string;
    value: unknown;
    supported: string;
  }) {
    const [component, supported] = [problem.component, problem.supported].map(printable);
    const value = printable(describe(problem.value));
    super(`${printable(problem.file)}: ${component} ${value} is not supported; supported: ${supported}`);
    this.file = problem.file;
    this.component = component;
    this.value = value;
    this.supported = supported;
  }
}

/**
 * A text with a character or word that the vocabulary lacks, under a tokenizer that names no unknown token.
 *
 * @example
 * if (error instanceof UnencodableTextError) console.error(error.message);
 */
export class UnencodableTextError extends Error {
  override readonly name = "UnencodableTextError";

  constructor(problem: string) {
    super(printable(problem));
  }
}

export function fileError(file: string, at: string, expected: string, got: string): TokenizerFileError {
  return new TokenizerFileError({ file, at, expected, got });
}

export function unsupported(
  file: string,
  component: string,
  value: unknown,
  supported: string,
): UnsupportedTokenizerError {
  return new UnsupportedTokenizerError({ file, component, value, supported });
}

export function noUnknownToken(token: string | null): UnencodableTextError {
  return new UnencodableTextError(`the unknown token ${JSON.stringify(token)} is not in the vocabulary`);
}

/** Text that may come from a file, for a message: control, format and bidi characters escaped, what is long cut. */
function printable(text: string): string {
  const escaped = text
    .slice(0, MAX_SHOWN_TEXT)
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${(c.codePointAt(0) as number).toString(16)}}`);
  const isCut = text.length > MAX_SHOWN_TEXT || escaped.length > MAX_SHOWN_TEXT;
  return isCut ? `${escaped.slice(0, MAX_SHOWN_TEXT - 1)}\u2026` : escaped;
}

/** A short text for any value, safe to put in a message. */
export function describe(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}...` : value);
  }
  if (value === undefined) return "nothing";
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (ArrayBuffer.isView(value)) return "a binary array";
  if (typeof value === "bigint") return "a bigint";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** For the `default` of an exhaustive switch: the compiler proves that it is dead, and a cast that lied still throws. */
export function unreachable(value: never, what: string): never {
  throw new TypeError(`unknown ${what}: ${describe((value as { type?: unknown }).type ?? value)}`);
}

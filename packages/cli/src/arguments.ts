/**
 * Reading a command's arguments strictly. citty, which describes the commands, lets unknown flags through, keeps only
 * the last of repeated ones, and takes "--no-repeat-ngram-size 3" for a negation; here each of these is checked.
 */

import { parseArgs } from "node:util";
import type { ArgDef } from "citty";
import { UsageError } from "./errors";
import { oneLine } from "./output";
import { closest } from "./suggest";

/** citty's definition of an argument, and whether it may be given more than once: a flag, or the last positional. */
export type Definition = ArgDef & { readonly repeatable?: boolean };
/** A command's arguments by name: positionals in their order, and flags. */
export type Definitions = Readonly<Record<string, Definition>>;

/** A decimal number as people write it; no hexadecimal, no blanks. */
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * The arguments of one call, by the names of their definitions.
 * Every method throws a UsageError that names the flag where its value is not what is asked for.
 */
export class Arguments<D extends Definitions = Definitions> {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  /** Whether an argument was given. */
  has(name: keyof D & string): boolean {
    return this.#values.has(name);
  }

  /** A positional, as it was given. */
  positional(name: keyof D & string): string | undefined {
    return this.#values.get(name)?.[0];
  }

  /** Every value of a repeatable positional. */
  positionals(name: keyof D & string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** Every value of a repeatable flag. */
  texts(name: keyof D & string): readonly string[] {
    const values = this.#values.get(name) ?? [];
    if (values.includes("")) throw new UsageError(`--${name} needs a value, got an empty one`);
    return values;
  }

  text(name: keyof D & string): string | undefined {
    return this.texts(name)[0];
  }

  integer(name: keyof D & string, min: number): number | undefined {
    const text = this.#values.get(name)?.[0];
    return text === undefined ? undefined : readInteger(name, text, min);
  }

  /** A number for which `fits` holds; `expected` says which numbers that are. */
  number(name: keyof D & string, expected: string, fits: (value: number) => boolean): number | undefined {
    const text = this.#values.get(name)?.[0];
    if (text === undefined) return undefined;
    const value = NUMBER.test(text) ? Number(text) : Number.NaN;
    if (!Number.isFinite(value) || !fits(value)) throw unexpected(name, expected, text);
    return value;
  }

  /** Token ids separated by commas, at least one: "1,403,407". */
  ids(name: keyof D & string): readonly number[] | undefined {
    const text = this.#values.get(name)?.[0];
    if (text === undefined) return undefined;
    if (text.trim() === "") throw unexpected(name, "token ids such as 1,403,407", text);
    return text.split(",").map((id) => readInteger(name, id.trim(), 0));
  }
}

function readInteger(name: string, text: string, min: number): number {
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < min) {
    const max = value > Number.MAX_SAFE_INTEGER ? ` and at most ${Number.MAX_SAFE_INTEGER}` : "";
    throw unexpected(name, `an integer of at least ${min}${max}`, text);
  }
  return value;
}

function unexpected(name: string, expected: string, got: string): UsageError {
  return new UsageError(`--${name}: expected ${expected}, got "${oneLine(got)}"`);
}

/**
 * Reads what follows a command's name.
 *
 * @returns null if help was asked for, whatever else there is
 * @throws UsageError for unknown flags, flags without a value or with one too many, and missing or surplus positionals
 */
export function readArguments<D extends Definitions>(definitions: D, rawArgs: readonly string[]): Arguments<D> | null {
  const flags = Object.entries(definitions).filter(([, { type }]) => type !== "positional");
  const positionals = Object.entries(definitions).filter(([, { type }]) => type === "positional");
  const options: Record<string, { type: "boolean" | "string"; short?: string; multiple: true }> = {};
  for (const [name, definition] of flags) {
    const short = "alias" in definition ? definition.alias : undefined;
    const type = definition.type === "boolean" ? "boolean" : "string";
    options[name] = { type, multiple: true, ...(typeof short === "string" && { short }) };
  }
  options.help = { type: "boolean", short: "h", multiple: true };
  const known = Object.entries(options).flatMap(([name, { short }]) => [`--${name}`, ...(short ? [`-${short}`] : [])]);

  // Not strict: its own errors run over several lines. The tokens say all that is needed to check by hand.
  const { tokens } = parseArgs({ args: [...rawArgs], options, strict: false, allowPositionals: true, tokens: true });
  if (tokens.some((token) => token.kind === "option" && token.name === "help")) return null;

  const values = new Map<string, string[]>();
  let position = 0;
  for (const token of tokens) {
    if (token.kind === "option") {
      if (!known.includes(token.rawName)) throw unknownFlag(token.rawName, known);
      const value = options[token.name]?.type === "boolean" ? noValue(token) : theValue(token, known);
      const earlier = values.get(token.name);
      if (earlier !== undefined && !definitions[token.name]?.repeatable) {
        throw new UsageError(`${token.rawName} was given twice`);
      }
      values.set(token.name, [...(earlier ?? []), value]);
    } else if (token.kind === "positional") {
      const last = positionals.at(-1);
      const name = (positionals[position++] ?? (last?.[1].repeatable ? last : undefined))?.[0];
      if (name === undefined) {
        throw new UsageError(`unexpected argument "${oneLine(token.value)}" (put a text of several words in quotes)`);
      }
      values.set(name, [...(values.get(name) ?? []), token.value]);
    }
  }
  for (const [name, { required }] of positionals) {
    if (required !== false && !values.has(name)) throw new UsageError(`${name.toUpperCase()} is missing`);
  }
  return new Arguments<D>(values);
}

/** How `parseArgs` reports a flag. */
interface FlagToken {
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function unknownFlag(name: string, known: readonly string[]): UsageError {
  const guess = closest(name, known);
  const advice = guess === null ? " (a text that begins with a dash goes after --)" : `; did you mean ${guess}?`;
  return new UsageError(`unknown option ${oneLine(name)}${advice}`);
}

function noValue({ rawName, value }: FlagToken): string {
  if (value !== undefined) throw new UsageError(`${rawName} takes no value, got "${oneLine(value)}"`);
  return "";
}

function theValue({ rawName, value, inlineValue }: FlagToken, known: readonly string[]): string {
  if (value === undefined) throw new UsageError(`${rawName} needs a value`);
  // "--stop --json" is a forgotten value far more often than a wish to stop at "--json".
  if (!inlineValue && known.includes(value.split("=")[0] as string)) {
    throw new UsageError(`${rawName} needs a value (if ${value} is meant to be one, write ${rawName}=${value})`);
  }
  return value;
}

/** An object without the keys whose value is undefined: options that were not given are left out, not passed on. */
export function given<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** What a command is, and its help. */

import { stripVTControlCharacters } from "node:util";
import { type CommandDef, defineCommand, renderUsage } from "citty";
import type { Arguments, Definitions } from "./arguments";
import { coloursFor } from "./output";
import type { Output, Terminal } from "./terminal";

/** A command: what citty knows of one, with examples and a function that gets checked arguments. */
export interface Command<D extends Definitions = Definitions> {
  readonly name: string;
  readonly description: string;
  readonly args: D;
  /** Command lines that work in a folder with `model.gguf` and the Hugging Face folder `llama`; tests run them. */
  readonly examples: readonly string[];
  /** What else help says, below the examples. */
  readonly notes?: readonly string[];
  run(args: Arguments<D>, terminal: Terminal): Promise<void>;
}

/** A command, its arguments' names kept in its type. */
export function command<const D extends Definitions>(definition: Command<D>): Command<D> {
  return definition;
}

/** citty's usage of a command, then examples and notes; coloured for the stream that it is written to. */
export async function helpText(
  definition: CommandDef,
  parent: CommandDef | undefined,
  { examples, notes = [] }: Pick<Command, "examples" | "notes">,
  stream: Output,
  env: Terminal["env"],
): Promise<string> {
  // citty colours whatever the stream is, and pads the last column.
  const usage = stripVTControlCharacters(await renderUsage(definition, parent)).replace(/ +$/gm, "");
  const { bold, underline } = coloursFor(stream, env);
  const title = (text: string) => underline(bold(text));
  const body = usage.trimEnd().replace(/^(USAGE|ARGUMENTS|OPTIONS|COMMANDS)/gm, (text) => title(text));
  const sections = [body, [title("EXAMPLES"), "", ...examples.map((line) => `  ${line}`)].join("\n")];
  if (notes.length > 0) sections.push(notes.join("\n"));
  return `${sections.join("\n\n")}\n`;
}

/** A command as citty's: for its usage. */
export function cittyDefinition({ name, description, args }: Command): CommandDef {
  return defineCommand({ meta: { name, description }, args: args as Record<string, Definitions[string]> });
}

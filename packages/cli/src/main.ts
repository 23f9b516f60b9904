/** The root command: finds the command, runs it, and turns what went wrong into one line and an exit code. */

import { readFileSync } from "node:fs";
import { defineCommand, runCommand } from "citty";
import { readArguments } from "./arguments";
import { type Command, cittyDefinition, helpText } from "./command";
import { answerCommand } from "./commands/answer";
import { classifyCommand } from "./commands/classify";
import { detokenizeCommand } from "./commands/detokenize";
import { embedCommand } from "./commands/embed";
import { fillMaskCommand } from "./commands/fill-mask";
import { generateCommand } from "./commands/generate";
import { inspectCommand } from "./commands/inspect";
import { summarizeCommand } from "./commands/summarize";
import { tokenizeCommand } from "./commands/tokenize";
import { traceCommand } from "./commands/trace";
import { translateCommand } from "./commands/translate";
import { namingFlags, OutputError, UsageError } from "./errors";
import { oneLine } from "./output";
import { closest } from "./suggest";
import { type Output, type Terminal, write } from "./terminal";

const COMMANDS: readonly Command[] = [
  generateCommand,
  summarizeCommand,
  translateCommand,
  embedCommand,
  fillMaskCommand,
  classifyCommand,
  answerCommand,
  inspectCommand,
  tokenizeCommand,
  detokenizeCommand,
  traceCommand,
];

/** Exit codes; the last two as shells report a process that ended by SIGINT and SIGPIPE. */
const EXIT = { done: 0, failure: 1, usage: 2, interrupted: 130, outputClosed: 141 };

const ROOT_HELP = {
  examples: COMMANDS.map(({ examples }) => examples[0] as string),
  notes: [
    "Exit codes: 0 done, 1 failed (a bad file, a model that does not run), 2 a wrong command line, 130 after Ctrl-C.",
    "QKV_DEBUG=1 shows where an error comes from; NO_COLOR=1 turns colours off.",
  ],
};

/**
 * Runs a command line.
 *
 * @param argv what follows the program's name
 * @returns the exit code: 0 done, 1 failed, 2 wrong command line, 130 interrupted, 141 nobody reads the output
 */
export async function main(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await dispatch(argv, terminal);
  } catch (thrown) {
    const error = namingFlags(thrown);
    if (terminal.signal.aborted) return EXIT.interrupted;
    if (error instanceof OutputError && error.closed) return EXIT.outputClosed;
    await write(terminal.stderr, `qkv: ${describe(error, terminal)}\n`).catch(() => {}); // nobody is left to tell
    return error instanceof UsageError ? EXIT.usage : EXIT.failure;
  }
}

async function dispatch(argv: readonly string[], terminal: Terminal): Promise<number> {
  const { stdout, stderr, env } = terminal;
  const root = rootDefinition(terminal);
  const [name] = argv;
  const showHelp = async (stream: Output) => write(stream, await helpText(root, undefined, ROOT_HELP, stream, env));
  if (name === undefined) {
    await showHelp(stderr);
    return EXIT.usage;
  }
  if (name === "--help" || name === "-h") await showHelp(stdout);
  else if (name === "--version" || name === "-v") await write(stdout, `${version()}\n`);
  else {
    checkName(name);
    await runCommand(root, { rawArgs: [...argv] });
  }
  return EXIT.done;
}

/** The commands as citty's; it only finds and starts them, as its own reading of arguments is lenient. */
function rootDefinition(terminal: Terminal) {
  const subCommands = COMMANDS.map((command) => {
    const { name, description } = command;
    const run = ({ rawArgs }: { rawArgs: string[] }) => start(command, rawArgs, terminal);
    return [name, defineCommand({ meta: { name, description }, run })] as const;
  });
  return defineCommand({
    meta: { name: "qkv", version: version(), description: "Transformer inference from scratch" },
    subCommands: Object.fromEntries(subCommands),
  });
}

async function start(command: Command, rawArgs: readonly string[], terminal: Terminal): Promise<void> {
  const args = readArguments(command.args, rawArgs);
  if (args !== null) return command.run(args, terminal);
  const { stdout, env } = terminal;
  await write(stdout, await helpText(cittyDefinition(command), rootDefinition(terminal), command, stdout, env));
}

function checkName(name: string): void {
  const known = COMMANDS.map((command) => command.name);
  if (known.includes(name)) return;
  const guess = closest(name, known);
  const what = name.startsWith("-") ? "option" : "command";
  const advice = guess === null ? `the commands are ${known.join(", ")}` : `did you mean ${guess}?`;
  throw new UsageError(`unknown ${what} ${oneLine(name)}; ${advice}`);
}

function describe(error: unknown, { env }: Terminal): string {
  if (!(error instanceof Error)) return oneLine(String(error));
  if (env.QKV_DEBUG === "1" && error.stack !== undefined) return error.stack.split("\n").map(oneLine).join("\n");
  return oneLine(error.message);
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return version;
}

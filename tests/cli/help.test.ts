/** Help, versions and errors of the real executable. The examples that help shows are run here. */

import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect, test } from "vitest";
import { readJson, repository } from "../support/fixtures";
import { EXECUTABLE, FORMS, qkv, start, temporaryFolder } from "./run";
import { copyStandIns } from "./task-folders";

const COMMANDS = [
  "generate",
  "summarize",
  "translate",
  "embed",
  "fill-mask",
  "classify",
  "answer",
  "inspect",
  "tokenize",
  "detokenize",
  "trace",
];

/** The command lines below EXAMPLES. */
function examplesOf(help: string): string[] {
  const section = help.split("EXAMPLES\n\n")[1] as string;
  return (section.split("\n\n")[0] as string)
    .trimEnd()
    .split("\n")
    .map((line) => line.trim());
}

/** A folder as the examples expect it, and a `qkv` in the path. */
function exampleFolder(): { cwd: string; env: Record<string, string> } {
  const cwd = temporaryFolder();
  symlinkSync(FORMS.gguf, join(cwd, "model.gguf"));
  symlinkSync(FORMS.safetensors, join(cwd, "llama"));
  copyStandIns(cwd);
  writeFileSync(join(cwd, "article.txt"), "The old bridge was closed.\nNobody was hurt.\n");
  const bin = join(cwd, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "qkv"), `#!/bin/sh\nexec "${process.execPath}" "${EXECUTABLE}" "$@"\n`);
  chmodSync(join(bin, "qkv"), 0o755);
  return { cwd, env: { PATH: `${bin}${delimiter}${process.env.PATH}` } };
}

describe.concurrent("help", () => {
  test("of the program lists the commands", async () => {
    const { code, stdout, stderr } = await qkv(["--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^ *${command} {4}\\S`, "m"));
  });

  test.each(COMMANDS)("of %s has examples that work", async (command) => {
    const { code, stdout } = await qkv([command, "-h"]);
    expect(code).toBe(0);
    const examples = examplesOf(stdout);
    expect(examples.length).toBeGreaterThanOrEqual(2);
    const folder = exampleFolder();
    const runs = await Promise.all(examples.map((example) => start("sh", ["-c", example], folder).ended));
    for (const [i, run] of runs.entries()) expect(run, examples[i]).toMatchObject({ code: 0, signal: null });
  });

  test("--version", async () => {
    const { version } = readJson<{ version: string }>(repository("packages/cli/package.json"));
    expect(await qkv(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n` });
  });
});

// The whole table is in packages/cli/src/main.test.ts, without processes; these show that codes and streams get through.
describe.concurrent("errors are one line on stderr", () => {
  test.each([
    ["a wrong flag", ["generate", "--temprature", "1"], 2, "unknown option --temprature; did you mean --temperature?"],
    ["no such file", ["generate", "./nothing.gguf", "Once"], 1, "./nothing.gguf: there is no such file or folder"],
  ] as const)("%s", async (_, args, code, message) => {
    expect(await qkv(args)).toEqual({ code, signal: null, stdout: "", stderr: `qkv: ${message}\n` });
  });

  test("QKV_DEBUG=1 shows where it comes from", async () => {
    const { code, stderr } = await qkv(["generate", "./nothing.gguf", "x"], { env: { QKV_DEBUG: "1" } });
    expect(stderr).toMatch(/^qkv: .*no such file or folder\n +at /);
    expect(code).toBe(1);
  });
});

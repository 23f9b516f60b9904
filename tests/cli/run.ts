/** Starting the real command line as a child process: from source, or (QKV_TEST_DIST=1) as it is published. */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect } from "vitest";
import { fixture, readJson, repository } from "../support/fixtures";

/** The file that `node` is given. */
export const EXECUTABLE = repository(
  process.env.QKV_TEST_DIST === "1" ? "packages/cli/bin/qkv.js" : "packages/cli/scripts/start.mjs",
);

/** stories260K in its three forms. */
export const FORMS = {
  safetensors: repository("packages/cli/models/stories260K"),
  "llama2.c": fixture("models/stories260K/stories260K.bin"),
  gguf: fixture("models/stories260K/stories260K.gguf"),
};

interface Story {
  readonly ids: readonly number[];
  readonly greedy: { readonly ids: readonly number[]; readonly text: string };
}

/** What transformers generates: from BOS alone, and from "Once upon a time". */
export const STORIES = readJson<{ readonly cases: { readonly bos: Story; readonly prompt: Story } }>(
  fixture("goldens/real/stories260K.json"),
).cases;

/** How a process ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process that may be watched and signalled while it runs. */
export interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
}

export interface RunOptions {
  /** Standard input; empty if left out. */
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a program; its streams are pipes, so whatever it prints must be without colours. */
export function start(program: string, args: readonly string[], options: RunOptions = {}): Running {
  const { input = "", cwd = repository("."), env = {} } = options;
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env } });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
    });
  }
  child.stdin.on("error", () => {}); // who does not read it may close it
  child.stdin.end(input);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      expect(output.stdout + output.stderr).not.toContain("\u001b");
      resolve({ code, signal, ...output });
    });
  });
  return { child, ended };
}

/** Runs `qkv` to its end. */
export function qkv(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return start(process.execPath, [EXECUTABLE, ...args], options).ended;
}

/** What `--json` prints; fails unless the command succeeded and printed one line. */
export async function qkvJson<T>(args: readonly string[], options: RunOptions = {}): Promise<T> {
  const { code, stdout, stderr } = await qkv([...args, "--json"], options);
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining("qkv: error") });
  expect(stdout.split("\n")).toEqual([expect.stringMatching(/^\{.*\}$/), ""]);
  return JSON.parse(stdout) as T;
}

/** An empty folder, removed after the file's tests. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "qkv-cli-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

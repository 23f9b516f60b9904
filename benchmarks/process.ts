/** Processes that measure: one bundled from the sources for all contenders, so that any Node runs it, and how it is asked. */

import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { busyMs } from "./command";

type Build = (options: Readonly<Record<string, unknown>>) => Promise<unknown>;

/** A folder of its own with `source` bundled into it, by the bundler that tsup brings. */
export async function bundleChild(
  source: URL,
): Promise<{ readonly folder: string; readonly file: string; remove(): void }> {
  const tsup = createRequire(import.meta.url).resolve("tsup");
  const { build } = (await import(pathToFileURL(createRequire(tsup).resolve("esbuild")).href)) as { build: Build };
  const folder = mkdtempSync(join(tmpdir(), "qkv-bench-"));
  const file = join(folder, "child.mjs");
  await build({
    entryPoints: [fileURLToPath(source)],
    outfile: file,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "es2022",
    conditions: ["qkv-source"],
    logLevel: "warning",
  });
  return { folder, file, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/**
 * Sends a question to a running process and waits for its next message.
 *
 * @throws Error if it ends, or takes longer than `timeoutMs`, at which it is killed
 */
export function ask<Answer>(child: ChildProcess, question: object, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    const over = () => {
      clearTimeout(late);
      child.off("message", answered).off("exit", ended).off("error", reject);
    };
    const answered = (answer: unknown) => {
      over();
      resolve(answer as Answer);
    };
    const ended = (code: number | null, signal: string | null) => {
      over();
      reject(new Error(`its process ended with ${signal ?? `exit code ${code}`}`));
    };
    child.on("message", answered).on("exit", ended).on("error", reject);
    child.send(question);
  });
}

/** What a process measured, and how many cores other processes took meanwhile. */
export type Watched<Measurement> = Measurement & { readonly others: number };

/**
 * Does a job in a process of its own, which answers with one message. What it writes goes to stderr.
 *
 * @throws Error if it fails, ends without an answer, or takes longer than `timeoutMs`
 */
export function measureAlone<Measurement extends { readonly cpuMs: number }>(
  file: string,
  execPath: string,
  job: object,
  timeoutMs: number,
): Promise<Watched<Measurement>> {
  return new Promise((resolve, reject) => {
    const busyBefore = busyMs();
    const startedAt = Date.now();
    const child = fork(file, [JSON.stringify({ ...job, startedAt })], {
      execPath,
      execArgv: [], // not this process's TypeScript loader
      stdio: ["ignore", 2, 2, "ipc"],
      timeout: timeoutMs,
    });
    let answer: Measurement | { readonly failed: string } | null = null;
    child.on("message", (message) => {
      answer = message as Measurement | { readonly failed: string };
    });
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      if (answer === null) {
        const late = Date.now() - startedAt >= timeoutMs ? `, stopped after ${timeoutMs / 1000} s` : "";
        reject(new Error(`nothing measured, ended with ${signal ?? `exit code ${code}`}${late}`));
      } else if ("failed" in answer) {
        reject(new Error(answer.failed));
      } else {
        const others = (busyMs() - busyBefore - answer.cpuMs) / (Date.now() - startedAt);
        resolve({ ...answer, others: Math.max(0, others) });
      }
    });
  });
}

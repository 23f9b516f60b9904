/** The processes of contenders: one file for all of them, bundled from the sources, so that any Node runs it. */

import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Answer, Job, Question } from "./protocol";

/** The slowest is to load the largest weights, on a busy machine seconds: who takes this long hangs. */
const TIMEOUT_MS = 60_000;

type Build = (options: Readonly<Record<string, unknown>>) => Promise<unknown>;

/** Bundles child.ts into a folder of its own, with the bundler that tsup brings. */
export async function bundleChild(): Promise<{ readonly file: string; remove(): void }> {
  const tsup = createRequire(import.meta.url).resolve("tsup");
  const { build } = (await import(pathToFileURL(createRequire(tsup).resolve("esbuild")).href)) as { build: Build };
  const folder = mkdtempSync(join(tmpdir(), "qkv-bench-"));
  const file = join(folder, "child.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("child.ts", import.meta.url))],
    outfile: file,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "es2022",
    conditions: ["qkv-source"],
    logLevel: "warning",
  });
  return { file, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A contender's process: started when it is first asked, and again after it ended. */
export class Child {
  #process: ChildProcess | null = null;

  constructor(
    readonly file: string,
    readonly execPath: string,
    readonly job: Job,
  ) {}

  /** @throws Error if it ends, or takes too long */
  ask(question: Question): Promise<Answer> {
    this.#process ??= this.#start();
    const child = this.#process;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
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

  end(): void {
    this.#process?.kill("SIGKILL"); // threads of libraries may keep it
  }

  #start(): ChildProcess {
    const child = fork(this.file, [JSON.stringify(this.job)], {
      execPath: this.execPath,
      execArgv: ["--expose-gc"], // and not this process's TypeScript loader
      stdio: ["ignore", 2, 2, "ipc"],
    });
    child.once("exit", () => {
      this.#process = null;
    });
    return child;
  }
}

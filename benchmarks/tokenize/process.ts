/** The processes of contenders: one file for all of them, bundled from the sources. */

import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Answer, Job, Question } from "./protocol";

/** The slowest library needs half a minute for its part of a text: who takes this long hangs. */
const TIMEOUT_MS = 180_000;

type Build = (options: Readonly<Record<string, unknown>>) => Promise<unknown>;

/** A folder with child.ts bundled into it, by the bundler that tsup brings; vocabularies go there too. */
export async function bundleChild(): Promise<{ readonly folder: string; readonly file: string; remove(): void }> {
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
  return { folder, file, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A contender's process. */
export class Child {
  readonly #process: ChildProcess;

  constructor(file: string, job: Job, root: string) {
    this.#process = fork(file, [JSON.stringify(job), root], {
      execArgv: ["--expose-gc"], // and not this process's TypeScript loader
      stdio: ["ignore", 2, 2, "ipc"],
      // One thread for the native library; it has no batches to share out, but its pool would be there.
      env: { ...process.env, TOKENIZERS_PARALLELISM: "false", RAYON_NUM_THREADS: "1", UV_THREADPOOL_SIZE: "1" },
    });
  }

  /** @throws Error if it ends, or takes too long */
  ask(question: Question): Promise<Answer> {
    const child = this.#process;
    if (child.exitCode !== null || child.signalCode !== null) return Promise.reject(new Error("its process has ended"));
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
    this.#process.kill("SIGKILL"); // threads of libraries may keep it
  }
}

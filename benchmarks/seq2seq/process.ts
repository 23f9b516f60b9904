/** A process that measures: started, watched, and what it sent. */

import { fork } from "node:child_process";
import { busyMs } from "../command";
import type { Answer } from "./protocol";

/** The slowest measures for a quarter of a minute, on a busy machine for a minute: who takes this long hangs. */
const TIMEOUT_MS = 300_000;

/** What a process measured, and how many cores other processes took meanwhile. */
export type Watched<Result> = Result & { readonly others: number };

/**
 * Does a job in a process of its own. What it writes goes to stderr.
 *
 * @throws Error if it fails, ends without an answer, or takes too long
 */
export function measure<Result extends object>(file: string, execPath: string, job: object): Promise<Watched<Result>> {
  return new Promise((resolve, reject) => {
    const busyBefore = busyMs();
    const startedAt = Date.now();
    const child = fork(file, [JSON.stringify({ ...job, startedAt })], {
      execPath,
      execArgv: [], // not this process's TypeScript loader
      stdio: ["ignore", 2, 2, "ipc"],
      timeout: TIMEOUT_MS,
    });
    let answer: Answer<Result> | { readonly failed: string } | null = null;
    child.on("message", (message) => {
      answer = message as Answer<Result> | { readonly failed: string };
    });
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      if (answer === null) {
        const late = Date.now() - startedAt >= TIMEOUT_MS ? `, stopped after ${TIMEOUT_MS / 1000} s` : "";
        reject(new Error(`nothing measured, ended with ${signal ?? `exit code ${code}`}${late}`));
      } else if ("failed" in answer) {
        reject(new Error(answer.failed));
      } else {
        const others = (busyMs() - busyBefore - answer.cpuMs) / (Date.now() - startedAt);
        resolve({ ...answer.result, others: Math.max(0, others) });
      }
    });
  });
}

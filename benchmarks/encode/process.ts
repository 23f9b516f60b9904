/** A process that measures: started, watched, and what it sent. */

import { fork } from "node:child_process";
import { busyMs } from "../command";
import type { Job, Measurement } from "./protocol";

/** The slowest part is onnxruntime-web's first, some twenty seconds, on a busy machine minutes: who takes this long hangs. */
const TIMEOUT_MS = 300_000;

/** What a process measured. */
export interface Round extends Measurement {
  /** Cores that other processes took meanwhile. */
  readonly others: number;
}

/**
 * Runs a job in a process of its own. What it writes goes to stderr.
 *
 * @throws Error if it fails, ends without an answer, or takes too long
 */
export function measure(file: string, execPath: string, job: Omit<Job, "startedAt">): Promise<Round> {
  return new Promise((resolve, reject) => {
    const busyBefore = busyMs();
    const startedAt = Date.now();
    const child = fork(file, [JSON.stringify({ ...job, startedAt })], {
      execPath,
      execArgv: [], // not this process's TypeScript loader
      stdio: ["ignore", 2, 2, "ipc"],
      timeout: TIMEOUT_MS,
    });
    let answer: Measurement | { readonly failed: string } | null = null;
    child.on("message", (message) => {
      answer = message as Measurement | { readonly failed: string };
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
        resolve({ ...answer, others: Math.max(0, others) });
      }
    });
  });
}

/** The processes of contenders. */

import { type ChildProcess, fork } from "node:child_process";
import { ask } from "../process";
import type { Answer, Job, Question } from "./protocol";

/** The slowest library needs half a minute for its part of a text: who takes this long hangs. */
const TIMEOUT_MS = 180_000;

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
    return ask(child, question, TIMEOUT_MS);
  }

  end(): void {
    this.#process.kill("SIGKILL"); // threads of libraries may keep it
  }
}

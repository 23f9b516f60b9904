/** The processes of contenders. */

import { type ChildProcess, fork } from "node:child_process";
import { ask } from "../process";
import type { Answer, Job, Question } from "./protocol";

/** The slowest is to load the largest weights, on a busy machine seconds: who takes this long hangs. */
const TIMEOUT_MS = 60_000;

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
    return ask(this.#process, question, TIMEOUT_MS);
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

/** A process that measures an encoder, and what it sent. */

import { measureAlone, type Watched } from "../process";
import type { Job, Measurement } from "./protocol";

/** The slowest part is onnxruntime-web's first, some twenty seconds, on a busy machine minutes: who takes this long hangs. */
const TIMEOUT_MS = 300_000;

/** What a process measured. */
export type Round = Watched<Measurement>;

/** Does a job in a process of its own. @throws as `measureAlone` */
export function measure(file: string, execPath: string, job: Omit<Job, "startedAt">): Promise<Round> {
  return measureAlone<Measurement>(file, execPath, job, TIMEOUT_MS);
}

/** A process that measures an encoder-decoder, and what it sent. */

import { measureAlone, type Watched } from "../process";
import type { Answer } from "./protocol";

export type { Watched } from "../process";

/** The slowest measures for a quarter of a minute, on a busy machine for a minute: who takes this long hangs. */
const TIMEOUT_MS = 300_000;

/** Does a job in a process of its own. @throws as `measureAlone` */
export async function measure<Result extends object>(
  file: string,
  execPath: string,
  job: object,
): Promise<Watched<Result>> {
  const { result, others } = await measureAlone<Answer<Result>>(file, execPath, job, TIMEOUT_MS);
  return { ...result, others };
}

/** How a process that measures sends what it measured, and ends. */

import type { Answer } from "./protocol";

/** Processor time of all threads, in ms. */
export function cpuMs(since?: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

/** Sends what `measure` gives, or why it failed. */
export function answer(measure: () => Promise<object>): void {
  measure().then(
    (result) => {
      // Some contenders leave threads and timers behind.
      process.send!({ result, cpuMs: cpuMs() } satisfies Answer<object>, () => process.exit());
    },
    (error: unknown) => {
      console.error(error);
      process.send!({ failed: error instanceof Error ? error.message : String(error) }, () => process.exit(1));
    },
  );
}

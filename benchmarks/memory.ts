/** What a process that measures took. */

import { readFileSync } from "node:fs";

/** Most memory that the process had. What getrusage says includes the parent's at the fork. */
export function peakRssMB(): number {
  const line =
    process.platform === "linux" ? /^VmHWM:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8")) : null;
  return ((line === null ? process.resourceUsage().maxRSS : Number(line[1])) * 1024) / 1e6;
}

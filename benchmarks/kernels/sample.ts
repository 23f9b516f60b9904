/** Times calls. */

import { median } from "../page";

/** Median time of a call, in ms, of as many as take `ms` altogether, one at least. */
export async function sample(call: () => unknown, ms: number): Promise<number> {
  const times: number[] = [];
  const start = performance.now();
  for (let from = start; from - start < ms; ) {
    const result = call();
    if (result instanceof Promise) await result;
    const to = performance.now();
    times.push(to - from);
    from = performance.now();
  }
  return median(times);
}

/** What memory gives at most: the read that the kernels are measured by. Bundled and started by run.ts. */

import { CASES } from "../kernels/cases";
import { limits } from "../kernels/contenders/limits";
import { sample } from "../kernels/sample";
import { answer } from "./answer";
import type { LimitJob, LimitMeasured } from "./protocol";

answer(async (): Promise<LimitMeasured> => {
  const { threads, leastMs } = JSON.parse(process.argv[2]) as LimitJob;
  const reading = CASES.find(({ bound }) => bound === "read")!;
  const ready = await (await limits({ contender: "limit", threads, turbo: false, modulePath: "" }))(reading);
  if (typeof ready === "string") throw new Error(ready);
  const [{ run, amount }] = ready.ways;
  await sample(run, leastMs); // compilers have several stages
  const ms = await sample(run, leastMs);
  ready.release();
  return { rate: amount! / ms / 1e6 };
});

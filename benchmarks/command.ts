/** What all benchmarks share: their command line and environment, and what else the machine is doing. */

import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

/** Time that all processes of the machine have used so far, in ms. */
export function busyMs(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
}

/** `--only`, `--rounds` and `--quick`. */
export function options(): { readonly only: string[]; readonly rounds: number; readonly quick: boolean } {
  const { values } = parseArgs({
    options: {
      only: { type: "string", multiple: true, default: [] },
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
    },
  });
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new RangeError(`--rounds: expected 1 or more, got ${values.rounds}`);
  return { only: values.only, rounds, quick: values.quick };
}

/** A folder that the environment names, or undefined. Named, but without this file, is an error. */
export function externalFolder(variable: "QKV_MODELS" | "QKV_EXPORTS", file: string): string | undefined {
  const folder = process.env[variable];
  if (folder === undefined || folder === "") return undefined;
  if (!existsSync(join(folder, file))) throw new Error(`${variable} is set to ${folder}, which has no ${file}`);
  return folder;
}

/** What the pages of all benchmarks share: the machine, medians, tables, and where results lie. */

import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGB: number;
  readonly platform: string;
}

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGB: Math.round(totalmem() / 1e9),
    platform: `${process.platform} ${process.arch}`,
  };
}

/** Cores that other processes may take before the figures are doubtful: an idle system takes one or two hundredths. */
export const OTHERS_LIMIT = 0.1;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Padded as the formatter wants it; the first column reads from the left, figures from the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, i) => Math.max(3, ...[head, ...rows].map((row) => row[i].length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(" | ")} |`;
  const rule = widths.map((width, i) => (i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** Three digits are more than a noisy machine can vouch for. */
export function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** A ratio. */
export function times(value: number): string {
  return `${value >= 10 ? value.toFixed(1) : value.toFixed(2)}x`;
}

/** Writes `results/NAME.json`, `NAME.md` and further files of the name by their ending. */
export function saveResults(name: string, report: object, files: Readonly<Record<string, string>>): void {
  const results = new URL("results/", import.meta.url);
  mkdirSync(results, { recursive: true });
  const all = { json: `${JSON.stringify(report, null, 2)}\n`, ...files };
  for (const [ending, text] of Object.entries(all)) {
    writeFileSync(fileURLToPath(new URL(`${name}.${ending}`, results)), text);
  }
}

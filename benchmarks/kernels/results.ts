/** What a run found, as it is written to kernels.json. */

import { type Machine, median } from "../page";
import type { Group, KernelCase, Unit } from "./cases";

/** Who was measured. */
export interface Contender {
  readonly name: string;
  readonly library: "qkv" | "qkv turbo" | "reference" | "onnxruntime-web" | "onnxruntime-node" | "limit";
  /** Version of the Node that ran it. */
  readonly node: string;
  readonly threads: number;
}

/** One way to do a case, by one contender. */
export interface Result {
  readonly contender: Contender;
  /** The ONNX operation, "" where there is one way only. */
  readonly operation: string;
  /** Medians over all rounds. */
  readonly ms: number;
  /** Of the case's unit. */
  readonly rate: number;
  /** ms by round. */
  readonly rounds: readonly number[];
}

export interface CaseResults {
  readonly name: string;
  readonly group: Group;
  readonly unit: Unit;
  readonly multiplyAdds: number;
  readonly bound: KernelCase["bound"];
  readonly dram: boolean;
  readonly yardstick: string | null;
  readonly results: readonly Result[];
}

/** What was left out, and why. */
export interface Skipped {
  readonly name: string;
  readonly because: string;
}

/** A whole run. */
export interface Report {
  readonly date: string;
  readonly machine: Machine;
  /** The running Node, and the newer one, or the same again. */
  readonly nodes: { readonly running: string; readonly newer: string };
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly roundMs: number;
  /** Cores that other processes took, on average. */
  readonly others: number;
  readonly cases: readonly CaseResults[];
  readonly skipped: readonly Skipped[];
}

/** Which contender is meant; all that match. */
export type Who = Partial<Contender>;

/** The result of who is meant, by the case's yardstick or the fastest operation; null if there is none. */
export function resultOf({ results, yardstick }: CaseResults, who: Who): Result | null {
  const of = results.filter(
    ({ contender, operation }) =>
      Object.entries(who).every(([key, value]) => contender[key as keyof Contender] === value) &&
      (operation === "" || yardstick === null || operation === yardstick),
  );
  return of.length === 0 ? null : of.reduce((a, b) => (b.rate > a.rate ? b : a));
}

/** How many times as fast; null if either is missing. */
export function ratio(a: Result | null, b: Result | null): number | null {
  return a === null || b === null ? null : a.rate / b.rate;
}

/** Rounds of one way to a result. */
export function toResult(
  contender: Contender,
  operation: string,
  figures: readonly { readonly ms: number; readonly rate: number }[],
): Result {
  const rounds = figures.map(({ ms }) => ms);
  return { contender, operation, ms: median(rounds), rate: median(figures.map(({ rate }) => rate)), rounds };
}

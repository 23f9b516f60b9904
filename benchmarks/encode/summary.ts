/** From what processes measured to medians. */

import type { Machine } from "../page";
import { median } from "../page";
import type { Skipped } from "./contender";
import type { Round } from "./process";
import type { Dtype, Library, Nearness, Share, Way } from "./protocol";

/** A way of handing over texts. */
export interface WaySummary extends Share {
  /** Texts/s: the median, and each round's. */
  readonly rate: number;
  readonly rates: readonly number[];
}

/** A contender's figures, of all rounds. */
export interface Summary {
  readonly name: string;
  readonly library: Library;
  readonly dtype: Dtype;
  readonly threads: number;
  readonly turbo: boolean;
  readonly node: string;
  /** What was tried once, on a part of the texts, to find its best way. */
  readonly tried: readonly { readonly way: Way; readonly step: number; readonly rate: number }[];
  readonly asTheyCome: WaySummary;
  readonly best: WaySummary;
  readonly latencyMs: number;
  readonly equalRate: number;
  readonly loadMs: number;
  readonly firstMs: number;
  readonly firstRssMB: number;
  readonly peakRssMB: number;
  /** Cores that were busy with the texts as they come. */
  readonly cores: number;
  readonly others: number;
  /** Of ours all texts, of peers the largest part that was run. */
  readonly nearness: Nearness | null;
  readonly neighbours: number | null;
}

/** A whole run. */
export interface Report {
  readonly date: string;
  readonly machine: Machine;
  readonly nodes: readonly string[];
  readonly versions: Readonly<Record<string, string>>;
  readonly texts: {
    readonly mixed: number;
    readonly equal: number;
    readonly meanWords: number;
    readonly meanTokens: number;
  };
  readonly rounds: number;
  readonly seconds: number;
  /** Whose embeddings the others' are compared with; null if nobody's were there. */
  readonly reference: string | null;
  readonly skipped: readonly Skipped[];
  readonly contenders: readonly Summary[];
}

/** A contender, what was tried first, and its rounds. */
export type Rounds = Pick<Summary, "name" | "library" | "dtype" | "threads" | "turbo" | "node"> & {
  readonly trial: Round;
  readonly rounds: readonly Round[];
};

export function summarize({ trial, rounds, ...who }: Rounds): Summary {
  const middle = (value: (round: Round) => number): number => median(rounds.map(value));
  const place = rounds[0].shares.findIndex(({ way }) => way === "32");
  const ways = rounds[0].shares.map(({ way, step }, i): WaySummary => {
    const rates = rounds.map(({ shares }) => shares[i].rate);
    return { way, step, rate: median(rates), rates };
  });
  return {
    ...who,
    tried: trial.shares.map(({ way, step, rate }) => ({ way, step, rate })),
    asTheyCome: ways[place],
    best: ways.reduce((a, b) => (b.rate > a.rate ? b : a)),
    latencyMs: middle(({ latencyMs }) => latencyMs!),
    equalRate: middle((round) => round.equalRate!),
    loadMs: middle(({ loadMs }) => loadMs),
    firstMs: middle(({ firstMs }) => firstMs),
    firstRssMB: middle(({ firstRssMB }) => firstRssMB),
    peakRssMB: middle(({ peakRssMB }) => peakRssMB),
    cores: middle(({ shares }) => shares[place].cores),
    others: middle(({ others }) => others),
    nearness: nearnessOf([trial, ...rounds]),
    neighbours: trial.neighbours,
  };
}

/** Of the way that ran the most texts; the least ones are those of all ways and rounds. */
function nearnessOf(rounds: readonly Round[]): Nearness | null {
  const all = rounds.flatMap(({ shares }) => shares.flatMap((share) => share.nearness ?? []));
  if (all.length === 0) return null;
  const cut = all.flatMap(({ leastCut }) => leastCut ?? []);
  return {
    ...all.reduce((a, b) => (b.texts > a.texts ? b : a)),
    least: Math.min(...all.map(({ least }) => least)),
    leastCut: cut.length === 0 ? null : Math.min(...cut),
  };
}

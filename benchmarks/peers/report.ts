/** From what was measured to medians, ratios and a page of Markdown. */

import { type Machine, median, number, OTHERS_LIMIT, table } from "../page";
import type { Measurement } from "./contender";

/** Whose figures they are. */
export interface Contender {
  readonly name: string;
  readonly library: string;
  /** Version of the Node that ran it. */
  readonly node: string;
  readonly threads: number;
}

/** A contender that did not run, and why. */
export interface Skipped {
  readonly name: string;
  readonly because: string;
}

/** One process's measurement. */
export interface Round extends Measurement {
  /** Cores that other processes took meanwhile. */
  readonly others: number;
}

/** What is measured in numbers. */
type Figures = Omit<Round, "ids" | "note">;

/** A contender's figures. */
export interface Summary extends Contender {
  readonly note: string | null;
  /** How many of its tokens after the short prompt are node-llama-cpp's too, before the first that is not. */
  readonly sameTokens: number | null;
  readonly median: Figures;
  readonly rounds: readonly Figures[];
}

/** A whole run. */
export interface Report {
  readonly date: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly model: string;
  readonly sizes: { readonly short: number; readonly long: number; readonly decode: number };
  readonly rounds: number;
  readonly skipped: readonly Skipped[];
  readonly contenders: readonly Summary[];
}

/** Whom all are compared with: native, and the same file. */
const YARDSTICK = "node-llama-cpp";

const RATES = ["prefill", "decodeShort", "decodeLong"] as const;

function figuresOf({ ids: _, note: __, ...figures }: Round): Figures {
  return figures;
}

/** Medians of each contender's rounds. */
export function summarize(measured: readonly (readonly [Contender, readonly Round[]])[]): Summary[] {
  const yardstick = measured.find(([{ library }]) => library === YARDSTICK)?.[1][0].ids;
  return measured.map(([contender, each]) => {
    const rounds = each.map(figuresOf);
    const keys = Object.keys(rounds[0]) as (keyof Figures)[];
    const medians = Object.fromEntries(keys.map((key) => [key, median(rounds.map((round) => round[key]))]));
    const other = each[0].ids.findIndex((id, i) => id !== yardstick?.[i]);
    return {
      ...contender,
      note: each[0].note,
      sameTokens: yardstick === undefined ? null : other < 0 ? each[0].ids.length : other,
      median: medians as unknown as Figures,
      rounds,
    };
  });
}

function absolute({ contenders, sizes }: Report): string {
  const head = [
    "contender",
    "load, ms",
    "start to first token, ms",
    `prefill of ${sizes.long}, tokens/s`,
    `decode after ${sizes.short}, tokens/s`,
    `decode after ${sizes.long}, tokens/s`,
    "peak RSS, MB",
    "cores busy",
    "same tokens",
  ];
  const rows = contenders.map(({ name, note, sameTokens, median: figures }) => [
    note === null ? name : `${name} (${note})`,
    number(figures.loadMs),
    number(figures.firstTokenMs),
    ...RATES.map((rate) => number(figures[rate])),
    number(figures.peakRssMB),
    figures.cores.toFixed(2),
    sameTokens === null ? "" : String(sameTokens),
  ]);
  return table(head, rows);
}

/** "1.23x / 0.98x": of the yardstick at the same threads, and of its best. */
function ratios({ contenders, sizes }: Report): string | null {
  const yardsticks = contenders.filter(({ library }) => library === YARDSTICK);
  if (yardsticks.length === 0) return null;
  const times = (ratio: number) => `${ratio.toFixed(2)}x`;
  const rows = contenders
    .filter(({ library }) => library !== YARDSTICK)
    .map(({ name, threads, median: figures }) => [
      name,
      ...RATES.map((rate) => {
        const same = yardsticks.find((yardstick) => yardstick.threads === threads);
        const best = Math.max(...yardsticks.map((yardstick) => yardstick.median[rate]));
        return `${same === undefined ? "?" : times(figures[rate] / same.median[rate])} / ${times(figures[rate] / best)}`;
      }),
    ]);
  const head = ["contender", `prefill of ${sizes.long}`, `decode after ${sizes.short}`, `decode after ${sizes.long}`];
  return rows.length === 0 ? null : table(head, rows);
}

/** Cores that collecting garbage and compiling may add to the threads that were asked for. */
const CORES_MARGIN = 0.25;

/** What makes the figures doubtful: a machine that was not quiet, threads that were not obeyed, rounds that disagree. */
function doubts({ contenders }: Report): string[] {
  const found: string[] = [];
  const disturbed = contenders.filter(({ median: figures }) => figures.others > OTHERS_LIMIT);
  if (disturbed.length > 0) {
    const most = Math.max(...disturbed.map(({ median: figures }) => figures.others)).toFixed(2);
    found.push(
      `Other processes took up to ${most} cores, while ${disturbed.length} of ${contenders.length} were measured.`,
    );
  }
  for (const { name, threads, median: figures } of contenders) {
    const wrong = figures.cores - threads;
    // Too few may be the fault of others, who are named above.
    if (wrong > CORES_MARGIN || (wrong < -CORES_MARGIN && figures.others <= OTHERS_LIMIT)) {
      found.push(`${name}: ${figures.cores.toFixed(2)} cores were busy in the prefill.`);
    }
  }
  const spreads = contenders.map(({ name, rounds }) => {
    const ratio = (rates: number[]) => Math.max(...rates) / Math.min(...rates);
    return { name, spread: Math.max(...RATES.map((rate) => ratio(rounds.map((round) => round[rate])))) };
  });
  const widest = spreads.reduce((a, b) => (b.spread > a.spread ? b : a));
  if (widest.spread > 1.1) {
    found.push(`Rounds differ by up to ${widest.spread.toFixed(2)}x (${widest.name}).`);
  }
  return found;
}

/** The page: where, what, figures, ratios, doubts, what was left out. */
export function toMarkdown(report: Report): string {
  const { date, machine, versions, model, sizes, rounds, skipped } = report;
  const nodes = [...new Set(report.contenders.map(({ node }) => node))].join(" and ");
  const software = Object.entries(versions).map((each) => each.join(" "));
  const versus = ratios(report);
  const list = (items: readonly string[]) => items.map((item) => `- ${item}`).join("\n");
  const parts = [
    `# ${model}`,
    `${date}, ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGB} GB, ${machine.platform}; Node ${nodes}; ` +
      `${software.join(", ")}. Medians of ${rounds} ` +
      `${rounds === 1 ? "round" : "rounds"}, each in a fresh process; ${sizes.decode} tokens decoded after each prompt. ` +
      "Made by `npx -y pnpm@10 bench:peers`; what the columns mean is in benchmarks/peers/README.md.",
    absolute(report),
    ...(versus === null ? [] : [`Of ${YARDSTICK}'s speed, at as many threads / at its best:`, versus]),
    ...(doubts(report).length === 0 ? [] : ["Doubts:", list(doubts(report))]),
    ...(skipped.length === 0 ? [] : ["Left out:", list(skipped.map(({ name, because }) => `${name}: ${because}`))]),
  ];
  return `${parts.join("\n\n")}\n`;
}

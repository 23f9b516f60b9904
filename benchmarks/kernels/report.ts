/** The page: where, what, rates, ratios, goals, doubts, what was left out. */

import { median, number, OTHERS_LIMIT, times as ratioOf, table } from "../page";
import { type CaseResults, type Contender, type Report, type Result, ratio, resultOf } from "./results";
import { type Outcome, outcomes, sides } from "./targets";

/** Differences between rounds from which on figures are doubtful. */
const SPREAD_LIMIT = 1.15;

const times = (value: number | null) => (value === null ? "" : ratioOf(value));
const percent = (value: number | null) => (value === null ? "" : `${(100 * value).toFixed(0)}%`);
const list = (items: readonly string[]) => items.map((item) => `- ${item}`).join("\n");

/** Who was measured with so many threads, in the order of the columns. */
function columns({ cases }: Report, threads: number): Contender[] {
  const found = new Map<string, Contender>();
  for (const { results } of cases) {
    for (const { contender } of results) if (contender.threads === threads) found.set(contender.name, contender);
  }
  const order = ["qkv", "qkv turbo", "onnxruntime-web", "onnxruntime-node", "reference", "limit"];
  return [...found.values()].sort((a, b) => order.indexOf(a.library) - order.indexOf(b.library));
}

function title({ library, node }: Contender): string {
  if (library === "limit" || library === "onnxruntime-node" || library === "reference") return library;
  return `${library}, ${node.split(".")[0]}`;
}

function cell(found: CaseResults, { name }: Contender): string {
  const result = resultOf(found, { name });
  return result === null ? "" : number(result.rate);
}

function rates(report: Report, threads: number): string {
  const who = columns(report, threads);
  const rows = report.cases.map((found) => [found.name, found.unit, ...who.map((each) => cell(found, each))]);
  return table(["case", "unit", ...who.map(title)], rows);
}

function ratios(report: Report, threads: number): string {
  const both = sides(report);
  const head = both.flatMap(({ name }) => {
    const [node] = name.split(",");
    return [`${node}: of web`, `of native`, `of limit`];
  });
  const rows = report.cases.map((found) => {
    const native = resultOf(found, { library: "onnxruntime-node", threads });
    const limit = resultOf(found, { library: "limit", threads });
    return [
      found.name,
      ...both.flatMap((side) => {
        const ours = side.ours(found, threads);
        return [times(ratio(ours, side.web(found, threads))), times(ratio(ours, native)), percent(ratio(ours, limit))];
      }),
    ];
  });
  return table(["case", ...head], rows);
}

function targets(all: readonly Outcome[]): string {
  const rows = all.map(({ goal, side, wanted, measured }) => {
    const values = measured.map(({ value }) => value);
    const least = measured.reduce((a, b) => (b.value < a.value ? b : a));
    const met = values.filter((value) => value >= wanted).length;
    const verdict = met === values.length ? "met" : met === 0 ? "not met" : `met by ${met} of ${values.length}`;
    const worst = values.length === 1 ? times(least.value) : `${times(least.value)} (${least.name})`;
    return [goal, side, `${wanted}x`, worst, times(median(values)), verdict];
  });
  return table(["goal", "by", "wanted", "least", "median", "verdict"], rows);
}

/** Which of several operations of onnxruntime its figures are, and what the others took. */
function operations({ cases }: Report): string[] {
  const ms = ({ operation, ms }: Result) => `${operation} ${number(ms)} ms`;
  return cases.flatMap((found) => {
    const tried = new Set(found.results.map(({ operation }) => operation).filter((name) => name !== ""));
    if (tried.size < 2) return [];
    const libraries = ["onnxruntime-web", "onnxruntime-node"] as const;
    const each = libraries.flatMap((library) => {
      const all = found.results.filter(({ contender }) => contender.library === library && contender.threads === 1);
      const chosen = all.length === 0 ? null : resultOf(found, { name: all[0].contender.name });
      const same = all.filter(({ contender }) => contender.name === chosen?.contender.name);
      return chosen === null
        ? []
        : [`${library} ${[chosen, ...same.filter((one) => one !== chosen)].map(ms).join(", ")}`];
    });
    return each.length === 0 ? [] : [`${found.name}: ${each.join("; ")}`];
  });
}

function doubts({ others, cases }: Report): string[] {
  const found: string[] = [];
  if (others > OTHERS_LIMIT) found.push(`Other processes took ${others.toFixed(2)} cores on average.`);
  const spreads = cases.flatMap(({ name, results }) =>
    results.map(({ contender, rounds }) => ({
      name: `${name}, ${contender.name}`,
      spread: Math.max(...rounds) / Math.min(...rounds),
    })),
  );
  const wide = spreads.filter(({ spread }) => spread > SPREAD_LIMIT);
  if (wide.length > 0) {
    const widest = wide.reduce((a, b) => (b.spread > a.spread ? b : a));
    found.push(
      `Rounds differ by more than ${SPREAD_LIMIT}x in ${wide.length} of ${spreads.length}, ` +
        `by up to ${widest.spread.toFixed(2)}x (${widest.name}).`,
    );
  }
  return found;
}

/** Reasons, each with all that it holds for. */
function leftOut({ skipped }: Report): string[] {
  const byReason = new Map<string, string[]>();
  for (const { name, because } of skipped) byReason.set(because, [...(byReason.get(because) ?? []), name]);
  return [...byReason].map(([because, names]) => {
    const shown = names.length > 4 ? [...names.slice(0, 3), `${names.length - 3} more`] : names;
    return `${shown.join("; ")}: ${because}`;
  });
}

const NOTES = `The unit of a matrix x vector is the bytes of its weights, as files hold them; of the rest, two for each multiply-add, or elements.
"limit" is what WebAssembly can do at most on this machine, measured in turns with each case: reading 256 MB in one stream, or
128-bit multiplications and additions in registers. Turbo on Node 24 has 256-bit ones, and may pass it. onnxruntime runs one operation on
constants, without what an empty run takes; MatMulInteger is the product alone, without the quantising and the scales that ours includes.`;

export function toMarkdown(report: Report): string {
  const { date, machine, nodes, versions, rounds, roundMs, cases } = report;
  const node = nodes.running === nodes.newer ? nodes.running : `${nodes.running} and ${nodes.newer}`;
  const software = Object.entries(versions).map((each) => each.join(" "));
  const threads = [1, 2].filter((count) => columns(report, count).length > 0);
  const goals = outcomes(report);
  const choices = operations(report);
  const uncertain = doubts(report);
  const missing = leftOut(report);
  const parts = [
    "# Kernels",
    `${date}, ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGB} GB, ${machine.platform}; Node ${node}; ` +
      `${software.join(", ")}. Medians of ${rounds} ${rounds === 1 ? "round" : "rounds"} of ${roundMs} ms, in turns, each ` +
      "contender in a process of its own. Made by `npx -y pnpm@10 bench`.",
    NOTES,
    ...threads.flatMap((count) => [
      `## ${count} thread${count === 1 ? "" : "s"}`,
      rates(report, count),
      "Ours, of onnxruntime-web on the same Node, of onnxruntime-node, and of the limit:",
      ratios(report, count),
    ]),
    ...(goals.length === 0 ? [] : ["## Targets", "On one thread unless they say so.", targets(goals)]),
    ...(choices.length === 0
      ? []
      : ["## Operations", "Of several, the first is compared with, on 1 thread:", list(choices)]),
    ...(uncertain.length === 0 ? [] : ["## Doubts", list(uncertain)]),
    ...(missing.length === 0 ? [] : ["## Left out", list(missing)]),
  ];
  return cases.length === 0 ? "" : `${parts.join("\n\n")}\n`;
}

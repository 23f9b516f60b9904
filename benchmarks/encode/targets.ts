/** What was aimed at: ratios of medians of one run, at two threads. */

import { number, table, times } from "../page";
import type { Dtype, Library } from "./protocol";
import type { Report, Summary } from "./summary";

const THREADS = 2;

/** What was reached, as it is shown; null if it was not measured. */
type Reached = { readonly value: number; readonly text: string } | null;

interface Target {
  readonly work: string;
  /** On the Node that runs this, without turbo, and on the newest with it; null where nothing is aimed at. */
  readonly wanted: readonly [number | null, number | null];
  /** Whether less is better. */
  readonly most?: boolean;
  reached(report: Report, turbo: boolean): Reached;
}

function find(report: Report, library: Library, dtype: Dtype, turbo = false): Summary | undefined {
  return report.contenders.find(
    (each) => each.library === library && each.dtype === dtype && each.turbo === turbo && each.threads === THREADS,
  );
}

/** Ours by another's, of a figure. */
function ratio(
  dtype: Dtype,
  other: Library,
  ours: (summary: Summary) => number,
  theirs: (summary: Summary) => number,
): Target["reached"] {
  return (report, turbo) => {
    const [a, b] = [find(report, "qkv", dtype, turbo), find(report, other, "f32")];
    if (a === undefined || b === undefined) return null;
    const value = ours(a) / theirs(b);
    return { value, text: times(value) };
  };
}

const best = (summary: Summary): number => summary.best.rate;
const asTheyCome = (summary: Summary): number => summary.asTheyCome.rate;

/** Of our q8, all texts. */
function cosine(which: "mean" | "least"): Target["reached"] {
  return (report, turbo) => {
    const nearness = find(report, "qkv", "q8", turbo)?.nearness;
    return nearness == null ? null : { value: nearness[which], text: nearness[which].toFixed(5) };
  };
}

/** How many times as long the soonest peer takes. */
function sooner(report: Report, turbo: boolean): Reached {
  const ours = find(report, "qkv", "f32", turbo);
  const peers = report.contenders.filter(({ library }) => library !== "qkv");
  if (ours === undefined || peers.length === 0) return null;
  const soonest = peers.reduce((a, b) => (b.firstMs < a.firstMs ? b : a));
  const value = soonest.firstMs / ours.firstMs;
  return { value, text: `${times(value)} (${soonest.name})` };
}

const TARGETS: readonly Target[] = [
  {
    work: "mixed, as they come, f32: transformers.js f32 in batches of 32",
    wanted: [1.2, 2.5],
    reached: ratio("f32", "transformers.js", asTheyCome, asTheyCome),
  },
  {
    work: "mixed, f32: transformers.js f32 at its best",
    wanted: [null, 0.75],
    reached: ratio("f32", "transformers.js", best, best),
  },
  {
    work: "mixed, q8: transformers.js f32 at its best",
    wanted: [null, 1.3],
    reached: ratio("q8", "transformers.js", best, best),
  },
  { work: "q8, mean cosine to f32", wanted: [0.9995, 0.9995], reached: cosine("mean") },
  { work: "q8, least cosine to f32", wanted: [0.998, 0.998], reached: cosine("least") },
  {
    work: "mixed, f32: onnxruntime-web f32 at its best",
    wanted: [1.5, 3],
    reached: ratio("f32", "onnxruntime-web", best, best),
  },
  { work: "start to first embedding, f32: the soonest peer, any threads and dtype", wanted: [1, 1], reached: sooner },
  {
    work: "peak RSS, f32: transformers.js f32",
    wanted: [0.4, 0.4],
    most: true,
    reached: ratio(
      "f32",
      "transformers.js",
      ({ peakRssMB }) => peakRssMB,
      ({ peakRssMB }) => peakRssMB,
    ),
  },
];

/** Targets that are not reached, and the page's table. */
export function targetTable(report: Report): { readonly text: string; readonly missed: number } {
  let missed = 0;
  const cells = (target: Target, column: 0 | 1): string[] => {
    const wanted = target.wanted[column];
    const reached = target.reached(report, column === 1);
    const sign = wanted === null ? "" : target.most === true ? `< ${number(wanted)}` : `>= ${wanted}`;
    if (reached === null) return [sign, "", wanted === null ? "" : "not measured"];
    if (wanted === null) return [sign, reached.text, ""];
    const met = target.most === true ? reached.value < wanted : reached.value >= wanted;
    if (!met) missed++;
    return [sign, reached.text, met ? "reached" : "missed"];
  };
  const [running, newest] = report.nodes.map((node) => `Node ${node.split(".")[0]}`);
  const text = table(
    [`ours at ${THREADS} threads against`, running, "got", "", `${newest ?? running}, turbo`, "got", ""],
    TARGETS.map((target) => [target.work, ...cells(target, 0), ...cells(target, 1)]),
  );
  return { text, missed };
}

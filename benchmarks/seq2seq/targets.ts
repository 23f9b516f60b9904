/** What was aimed at: ratios of medians of one run, at two threads. */

import { table, times } from "../page";
import { type Dtype, LENGTHS } from "./protocol";
import type { Report, SourceSummary, Summary } from "./summary";

const THREADS = 2;

/** What was reached, and against whom; null if it was not measured. */
type Reached = { readonly value: number; readonly against: string | null } | null;

interface Target {
  readonly work: string;
  readonly wanted: number;
  /** Whether less is better. */
  readonly most?: boolean;
  reached(ours: Summary, peers: readonly Summary[]): Reached;
}

interface Dtyped extends Target {
  readonly dtype: Dtype;
}

/** The peer that has least of a figure, and how many times as much ours or it has. */
function against(
  figure: (summary: Summary) => number,
  ratio: (ours: number, theirs: number) => number,
): Target["reached"] {
  return (ours, peers) => {
    if (peers.length === 0) return null;
    const best = peers.reduce((a, b) => (figure(b) < figure(a) ? b : a));
    return { value: ratio(figure(ours), figure(best)), against: best.library };
  };
}

const faster = (ours: number, theirs: number): number => theirs / ours;
const share = (ours: number, theirs: number): number => ours / theirs;

/** One target for each length of a source. */
function bySource(what: (source: (summary: Summary) => SourceSummary, length: number) => Dtyped): Dtyped[] {
  return LENGTHS.map((length, i) => what(({ sources }) => sources[i], length));
}

const step = (dtype: Dtype, name: string, wanted: number): Dtyped[] =>
  bySource((source, length) => ({
    dtype,
    work: `a step, ${name}, source of ${length}`,
    wanted,
    reached: against((summary) => source(summary).stepMs, faster),
  }));

const whole = (dtype: Dtype, name: string, wanted: number): Dtyped[] =>
  bySource((source, length) => ({
    dtype,
    work: `whole 32 tokens, ${name}, source of ${length}`,
    wanted,
    reached: against((summary) => source(summary).wholeMs, faster),
  }));

const beam = (dtype: Dtype, name: string): Dtyped[] =>
  bySource((source, length) => ({
    dtype,
    work: `beam 4 a step, of a greedy one, ${name}, source of ${length}`,
    wanted: 2,
    most: true,
    reached: (ours) => {
      const found = source(ours).beam;
      return found === null ? null : { value: found.times, against: null };
    },
  }));

const TARGETS: readonly Dtyped[] = [
  ...step("f16", "f16 as stored", 1.5),
  ...step("q8", "q8", 3),
  ...whole("f16", "f16 as stored", 1.5),
  ...whole("q8", "q8", 2.5),
  ...beam("f16", "f16 as stored"),
  ...beam("q8", "q8"),
  {
    dtype: "f16",
    work: "load, f16 as stored, how much sooner",
    wanted: 5,
    reached: against(({ loadMs }) => loadMs, faster),
  },
  {
    dtype: "f16",
    work: "peak RSS, f16 as stored, share of theirs",
    wanted: 0.4,
    most: true,
    reached: against(({ peakRssMB }) => peakRssMB, share),
  },
];

/** Targets that are not reached, and the page's table. */
export function targetTable({ contenders }: Report): { readonly text: string; readonly missed: number } {
  let missed = 0;
  const two = contenders.filter(({ threads }) => threads === THREADS);
  const peers = two.filter(({ library }) => library !== "qkv");
  // Each way to run ours, in the order of the contenders.
  const ways = [
    ...new Map(
      two
        .filter(({ library }) => library === "qkv")
        .map(({ node, turbo }) => [`Node ${node.split(".")[0]}${turbo ? ", turbo" : ""}`, { node, turbo }]),
    ),
  ];
  const rows = TARGETS.map((target) => {
    const cells = ways.flatMap(([, { node, turbo }]) => {
      const ours = two.find(
        (each) => each.library === "qkv" && each.dtype === target.dtype && each.node === node && each.turbo === turbo,
      );
      const reached = ours === undefined ? null : target.reached(ours, peers);
      if (reached === null) return ["", "not measured"];
      const met = target.most === true ? reached.value < target.wanted : reached.value >= target.wanted;
      if (!met) missed++;
      const whom = reached.against === null ? "" : ` (${reached.against})`;
      return [`${times(reached.value)}${whom}`, met ? "reached" : "missed"];
    });
    return [target.work, `${target.most === true ? "<" : ">="} ${target.wanted}x`, ...cells];
  });
  const head = [`ours at ${THREADS} threads`, "wanted", ...ways.flatMap(([name]) => [name, "got"])];
  return { text: table(head, rows), missed };
}

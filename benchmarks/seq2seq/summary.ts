/** From what processes measured to medians. */

import type { Machine } from "../page";
import { median } from "../page";
import type { Skipped } from "./contender";
import type { Watched } from "./process";
import {
  type AccuracyMeasured,
  type Dtype,
  LENGTHS,
  type Library,
  type ModelMeasured,
  type SourceMeasured,
} from "./protocol";

/** Figures of one source, of all rounds. */
export interface SourceSummary {
  /** In tokens. */
  readonly length: number;
  readonly encodeMs: number | null;
  readonly firstMs: number;
  readonly stepMs: number;
  /** Each round's. */
  readonly stepsMs: readonly number[];
  readonly wholeMs: number;
  readonly ids: readonly number[];
  readonly beam: {
    readonly wholeMs: number;
    /** Without encoding. */
    readonly stepMs: number;
    /** Of the mean greedy step. */
    readonly times: number;
    readonly ids: readonly number[];
  } | null;
}

/** A contender's figures, of all rounds. */
export interface Summary {
  readonly name: string;
  readonly library: Library;
  readonly dtype: Dtype;
  readonly threads: number;
  readonly turbo: boolean;
  readonly node: string;
  readonly loadMs: number;
  readonly readyMs: number;
  readonly readyRssMB: number;
  readonly peakRssMB: number;
  readonly cores: number;
  readonly others: number;
  /** By `LENGTHS`. */
  readonly sources: readonly SourceSummary[];
  /** Whether all rounds gave the same ids, greedily and with beams. */
  readonly repeatable: boolean;
}

/** A whole run. */
export interface Report {
  readonly date: string;
  readonly machine: Machine;
  readonly nodes: readonly string[];
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly seconds: number;
  /** Whose ids the others' are compared with; null if nobody's were there. */
  readonly reference: string | null;
  /** What memory gives, GB/s. */
  readonly limits: readonly { readonly threads: number; readonly rate: number }[];
  /** MB that a step of ours reads, by dtype and `LENGTHS`. */
  readonly stepMB: Readonly<Record<Dtype, readonly number[]>>;
  /** Null if ours did not run. */
  readonly accuracy: AccuracyMeasured | null;
  readonly skipped: readonly Skipped[];
  readonly contenders: readonly Summary[];
}

/** A contender, and its rounds. */
export type Rounds = Pick<Summary, "name" | "library" | "dtype" | "threads" | "turbo" | "node"> & {
  readonly rounds: readonly Watched<ModelMeasured>[];
};

export function summarize({ rounds, ...who }: Rounds): Summary {
  const middle = (value: (round: Watched<ModelMeasured>) => number): number => median(rounds.map(value));
  const ids = rounds.map(({ sources }) => JSON.stringify(sources.map((each) => [each.ids, each.beam?.ids])));
  return {
    ...who,
    loadMs: middle(({ loadMs }) => loadMs),
    readyMs: middle(({ readyMs }) => readyMs),
    readyRssMB: middle(({ readyRssMB }) => readyRssMB),
    peakRssMB: middle(({ peakRssMB }) => peakRssMB),
    cores: middle(({ cores }) => cores),
    others: middle(({ others }) => others),
    sources: LENGTHS.map((length, i) =>
      summarizeSource(
        length,
        rounds.map(({ sources }) => sources[i]),
      ),
    ),
    repeatable: ids.every((each) => each === ids[0]),
  };
}

function summarizeSource(length: number, rounds: readonly SourceMeasured[]): SourceSummary {
  const middle = (value: (round: SourceMeasured) => number): number => median(rounds.map(value));
  const first = rounds[0];
  const beam = (value: (beam: NonNullable<SourceMeasured["beam"]>) => number): number =>
    middle((round) => value(round.beam!));
  return {
    length,
    encodeMs: first.encodeMs === null ? null : middle(({ encodeMs }) => encodeMs!),
    firstMs: middle(({ firstMs }) => firstMs),
    stepMs: middle(({ stepMs }) => stepMs),
    stepsMs: rounds.map(({ stepMs }) => stepMs),
    wholeMs: middle(({ wholeMs }) => wholeMs),
    ids: first.ids,
    beam:
      first.beam === null
        ? null
        : {
            wholeMs: beam(({ wholeMs }) => wholeMs),
            stepMs: beam(({ stepMs }) => stepMs),
            times: middle((round) => round.beam!.stepMs / round.meanStepMs),
            ids: first.beam.ids,
          },
  };
}

/** How many ids are the same before the first that is not. */
export function sameIds(a: readonly number[], b: readonly number[]): number {
  const differs = a.findIndex((id, i) => id !== b[i]);
  return differs === -1 ? a.length : differs;
}

/** The contender whose ids are what the others' should be: ours in float32, else any. */
export function referenceOf(contenders: readonly Summary[]): Summary | null {
  const exact = contenders.filter(({ dtype }) => dtype === "f32");
  return exact.find(({ library }) => library === "qkv") ?? exact[0] ?? null;
}

/** The page: targets, figures, the bound, accuracy, whether it is the same work, doubts. */

import { number, OTHERS_LIMIT, table, times } from "../page";
import { type AccuracyMeasured, BEAMS, LENGTHS, NEW_TOKENS } from "./protocol";
import { type Report, referenceOf, type SourceSummary, type Summary, sameIds } from "./summary";
import { targetTable } from "./targets";

/** Differences between rounds from which on figures are doubtful. */
const SPREAD_LIMIT = 1.2;
/** Cores that collecting garbage and compiling may add to the threads that were asked for. */
const CORES_MARGIN = 0.25;

const list = (items: readonly string[]) => items.map((item) => `- ${item}`).join("\n");

function loading({ contenders }: Report): string {
  const rows = contenders.map((each) => [
    each.name,
    number(each.loadMs),
    number(each.readyMs),
    number(each.readyRssMB),
    number(each.peakRssMB),
    each.cores.toFixed(2),
  ]);
  return table(["contender", "load, ms", "start to ready, ms", "RSS then, MB", "peak RSS, MB", "cores busy"], rows);
}

/** The least that peers need of a source at as many threads; null if none ran. */
function peersBest(
  contenders: readonly Summary[],
  threads: number,
  figure: (sources: readonly SourceSummary[]) => number,
): number | null {
  const peers = contenders.filter((each) => each.library !== "qkv" && each.threads === threads);
  return peers.length === 0 ? null : Math.min(...peers.map(({ sources }) => figure(sources)));
}

function figures({ contenders }: Report, i: number): string {
  const rows = contenders.map(({ name, threads, sources }) => {
    const { encodeMs, firstMs, stepMs, wholeMs, beam } = sources[i];
    const step = peersBest(contenders, threads, (each) => each[i].stepMs);
    const whole = peersBest(contenders, threads, (each) => each[i].wholeMs);
    return [
      name,
      encodeMs === null ? "" : number(encodeMs),
      number(firstMs),
      number(stepMs),
      step === null ? "" : times(step / stepMs),
      number(wholeMs),
      whole === null ? "" : times(whole / wholeMs),
      ...(beam === null ? ["", "", ""] : [number(beam.stepMs), times(beam.times), number(beam.wholeMs)]),
    ];
  });
  const head = [
    "contender",
    "encode, ms",
    "first token, ms",
    "step, ms",
    "of the peer's speed",
    `${NEW_TOKENS} tokens, ms`,
    "of the peer's speed",
    `beam ${BEAMS} step, ms`,
    "of greedy",
    `beam ${BEAMS} in all, ms`,
  ];
  return table(head, rows);
}

/** How far each of ours is from what memory gives. */
function bound({ contenders, limits, stepMB }: Report): string {
  const rows = contenders
    .filter(({ library }) => library === "qkv")
    .flatMap(({ name, dtype, threads, sources }) => {
      const limit = limits.find((each) => each.threads === threads);
      if (limit === undefined) return [];
      return [
        [
          name,
          number(limit.rate),
          ...sources.flatMap(({ stepMs }, i) => {
            const leastMs = stepMB[dtype][i] / limit.rate; // MB / (GB/s)
            return [number(stepMB[dtype][i]), number(leastMs), number(stepMs), times(stepMs / leastMs)];
          }),
        ],
      ];
    });
  const of = LENGTHS.flatMap((length) => [
    `${length}: MB a step`,
    `${length}: least, ms`,
    `${length}: got, ms`,
    `${length}: times the least`,
  ]);
  return table(["contender", "reading, GB/s", ...of], rows);
}

function accuracyTable({ rows, texts }: AccuracyMeasured): string {
  return table(
    ["weights", "least cosine", "mean cosine", "same titles"],
    rows.map((row) => [
      row.name,
      row.leastCosine.toFixed(6),
      row.meanCosine.toFixed(6),
      row.sameTitles === null ? "" : `${row.sameTitles} of ${texts}`,
    ]),
  );
}

function otherTitles({ rows }: AccuracyMeasured): string[] {
  return rows.flatMap(({ name, others }) => others.map(({ got, want }) => `${name}: "${got}", float32 "${want}"`));
}

/** Ids beside the reference's: of greedy texts and of the best beams. */
function sameWork({ contenders }: Report): string | null {
  const reference = referenceOf(contenders);
  if (reference === null) return null;
  const beams = contenders.find(({ dtype, sources }) => dtype === "f32" && sources[0].beam !== null);
  const same = (a: readonly number[], b: readonly number[] | undefined): string =>
    b === undefined ? "" : String(sameIds(a, b));
  const rows = contenders.map(({ name, sources, repeatable }) => [
    name,
    ...sources.map(({ ids }, i) => same(ids, reference.sources[i].ids)),
    ...sources.map(({ beam }, i) => (beam === null ? "" : same(beam.ids, beams?.sources[i].beam?.ids))),
    repeatable ? "yes" : "no",
  ]);
  const head = [
    "contender",
    ...LENGTHS.map((length) => `source of ${length}`),
    ...LENGTHS.map((length) => `beam ${BEAMS}, ${length}`),
    "the same in all rounds",
  ];
  return table(head, rows);
}

/** What makes the figures doubtful: other work, a machine that was not quiet, threads that were not obeyed, rounds that disagree. */
function doubts({ contenders, accuracy }: Report): string[] {
  const found: string[] = [];
  const reference = referenceOf(contenders);
  for (const { name, dtype, sources, repeatable } of contenders) {
    if (!repeatable) found.push(`${name} gave other ids in another round.`);
    if (dtype === "q8" || reference === null) continue;
    for (const [i, { ids, length }] of sources.entries()) {
      const same = sameIds(ids, reference.sources[i].ids);
      if (same < NEW_TOKENS) found.push(`${name} goes another way after ${same} tokens, from a source of ${length}.`);
    }
  }
  if (accuracy !== null && accuracy.asPyTorch < accuracy.texts) {
    found.push(`Ours in float32 has ${accuracy.asPyTorch} of ${accuracy.texts} titles that PyTorch has.`);
  }
  const disturbed = contenders.filter(({ others }) => others > OTHERS_LIMIT);
  if (disturbed.length > 0) {
    const most = Math.max(...disturbed.map(({ others }) => others)).toFixed(2);
    found.push(
      `Other processes took up to ${most} cores, while ${disturbed.length} of ${contenders.length} were measured.`,
    );
  }
  for (const { name, threads, cores, others } of contenders) {
    const wrong = cores - threads;
    // Too few may be the fault of others, who are named above.
    if (wrong > CORES_MARGIN || (wrong < -CORES_MARGIN && others <= OTHERS_LIMIT)) {
      found.push(`${name}: ${cores.toFixed(2)} cores were busy with the greedy texts.`);
    }
  }
  const spreads = contenders.flatMap(({ name, sources }) =>
    sources.map(({ stepsMs }) => ({ name, spread: Math.max(...stepsMs) / Math.min(...stepsMs) })),
  );
  const widest = spreads.reduce((a, b) => (b.spread > a.spread ? b : a));
  if (widest.spread > SPREAD_LIMIT) found.push(`Rounds differ by up to ${times(widest.spread)} (${widest.name}).`);
  return found;
}

export function toMarkdown(report: Report): string {
  const { date, machine, versions, nodes, rounds, skipped, reference, seconds, limits, accuracy } = report;
  const software = Object.entries(versions).map((each) => each.join(" "));
  const { text: targets, missed } = targetTable(report);
  const work = sameWork(report);
  const unsure = doubts(report);
  const parts = [
    "# Encoder-decoders",
    `${[`${date}, ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGB} GB, ${machine.platform}`, `Node ${nodes.join(" and ")}`, ...(software.length === 0 ? [] : [software.join(", ")])].join("; ")}. ` +
      `t5-titler (FLAN-T5-small, f16); ${NEW_TOKENS} tokens from sources of ${LENGTHS.join(" and ")}. Medians of ${rounds} ` +
      `${rounds === 1 ? "round" : "rounds"}, each in a fresh process, ${Math.ceil(seconds / 60)} min in all. Made by ` +
      "`npx -y pnpm@10 bench:seq2seq`; what the columns mean is in benchmarks/seq2seq/README.md.",
    "## Targets",
    targets,
    `${missed === 0 ? "" : `${missed} ${missed === 1 ? "is" : "are"} missed. `}Against the faster of onnxruntime-node and transformers.js (of memory the smaller), float32, as many threads.`,
    "## Loading and memory",
    loading(report),
    ...LENGTHS.flatMap((length, i) => [`## A source of ${length} tokens`, figures(report, i)]),
  ];
  if (limits.length > 0) {
    parts.push(
      "## The bound",
      "A step reads every weight of the decoder, and the keys and values of the source. What memory gives is what WebAssembly reads of 256 MB in one stream.",
      bound(report),
    );
  }
  if (accuracy !== null) {
    const other = otherTitles(accuracy);
    parts.push(
      "## What smaller weights cost",
      `States of the encoder beside those of ours in float32, a cosine for each of ${accuracy.tokens} tokens of ${accuracy.texts} texts; ` +
        `greedy titles beside its own, of which ${accuracy.asPyTorch} of ${accuracy.texts} are PyTorch's. q8 has one scale for each block of 32, ` +
        "of weights and of activations; what onnxruntime makes of int8 has one for each whole tensor.",
      accuracyTable(accuracy),
      ...(other.length === 0 ? [] : [list(other)]),
    );
  }
  if (work !== null) {
    parts.push(
      "## Whether it is the same work",
      `Of ${NEW_TOKENS} ids, how many are those of ${reference} before the first that is not.`,
      work,
    );
  }
  if (skipped.length > 0) parts.push("## Left out", list(skipped.map(({ name, because }) => `${name}: ${because}`)));
  if (unsure.length > 0) parts.push("## Doubts", list(unsure));
  return `${parts.join("\n\n")}\n`;
}

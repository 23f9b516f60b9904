/** The page: targets, figures, ratios, what was tried, what was checked, doubts. */

import { number, OTHERS_LIMIT, table, times } from "../page";
import type { Report, Summary } from "./summary";
import { targetTable } from "./targets";

/** Whose speed all are compared with. */
const YARDSTICK = "transformers.js";
/** The least cosine of float32 to ours: less is other work. */
const F32_COSINE = 0.9999;
/** Differences between rounds from which on figures are doubtful. */
const SPREAD_LIMIT = 1.2;
/** Cores that collecting garbage and compiling may add to the threads that were asked for. */
const CORES_MARGIN = 0.25;

const list = (items: readonly string[]) => items.map((item) => `- ${item}`).join("\n");
const wayName = (way: string): string => (way === "all" ? "all at once" : way);

function figures({ contenders, texts }: Report): string {
  const head = [
    "contender",
    "query, ms",
    "as they come, texts/s",
    "best, texts/s",
    "its way",
    "128 tokens, texts/s",
    "start to first, ms",
    "load, ms",
    "RSS then, MB",
    "peak RSS, MB",
    "cores busy",
    "of the texts",
  ];
  const part = (step: number) => (step === 1 ? "all" : `1/${step}`);
  const rows = contenders.map((each) => [
    each.name,
    number(each.latencyMs),
    number(each.asTheyCome.rate),
    number(each.best.rate),
    wayName(each.best.way),
    number(each.equalRate),
    number(each.firstMs),
    number(each.loadMs),
    number(each.firstRssMB),
    number(each.peakRssMB),
    each.cores.toFixed(2),
    each.best === each.asTheyCome ? part(each.best.step) : `${part(each.asTheyCome.step)}, ${part(each.best.step)}`,
  ]);
  return `${table(head, rows)}\n\n${texts.mixed} texts, or the part of them in the last column: as they come, at its best.`;
}

/** Of the yardstick's speed at as many threads, in f32. */
function ratios({ contenders }: Report): string | null {
  const rows = contenders.flatMap((each) => {
    const other = contenders.find(
      ({ library, dtype, threads }) => library === YARDSTICK && dtype === "f32" && threads === each.threads,
    );
    if (other === undefined || other === each) return [];
    return [
      [
        each.name,
        times(other.latencyMs / each.latencyMs),
        times(each.asTheyCome.rate / other.asTheyCome.rate),
        times(each.best.rate / other.best.rate),
        times(each.equalRate / other.equalRate),
        times(other.firstMs / each.firstMs),
        times(each.peakRssMB / other.peakRssMB),
      ],
    ];
  });
  const head = ["contender", "query", "as they come", "at their best", "128 tokens", "start to first", "peak RSS"];
  return rows.length === 0 ? null : table(head, rows);
}

function tried({ contenders }: Report): string {
  const ways = ["1", "8", "32", "32 sorted", "all"] as const;
  const rows = contenders
    .filter((each) => each.threads > 1 || !contenders.some((other) => isSibling(other, each)))
    .map((each) => [
      each.name,
      ...ways.map((way) => {
        const found = each.tried.find((one) => one.way === way);
        return found === undefined ? "" : number(found.rate);
      }),
      [...new Set(each.tried.map(({ step }) => (step === 1 ? "all" : `1/${step}`)))].join(", "),
    ]);
  return table(["contender", ...ways.map(wayName), "of the texts"], rows);
}

/** The same with another number of threads. */
function isSibling(a: Summary, b: Summary): boolean {
  return a !== b && a.library === b.library && a.dtype === b.dtype && a.turbo === b.turbo && a.node === b.node;
}

function checks({ contenders }: Report): string {
  const rows = contenders.map(({ name, nearness, neighbours }) => [
    name,
    ...(nearness === null
      ? ["", "", "", ""]
      : [
          String(nearness.texts),
          nearness.mean.toFixed(6),
          nearness.least.toFixed(6),
          nearness.leastCut?.toFixed(6) ?? "",
        ]),
    neighbours === null ? "" : neighbours === 0 ? "0" : neighbours.toExponential(1),
  ]);
  return table(["contender", "texts", "mean cosine", "least", "of texts cut off", "alone or in a batch of 32"], rows);
}

/** What makes the figures doubtful: other work, a machine that was not quiet, threads that were not obeyed, rounds that disagree. */
function doubts({ contenders, reference }: Report): string[] {
  const found: string[] = [];
  if (reference === null) found.push("There was nobody to compare embeddings with.");
  for (const { name, dtype, nearness } of contenders) {
    if (dtype === "f32" && nearness !== null && !(nearness.least >= F32_COSINE)) {
      found.push(`${name} does other work: its least cosine is below ${F32_COSINE}.`);
    }
    if (nearness !== null && nearness.leastCut !== null && nearness.leastCut < F32_COSINE && dtype === "f32") {
      found.push(`${name} has other embeddings of texts that are cut off.`);
    }
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
      found.push(`${name}: ${cores.toFixed(2)} cores were busy with the texts as they come.`);
    }
  }
  const spreads = contenders.flatMap(({ name, asTheyCome, best }) =>
    [asTheyCome, best].map(({ rates }) => ({ name, spread: Math.max(...rates) / Math.min(...rates) })),
  );
  const widest = spreads.reduce((a, b) => (b.spread > a.spread ? b : a));
  if (widest.spread > SPREAD_LIMIT) found.push(`Rounds differ by up to ${times(widest.spread)} (${widest.name}).`);
  return found;
}

export function toMarkdown(report: Report): string {
  const { date, machine, versions, nodes, texts, rounds, skipped, reference, seconds } = report;
  const software = Object.entries(versions).map((each) => each.join(" "));
  const targets = targetTable(report);
  const versus = ratios(report);
  const unsure = doubts(report);
  const parts = [
    "# Embeddings",
    `${date}, ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGB} GB, ${machine.platform}; Node ${nodes.join(" and ")}; ` +
      `${software.join(", ")}. all-MiniLM-L6-v2; ${texts.mixed} texts of 4 to 200 words, ${texts.meanWords.toFixed(1)} on average ` +
      `(${texts.meanTokens.toFixed(1)} tokens), and ${texts.equal} of 128 tokens. Medians of ${rounds} ${rounds === 1 ? "round" : "rounds"}, ` +
      `each in a fresh process, ${Math.ceil(seconds / 60)} min in all. Made by \`npx -y pnpm@10 bench:encode\`; ` +
      "what the columns mean is in benchmarks/encode/README.md.",
    "## Targets",
    targets.text,
    "## Figures",
    figures(report),
    ...(versus === null ? [] : [`Of ${YARDSTICK} f32 at as many threads; "peak RSS" is its share of memory:`, versus]),
    "## Which way is best",
    `Texts/s, tried once on a part of the texts: batches of 1, 8 and 32 as they come, of 32 sorted by length; ours in one call.`,
    tried(report),
    "## Whether it is the same work",
    `Cosine to ${reference ?? "nobody"}; and the largest difference of a component of a text alone and in a batch of 32.`,
    checks(report),
  ];
  if (skipped.length > 0) parts.push("## Left out", list(skipped.map(({ name, because }) => `${name}: ${because}`)));
  if (unsure.length > 0) parts.push("## Doubts", list(unsure));
  return `${parts.join("\n\n")}\n`;
}

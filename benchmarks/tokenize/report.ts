/** From what was measured to medians, ratios, goals and a page of Markdown. */

import { type Machine, median, number, OTHERS_LIMIT, table, times } from "../page";
import {
  type Case,
  CONTENDERS,
  type ContenderName,
  type Growth,
  KINDS,
  LONG_TEXTS,
  type Load,
  type LongText,
  type Output,
  type Shape,
} from "./protocol";

/** A contender's rounds of a case. */
export interface Result {
  readonly vocabulary: string;
  readonly contender: ContenderName;
  readonly case: Case;
  /** MB (UTF-8) a second, and microseconds a call, of each round. */
  readonly rates: readonly number[];
  readonly callMicros: readonly number[];
  /** Texts whose ids are not the native library's, of how many. */
  readonly different: number;
  readonly calls: number;
}

export interface Report {
  readonly date: string;
  readonly machine: Machine;
  readonly node: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly textBytes: number;
  readonly rounds: number;
  /** Cores that other processes took on average. */
  readonly others: number;
  readonly loads: readonly ({ readonly vocabulary: string; readonly contender: ContenderName } & Load)[];
  readonly results: readonly Result[];
  readonly growths: readonly ({
    readonly vocabulary: string;
    readonly contender: ContenderName;
    readonly text: LongText;
  } & Growth)[];
  readonly skipped: readonly { readonly name: string; readonly because: string }[];
}

/** The most that a load may take, in ms. */
const LOAD_GOALS: Readonly<Record<string, number>> = { "WordPiece, BERT": 25, "byte-level BPE, GPT-2": 60 };
/** Four times the text takes four times as long, and some noise. */
const GROWTH_GOAL = 6;
/** Differences between rounds from which on figures are doubtful. */
const SPREAD_LIMIT = 1.3;

const list = (items: readonly string[]) => items.map((item) => `- ${item}`).join("\n");
const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

function find(results: readonly Result[], contender: ContenderName, output: Output): Result | undefined {
  return results.find((result) => result.contender === contender && result.case.output === output);
}

/** How many times as fast ours is as another contender, on the same case and output. */
function ratio(results: readonly Result[], contender: ContenderName, output: Output): number | null {
  const [ours, theirs] = (["qkv", contender] as const).map((name) => find(results, name, output));
  return ours === undefined || theirs === undefined ? null : median(ours.rates) / median(theirs.rates);
}

/** Results by vocabulary, kind and shape, in the order of measuring. */
function groups({ results }: Report, shapes: readonly Shape[]): Result[][] {
  const key = ({ vocabulary, case: { kind, shape } }: Result) =>
    JSON.stringify([vocabulary, shape, KINDS.indexOf(kind)]);
  const chosen = results.filter((result) => shapes.includes(result.case.shape));
  return unique(chosen.map(key)).map((one) => chosen.filter((result) => key(result) === one));
}

function speeds(report: Report, shapes: readonly Shape[], cell: (result: Result) => number): string {
  const found = groups(report, shapes);
  const outputs = unique(found.flat().map((result) => result.case.output));
  const columns = outputs
    .flatMap((output) => CONTENDERS.map((contender) => ({ output, contender })))
    .filter(({ output, contender }) => found.some((group) => find(group, contender, output) !== undefined));
  const head = columns.flatMap(({ output, contender }) => {
    const name = output === "ids" ? contender : `${contender}, all`;
    return contender === "qkv" ? [name] : [name, "ours"];
  });
  const rows = found.map((group) => {
    const [{ vocabulary, case: first }] = group;
    const cells = columns.flatMap(({ output, contender }) => {
      const result = find(group, contender, output);
      const by = ratio(group, contender, output);
      const figure = result === undefined ? "" : number(cell(result));
      return contender === "qkv" ? [figure] : [figure, by === null ? "" : times(by)];
    });
    return [`${vocabulary}, ${first.kind}, ${first.shape}`, ...cells];
  });
  return table(["case", ...head], rows);
}

function loads(report: Report): string {
  const rows = report.loads.map(({ vocabulary, contender, firstMs, againMs, bytesPerEntry }) => [
    `${vocabulary}, ${contender}`,
    number(firstMs),
    number(againMs),
    contender === "tokenizers (native)" ? "" : bytesPerEntry.toFixed(0),
  ]);
  return table(["tokenizer", "first load, ms", "again, ms", "bytes an entry"], rows);
}

function growth(report: Report): string {
  const rows = report.growths.map(({ vocabulary, contender, text, ms, ratio: by }) => [
    `${vocabulary}, ${contender}, ${text}`,
    number(ms),
    times(by),
  ]);
  return table(["text", "ms", "of a quarter of it"], rows);
}

/** A goal, where it is missed most, and whether it is met. */
function goal(
  name: string,
  wanted: number,
  measured: readonly { name: string; value: number }[],
  most = false,
): string[] {
  if (measured.length === 0) return [name, "", "", "not measured"];
  const met = measured.filter(({ value }) => (most ? value <= wanted : value >= wanted)).length;
  const worst = measured.reduce((a, b) => (most === b.value > a.value ? b : a));
  const verdict = met === measured.length ? "met" : met === 0 ? "not met" : `met by ${met} of ${measured.length}`;
  return [name, `${most ? "at most" : "at least"} ${wanted}`, `${number(worst.value)} (${worst.name})`, verdict];
}

function goals(report: Report): string {
  const ratios = (shapes: readonly Shape[], contender: ContenderName, output: Output) =>
    groups(report, shapes).flatMap((group) => {
      const value = ratio(group, contender, output);
      const [{ vocabulary, case: first }] = group;
      return value === null ? [] : [{ name: `${vocabulary}, ${first.kind}, ${first.shape}`, value }];
    });
  const long = ["documents", "one text"] as const;
  const ours = report.loads.filter(({ contender }) => contender === "qkv");
  const grown = report.growths.filter(({ contender }) => contender === "qkv");
  return table(
    ["goal", "wanted", "worst", "verdict"],
    [
      goal("times @huggingface/tokenizers", 3, ratios([...long, "queries"], "@huggingface/tokenizers", "ids")),
      goal("times native, long texts, ids", 1, ratios(long, "tokenizers (native)", "ids")),
      goal("times native, long texts, ids + offsets + tokens", 1, ratios(long, "tokenizers (native)", "all")),
      goal("times native, queries", 1, [
        ...ratios(["queries"], "tokenizers (native)", "ids"),
        ...ratios(["queries"], "tokenizers (native)", "all"),
      ]),
      ...ours
        .filter(({ vocabulary }) => vocabulary in LOAD_GOALS)
        .map(({ vocabulary, firstMs }) =>
          goal(`first load of ${vocabulary}, ms`, LOAD_GOALS[vocabulary], [{ name: vocabulary, value: firstMs }], true),
        ),
      goal(
        "time for four times the text",
        GROWTH_GOAL,
        grown.map(({ vocabulary, text, ratio: value }) => ({ name: `${vocabulary}, ${text}`, value })),
        true,
      ),
    ],
  );
}

/** Whose ids are not the native library's. */
function differences({ results }: Report): string[] {
  return results
    .filter(({ different, case: { output } }) => different > 0 && output === "ids")
    .map(
      ({ vocabulary, contender, case: { kind, shape }, different, calls }) =>
        `${contender}: ${vocabulary}, ${kind}, ${shape}: ${different} of ${calls}`,
    );
}

function doubts({ others, results }: Report): string[] {
  const found: string[] = [];
  if (others > OTHERS_LIMIT) found.push(`Other processes took ${others.toFixed(2)} cores on average.`);
  const spreads = results.map((result) => ({ result, spread: Math.max(...result.rates) / Math.min(...result.rates) }));
  const wide = spreads.filter(({ spread }) => spread > SPREAD_LIMIT);
  if (wide.length > 0) {
    const { result, spread } = wide.reduce((a, b) => (b.spread > a.spread ? b : a));
    const { vocabulary, contender, case: what } = result;
    found.push(
      `Rounds differ by more than ${SPREAD_LIMIT}x in ${wide.length} of ${spreads.length}, by up to ${times(spread)} ` +
        `(${vocabulary}, ${contender}, ${what.kind}, ${what.shape}).`,
    );
  }
  return found;
}

export function toMarkdown(report: Report): string {
  const { machine, versions, node, rounds, textBytes, date } = report;
  const libraries = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const parts = [
    "# Tokenizers",
    `${date}, ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGB} GB, ${machine.platform}; Node ${node}; ${libraries.join(", ")}. ` +
      `Medians of ${rounds} rounds; every round has other texts of ${(textBytes / 1e6).toPrecision(2)} MB. "all" reads ids, offsets and tokens; ` +
      `"ours" is how many times as fast ours is. One thread each.`,
    "## Goals",
    goals(report),
    "## Long texts, MB/s",
    speeds(report, ["documents", "one text"], ({ rates }) => median(rates)),
    "## Queries of twelve words, microseconds",
    speeds(report, ["queries"], ({ callMicros }) => median(callMicros)),
    "## Loading",
    loads(report),
    `## Growth: ${LONG_TEXTS.join(", ")}`,
    growth(report),
  ];
  const notes: [string, string[]][] = [
    ["Texts with other ids than the native library's", differences(report)],
    ["Left out", report.skipped.map(({ name, because }) => `${name}: ${because}`)],
    ["Doubts", doubts(report)],
  ];
  for (const [title, items] of notes) if (items.length > 0) parts.push(`## ${title}`, list(items));
  return `${parts.join("\n\n")}\n`;
}

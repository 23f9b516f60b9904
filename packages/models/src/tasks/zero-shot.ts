/**
 * Labels that the model never saw: whether a text entails "This example is <label>.", by a model of natural language
 * inference (Yin et al. 2019).
 */

import { checkTexts, kindOf, type TaskHost, type TaskOptions, type TextOrPair } from "./host";
import { checkFlag, checkHead, checkOptionsOf, encodeParts, tokenizeAll } from "./inputs";
import { softmax } from "./scores";

/** Options of `Encoder.zeroShotClassify`. */
export interface ZeroShotOptions extends TaskOptions {
  /** Whether several labels may hold: each gets a probability of its own. False if left out: all sum up to 1. */
  readonly multiLabel?: boolean;
  /** Made into a sentence by a label in place of `{}`; `{{` and `}}` are braces. "This example is {}." if left out. */
  readonly hypothesisTemplate?: string;
}

/** Labels of a text, best first. */
export interface ZeroShotResult {
  readonly labels: readonly string[];
  /** Of each label, 0 to 1. */
  readonly scores: readonly number[];
}

/** See `Encoder.zeroShotClassify`. */
export async function zeroShotClassify(
  host: TaskHost,
  given: string | readonly string[],
  labels: readonly string[],
  options: ZeroShotOptions,
): Promise<ZeroShotResult | ZeroShotResult[]> {
  const call = "zeroShotClassify";
  checkOptionsOf(call, options, ["multiLabel", "hypothesisTemplate"]);
  const { multiLabel = false, hypothesisTemplate = "This example is {}." } = options;
  checkFlag("multiLabel", multiLabel);
  const makeHypothesis = parseTemplate(hypothesisTemplate);
  checkLabels(labels);
  checkHead(call, host, "sequenceClassification");
  const { entailment, contradiction } = findRelations(call, host.config.labels);
  const texts = checkTexts(call, given);
  const hypotheses = labels.map(makeHypothesis);
  const pairs = texts.flatMap((text) => hypotheses.map((hypothesis): TextOrPair => [text, hypothesis]));
  const inputs = await tokenizeAll(host, call, pairs, options, { strategy: "onlyFirst" });
  const N = labels.length;
  const parts = texts.map((_, i) => inputs.slice(i * N, (i + 1) * N));
  // [contradiction, entailment] of each text and label
  const logits = texts.map(() => labels.map((): [number, number] => [0, 0]));
  await encodeParts(
    host,
    parts,
    ["logits"],
    (text, label, { outputs }) => {
      const values = outputs.logits as Float32Array;
      logits[text][label] = [values[contradiction], values[entailment]];
    },
    options,
  );
  const results = logits.map((byLabel): ZeroShotResult => {
    // With one label there is nothing to choose from: its probability is that of its own two logits, as in transformers.
    const each = multiLabel || N === 1 ? byLabel.map((two) => softmax(two)[1]) : softmax(byLabel.map((two) => two[1]));
    const scores = Array.from(each);
    const order = labels.map((_, i) => i).sort((a, b) => scores[b] - scores[a]);
    return { labels: order.map((i) => labels[i]), scores: order.map((i) => scores[i]) };
  });
  return typeof given === "string" ? results[0] : results;
}

/**
 * By the labels' names. A model of two relations, or with a contradiction of another name, has it where transformers
 * looks for it: first, or last if entailment is first.
 */
function findRelations(call: string, labels: readonly string[]): { entailment: number; contradiction: number } {
  const find = (start: string) => labels.findIndex((label) => label.toLowerCase().startsWith(start));
  const entailment = find("entail");
  if (entailment < 0 || labels.length < 2) {
    throw new Error(
      `${call} needs a model of natural language inference, with a label "entailment"; this one's labels are ` +
        labels.slice(0, 10).join(", "),
    );
  }
  const named = find("contradict");
  return { entailment, contradiction: named >= 0 ? named : entailment === 0 ? labels.length - 1 : 0 };
}

function checkLabels(labels: unknown): void {
  if (!Array.isArray(labels)) throw new TypeError(`labels: expected an array of strings, got ${kindOf(labels)}`);
  if (labels.length === 0) throw new RangeError("labels: expected at least one, got none");
  labels.forEach((label: unknown, i) => {
    if (typeof label !== "string") throw new TypeError(`labels[${i}]: expected a string, got ${kindOf(label)}`);
  });
}

/** Python's str.format, of which templates are written for: `{}` alone, and doubled braces. */
function parseTemplate(template: string): (label: string) => string {
  if (typeof template !== "string") {
    throw new TypeError(`hypothesisTemplate: expected a string, got ${kindOf(template)}`);
  }
  const parts: readonly string[] = template.match(/\{\{|\}\}|\{\}|[{}]|[^{}]+/g) ?? [];
  if (parts.some((part) => part === "{" || part === "}") || !parts.includes("{}")) {
    throw new RangeError(
      `hypothesisTemplate: expected a {} where the label goes, and other braces doubled, got ${JSON.stringify(template)}`,
    );
  }
  return (label) =>
    parts.map((part) => (part === "{}" ? label : part === "{{" ? "{" : part === "}}" ? "}" : part)).join("");
}

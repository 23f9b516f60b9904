/** What the outputs of a classifier are called, and how they are to be read. */

import type { JsonConfig } from "./json-config";

/** More than any classifier has; keeps a hostile config's list small. */
const MAX_LABELS = 1_000_000;

/** Several labels of which one holds, several that hold each by itself, or a number. */
export type ProblemType = "single_label_classification" | "multi_label_classification" | "regression";

const PROBLEM_TYPES: Readonly<Record<ProblemType, ProblemType>> = {
  single_label_classification: "single_label_classification",
  multi_label_classification: "multi_label_classification",
  regression: "regression",
};

export interface Labels {
  /** By output. */
  readonly labels: readonly string[];
  /** null where the config does not say. */
  readonly problemType: ProblemType | null;
}

/** `id2label`, else `num_labels` names as transformers makes them, of which there are two by default. */
export function parseLabels(json: JsonConfig): Labels {
  const problemType = json.has("problem_type") ? json.choice("problem_type", PROBLEM_TYPES) : null;
  if (!json.has("id2label")) {
    const count = json.integer("num_labels", { max: MAX_LABELS }, 2);
    return { labels: Array.from({ length: count }, (_, i) => `LABEL_${i}`), problemType };
  }
  const table = json.object("id2label");
  const keys = table.keys();
  if (keys.length === 0) throw json.wrong("id2label", "at least one label");
  const labels = keys.map((_, i) => {
    if (!table.has(`${i}`)) throw json.wrong("id2label", `labels for 0 to ${keys.length - 1}`);
    return table.string(`${i}`);
  });
  return { labels, problemType };
}

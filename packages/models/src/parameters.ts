/** How many numbers a model has, part by part, from its config alone. */

import type { Arena, Kernels, Matrix } from "@qkv/core";
import { JsonConfig } from "./config/json-config";
import { elementCount } from "./formats/tensor";
import { architectureOf } from "./registry";
import { Weights } from "./weights/weights";

/** Parameters by part. */
export interface ParameterCount {
  readonly total: number;
  /** By the names of the checkpoint's own modules: `embeddings`, `encoder`, `pooler`, `classifier`, ... */
  readonly parts: Readonly<Record<string, number>>;
}

/**
 * Counts the parameters of the model that a config describes, with the head of the class in its `architectures`. Weights
 * that two parts share are counted once; buffers are none.
 *
 * @param config the contents of a config.json
 * @throws UnsupportedModelError for an architecture or a config that does not run; ModelFileError for a damaged one
 * @example
 * // BERT-base, with the pooler: 109482240
 * countParameters({ model_type: "bert", architectures: ["BertModel"] }).total;
 */
export function countParameters(config: Readonly<Record<string, unknown>>): ParameterCount {
  const json = new JsonConfig(config, "config.json");
  const model = architectureOf(json).fromJson(json, new Map());
  const weights = Weights.blueprint(LAYOUT);
  model.create(weights, LAYOUT);
  const parts: Record<string, number> = {};
  let total = 0;
  for (const [name, shape] of weights.shapes()) {
    // What is inside of "model." is what others have at the root.
    const [part] = name.replace(/^model\./, "").split(".") as [string];
    const count = elementCount(shape);
    parts[part] = (parts[part] ?? 0) + count;
    total += count;
  }
  return { total, parts };
}

/** Kernels of which a model that is laid out asks for nothing but places. None is given: models of any size fit. */
const LAYOUT = {
  arena: { allocate: () => 0 } as unknown as Arena,
  createMatrix: (dtype, rows, columns): Matrix => ({ address: 0, dtype, rows, columns }),
} as Partial<Kernels> as Kernels;

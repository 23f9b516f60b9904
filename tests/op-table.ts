/** The table of ops and shapes that every implementation of `Kernels` is held against, and that benchmarks time. */

import { ATTENTION_CASES } from "./ops/attention";
import type { OpCase } from "./ops/case";
import { ACTIVATE_CASES, GATE_CASES, SOFT_CAP_CASES } from "./ops/elementwise";
import { LINEAR_ATTENTION_CASES } from "./ops/linear-attention";
import { ADD_CASES, EMBEDDING_CASES, MATMUL_CASES } from "./ops/matmul";
import { LAYER_NORM_CASES, RMS_NORM_CASES, SOFTMAX_CASES } from "./ops/norm";
import { ROPE_CASES } from "./ops/rope";

/** Cases by op, one entry for every method of `Kernels`. */
export const OP_TABLE: Readonly<Record<string, readonly OpCase[]>> = {
  matmul: MATMUL_CASES,
  embedding: EMBEDDING_CASES,
  add: ADD_CASES,
  layerNorm: LAYER_NORM_CASES,
  rmsNorm: RMS_NORM_CASES,
  softmax: SOFTMAX_CASES,
  activate: ACTIVATE_CASES,
  gate: GATE_CASES,
  softCap: SOFT_CAP_CASES,
  rope: ROPE_CASES,
  attention: ATTENTION_CASES,
  linearAttention: LINEAR_ATTENTION_CASES,
};

/** The shapes that are timed, named by where they occur. Where tests/ops makes the same op, its case is used. */

import { type AttentionCall, CAUSAL, type Dtype, type Kernels, rowBytes } from "@qkv/core";
import { type OpCase, place } from "../../tests/ops/case";
import { activateCase } from "../../tests/ops/elementwise";
import { matmulCase } from "../../tests/ops/matmul";
import { layerNormCase, rmsNormCase, softmaxCase } from "../../tests/ops/norm";
import { noise, weightRows } from "./inputs";
import {
  type AttentionShape,
  attentions,
  matMul,
  matMulInteger,
  matMulNBits,
  type Operations,
  simplifiedLayerNorm,
} from "./onnx-ops";

/** What the goals distinguish. */
export type Group =
  | "f32 matmul"
  | "f32 matrix x vector"
  | "f16 matrix x vector"
  | "q8 matrix x vector"
  | "q4 matrix x vector"
  | "int8 matmul"
  | "attention"
  | "rows";

/** What a call does, counted: FLOP (two a multiply-add), OP (the same of integers), bytes of weights, elements. */
export type Unit = "GFLOP/s" | "GOP/s" | "GB/s" | "G elements/s";

/** One op on one shape. */
export interface KernelCase {
  readonly name: string;
  readonly group: Group;
  readonly unit: Unit;
  /** How much of the unit a call is. */
  readonly amount: number;
  /** As many for an op that has none: what the reference's time goes by. */
  readonly multiplyAdds: number;
  /** What the machine's limit of it is, where a limit is measured. */
  readonly bound: "multiply-add" | "read" | null;
  /** Whether the weights are too large for any cache. */
  readonly dram: boolean;
  /** Puts the inputs into the kernels' arena, and gives the call. */
  prepare(kernels: Kernels): () => void;
  readonly onnx: Operations;
  /** The operation that ratios go by; the fastest, if left out. */
  readonly yardstick?: string;
}

/** Weights from here on come from memory at every call: larger than the caches of a server's few cores. */
const DRAM_BYTES = 64 << 20;
/** Smaller ones come from caches that are faster than memory, which is no limit then. */
const LARGE_BYTES = 16 << 20;

interface LinearShape {
  readonly N: number;
  readonly I: number;
  readonly O: number;
}

/** A product with weights of any dtype. */
function linear(
  where: string,
  dtype: Dtype,
  { N, I, O }: LinearShape,
  group: Group,
  onnx: Operations,
  yardstick?: string,
): KernelCase {
  const multiplyAdds = N * I * O;
  const weightBytes = O * rowBytes(dtype, I);
  const vector = N === 1;
  return {
    name: `${where} ${N}x${I}x${O}${dtype === "F32" ? "" : ` ${dtype}`}`,
    group,
    unit: vector ? "GB/s" : dtype === "F32" ? "GFLOP/s" : "GOP/s",
    amount: vector ? weightBytes : 2 * multiplyAdds,
    multiplyAdds,
    bound: vector ? (weightBytes >= LARGE_BYTES ? "read" : null) : dtype === "F32" ? "multiply-add" : null,
    dram: weightBytes >= DRAM_BYTES,
    prepare(kernels) {
      const { arena } = kernels;
      const x = place(arena, noise(N * I));
      const out = arena.allocate(4 * N * O, "results");
      const weight = kernels.createMatrix(dtype, O, I);
      const pattern = weightRows(dtype, O, I);
      for (let row = 0; row < O; row += pattern.rows) {
        const left = Math.min(pattern.rows, O - row);
        kernels.writeRows(weight, row, pattern.bytes.subarray(0, left * rowBytes(dtype, I)));
      }
      return () => kernels.matmul(out, x, weight, null, N);
    },
    onnx,
    ...(yardstick !== undefined && { yardstick }),
  };
}

/** Float32 weights; onnxruntime has them in both forms that it packs, where they are small. */
function floatMatmul(where: string, N: number, I: number, O: number): KernelCase {
  const shape = { N, I, O };
  const group = N === 1 ? "f32 matrix x vector" : "f32 matmul";
  const plain = linear(where, "F32", shape, group, { MatMul: matMul(N, I, O) });
  if (plain.dram) return plain;
  const { prepare, onnx } = ofOp("Gemm", matmulCase(shape, { bias: true }));
  return { ...plain, prepare, onnx: { ...(plain.onnx as object), ...(onnx as object) } };
}

function f16Vector(where: string, I: number, O: number): KernelCase {
  const none = "onnxruntime has no float16 products on this kind of processor";
  return linear(where, "F16", { N: 1, I, O }, "f16 matrix x vector", none);
}

function quantizedVector(where: string, dtype: "Q8_0" | "Q4_1", I: number, O: number): KernelCase {
  const bits = dtype === "Q8_0" ? 8 : 4;
  const group = dtype === "Q8_0" ? "q8 matrix x vector" : "q4 matrix x vector";
  return linear(where, dtype, { N: 1, I, O }, group, {
    MatMulNBits: matMulNBits(bits, 1, I, O),
    ...(bits === 8 && { MatMulInteger: matMulInteger(1, I, O) }),
  });
}

function int8Matmul(where: string, dtype: "Q8_0" | "Q4_1", N: number, I: number, O: number): KernelCase {
  const operations = {
    MatMulInteger: matMulInteger(N, I, O),
    ...(dtype === "Q4_1" && { MatMulNBits: matMulNBits(4, N, I, O) }),
  };
  return linear(where, dtype, { N, I, O }, "int8 matmul", operations, "MatMulInteger");
}

/** Without the attention weights as a result, which the cases of tests/ops ask for. */
function attention(where: string, shape: AttentionShape): KernelCase {
  const { T, S, H, G, K } = shape;
  const seen = T === 1 ? S : (T * (S - T + 1 + S)) / 2; // by all queries
  const multiplyAdds = 2 * H * seen * K;
  return {
    name: `${where} ${T} on ${S}, ${H === G ? H : `${H} over ${G}`} heads of ${K}`,
    group: "attention",
    unit: "GFLOP/s",
    amount: 2 * multiplyAdds,
    multiplyAdds,
    bound: T === 1 ? null : "multiply-add",
    dram: false,
    prepare(kernels) {
      const { arena } = kernels;
      const [q, keys, values] = [T * H, S * G, S * G].map((rows) => place(arena, noise(rows * K)));
      const out = arena.allocate(4 * T * H * K, "results");
      const call: AttentionCall = {
        ...{ q, keys, values, queries: T, keyCount: S, heads: H, kvHeads: G, headDim: K, position: S - T },
        ...{ scale: 1 / Math.sqrt(K), softCap: null, mask: CAUSAL, bias: null, probs: null, keyRows: null },
      };
      return () => kernels.attention(out, call);
    },
    onnx: attentions(shape),
  };
}

function ofOp(operation: string, opCase: OpCase): Pick<KernelCase, "prepare" | "onnx"> {
  const { onnx } = opCase;
  return {
    prepare: (kernels) => opCase.prepare(kernels, opCase.inputs()).run,
    onnx:
      typeof onnx === "string"
        ? onnx
        : { [operation]: (g) => ({ value: onnx(g, opCase.inputs()).out, type: "float32" }) },
  };
}

const ROWS = { N: 256, D: 1536 };

function rows(operation: string, opCase: OpCase, others: Operations = {}): KernelCase {
  const count = ROWS.N * ROWS.D;
  const { prepare, onnx } = ofOp(operation, opCase);
  return {
    name: `${opCase.op === "activate" ? "gelu" : opCase.op} ${ROWS.N}x${ROWS.D}`,
    group: "rows",
    unit: "G elements/s",
    amount: count,
    multiplyAdds: count,
    bound: null,
    dram: false,
    prepare,
    onnx: { ...(onnx as object), ...(others as object) },
  };
}

export const CASES: readonly KernelCase[] = [
  floatMatmul("minilm.qkv", 256, 384, 384),
  floatMatmul("minilm.ffn_up", 256, 384, 1536),
  floatMatmul("minilm.ffn_down", 256, 1536, 384),
  floatMatmul("bert.768", 64, 768, 768),
  floatMatmul("bert.768", 512, 768, 768),
  floatMatmul("smollm2.ffn_up", 1, 576, 1536),
  floatMatmul("gemv.dram", 1, 1024, 65_536),
  f16Vector("gemv.dram", 1024, 131_072),
  quantizedVector("smollm2.lm_head", "Q8_0", 576, 49_152),
  quantizedVector("gemv.dram", "Q8_0", 1024, 131_072),
  quantizedVector("smollm2.ffn_up", "Q4_1", 576, 1536),
  quantizedVector("gemv.dram", "Q4_1", 1024, 131_072),
  int8Matmul("bert.768", "Q8_0", 64, 768, 768),
  int8Matmul("minilm.ffn_up", "Q8_0", 256, 384, 1536),
  int8Matmul("bert.768", "Q4_1", 64, 768, 768),
  int8Matmul("minilm.ffn_up", "Q4_1", 256, 384, 1536),
  attention("gpt2.prefill", { T: 512, S: 512, H: 12, G: 12, K: 64 }),
  attention("gpt2.decode", { T: 1, S: 2048, H: 12, G: 12, K: 64 }),
  attention("smollm2.decode", { T: 1, S: 2048, H: 9, G: 3, K: 64 }),
  rows("Softmax", softmaxCase(ROWS)),
  rows("LayerNormalization", layerNormCase(ROWS, { bias: true })),
  rows("RMSNormalization", rmsNormCase(ROWS), { SimplifiedLayerNormalization: simplifiedLayerNorm(ROWS.N, ROWS.D) }),
  rows("Gelu", activateCase("gelu", { N: ROWS.N * ROWS.D }, "normal")),
];

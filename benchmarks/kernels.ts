/**
 * How fast the kernels are, on shapes named by where they occur: medians of several rounds, against onnxruntime-node on one
 * thread in the same run. The reference is bound by its chain of double-precision sums, not by memory: a multiply-add takes
 * one addition's latency and a few loads.
 *
 *     npx -y pnpm@10 bench [--only PART-OF-A-NAME]
 */

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { Arena, ReferenceKernels } from "@qkv/core";
import { Graph } from "../tests/onnx/graph";
import { onnxruntime } from "../tests/onnx/session";
import { attentionCase } from "../tests/ops/attention";
import type { OpCase } from "../tests/ops/case";
import { gateCase } from "../tests/ops/elementwise";
import { matmulCase } from "../tests/ops/matmul";
import { rmsNormCase, softmaxCase } from "../tests/ops/norm";

interface Shape {
  /** Where the shape occurs. */
  readonly name: string;
  readonly opCase: OpCase;
  /** Multiply-adds; null for ops that are not bound by them. */
  readonly multiplyAdds: number | null;
}

function matmul(name: string, N: number, I: number, O: number): Shape {
  // With a bias, because onnxruntime's Gemm takes the weight as it lies; MatMul would transpose it in every run.
  return { name, opCase: matmulCase({ N, I, O }, { bias: true }), multiplyAdds: N * I * O };
}

const CAUSAL = { mask: { causal: true } };
const SHAPES: readonly Shape[] = [
  matmul("stories260K.mlp_up, 1 row", 1, 64, 172),
  matmul("smollm2.q_proj, 1 row", 1, 576, 576),
  matmul("smollm2.mlp_up, 64 rows", 64, 576, 1536),
  {
    name: "smollm2.attention, 64 queries",
    opCase: attentionCase({ T: 64, S: 64, H: 9, G: 3, K: 64 }, CAUSAL),
    multiplyAdds: 9 * 64 * 65 * 64, // two products over half of the square
  },
  {
    name: "smollm2.attention, 1 query on 512 keys",
    opCase: attentionCase({ T: 1, S: 512, H: 9, G: 3, K: 64 }, CAUSAL),
    multiplyAdds: 2 * 9 * 512 * 64,
  },
  { name: "smollm2.norm, 64 rows", opCase: rmsNormCase({ N: 64, D: 576 }), multiplyAdds: null },
  { name: "smollm2.mlp_gate, 64 rows", opCase: gateCase("silu", { N: 64 * 1536 }), multiplyAdds: null },
  { name: "softmax, 256 rows of 1536", opCase: softmaxCase({ N: 256, D: 1536 }), multiplyAdds: null },
];

const OPSET = 24;
const ROUNDS = 7;
/** A round lasts about this long, in ms: far above the clock's resolution and a garbage collection. */
const ROUND_MS = 60;

/** Median time of one call, in ms, over rounds of many calls. */
async function time(call: () => unknown): Promise<number> {
  const start = performance.now();
  let warm = 0;
  while (performance.now() - start < ROUND_MS || warm < 3) {
    await call();
    warm++;
  }
  const calls = Math.max(1, Math.round((warm * ROUND_MS) / (performance.now() - start)));
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const from = performance.now();
    for (let i = 0; i < calls; i++) await call();
    rounds.push((performance.now() - from) / calls);
  }
  return rounds.sort((a, b) => a - b)[ROUNDS >> 1];
}

async function theirs(opCase: OpCase): Promise<number | null> {
  if (onnxruntime === null || typeof opCase.onnx === "string") return null;
  const graph = new Graph(OPSET);
  for (const [name, value] of Object.entries(opCase.onnx(graph, opCase.inputs()))) graph.output(name, value);
  const session = await onnxruntime.InferenceSession.create(graph.bytes(), {
    logSeverityLevel: 4,
    graphOptimizationLevel: "disabled", // else a graph of constants is computed once, when it is made
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  });
  const ms = await time(() => session.run({}));
  await session.release();
  return ms;
}

const { values } = parseArgs({ options: { only: { type: "string", default: "" } } });
const machine = `${cpus()[0]?.model}, Node ${process.versions.node}, ${process.platform} ${process.arch}`;
console.log(`${machine}\n`);
console.log("| shape | reference ms | ns a multiply-add | onnxruntime-node ms, 1 thread | ratio |");
console.log("| --- | --- | --- | --- | --- |");
for (const { name, opCase, multiplyAdds } of SHAPES.filter((shape) => shape.name.includes(values.only))) {
  const { run } = opCase.prepare(new ReferenceKernels(new Arena()), opCase.inputs());
  const ours = await time(run);
  const each = multiplyAdds === null ? "" : ((ours * 1e6) / multiplyAdds).toFixed(2);
  const onnx = await theirs(opCase);
  const ratio = onnx === null ? "" : `${(onnx / ours).toFixed(3)}x`;
  console.log(`| ${name} | ${ours.toFixed(3)} | ${each} | ${onnx?.toFixed(3) ?? ""} | ${ratio} |`);
}
